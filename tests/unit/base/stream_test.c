/* stream_test - no edge is lost, whatever comes between an edge and its use; listed streams take turns. */
#include "base/stream.h"

#include "loop_until.h"
#include "peer.h"

#include <stdio.h>

static struct loop loop;
static struct peer peer;

struct watched {
	struct stream stream;
	void (*then)(struct watched *watched);
	struct watched *other;
	int ready_count;
	int wanted_count;
};

static void watched_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = stream_note(arg, what);
	struct watched *watched = CONTAINER_OF(stream, struct watched, stream);
	(void)fd;
	watched->ready_count++;
	if (watched->then != NULL)
		watched->then(watched);
}

static bool watched_is_satisfied(void *arg)
{
	const struct watched *watched = arg;
	return watched->ready_count >= watched->wanted_count;
}

static bool watched_is_readable(void *arg)
{
	const struct watched *watched = arg;
	return watched->stream.is_readable;
}

static bool watched_is_writable(void *arg)
{
	const struct watched *watched = arg;
	return watched->stream.is_writable;
}

static bool watched_is_ended(void *arg)
{
	const struct watched *watched = arg;
	return watched->stream.is_ended;
}

static void wait_for(struct watched *watched, bool (*is_done)(void *arg))
{
	cr_assert(loop_until(&loop, is_done, watched, LOOP_UNTIL_MS));
}

static void watched_open(struct watched *watched, int fd)
{
	*watched = (struct watched){0};
	cr_assert(stream_open(&watched->stream, &loop, fd, true, watched_on_ready));
}

static void expect_receive(struct watched *watched, size_t room, enum stream_result result, const char *text)
{
	char buffer[256];
	size_t received;
	cr_assert_leq(room, sizeof(buffer));
	enum stream_result got = stream_receive(&watched->stream, buffer, room, &received);
	cr_expect_eq(got, result, "result %d, not %d", (int)got, (int)result);
	cr_expect(received == strlen(text) && memcmp(buffer, text, received) == 0,
		"wanted \"%s\", got \"%.*s\"", text, (int)received, buffer);
}

static void start(void)
{
	cr_assert(loop_init(&loop, LOOP_RECEIVE_BYTES));
}

static void finish(void)
{
	loop_finish(&loop);
}

TestSuite(stream, .init = start, .fini = finish);

Test(stream, a_short_receive_ends_the_edge_and_the_next_bytes_bring_another)
{
	struct watched watched;
	watched_open(&watched, peer_pair(&peer, 0));
	for (int round = 0; round < 3; round++) {
		peer_say(&peer, "hello");
		wait_for(&watched, watched_is_readable);
		expect_receive(&watched, 100, STREAM_OK, "hello");
		cr_expect_not(watched.stream.is_readable);
	}
	stream_close(&watched.stream);
	peer_close(&peer);
}

Test(stream, a_full_receive_leaves_it_readable)
{
	struct watched watched;
	watched_open(&watched, peer_pair(&peer, 0));
	peer_say(&peer, "0123456789");
	wait_for(&watched, watched_is_readable);
	expect_receive(&watched, 4, STREAM_OK, "0123");
	cr_expect(watched.stream.is_readable);
	expect_receive(&watched, 6, STREAM_OK, "456789");
	cr_expect(watched.stream.is_readable, "whether there is more is not known");
	expect_receive(&watched, 6, STREAM_AGAIN, "");
	cr_expect_not(watched.stream.is_readable);
	stream_close(&watched.stream);
	peer_close(&peer);
}

Test(stream, an_end_that_came_with_the_last_bytes_is_seen)
{
	struct watched watched;
	watched_open(&watched, peer_pair(&peer, 0));
	peer_say(&peer, "bye");
	peer_close(&peer); /* both are in the socket before the loop looks: there is but one edge */
	wait_for(&watched, watched_is_ended);
	loop_for(&loop, 20);
	expect_receive(&watched, 100, STREAM_OK, "bye");
	cr_expect(watched.stream.is_readable, "the end brings no edge of its own");
	expect_receive(&watched, 100, STREAM_END, "");
	cr_expect_not(watched.stream.is_readable);
	stream_close(&watched.stream);
}

Test(stream, an_end_that_comes_between_edge_and_receive_is_seen)
{
	struct watched watched;
	watched_open(&watched, peer_pair(&peer, 0));
	peer_say(&peer, "bye");
	wait_for(&watched, watched_is_readable);
	cr_assert_eq(shutdown(peer.fd, SHUT_WR), 0);
	expect_receive(&watched, 100, STREAM_OK, "bye");
	wait_for(&watched, watched_is_ended);
	cr_expect(watched.stream.is_readable);
	expect_receive(&watched, 100, STREAM_END, "");
	stream_close(&watched.stream);
	peer_close(&peer);
}

Test(stream, an_end_does_not_stop_it_from_sending)
{
	struct watched watched;
	char text[] = "answer";
	const struct iovec part = {text, 6};
	size_t sent;
	watched_open(&watched, peer_pair(&peer, 0));
	cr_assert_eq(shutdown(peer.fd, SHUT_WR), 0);
	wait_for(&watched, watched_is_ended);
	expect_receive(&watched, 100, STREAM_END, "");
	cr_expect_eq(stream_send(&watched.stream, &part, 1, &sent), STREAM_OK);
	cr_expect_eq(sent, 6);
	stream_close(&watched.stream);
	for (int wait = 0; wait < 1000 && !peer.is_ended; wait++, usleep(1000))
		peer_poll(&peer);
	cr_expect_str_eq(peer.received, "answer");
	peer_close(&peer);
}

Test(stream, a_reset_is_told_as_broken)
{
	struct watched watched;
	char text[] = "to nobody";
	const struct iovec part = {text, 9};
	size_t sent;
	watched_open(&watched, peer_pair(&peer, 0));
	cr_expect_eq(stream_error(&watched.stream), 0);
	peer_reset(&peer);
	wait_for(&watched, watched_is_readable);
	expect_receive(&watched, 100, STREAM_BROKEN, "");
	cr_expect_eq(stream_send(&watched.stream, &part, 1, &sent), STREAM_BROKEN);
	cr_expect_eq(sent, 0);
	stream_close(&watched.stream);
}

/* The kernel tells of a reset once: whoever receives after that is told of an end, as if all were well. */
Test(stream, a_reset_that_a_send_or_a_question_has_met_is_no_end)
{
	char text[] = "x";
	const struct iovec part = {text, 1};
	for (int is_asked = 0; is_asked < 2; is_asked++) {
		struct watched watched;
		size_t sent;
		watched_open(&watched, peer_pair(&peer, 0));
		peer_reset(&peer);
		wait_for(&watched, watched_is_readable);
		if (is_asked)
			cr_expect_eq(stream_error(&watched.stream), ECONNRESET);
		else
			cr_expect_eq(stream_send(&watched.stream, &part, 1, &sent), STREAM_BROKEN);
		expect_receive(&watched, 64, STREAM_BROKEN, "");
		stream_close(&watched.stream);
	}
}

/* One segment has both, so that who receives them is woken up once: until the end is said, nothing comes. */
Test(stream, the_last_bytes_go_with_the_end)
{
	char head[] = "all ", tail[] = "of it";
	const struct iovec parts[] = {{head, 4}, {tail, 5}};
	bool is_held = false;
	/* On a machine that stalls, the kernel may have waited long enough: try again. */
	for (int round = 0; round < 10 && !is_held; round++) {
		struct watched watched;
		size_t sent;
		watched_open(&watched, peer_pair(&peer, 0));
		cr_expect_eq(stream_send_last(&watched.stream, parts, 2, &sent), STREAM_OK);
		cr_expect_eq(sent, 9);
		cr_expect(watched.stream.is_writable);
		peer_poll(&peer);
		is_held = peer.bytes == 0;
		cr_assert_eq(shutdown(watched.stream.fd, SHUT_WR), 0);
		for (int wait = 0; wait < 10000 && !peer.is_ended; wait++, usleep(100))
			peer_poll(&peer);
		cr_expect_str_eq(peer.received, "all of it");
		stream_close(&watched.stream);
		peer_close(&peer);
	}
	cr_expect(is_held);
}

Test(stream, is_writable_goes_with_a_short_send_and_comes_back_with_room)
{
	static char block[65536];
	const struct iovec parts[] = {{block, 1000}, {block, sizeof(block) - 1000}};
	struct watched watched;
	size_t total = 0;
	watched_open(&watched, peer_pair(&peer, 8192));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10000 && watched.stream.is_writable; i++) {
			size_t sent;
			enum stream_result result = stream_send(&watched.stream, parts, 2, &sent);
			cr_assert_neq(result, STREAM_BROKEN);
			cr_assert_eq(watched.stream.is_writable, sent == sizeof(block));
			total += sent;
		}
		cr_assert_not(watched.stream.is_writable);
		loop_for(&loop, 20);
		cr_assert_not(watched.stream.is_writable, "nothing was taken yet");
		for (int i = 0; i < 10000 && peer.bytes < total; i++, usleep(100))
			peer_poll(&peer);
		wait_for(&watched, watched_is_writable);
	}
	peer_poll(&peer);
	cr_expect_eq(peer.bytes, total);
	stream_close(&watched.stream);
	peer_close(&peer);
}

Test(stream, one_that_connects_becomes_writable_by_an_edge)
{
	struct sockaddr_in address;
	struct watched watched = {0};
	int listener = peer_listen(&address, true);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0);
	(void)!connect(fd, (struct sockaddr *)&address, sizeof(address));
	cr_assert(stream_open(&watched.stream, &loop, fd, false, watched_on_ready));
	cr_expect_not(watched.stream.is_writable);
	wait_for(&watched, watched_is_writable);
	cr_expect_eq(stream_error(&watched.stream), 0);
	stream_close(&watched.stream);
	close(listener);
}

Test(stream, a_refused_connection_is_an_edge_and_an_error)
{
	struct sockaddr_in address;
	struct watched watched = {.wanted_count = 1};
	int holder = peer_listen(&address, false);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0);
	(void)!connect(fd, (struct sockaddr *)&address, sizeof(address));
	cr_assert(stream_open(&watched.stream, &loop, fd, false, watched_on_ready));
	wait_for(&watched, watched_is_satisfied);
	cr_expect_eq(stream_error(&watched.stream), ECONNREFUSED);
	stream_close(&watched.stream);
	close(holder);
}

Test(stream, what_cannot_be_watched_is_refused_and_closed)
{
	struct watched watched;
	int fd = fileno(tmpfile()); /* epoll takes no plain files */
	cr_assert(fd >= 0);
	int copy = dup(fd);
	cr_expect_not(stream_open(&watched.stream, &loop, copy, true, watched_on_ready));
	cr_expect_eq(watched.stream.fd, -1);
	cr_expect_eq(fcntl(copy, F_GETFD), -1);
	stream_close(&watched.stream);
}

/* ---- Having another go ----------------------------------------------------------------------- */

static char order[64];

static void note_and_again(struct watched *watched)
{
	size_t used = strlen(order);
	if (used + 1 < sizeof(order))
		order[used] = (char)('a' + watched->wanted_count);
	if (watched->ready_count < 5)
		stream_again(&watched->stream);
}

Test(stream, those_that_ask_again_take_turns_and_starve_nobody)
{
	struct watched listed[3], talked_to;
	struct peer peers[3];
	for (int i = 0; i < 3; i++) {
		watched_open(&listed[i], peer_pair(&peers[i], 0));
		loop_for(&loop, 5); /* the edge of a new socket: it can be written to */
		listed[i].ready_count = 0;
		listed[i].wanted_count = i;
		listed[i].then = note_and_again;
	}
	watched_open(&talked_to, peer_pair(&peer, 0));
	peer_say(&peer, "x");
	memset(order, 0, sizeof(order));
	for (int i = 0; i < 3; i++) {
		stream_again(&listed[i].stream);
		stream_again(&listed[i].stream); /* is on the list already */
	}
	cr_expect_eq(loop.again_count, 3);
	wait_for(&talked_to, watched_is_readable);
	loop_for(&loop, 20);
	cr_expect_str_eq(order, "abcabcabcabcabc");
	cr_expect_eq(loop.again_count, 0);
	for (int i = 0; i < 3; i++) {
		stream_close(&listed[i].stream);
		peer_close(&peers[i]);
	}
	stream_close(&talked_to.stream);
	peer_close(&peer);
}

static void ask_for_ever(struct watched *watched)
{
	stream_again(&watched->stream);
}

Test(stream, one_that_asks_for_ever_lets_events_through)
{
	struct watched greedy, talked_to;
	struct peer greedy_peer;
	watched_open(&greedy, peer_pair(&greedy_peer, 0));
	watched_open(&talked_to, peer_pair(&peer, 0));
	greedy.then = ask_for_ever;
	stream_again(&greedy.stream);
	for (int round = 0; round < 10; round++) {
		peer_say(&peer, "x");
		wait_for(&talked_to, watched_is_readable);
		expect_receive(&talked_to, 100, STREAM_OK, "x");
	}
	cr_expect_gt(greedy.ready_count, 10);
	stream_close(&greedy.stream);
	cr_expect_eq(loop.again_count, 0);
	stream_close(&talked_to.stream);
	peer_close(&greedy_peer);
	peer_close(&peer);
}

static void close_both(struct watched *watched)
{
	stream_close(&watched->stream);
	stream_close(&watched->other->stream);
}

/* The first of the list closes itself and the other one, whether that stands behind it or was served. */
Test(stream, a_listed_one_may_be_closed)
{
	struct watched first, second;
	struct peer peers[2];
	watched_open(&first, peer_pair(&peers[0], 0));
	watched_open(&second, peer_pair(&peers[1], 0));
	loop_for(&loop, 5);
	first.then = close_both;
	first.other = &second;
	first.ready_count = second.ready_count = 0;
	stream_again(&first.stream);
	stream_again(&second.stream);
	loop_for(&loop, 20);
	cr_expect_eq(first.ready_count, 1);
	cr_expect_eq(second.ready_count, 0, "no callback comes after the close");
	cr_expect_eq(loop.again_count, 0);
	stream_again(&first.stream); /* closed: nothing happens */
	cr_expect_eq(loop.again_count, 0);
	stream_close(&first.stream);
	for (int i = 0; i < 2; i++)
		peer_close(&peers[i]);
}

Test(stream, asking_again_can_be_taken_back)
{
	struct watched watched;
	watched_open(&watched, peer_pair(&peer, 0));
	loop_for(&loop, 5);
	watched.ready_count = 0;
	stream_not_again(&watched.stream);
	stream_again(&watched.stream);
	stream_not_again(&watched.stream);
	loop_for(&loop, 20);
	cr_expect_eq(watched.ready_count, 0);
	stream_close(&watched.stream);
	peer_close(&peer);
}
