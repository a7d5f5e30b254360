/* upstream_test - one request to a backend and its response, however that comes, stalls or ends. */
#include "support.h"

TestSuite(upstream, .init = support_start, .fini = support_finish);

/* ---- Responses ------------------------------------------------------------------------------- */

enum ending {
	KEEPS,	/* the connection stays open */
	CLOSES, /* FIN */
	RESETS	/* RST */
};

struct response_case {
	const char *name;
	const char *response;
	enum ending ending;
	enum http_method method;
	int status; /* 0: no head comes */
	const char *body;
	enum problem problem;
	bool is_kept; /* in the pool */
	int informational_count;
};

#define OK	"HTTP/1.1 200 OK\r\n"
#define LENGTH5 "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

static const struct response_case cases[] = {
	{"length", OK LENGTH5 "\r\nhello", .status = 200, .body = "hello", .is_kept = true},
	{"no bytes", OK "Content-Length: 0\r\n\r\n", .status = 200, .body = "", .is_kept = true},
	{"chunked", OK CHUNKED "\r\n5\r\nhello\r\n1;a=b\r\n!\r\n0\r\nTrailer: x\r\n\r\n", .status = 200,
		.body = "hello!", .is_kept = true},
	{"until close", OK "\r\nhello", .ending = CLOSES, .status = 200, .body = "hello"},
	{"until close, of no bytes", OK "\r\n", .ending = CLOSES, .status = 200, .body = ""},
	{"204", "HTTP/1.1 204 No Content\r\n\r\n", .status = 204, .body = "", .is_kept = true},
	{"304 with a length", "HTTP/1.1 304 Not Modified\r\n" LENGTH5 "\r\n", .status = 304, .body = "",
		.is_kept = true},
	{"HEAD", OK LENGTH5 "\r\n", .method = HTTP_METHOD_HEAD, .status = 200, .body = "", .is_kept = true},
	{"HEAD, chunked", OK CHUNKED "\r\n", .method = HTTP_METHOD_HEAD, .status = 200, .body = "",
		.is_kept = true},
	{"500", "HTTP/1.1 500 \r\n" LENGTH5 "\r\nsorry", .status = 500, .body = "sorry", .is_kept = true},
	{"Connection: close", OK LENGTH5 "Connection: close\r\n\r\nhello", .status = 200, .body = "hello"},
	{"HTTP/1.0", "HTTP/1.0 200 OK\r\n" LENGTH5 "\r\nhello", .status = 200, .body = "hello"},
	{"HTTP/1.0, keep-alive", "HTTP/1.0 200 OK\r\n" LENGTH5 "Connection: keep-alive\r\n\r\nhello",
		.status = 200, .body = "hello", .is_kept = true},
	{"1xx first",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK LENGTH5
		"\r\nhello",
		.status = 200, .body = "hello", .is_kept = true, .informational_count = 2},
	{"length, then close", OK LENGTH5 "\r\nhello", .ending = CLOSES, .status = 200, .body = "hello"},
	{"length, then reset", OK LENGTH5 "\r\nhello", .ending = RESETS, .status = 200, .body = "hello"},

	{"silent close", "", .ending = CLOSES, .problem = PROBLEM_UPSTREAM_CLOSED},
	{"silent reset", "", .ending = RESETS, .problem = PROBLEM_UPSTREAM_RESET},
	{"close within the head", "HTTP/1.1 200 O", .ending = CLOSES, .problem = PROBLEM_RESPONSE_CUT},
	{"reset within the head", OK "Content-", .ending = RESETS, .problem = PROBLEM_RESPONSE_CUT},
	{"close after 100", "HTTP/1.1 100 Continue\r\n\r\n", .ending = CLOSES,
		.problem = PROBLEM_RESPONSE_CUT, .informational_count = 1},
	{"close within a length", OK LENGTH5 "\r\nhell", .ending = CLOSES, .status = 200, .body = "hell",
		.problem = PROBLEM_RESPONSE_CUT},
	{"reset within a length", OK LENGTH5 "\r\nhell", .ending = RESETS, .status = 200, .body = "hell",
		.problem = PROBLEM_RESPONSE_CUT},
	{"close before the body", OK LENGTH5 "\r\n", .ending = CLOSES, .status = 200, .body = "",
		.problem = PROBLEM_RESPONSE_CUT},
	{"close within a chunk", OK CHUNKED "\r\n5\r\nhel", .ending = CLOSES, .status = 200, .body = "hel",
		.problem = PROBLEM_RESPONSE_CUT},
	{"close before the last chunk", OK CHUNKED "\r\n5\r\nhello\r\n", .ending = CLOSES, .status = 200,
		.body = "hello", .problem = PROBLEM_RESPONSE_CUT},
	{"close within the trailer", OK CHUNKED "\r\n0\r\nTrailer", .ending = CLOSES, .status = 200,
		.body = "", .problem = PROBLEM_RESPONSE_CUT},
	{"reset where close would be the end", OK "\r\nhello", .ending = RESETS, .status = 200,
		.body = "hello", .problem = PROBLEM_RESPONSE_CUT},

	{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		.problem = PROBLEM_BAD_RESPONSE},
	{"not HTTP", "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", .problem = PROBLEM_BAD_RESPONSE},
	{"HTTP/2", "HTTP/2.0 200 OK\r\n" LENGTH5 "\r\nhello", .problem = PROBLEM_BAD_RESPONSE},
	{"two lengths", OK LENGTH5 "Content-Length: 6\r\n\r\nhello!", .problem = PROBLEM_BAD_RESPONSE},
	{"a folded field", OK "A: b\r\n c\r\n" LENGTH5 "\r\nhello", .problem = PROBLEM_BAD_RESPONSE},
	{"too many fields",
		OK
		"A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n"
		"A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n" LENGTH5 "\r\nhello",
		.problem = PROBLEM_RESPONSE_TOO_LARGE},
	{"a bad chunk", OK CHUNKED "\r\n5\r\nhello\r\nxyz\r\n", .status = 200, .body = "hello",
		.problem = PROBLEM_BAD_RESPONSE},
};

enum way {
	AT_ONCE,      /* all of it and its end, before the loop looks */
	ENDING_LATER, /* the end in a turn of its own */
	BYTE_BY_BYTE,
	WAYS
};

static const char *const way_names[] = {"at once", "ending later", "byte by byte"};

static void play(struct peer *peer, const struct response_case *at, enum way way)
{
	size_t step = way == BYTE_BY_BYTE ? 1 : strlen(at->response);
	for (const char *next = at->response; *next != '\0'; next += step) {
		if (send(peer->fd, next, step, MSG_NOSIGNAL) < 0)
			return; /* refused already */
		if (way != AT_ONCE)
			loop_for(&loop, 1);
	}
	if (at->ending == CLOSES)
		cr_assert_eq(shutdown(peer->fd, SHUT_WR), 0);
	else if (at->ending == RESETS)
		peer_reset(peer);
}

static void expect_case(const struct response_case *at, enum way way)
{
	struct lease lease = {.method = at->method};
	struct peer peer;
	size_t kept_before = pool->idle_count;
	cr_assert_eq(kept_before, 0);
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	for (int wait = 0; wait < 5000 && strstr(peer.received, "\r\n\r\n") == NULL; wait++) {
		loop_for(&loop, 1);
		peer_poll(&peer); /* a close with the request unread would be a reset */
	}
	play(&peer, at, way);
	wait_until(lease_is_over, &lease);
	/* What comes before a fault has been passed on, or not: that depends on the cut. */
	if (at->problem != PROBLEM_BAD_RESPONSE) {
		cr_expect_eq(lease.status, at->status, "%s, %s: status %d", at->name, way_names[way],
			lease.status);
		cr_expect_str_eq(
			lease.body, at->body != NULL ? at->body : "", "%s, %s", at->name, way_names[way]);
	}
	cr_expect_eq(lease.problem, at->problem, "%s, %s: %s", at->name, way_names[way],
		problem_row(lease.problem)->code);
	cr_expect_eq(lease.is_last, at->problem == PROBLEM_NONE, "%s, %s", at->name, way_names[way]);
	cr_expect_eq(lease.informational_count, at->informational_count, "%s", at->name);
	/* One that was closed behind the response may have been kept until that was seen; a reset that came
	 * in one edge with all of the response is seen when it is used. */
	loop_for(&loop, 5);
	cr_expect((at->ending == RESETS && way == AT_ONCE) || pool->idle_count == (at->is_kept ? 1 : 0),
		"%s, %s: kept %u", at->name, way_names[way], pool->idle_count);
	pool_retire(pool);
	pool->is_retired = false;
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream, responses_of_every_kind_and_end)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int way = 0; way < WAYS; way++)
			expect_case(&cases[i], (enum way)way);
}

Test(upstream, a_head_that_is_too_large_is_refused)
{
	struct lease lease = {0};
	struct peer peer;
	char text[6000];
	lease_begin(&lease);
	backend_accept(&peer);
	int used = snprintf(text, sizeof(text), OK "A: ");
	memset(text + used, 'x', sizeof(text) - (size_t)used);
	peer_send(&peer, text, sizeof(text));
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TOO_LARGE);
	lease_finish(&lease);
	peer_close(&peer);
}

/* The next response would be taken for an answer to the next request. */
Test(upstream, a_connection_with_bytes_behind_its_response_is_not_used_again)
{
	static const char *const behind[] = {"x", "\r\n", OK LENGTH5 "\r\nother"};
	for (size_t i = 0; i < ARRAY_SIZE(behind); i++) {
		struct lease lease = {0};
		struct peer peer;
		char text[256];
		snprintf(text, sizeof(text), OK LENGTH5 "\r\nhello%s", behind[i]);
		lease_begin(&lease);
		backend_accept(&peer);
		peer_say(&peer, text);
		wait_until(lease_is_over, &lease);
		cr_expect_str_eq(lease.body, "hello");
		cr_expect_eq(pool->idle_count, 0);
		lease_finish(&lease);
		peer_close(&peer);
	}
}

Test(upstream, a_backend_on_this_machine_is_sent_to_without_pacing)
{
	struct lease lease = {.request = ""};
	char name[32] = "";
	socklen_t bytes = sizeof(name);
	shared.is_loopback_unpaced = true;
	lease_begin(&lease);
	cr_assert_eq(getsockopt(lease.upstream->stream.fd, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
	cr_expect_str_eq(name, "reno");
	upstream_release(lease.upstream);
	free(lease.body);
}

/* The backend would take the next request for the rest of this one's body. */
Test(upstream, a_connection_whose_request_is_not_complete_is_not_used_again)
{
	struct lease lease = {.request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
		.method = HTTP_METHOD_POST,
		.is_open_ended = true};
	struct peer peer;
	lease_begin(&lease);
	backend_accept(&peer);
	peer_say(&peer, OK LENGTH5 "\r\nhello");
	wait_until(lease_is_over, &lease);
	cr_expect_str_eq(lease.body, "hello");
	cr_expect_eq(pool->idle_count, 0);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream, many_small_chunks_arrive_whole)
{
	enum { CHUNKS = 20000 };
	char *text = malloc(CHUNKS * 6 + 256);
	struct lease lease = {0};
	struct peer peer;
	cr_assert_not_null(text);
	size_t bytes = (size_t)sprintf(text, OK CHUNKED "\r\n"), sent = 0;
	for (int i = 0; i < CHUNKS; i++)
		bytes += (size_t)sprintf(text + bytes, "1\r\n%c\r\n", 'a' + i % 26);
	bytes += (size_t)sprintf(text + bytes, "0\r\n\r\n");
	lease_begin(&lease);
	backend_accept(&peer);
	for (int turn = 0; turn < 10000 && sent < bytes; turn++) {
		ssize_t put = send(peer.fd, text + sent, bytes - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		loop_for(&loop, 1);
	}
	wait_until(lease_is_over, &lease);
	cr_assert_eq(lease.body_bytes, CHUNKS);
	for (int i = 0; i < CHUNKS; i++)
		cr_assert_eq(lease.body[i], 'a' + i % 26);
	cr_expect_eq(pool->idle_count, 1);
	lease_finish(&lease);
	peer_close(&peer);
	free(text);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

Test(upstream, a_refused_connection)
{
	struct sockaddr_in address;
	struct lease lease = {0};
	int holder = peer_listen(&address, false);
	backend->addresses[0].ipv4 = address;
	if (lease_begin_careful(&lease, false))
		wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_CONNECT_REFUSED);
	cr_expect_not(lease.is_connected);
	cr_expect_eq(counters.upstream_connects, 1);
	free(lease.body);
	close(holder);
}

Test(upstream, an_address_that_cannot_be_reached)
{
	struct sockaddr_in6 nowhere = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct lease lease = {0};
	nowhere.sin6_addr.s6_addr[0] = 0xfe; /* link-local, of no link */
	nowhere.sin6_addr.s6_addr[1] = 0x80;
	backend->addresses[0].ipv6 = nowhere;
	if (lease_begin_careful(&lease, false))
		wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_CONNECT_FAILED, "%s", problem_row(lease.problem)->code);
	free(lease.body);
}

Test(upstream, a_backend_that_does_not_accept_in_time)
{
	struct sockaddr_in address;
	struct lease leases[8] = {{0}};
	int waiting = 0;
	close(listener);
	listener = -1;
	int holder = peer_listen(&address, false);
	cr_assert_eq(listen(holder, 0), 0); /* room for one or two that nobody accepts */
	backend->addresses[0].ipv4 = address;
	timeouts.connect_ms = 100;
	timeouts.response_head_ms = 200;
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++)
		lease_begin(&leases[i]);
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++) {
		wait_until(lease_is_over, &leases[i]);
		cr_expect_eq(leases[i].problem,
			leases[i].is_connected ? PROBLEM_RESPONSE_TIMEOUT : PROBLEM_CONNECT_TIMEOUT);
		waiting += !leases[i].is_connected;
		free(leases[i].body);
	}
	cr_expect_gt(waiting, 0, "the kernel took all of them");
	close(holder);
}

Test(upstream, without_descriptors_no_connection_is_made)
{
	struct lease lease = {0};
	int fds[4096], count = 0;
	while (count < 4096 && (fds[count] = dup(0)) >= 0)
		count++;
	if (count == 4096)
		cr_skip_test("there are more descriptors than a test wants to use up");
	bool was_leased = lease_begin_careful(&lease, false);
	while (count > 0)
		close(fds[--count]);
	cr_expect_not(was_leased);
	cr_expect_eq(lease.problem, PROBLEM_NO_MEMORY);
	free(lease.body);
}

/* ---- Time ------------------------------------------------------------------------------------ */

#define SHORT_MS 100

Test(upstream, an_answer_that_does_not_come_in_time)
{
	static const char *const beginnings[] = {"", "HTTP/1.1 200 O", "HTTP/1.1 100 Continue\r\n\r\n"};
	timeouts.response_head_ms = SHORT_MS;
	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
		struct lease lease = {0};
		struct peer peer;
		uint64_t begin_ms = clock_coarse_ms();
		lease_begin(&lease);
		backend_accept(&peer);
		peer_say(&peer, beginnings[i]);
		wait_until(lease_is_over, &lease);
		cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT, "%s", beginnings[i]);
		cr_expect_geq(clock_coarse_ms() - begin_ms + 20, SHORT_MS);
		lease_finish(&lease);
		peer_close(&peer);
	}
}

#define SLOW_BODY_MS 400

/* False: the machine stalled, so that a byte may have come too late. */
static bool answer_slowly(struct lease *lease, struct peer *peer)
{
	uint64_t last_ms = clock_coarse_ms();
	lease_begin(lease);
	backend_accept(peer);
	peer_say(peer, OK "Content-Length: 10\r\n\r\n");
	for (int i = 0; i < 8; i++) {
		loop_for(&loop, SLOW_BODY_MS / 4);
		if (clock_coarse_ms() - last_ms >= SLOW_BODY_MS / 2)
			return false;
		last_ms = clock_coarse_ms();
		cr_assert_not_null(lease->upstream, "ended after %d bytes", i);
		peer_say(peer, "x");
	}
	return true;
}

/* Pieces that come in time, one after the other, may take as long together as they like. */
Test(upstream, a_body_may_be_slow_but_not_stall)
{
	struct lease lease = {0};
	struct peer peer;
	int stalls = 0;
	timeouts.response_body_ms = SLOW_BODY_MS;
	timeouts.response_head_ms = SLOW_BODY_MS;
	for (; !answer_slowly(&lease, &peer); stalls++) {
		cr_assert_lt(stalls, STALLS_MAX);
		wait_until(lease_is_over, &lease);
		peer_close(&peer);
	}
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_STALLED);
	cr_expect_str_eq(lease.body, "xxxxxxxx");
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream, no_answer_is_waited_for_before_the_request_is_complete)
{
	struct lease lease = {.request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
		.method = HTTP_METHOD_POST,
		.is_open_ended = true};
	struct iovec rest = {.iov_base = (char[]){"hello"}, .iov_len = 5};
	struct peer peer;
	timeouts.response_head_ms = SHORT_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	loop_for(&loop, 3 * SHORT_MS);
	cr_assert_not_null(lease.upstream);
	upstream_send(lease.upstream, &rest, 1);
	upstream_request_done(lease.upstream);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT);
	peer_poll(&peer);
	cr_expect_str_eq(peer.received, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
	lease_finish(&lease);
	peer_close(&peer);
}

/* ---- Back-pressure --------------------------------------------------------------------------- */

/* More than fits between two sockets with small buffers and the loop's one. */
#define BIG_BYTES    2000000
#define SMALL_BUFFER 65536

/* Lease a connection that has, on both ends, room for little. */
static void begin_small(struct lease *lease)
{
	static const int bytes = SMALL_BUFFER;
	cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	lease_begin(lease);
	int fd = lease->upstream->stream.fd;
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
}

static char *big_text(void)
{
	char *text = malloc(BIG_BYTES);
	cr_assert_not_null(text);
	for (size_t i = 0; i < BIG_BYTES; i++)
		text[i] = (char)('a' + i % 23);
	return text;
}

Test(upstream, what_a_slow_backend_does_not_take_is_held_and_then_drained_once)
{
	struct lease lease = {.request = "", .method = HTTP_METHOD_POST, .is_open_ended = true};
	char *text = big_text();
	struct iovec parts[2] = {{text, 1000}, {text + 1000, BIG_BYTES - 1000}};
	struct peer peer;
	begin_small(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	upstream_send(lease.upstream, parts, 2);
	upstream_request_done(lease.upstream);
	cr_assert(upstream_is_congested(lease.upstream));
	for (int turn = 0; turn < 100000 && peer.bytes < BIG_BYTES; turn++) {
		loop_for(&loop, 1);
		peer_poll(&peer);
	}
	cr_assert_eq(peer.bytes, BIG_BYTES);
	cr_expect_eq(memcmp(peer.received, text, BIG_BYTES), 0);
	cr_expect_eq(lease.drained_count, 1);
	peer_say(&peer, OK LENGTH5 "\r\nhello");
	wait_until(lease_is_over, &lease);
	cr_expect_str_eq(lease.body, "hello");
	cr_expect_eq(pool->idle_count, 1);
	lease_finish(&lease);
	peer_close(&peer);
	free(text);
}

Test(upstream, a_backend_that_takes_nothing_is_given_up)
{
	struct lease lease = {.request = "", .method = HTTP_METHOD_POST, .is_open_ended = true};
	char *text = big_text();
	struct iovec part = {text, BIG_BYTES};
	struct peer peer;
	timeouts.response_body_ms = SHORT_MS;
	begin_small(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	upstream_send(lease.upstream, &part, 1);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT);
	lease_finish(&lease);
	peer_close(&peer);
	free(text);
}

/* "413" and a reset, with most of the request not taken: the answer counts. */
Test(upstream, an_early_answer_is_read_though_the_rest_of_the_request_cannot_be_sent)
{
	static const enum ending endings[] = {KEEPS, CLOSES, RESETS};
	char *text = big_text();
	struct iovec part = {text, BIG_BYTES};
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		struct lease lease = {.request = "", .method = HTTP_METHOD_POST, .is_open_ended = true};
		struct peer peer;
		begin_small(&lease);
		backend_accept(&peer);
		wait_until(lease_has_connected, &lease);
		upstream_send(lease.upstream, &part, 1);
		peer_say(&peer, "HTTP/1.1 413 Too Large\r\n" LENGTH5 "\r\nsorry");
		if (endings[i] == CLOSES)
			cr_assert_eq(shutdown(peer.fd, SHUT_WR), 0);
		else if (endings[i] == RESETS)
			peer_reset(&peer);
		wait_until(lease_is_over, &lease);
		cr_expect_eq(lease.status, 413);
		cr_expect_str_eq(lease.body, "sorry");
		cr_expect_eq(lease.problem, PROBLEM_NONE, "%s", problem_row(lease.problem)->code);
		cr_expect_eq(pool->idle_count, 0, "with a request half sent it is of no more use");
		lease_finish(&lease);
		peer_close(&peer);
	}
	free(text);
}

/* A send meets the reset before the loop has told of the answer: that is looked for all the same. */
Test(upstream, an_answer_is_read_though_a_send_meets_the_reset_behind_it_first)
{
	struct lease lease = {.request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n",
		.method = HTTP_METHOD_POST,
		.is_open_ended = true};
	struct iovec part = {(void *)(uintptr_t) "more", 4};
	struct peer peer;
	begin_small(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	peer_say(&peer, "HTTP/1.1 413 Too Large\r\n" LENGTH5 "\r\nsorry");
	peer_reset(&peer);
	upstream_send(lease.upstream, &part, 1);
	cr_assert(lease.upstream->is_send_broken);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.status, 413);
	cr_expect_str_eq(lease.body, "sorry");
	cr_expect_eq(lease.problem, PROBLEM_NONE, "%s", problem_row(lease.problem)->code);
	cr_expect_eq(pool->idle_count, 0);
	lease_finish(&lease);
	peer_close(&peer);
}

/* Nothing of the request left before the connection broke: what the backend has said is no answer to it, and
 * it may go to another one, whatever its method. */
Test(upstream, what_is_said_before_anything_was_sent_is_no_answer)
{
	struct lease lease = {.request = "", .method = HTTP_METHOD_POST, .is_open_ended = true};
	struct iovec part = {(void *)(uintptr_t) "POST", 4};
	struct peer peer;
	begin_small(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	peer_say(&peer, "HTTP/1.1 503 Too Busy\r\n" LENGTH5 "\r\nsorry");
	peer_reset(&peer);
	upstream_send(lease.upstream, &part, 1);
	cr_assert(lease.upstream->is_send_broken);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.status, 0);
	cr_expect_eq(lease.problem, PROBLEM_UPSTREAM_RESET, "%s", problem_row(lease.problem)->code);
	cr_expect_not(lease.was_sent);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream, a_paused_response_waits_in_the_socket)
{
	struct lease lease = {.is_pausing = true};
	char *text = big_text();
	struct peer peer;
	char head[100];
	size_t sent = 0;
	timeouts.response_body_ms = SHORT_MS;
	begin_small(&lease);
	backend_accept(&peer);
	snprintf(head, sizeof(head), OK "Content-Length: %d\r\n\r\n", BIG_BYTES);
	peer_say(&peer, head);
	wait_until(lease_has_head, &lease);
	for (int quiet = 0; quiet < 20;) {
		ssize_t put = send(peer.fd, text + sent, BIG_BYTES - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		quiet = put > 0 ? 0 : quiet + 1;
		loop_for(&loop, 10); /* the timeout passes: it does not run while we do not read */
	}
	cr_expect_lt(sent, BIG_BYTES, "the window closes");
	cr_expect_leq(lease.body_bytes, LOOP_RECEIVE_BYTES);
	cr_assert_not_null(lease.upstream);
	size_t before = lease.body_bytes;
	upstream_resume(lease.upstream); /* and is paused again by the next event */
	loop_for(&loop, 50);
	cr_expect_gt(lease.body_bytes, before);
	cr_expect_leq(lease.body_bytes, before + LOOP_RECEIVE_BYTES);

	timeouts.response_body_ms = 60000;
	lease.is_pausing = false;
	upstream_resume(lease.upstream);
	upstream_resume(lease.upstream);
	for (int turn = 0; turn < 100000 && lease.upstream != NULL; turn++) {
		ssize_t put = send(peer.fd, text + sent, BIG_BYTES - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		loop_for(&loop, 1);
	}
	cr_assert_null(lease.upstream);
	cr_expect(lease.body_bytes == BIG_BYTES && memcmp(lease.body, text, BIG_BYTES) == 0);
	lease_finish(&lease);
	peer_close(&peer);
	free(text);
}

static bool lease_was_told(void *arg)
{
	const struct lease *lease = arg;
	return lease->informational_count > 0;
}

/* However many come at once: the next one is told when the exchange has taken the last. */
Test(upstream, informational_responses_wait_while_paused)
{
	enum { COUNT = 100 };
	struct lease lease = {.is_pausing = true};
	struct peer peer;
	char text[COUNT * 32 + 64];
	size_t bytes = 0;
	for (int i = 0; i < COUNT; i++)
		bytes += (size_t)sprintf(text + bytes, "HTTP/1.1 103 Early\r\n\r\n");
	bytes += (size_t)sprintf(text + bytes, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	peer_send(&peer, text, bytes);
	for (int told = 1; told <= COUNT; told++) {
		wait_until(lease_was_told, &lease);
		loop_for(&loop, 2);
		cr_assert_eq(lease.informational_count, 1);
		cr_assert_eq(lease.response_count, 0);
		lease.informational_count = 0;
		upstream_resume(lease.upstream);
	}
	lease_finish(&lease);
	cr_expect_eq(lease.status, 200);
	cr_expect_eq(lease.problem, PROBLEM_NONE);
	peer_close(&peer);
}

/* Pauses do not put off the time by which a response has to begin. */
Test(upstream, informational_responses_do_not_keep_a_request)
{
	struct lease lease = {.is_pausing = true};
	struct peer peer;
	timeouts.response_head_ms = 300;
	lease_begin(&lease);
	backend_accept(&peer);
	int sent = 0;
	while (sent < 1000 && !lease_is_over(&lease)) {
		peer_say(&peer, "HTTP/1.1 103 Early\r\n\r\n");
		loop_for(&loop, 10);
		if (!lease_is_over(&lease))
			upstream_resume(lease.upstream);
		sent++;
	}
	cr_expect_lt(sent, 1000);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream, a_reset_that_came_before_the_pause_is_seen_after_it)
{
	struct lease lease = {.is_pausing = true};
	struct peer peer;
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_has_connected, &lease);
	peer_say(&peer, OK "Content-Length: 10\r\n\r\nhello");
	peer_reset(&peer);
	wait_until(lease_has_head, &lease);
	loop_for(&loop, 20);
	cr_assert_not_null(lease.upstream);
	upstream_resume(lease.upstream);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_CUT);
	lease_finish(&lease);
}
