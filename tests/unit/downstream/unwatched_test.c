/* unwatched_test - connections that come with bytes: registered no sooner than it matters what their client
 * does, and then nothing of it is missed. */
#include "support.h"

#define HOST "Host: x\r\n"
#define LAST "GET /last HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"

TestSuite(unwatched, .init = support_start, .fini = support_finish);

static const struct sockaddr_in somewhere = {.sin_family = AF_INET};

/* Of its socket; 0: the kernel's choice. */
static int buffer_bytes;

/* A client connects, and `text` of it is there when it is taken on. Returns it, closed or not. */
static struct downstream *come_with(const char *text, unsigned arrival)
{
	int fd = peer_pair(&client, buffer_bytes);
	peer_say(&client, text);
	cr_assert(downstream_open(
		&shared, fd, (const struct sockaddr *)&somewhere, DOWNSTREAM_WITH_BYTES | arrival));
	return TAILQ_LAST(&shared.open, downstream_list);
}

static bool is_watched(void *arg)
{
	const struct downstream *downstream = arg;
	return downstream->stream.is_watched;
}

Test(unwatched, the_only_request_is_answered_without_registering)
{
	cr_expect_null(come_with(LAST, DOWNSTREAM_PLAIN), "answered and closed at once");
	cr_expect_eq(seen.count, 1);
	wait_until(client_is_over, NULL);
	cr_expect(client.is_ended && !client.is_reset);
	cr_expect_not_null(strstr(client.received, "GET /last:0\n"));
}

Test(unwatched, an_answer_that_comes_soon_finds_it_unregistered)
{
	seen.is_silent = true;
	struct downstream *downstream = come_with(LAST, DOWNSTREAM_PLAIN);
	cr_assert_not_null(downstream);
	cr_expect_not(downstream->stream.is_watched);
	request_answer(&seen.requests[0]);
	cr_expect(is_closed(NULL));
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /last:0\n"));
}

Test(unwatched, a_client_that_leaves_while_its_answer_takes_long_is_seen)
{
	seen.is_silent = true;
	for (int is_late = 0; is_late <= 1; is_late++) {
		struct downstream *downstream = come_with(LAST, DOWNSTREAM_PLAIN);
		if (is_late)
			wait_until(is_watched, downstream);
		peer_reset(&client);
		wait_until(request_is_over, &seen.requests[is_late]);
		cr_expect_eq(seen.requests[is_late].problem, PROBLEM_CLIENT_GONE);
		cr_expect(is_closed(NULL));
	}
}

Test(unwatched, an_answer_that_takes_long_arrives)
{
	seen.is_silent = true;
	wait_until(is_watched, come_with(LAST, DOWNSTREAM_PLAIN));
	loop_for(&loop, 20);
	cr_expect_eq(seen.requests[0].broken_count, 0, "no time is over");
	request_answer(&seen.requests[0]);
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /last:0\n"));
}

Test(unwatched, who_stays_is_registered_after_the_answer)
{
	for (int is_soon = 0; is_soon <= 1; is_soon++) {
		seen.is_silent = !is_soon;
		struct downstream *downstream =
			come_with("GET /first HTTP/1.1\r\n" HOST "\r\n", DOWNSTREAM_PLAIN);
		int first = seen.count - 1;
		seen.is_silent = false;
		if (!is_soon)
			request_answer(&seen.requests[first]);
		peer_say(&client, LAST);
		wait_until(client_is_over, NULL);
		cr_expect_not_null(strstr(client.received, "GET /first:0\n"));
		cr_expect_not_null(strstr(client.received, "GET /last:0\n"));
		cr_expect_not_null(downstream);
		peer_close(&client);
	}
}

Test(unwatched, what_is_not_complete_is_registered_at_once)
{
	static const char *const parts[][2] = {
		{"", LAST},
		{"GET /last HTTP/1.1\r\nHo", "st: x\r\nConnection: close\r\n\r\n"},
		{"POST /last HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 6\r\n\r\nabc", "def"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct downstream *downstream = come_with(parts[i][0], DOWNSTREAM_PLAIN);
		cr_expect(downstream->stream.is_watched);
		peer_say(&client, parts[i][1]);
		wait_until(client_is_over, NULL);
		cr_expect_not_null(strstr(client.received, " /last:"), "%s", parts[i][0]);
		peer_close(&client);
	}
}

Test(unwatched, times_run_as_for_others)
{
	shared.timeouts.request_head_ms = shared.timeouts.request_body_ms = 100;
	static const char *const texts[] = {
		"", "GET /last", "POST /last HTTP/1.1\r\n" HOST "Content-Length: 6\r\n\r\nabc"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		(void)come_with(texts[i], DOWNSTREAM_PLAIN);
		wait_until(client_is_over, NULL);
		cr_expect_eq(strstr(client.received, "HTTP/1.1 408 ") != NULL, i > 0);
		peer_close(&client);
		wait_until(is_closed, NULL);
	}
}

Test(unwatched, a_header_of_a_balancer_and_a_request_come_together)
{
	cr_expect_null(come_with("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n" LAST, DOWNSTREAM_BEHIND_BALANCER));
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /last:0\n"));
}

/* More than fits between two sockets with small buffers. */
#define BIG_BYTES    2000000
#define SMALL_BUFFER 65536

static bool client_has_all(void *arg)
{
	(void)arg;
	peer_poll(&client);
	return client.is_ended || client.is_reset;
}

Test(unwatched, what_the_socket_does_not_take_is_sent_later)
{
	static char body[BIG_BYTES];
	struct iovec part = {.iov_base = body, .iov_len = sizeof(body)};
	memset(body, 'x', sizeof(body));
	buffer_bytes = SMALL_BUFFER;
	seen.is_silent = true;
	struct downstream *downstream = come_with(LAST, DOWNSTREAM_PLAIN);
	seen.requests[0].client = NULL;
	downstream_send_last(downstream, &part, 1, false);
	cr_assert(downstream_is_congested(downstream));
	downstream_end(downstream, false);
	wait_until(client_has_all, NULL);
	cr_expect_eq(client.bytes, BIG_BYTES);
}

Test(unwatched, who_is_turned_away_is_told_so_when_it_asks)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 0, 0));
	shared.crowd = &crowd;
	struct downstream *downstream = come_with("", DOWNSTREAM_PLAIN);
	loop_for(&loop, 20);
	peer_poll(&client);
	cr_expect_eq(client.bytes, 0);
	cr_expect_eq(downstream->state, DOWNSTREAM_REFUSED);
	peer_say(&client, LAST);
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "HTTP/1.1 503 "));
	crowd_finish(&crowd);
}
