/* downstream_test - requests of a client however they are cut, refused ones, and clients that stall or leave.
 */
#include "support.h"

TestSuite(downstream, .init = support_start, .fini = support_finish);

#define HOST	"Host: x\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

/* ---- Requests -------------------------------------------------------------------------------- */

static const char stream_of_requests[] =
	"GET /1 HTTP/1.1\r\n" HOST "\r\n"
	"POST /2 HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"
	"\r\n\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n"
	"PUT /4 HTTP/1.1\r\n" HOST CHUNKED "\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\n"
	"HEAD /5 HTTP/1.1\r\n" HOST "\r\n"
	"POST /6 HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"
	"BREW /7 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";

static const char *const lines[] = {"GET /1", "POST /2", "GET /3", "PUT /4", "HEAD /5", "POST /6", "BREW /7"};
static const char *const bodies[] = {"", "hello", "", "abcdefg", "", "", ""};

static void expect_stream_served(size_t step)
{
	const char *at = client.received;
	wait_until(client_is_over, NULL);
	cr_assert_eq(
		seen.count, (int)ARRAY_SIZE(lines), "%zu bytes at a time: %d requests", step, seen.count);
	at = client.received;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char wanted[64];
		cr_expect_str_eq(seen.requests[i].line, lines[i], "%zu bytes at a time", step);
		cr_expect_str_eq(seen.requests[i].body, bodies[i], "%zu bytes at a time", step);
		snprintf(wanted, sizeof(wanted), "\r\n\r\n%s:%zu\n", lines[i], strlen(bodies[i]));
		at = strstr(at, wanted);
		cr_assert_not_null(at, "%zu bytes at a time: the answers are %s", step, client.received);
	}
	cr_expect(client.is_ended && !client.is_reset);
}

/* All in one segment is what is called pipelining; one byte at a time is as good. */
Test(downstream, requests_are_served_in_order_however_they_are_cut)
{
	static const size_t steps[] = {sizeof(stream_of_requests) - 1, 200, 64, 23, 7, 2, 1};
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		size_t left = sizeof(stream_of_requests) - 1;
		client_connect(0);
		for (const char *at = stream_of_requests; left > 0;) {
			size_t bytes = left < steps[i] ? left : steps[i];
			peer_send(&client, at, bytes);
			at += bytes;
			left -= bytes;
			loop_for(&loop, 1);
			peer_poll(&client);
		}
		expect_stream_served(steps[i]);
		peer_close(&client);
	}
	cr_expect_eq(counters.requests, ARRAY_SIZE(steps) * ARRAY_SIZE(lines));
}

/* Each answer is given in a later turn, by someone else. */
Test(downstream, requests_sent_ahead_wait_for_the_answer_before_them)
{
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, stream_of_requests);
	for (int i = 0; i < (int)ARRAY_SIZE(lines); i++) {
		wait_until(request_is_complete, &seen.requests[i]);
		loop_for(&loop, 10);
		cr_assert_eq(seen.count, i + 1, "the next one has begun");
		request_answer(&seen.requests[i]);
	}
	expect_stream_served(sizeof(stream_of_requests) - 1);
}

/* In twos, each pair cut at every place: the second one's head is whole, cut, or not there. */
Test(downstream, a_pair_of_requests_is_served_wherever_it_is_cut)
{
	static const char pair[] = "POST /a HTTP/1.1\r\n" HOST CHUNKED "\r\n2\r\nhi\r\n0\r\n\r\n"
				   "GET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	for (size_t cut = 1; cut < sizeof(pair) - 1; cut++) {
		client_connect(0);
		peer_send(&client, pair, cut);
		loop_for(&loop, 2);
		peer_send(&client, pair + cut, sizeof(pair) - 1 - cut);
		wait_until(client_is_over, NULL);
		cr_expect(seen.count == 2 && strstr(client.received, "POST /a:2\n") != NULL &&
				  strstr(client.received, "GET /b:0\n") != NULL,
			"cut at %zu: %s", cut, client.received);
		peer_close(&client);
	}
}

Test(downstream, many_small_chunks_arrive_whole)
{
	enum { CHUNKS = 20000 };
	char *text = malloc(CHUNKS * 6 + 256);
	cr_assert_not_null(text);
	size_t bytes = (size_t)sprintf(text, "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n"), sent = 0;
	for (int i = 0; i < CHUNKS; i++)
		bytes += (size_t)sprintf(text + bytes, "1\r\n%c\r\n", 'a' + i % 26);
	bytes += (size_t)sprintf(text + bytes, "0\r\n\r\n");
	client_connect(0);
	for (int turn = 0; turn < 10000 && sent < bytes; turn++) {
		ssize_t put = send(client.fd, text + sent, bytes - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		loop_for(&loop, 1);
	}
	wait_until(client_has, "POST /:20000\n");
	for (int i = 0; i < CHUNKS; i++)
		cr_assert_eq(seen.requests[0].body[i], 'a' + i % 26);
	free(text);
}

Test(downstream, knows_its_clients_address)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	static const struct {
		const char *text, *wanted;
	} cases[] = {{"192.0.2.7", "192.0.2.7"}, {"2001:db8::7", "2001:db8::7"},
		{"::ffff:192.0.2.7", "192.0.2.7"}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool is_ipv6 = strchr(cases[i].text, ':') != NULL;
		cr_assert_eq(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, cases[i].text,
				     is_ipv6 ? (void *)&ipv6.sin6_addr : (void *)&ipv4.sin_addr),
			1);
		int fd = peer_pair(&client, 0);
		cr_assert(downstream_open(&shared, fd,
			is_ipv6 ? (struct sockaddr *)&ipv6 : (struct sockaddr *)&ipv4, DOWNSTREAM_PLAIN));
		cr_expect_str_eq(address_of(TAILQ_LAST(&shared.open, downstream_list)), cases[i].wanted);
		peer_close(&client);
	}
}

static struct downstream *open_from(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	cr_assert_eq(inet_pton(AF_INET, text, &address.sin_addr), 1);
	peer_close(&client);
	cr_assert(downstream_open(
		&shared, peer_pair(&client, 0), (const struct sockaddr *)&address, DOWNSTREAM_PLAIN));
	return TAILQ_LAST(&shared.open, downstream_list);
}

Test(downstream, trusts_those_it_is_told_to)
{
	struct network trusted[2];
	cr_assert_eq(network_parse("2001:db8::/32", &trusted[0]), NETWORK_GOOD);
	cr_assert_eq(network_parse("192.0.2.0/24", &trusted[1]), NETWORK_GOOD);
	cr_expect(open_from("198.51.100.1")->is_trusted, "nobody is named: everybody is");
	shared.trusted = trusted;
	cr_expect_not(open_from("192.0.2.1")->is_trusted, "none is none");
	shared.trusted_count = ARRAY_SIZE(trusted);
	cr_expect(open_from("192.0.2.1")->is_trusted);
	cr_expect_not(open_from("198.51.100.1")->is_trusted);
}

/* ---- What is refused ------------------------------------------------------------------------- */

static const struct {
	const char *request;
	const char *status;
} refusals[] = {
	{"GET / HTTP/1.1\r\n\r\n", "400"},
	{"GET  / HTTP/1.1\r\n" HOST "\r\n", "400"},
	{"nonsense\r\n\r\n", "400"},
	{"\x16\x03\x01\x02\x01\x01\xfc\x03\x03", "400"}, /* the begin of a TLS handshake */
	{"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", "400"},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
	{"GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" CHUNKED "\r\n", "400"},
	{"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
	{"GET / HTTP/2.0\r\n" HOST "\r\n", "505"},
	{"GET / HTTP/1.1\r\n" HOST "Expect: rain\r\n\r\n", "417"},
};

static void expect_refused(const char *status, const char *what)
{
	char line[32];
	wait_until(client_is_over, NULL);
	snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
	cr_expect_eq(strncmp(client.received, line, strlen(line)), 0, "%s: %s", what, client.received);
	cr_expect_not_null(strstr(client.received, "\r\nConnection: close\r\n"), "%s", what);
	cr_expect(client.is_ended && !client.is_reset, "%s: the answer could be lost", what);
}

Test(downstream, a_bad_head_is_answered_and_the_connection_closed)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		for (int way = 0; way < 2; way++) {
			const char *request = refusals[i].request;
			client_connect(0);
			if (way == 0)
				peer_say(&client, request);
			for (; way == 1 && *request != '\0'; request++) {
				if (send(client.fd, request, 1, MSG_NOSIGNAL) != 1)
					break;
				loop_for(&loop, 1);
			}
			expect_refused(refusals[i].status, refusals[i].request);
			cr_expect_eq(seen.count, 0, "%s: nobody was asked", refusals[i].request);
			peer_close(&client);
			wait_until(is_closed, NULL);
		}
	}
}

Test(downstream, heads_beyond_the_limits_are_refused)
{
	char text[6000];
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
	client_connect(0);
	peer_send(&client, text, sizeof(text));
	expect_refused("431", "fields");
	peer_close(&client);

	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	client_connect(0);
	peer_send(&client, text, sizeof(text));
	expect_refused("414", "target");
	peer_close(&client);
}

Test(downstream, a_bad_chunk_that_comes_with_its_head_is_refused)
{
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\nxyz\r\n");
	expect_refused("400", "chunk");
	cr_expect_eq(seen.count, 0);
}

Test(downstream, a_bad_chunk_behind_good_ones_breaks_the_exchange)
{
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n5\r\nhello\r\n");
	wait_until(request_has_body, &seen.requests[0]);
	peer_say(&client, "xyz\r\n");
	expect_refused("400", "chunk");
	cr_expect_eq(seen.requests[0].problem, PROBLEM_BAD_CHUNK);
	cr_expect_eq(seen.requests[0].broken_count, 1);
}

/* The client is busy sending: closing at once would reset its connection, and it would never read why. */
Test(downstream, a_client_that_sends_on_after_its_refusal_reads_the_answer)
{
	static char block[65536];
	memset(block, 'x', sizeof(block));
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\nnonsense\r\n\r\n");
	for (int i = 0; i < 64; i++) {
		cr_assert_gt(send(client.fd, block, sizeof(block), MSG_NOSIGNAL), 0, "%s", strerror(errno));
		loop_for(&loop, 2);
	}
	expect_refused("400", "sends on");
	cr_expect_not(is_closed(NULL), "it lingers");
	peer_close(&client);
	wait_until(is_closed, NULL);
}

/* Its pauses are shorter than the time for one, but it is too much. */
Test(downstream, lingering_takes_so_many_bytes_and_no_more)
{
	static char block[1 << 20];
	size_t sent = 0;
	client_connect(0);
	peer_say(&client, "nonsense\r\n\r\n");
	expect_refused("400", "lingers");
	for (int i = 0; i < 100000 && !is_closed(NULL); i++) {
		ssize_t put = send(client.fd, block, sizeof(block), MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		loop_for(&loop, 1);
	}
	wait_until(is_closed, NULL);
	cr_expect_gt(sent, 64U << 20);
	cr_expect_lt(sent, 256U << 20);
}

Test(downstream, lingering_has_an_end)
{
	shared.timeouts.linger_ms = 100;
	client_connect(0);
	peer_say(&client, "nonsense\r\n\r\n");
	expect_refused("400", "lingers");
	wait_until(is_closed, NULL); /* with the client's end still open */
}

Test(downstream, what_cannot_be_served_is_closed)
{
	const struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = dup(fileno(tmpfile())); /* epoll takes no plain files */
	cr_assert(fd >= 0);
	cr_expect_not(downstream_open(&shared, fd, (const struct sockaddr *)&address, DOWNSTREAM_PLAIN));
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	cr_expect(is_closed(NULL));
}

/* ---- Time ------------------------------------------------------------------------------------ */

#define SHORT_MS 150

static void expect_took(uint64_t begin_ms, uint64_t wanted_ms)
{
	cr_expect_geq(clock_coarse_ms() - begin_ms + 20, wanted_ms, "after %zu ms",
		(size_t)(clock_coarse_ms() - begin_ms));
}

Test(downstream, a_client_that_never_asks_is_closed_without_a_word)
{
	shared.timeouts.request_head_ms = SHORT_MS;
	uint64_t begin_ms = clock_coarse_ms();
	client_connect(0);
	wait_until(client_is_over, NULL);
	expect_took(begin_ms, SHORT_MS);
	cr_expect_eq(client.bytes, 0);
	cr_expect(is_closed(NULL));
}

/* A byte now and then does not put the deadline off. */
Test(downstream, a_head_that_does_not_arrive_in_time)
{
	shared.timeouts.request_head_ms = SHORT_MS;
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\nHost: ");
	int drops = 0;
	while (drops < 250 && !client_is_over(NULL) && send(client.fd, "x", 1, MSG_NOSIGNAL) == 1) {
		loop_for(&loop, 20);
		drops++;
	}
	cr_expect_lt(drops, 250, "each byte put the deadline off");
	expect_refused("408", "head");
	cr_expect_eq(seen.count, 0);
}

Test(downstream, a_body_that_stalls)
{
	shared.timeouts.request_body_ms = SHORT_MS;
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhell");
	expect_refused("408", "body");
	cr_expect_eq(seen.count, 1);
	cr_expect_eq(seen.requests[0].problem, PROBLEM_REQUEST_TIMEOUT);
	cr_expect_eq(seen.requests[0].broken_count, 1);
}

#define SLOW_BODY_MS 400

/* False: the machine stalled, so that a byte may have come too late. */
static bool send_slow_body(void)
{
	uint64_t last_ms = clock_coarse_ms();
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 8\r\n\r\n");
	for (int i = 0; i < 8; i++) {
		loop_for(&loop, SLOW_BODY_MS / 4);
		if (clock_coarse_ms() - last_ms >= SLOW_BODY_MS / 2)
			return false;
		last_ms = clock_coarse_ms();
		peer_say(&client, "x");
	}
	return true;
}

Test(downstream, a_body_may_be_slow)
{
	int stalls = 0;
	shared.timeouts.request_body_ms = SLOW_BODY_MS;
	shared.timeouts.request_head_ms = SLOW_BODY_MS;
	for (; !send_slow_body(); stalls++) {
		cr_assert_lt(stalls, STALLS_MAX);
		peer_close(&client);
		wait_until(is_closed, NULL);
	}
	wait_until(client_has, "POST /:8\n");
}

Test(downstream, an_exchange_may_take_longer_than_any_timeout_of_the_client)
{
	shared.timeouts = (struct downstream_timeouts){SHORT_MS, SHORT_MS, SHORT_MS, SHORT_MS, SHORT_MS};
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
	loop_for(&loop, 3 * SHORT_MS);
	cr_assert_not_null(seen.requests[0].client);
	request_answer(&seen.requests[0]);
	wait_until(client_has, "GET /:0\n");
}

/* RFC 9112 section 2.2: some clients send an empty line behind a body. */
Test(downstream, empty_lines_between_requests_are_no_request)
{
	shared.timeouts.request_head_ms = SHORT_MS;
	shared.timeouts.idle_ms = 60 * SHORT_MS;
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n\r\n");
	wait_until(client_has, "GET /:0\n");
	peer_clear(&client);
	peer_say(&client, "\r");
	loop_for(&loop, SHORT_MS / 4);
	peer_say(&client, "\n\r\n");
	loop_for(&loop, 3 * SHORT_MS);
	cr_expect(!client.is_ended, "no clock ran");
	peer_say(&client, "GET /next HTTP/1.1\r\n" HOST "\r\n");
	wait_until(client_has, "GET /next:0\n");
}

/* Half a line's end at a time, they do not prolong the wait for a request either. */
Test(downstream, empty_lines_do_not_keep_a_connection)
{
	shared.timeouts.request_head_ms = 2 * SHORT_MS;
	client_connect(0);
	int sent = 0;
	/* as many as are ignored */
	while (sent < 2 * HTTP_LEADING_EMPTY_LINES_MAX && !client_is_over(NULL) &&
		send(client.fd, sent % 2 ? "\n" : "\r", 1, MSG_NOSIGNAL) == 1) {
		loop_for(&loop, SHORT_MS / 3);
		sent++;
	}
	cr_expect_lt(sent, 2 * HTTP_LEADING_EMPTY_LINES_MAX, "each line put the deadline off");
	cr_expect_eq(client.bytes, 0, "without a word");
	wait_until(is_closed, NULL);
}

/* The time for a head counts from the first byte that is part of it. */
#define LONG_MS (4 * SHORT_MS)

/* False: the machine stalled, so that the empty line or the rest of the head may have come too late. */
static bool begin_head_behind_empty_line(void)
{
	uint64_t begin_ms = clock_coarse_ms();
	client_connect(0);
	loop_for(&loop, 3 * SHORT_MS);
	peer_say(&client, "\r");
	loop_for(&loop, SHORT_MS / 4);
	if (clock_coarse_ms() - begin_ms >= LONG_MS)
		return false;
	begin_ms = clock_coarse_ms();
	peer_say(&client, "\nGET / HTTP/1.1\r\n");
	loop_for(&loop, 2 * SHORT_MS);
	return clock_coarse_ms() - begin_ms < LONG_MS;
}

Test(downstream, the_clock_of_a_head_starts_behind_empty_lines)
{
	int stalls = 0;
	shared.timeouts.request_head_ms = LONG_MS;
	for (; !begin_head_behind_empty_line(); stalls++) {
		cr_assert_lt(stalls, STALLS_MAX);
		peer_close(&client);
		wait_until(is_closed, NULL);
	}
	peer_poll(&client);
	cr_expect_eq(client.bytes, 0);
	cr_expect_not(client.is_ended);
	peer_say(&client, HOST "\r\n");
	wait_until(client_has, "GET /:0\n");
}

Test(downstream, an_idle_connection_is_closed_after_its_own_time)
{
	shared.timeouts.idle_ms = SHORT_MS;
	client_connect(0);
	uint64_t begin_ms = clock_coarse_ms(); /* before it is idle: this machine may stall in between */
	peer_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
	wait_until(client_has, "GET /:0\n");
	peer_clear(&client);
	wait_until(client_is_over, NULL);
	expect_took(begin_ms, SHORT_MS);
	cr_expect_eq(client.bytes, 0, "without a word");
	cr_expect(client.is_ended && !client.is_reset);
}

/* ---- Clients that leave ---------------------------------------------------------------------- */

Test(downstream, a_client_that_leaves_before_its_request_is_complete)
{
	static const struct {
		const char *sent;
		int requests;
	} cases[] = {{"", 0}, {"GET / HTT", 0}, {"GET / HTTP/1.1\r\n" HOST, 0},
		{"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", 1},
		{"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel", 1},
		{"POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n5\r\nhello\r\n", 1}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int way = 0; way < 4; way++) {
			client_connect(0);
			peer_say(&client, cases[i].sent);
			if (way & 1) /* the end comes in a turn of its own */
				loop_for(&loop, 5);
			if (way & 2)
				peer_reset(&client);
			else
				peer_close(&client);
			wait_until(is_closed, NULL);
			cr_expect_eq(seen.count, cases[i].requests, "%s, %d", cases[i].sent, way);
			cr_expect_eq(seen.requests[0].broken_count, cases[i].requests, "%s, %d",
				cases[i].sent, way);
			/* An end may be meant to be answered; a reset is none of that. */
			enum problem problem = way & 2 ? PROBLEM_CLIENT_GONE : PROBLEM_REQUEST_CUT;
			cr_expect(seen.count == 0 || seen.requests[0].problem == problem);
		}
	}
}

Test(downstream, a_reset_ends_the_exchange_that_waits_for_its_backend)
{
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
	wait_until(request_is_complete, &seen.requests[0]);
	peer_reset(&client);
	wait_until(is_closed, NULL);
	cr_expect_eq(seen.requests[0].problem, PROBLEM_CLIENT_GONE);
	cr_expect_eq(seen.requests[0].broken_count, 1);
}

/* RFC 9112 section 8: the client's end makes its request incomplete, and is no reason not to say so. */
Test(downstream, a_request_that_its_client_ended_early_is_refused)
{
	static const char *const cases[] = {"GET / HTT", "GET / HTTP/1.1\r\n" HOST,
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel",
		"POST / HTTP/1.1\r\n" HOST CHUNKED "\r\n5\r\nhello\r\n"};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int way = 0; way < 2; way++) {
			client_connect(0);
			peer_say(&client, cases[i]);
			if (way == 1)
				loop_for(&loop, 5);
			cr_assert_eq(shutdown(client.fd, SHUT_WR), 0);
			expect_refused("400", cases[i]);
			cr_expect_not_null(strstr(client.received, "ended early"));
			wait_until(is_closed, NULL);
			peer_close(&client);
		}
	}
}

/* A client asks and ends its side, together or when the request was taken. */
static void ask_and_shut(bool is_taken_before)
{
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
	if (is_taken_before)
		wait_until(request_is_complete, &seen.requests[0]);
	cr_assert_eq(shutdown(client.fd, SHUT_WR), 0);
}

/* A client that has said all it wants to say may shut its side down: it still waits for the answer. */
Test(downstream, a_half_closed_client_is_answered)
{
	for (int way = 0; way < 2; way++) {
		seen.is_silent = true;
		ask_and_shut(way == 1);
		wait_until(request_is_complete, &seen.requests[0]);
		loop_for(&loop, 50);
		cr_assert_not_null(seen.requests[0].client);
		request_answer(&seen.requests[0]);
		wait_until(client_is_over, NULL);
		cr_expect_not_null(strstr(client.received, "POST /:5\n"));
		cr_expect(client.is_ended && !client.is_reset);
		wait_until(is_closed, NULL);
		peer_close(&client);
	}
}

/* Unless it is told that an end means that nobody waits: also where that came together with the request. */
Test(downstream, a_half_closed_client_is_taken_to_be_gone_if_told_so)
{
	for (int way = 0; way < 2; way++) {
		seen.is_silent = true;
		shared.is_end_final = true;
		ask_and_shut(way == 1);
		wait_until(is_closed, NULL);
		cr_expect_eq(seen.count, 1);
		cr_expect_eq(seen.requests[0].broken_count, 1);
		cr_expect_null(seen.requests[0].client);
		peer_close(&client);
	}
}

Test(downstream, a_half_closed_client_has_all_its_requests_answered)
{
	client_connect(0);
	peer_say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST
			  "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_eq(shutdown(client.fd, SHUT_WR), 0);
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /3:0\n"));
	cr_expect_eq(seen.count, 3);
}

/* ---- Ends that the exchange chooses ---------------------------------------------------------- */

Test(downstream, an_answer_before_the_body_has_come_closes_without_a_reset)
{
	static char block[65536];
	struct iovec part = {.iov_base = (char[]){"HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n"}};
	part.iov_len = strlen(part.iov_base);
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100000000\r\n\r\nhello");
	wait_until(request_has_body, &seen.requests[0]);
	struct downstream *downstream = seen.requests[0].client;
	seen.requests[0].client = NULL;
	downstream_send(downstream, &part, 1);
	downstream_end(downstream, true);
	for (int i = 0; i < 64; i++) {
		cr_assert_gt(send(client.fd, block, sizeof(block), MSG_NOSIGNAL), 0, "%s", strerror(errno));
		loop_for(&loop, 2);
	}
	wait_until(client_is_over, NULL);
	cr_expect_eq(strncmp(client.received, "HTTP/1.1 413", 12), 0);
	cr_expect(client.is_ended && !client.is_reset);
	cr_expect_eq(seen.count, 1);
}

/* Of what the client has sent meanwhile nobody knows yet: the connection is reset when it is closed with that
 * unread, but the answer has gone before. */
Test(downstream, an_answer_that_closes_arrives_whatever_its_client_has_just_sent)
{
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	wait_until(request_is_complete, &seen.requests[0]);
	peer_say(&client, "\r\n");
	request_answer(&seen.requests[0]);
	cr_expect(is_closed(NULL));
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /:0\n"));
}

Test(downstream, a_response_that_is_cut_shows)
{
	for (int is_end_marked = 0; is_end_marked <= 1; is_end_marked++) {
		struct iovec part = {.iov_base = (char[]){"HTTP/1.1 200 OK\r\n\r\nhalf"}};
		part.iov_len = strlen(part.iov_base);
		seen.is_silent = true;
		client_connect(0);
		peer_say(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
		wait_until(request_is_complete, &seen.requests[0]);
		struct downstream *downstream = seen.requests[0].client;
		seen.requests[0].client = NULL;
		downstream_send(downstream, &part, 1);
		wait_until(client_has, "half");
		downstream_abort(downstream, is_end_marked);
		wait_until(client_is_over, NULL);
		cr_expect_eq(client.is_reset, !is_end_marked);
		wait_until(is_closed, NULL);
		peer_close(&client);
	}
}

/* The reset shows in the edge of the empty line, and is not told of again. */
Test(downstream, one_that_was_reset_behind_an_empty_line_is_closed_in_time)
{
	shared.timeouts.request_head_ms = 100;
	client_connect(0);
	peer_say(&client, "\r\n");
	peer_reset(&client);
	wait_until(is_closed, NULL);
}
