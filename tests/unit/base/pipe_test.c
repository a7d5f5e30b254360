/* pipe_test - what goes through a worker's pipe arrives as it was, whatever the sockets take; nothing stays
 * in it. */
#include "base/pipe.h"

#include "base/stream.h"
#include "loop_until.h"
#include "peer.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define BODY_BYTES 300000

static struct loop loop;
static struct peer from, to;
static struct stream source, target;
static char *body;

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	stream_note(arg, what);
}

static void open_streams(int target_buffer_bytes)
{
	cr_assert(stream_open(&source, &loop, peer_pair(&from, 0), true, on_ready));
	cr_assert(stream_open(&target, &loop, peer_pair(&to, target_buffer_bytes), true, on_ready));
}

static void start(void)
{
	signal(SIGPIPE, SIG_IGN);
	cr_assert(loop_init(&loop, LOOP_RECEIVE_BYTES));
	cr_assert(pipe_open(&loop.pipe));
	body = malloc(BODY_BYTES);
	cr_assert_not_null(body);
	for (size_t i = 0; i < BODY_BYTES; i++)
		body[i] = (char)(i * i / 7);
}

static void finish(void)
{
	stream_close(&source);
	stream_close(&target);
	peer_close(&from);
	peer_close(&to);
	free(body);
	loop_finish(&loop);
}

TestSuite(pipe, .init = start, .fini = finish);

/* Send the body to the source a piece at a time, and have each piece passed on. Returns how much is held. */
static size_t pass_body(struct bytes *held)
{
	size_t said = 0, passed = 0;
	for (int turn = 0; passed < BODY_BYTES; turn++) {
		cr_assert_lt(turn, 100000);
		ssize_t put = send(from.fd, body + said, BODY_BYTES - said, MSG_DONTWAIT | MSG_NOSIGNAL);
		said += put > 0 ? (size_t)put : 0;
		size_t received, sent;
		source.is_readable = true;
		enum stream_result result = stream_receive_piped(&source, &received);
		if (result == STREAM_AGAIN) {
			loop_for(&loop, 1);
			continue;
		}
		cr_assert_eq(result, STREAM_OK);
		cr_assert_eq(loop.pipe.held, received);
		cr_assert_eq(stream_send_piped(&target, held, &sent), STREAM_OK);
		cr_assert_eq(loop.pipe.held, 0);
		passed += received;
	}
	return bytes_count(held);
}

Test(pipe, what_is_received_is_sent)
{
	struct bytes held = {0};
	open_streams(0);
	cr_expect_eq(pass_body(&held), 0, "the socket has room for it");
	cr_expect(target.is_writable);
	for (int turn = 0; to.bytes < BODY_BYTES && turn < 5000; turn++) {
		peer_poll(&to);
		loop_for(&loop, 1);
	}
	cr_assert_eq(to.bytes, BODY_BYTES);
	cr_expect_eq(memcmp(to.received, body, BODY_BYTES), 0);
}

Test(pipe, what_a_slow_receiver_does_not_take_is_held_in_order)
{
	struct bytes held = {0};
	open_streams(4096);
	size_t held_bytes = pass_body(&held);
	cr_assert_gt(held_bytes, 0);
	cr_expect_not(target.is_writable, "an edge will tell");
	size_t taken = BODY_BYTES - held_bytes;
	for (int turn = 0; to.bytes < taken && turn < 5000; turn++) {
		peer_poll(&to);
		loop_for(&loop, 1);
	}
	cr_assert_eq(to.bytes, taken);
	cr_expect(target.is_writable);
	cr_expect_eq(memcmp(to.received, body, taken), 0);
	cr_expect_eq(memcmp(bytes_at(&held), body + taken, held_bytes), 0);
	bytes_free(&held);
}

Test(pipe, an_end_and_a_reset_are_seen)
{
	size_t received;
	for (int is_reset = 0; is_reset <= 1; is_reset++) {
		open_streams(0);
		peer_say(&from, "last");
		if (is_reset)
			peer_reset(&from);
		else
			peer_close(&from);
		peer_await(source.fd, POLLRDHUP);
		loop_for(&loop, 10);
		enum stream_result result = stream_receive_piped(&source, &received);
		cr_expect(is_reset || result == STREAM_OK);
		if (result == STREAM_OK) {
			cr_expect_eq(received, 4);
			cr_expect(source.is_readable, "the end is still to come");
			pipe_drop(&loop.pipe);
			result = stream_receive_piped(&source, &received);
		}
		cr_expect_eq(result, is_reset ? STREAM_BROKEN : STREAM_END);
		cr_expect_not(source.is_readable);
		stream_close(&source);
		stream_close(&target);
		peer_close(&to);
	}
}

Test(pipe, what_a_dead_receiver_does_not_take_goes_to_nobody_else)
{
	struct bytes held = {0};
	size_t received, sent;
	open_streams(0);
	peer_say(&from, "for nobody");
	peer_reset(&to);
	peer_await(source.fd, POLLIN);
	peer_await(target.fd, POLLRDHUP);
	loop_for(&loop, 10);
	cr_assert_eq(stream_receive_piped(&source, &received), STREAM_OK);
	cr_expect_eq(stream_send_piped(&target, &held, &sent), STREAM_BROKEN);
	cr_expect_eq(sent, 0);
	pipe_drop(&loop.pipe);
	stream_close(&target);
	cr_assert(stream_open(&target, &loop, peer_pair(&to, 0), true, on_ready));
	peer_say(&from, "for you");
	peer_await(source.fd, POLLIN);
	loop_for(&loop, 10);
	cr_assert_eq(stream_receive_piped(&source, &received), STREAM_OK);
	cr_assert_eq(stream_send_piped(&target, &held, &sent), STREAM_OK);
	for (int turn = 0; to.bytes < 7 && turn < 5000; turn++) {
		peer_poll(&to);
		loop_for(&loop, 1);
	}
	cr_expect_str_eq(to.received, "for you");
}

/* Where one is sent to that the system does not splice to, the bytes are there to be copied. */
Test(pipe, what_the_system_does_not_splice_is_copied)
{
	struct bytes held = {0};
	size_t received, sent;
	open_streams(0);
	peer_say(&from, "odd");
	peer_await(source.fd, POLLIN);
	loop_for(&loop, 10);
	cr_assert_eq(stream_receive_piped(&source, &received), STREAM_OK);
	int socket_of_target = target.fd;
	target.fd = loop.pipe.in; /* the same pipe on both sides is refused with EINVAL */
	cr_expect_eq(stream_send_piped(&target, &held, &sent), STREAM_OK);
	target.fd = socket_of_target;
	cr_expect(sent == 0 && bytes_count(&held) == 3 && memcmp(bytes_at(&held), "odd", 3) == 0);
	cr_expect(target.is_writable && target.is_again, "nothing else tells to send what is held");
	cr_expect_not(pipe_is_usable(&loop.pipe));
	stream_not_again(&target);
	bytes_free(&held);
}

Test(pipe, without_descriptors_there_is_none)
{
	struct rlimit none = {.rlim_cur = 3, .rlim_max = 3};
	struct pipe other;
	open_streams(0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	cr_expect_not(pipe_open(&other));
	cr_expect_eq(errno, EMFILE);
	cr_expect_not(pipe_is_usable(&other));
	pipe_close(&other);
	peer_say(&from, "lost");
	peer_await(source.fd, POLLIN);
	loop_for(&loop, 10);
	size_t received;
	cr_assert_eq(stream_receive_piped(&source, &received), STREAM_OK);
	pipe_close(&loop.pipe);
	pipe_drop(&loop.pipe);
	cr_expect_not(loop_pipes(&loop, UINT64_MAX));
}
