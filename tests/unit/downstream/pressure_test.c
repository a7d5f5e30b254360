/* pressure_test - clients that are slow to take or fast to send, and the end of a worker. */
#include "support.h"

#define HOST "Host: x\r\n"

TestSuite(pressure, .init = support_start, .fini = support_finish);

/* More than fits between two sockets with small buffers and the loop's one. */
#define BIG_BYTES    2000000
#define BIG_LENGTH   "2000000"
#define SMALL_BUFFER 65536

static char *big_text(void)
{
	char *text = malloc(BIG_BYTES);
	cr_assert_not_null(text);
	for (size_t i = 0; i < BIG_BYTES; i++)
		text[i] = (char)('a' + i % 23);
	return text;
}

/* A request is under way, and all of a big response was sent for it at once. `ahead` is what the client sent
 * along with its request. */
static struct request *send_big(const char *text, const char *ahead)
{
	char sent[128];
	char head[] = "HTTP/1.1 200 OK\r\nContent-Length: " BIG_LENGTH "\r\n\r\n";
	struct iovec parts[] = {{head, sizeof(head) - 1}, {(void *)(uintptr_t)text, BIG_BYTES}};
	struct request *request = &seen.requests[0];
	seen.is_silent = true;
	client_connect(SMALL_BUFFER);
	snprintf(sent, sizeof(sent), "GET /big HTTP/1.1\r\n" HOST "\r\n%s", ahead);
	peer_say(&client, sent);
	wait_until(request_is_complete, request);
	downstream_send(request->client, parts, 2);
	cr_assert(downstream_is_congested(request->client));
	return request;
}

static bool client_has_big(void *arg)
{
	(void)arg;
	peer_poll(&client);
	return client.bytes >= BIG_BYTES;
}

static void expect_big(const char *text)
{
	const char *body = strstr(client.received, "\r\n\r\n");
	cr_assert_not_null(body);
	cr_expect_eq(memcmp(body + 4, text, BIG_BYTES), 0);
}

Test(pressure, what_a_slow_client_does_not_take_is_held_and_then_drained_once)
{
	char *text = big_text();
	struct request *request = send_big(text, "");
	loop_for(&loop, 50);
	cr_expect_eq(request->drained_count, 0);
	wait_until(client_has_big, NULL);
	loop_for(&loop, 10);
	cr_expect_eq(request->drained_count, 1);
	cr_expect_not(downstream_is_congested(request->client));
	expect_big(text);
	cr_expect_geq(counters.client_bytes_out, BIG_BYTES);
	free(text);
}

#define NEXT "GET /next HTTP/1.1\r\n" HOST "\r\n"

Test(pressure, the_next_request_waits_until_the_response_before_it_was_taken)
{
	char *text = big_text();
	for (int is_ahead = 0; is_ahead <= 1; is_ahead++) {
		struct request *request = send_big(text, is_ahead ? NEXT : "");
		struct downstream *downstream = request->client;
		request->client = NULL;
		downstream_end(downstream, true);
		if (!is_ahead)
			peer_say(&client, NEXT);
		loop_for(&loop, 100);
		cr_expect_eq(seen.count, 1);
		seen.is_silent = false;
		wait_until(client_has_big, NULL);
		wait_until(client_has, "GET /next:0\n");
		expect_big(text);
		cr_expect_eq(seen.count, 2);
		peer_close(&client);
		wait_until(is_closed, NULL);
	}
	free(text);
}

Test(pressure, a_response_that_ends_its_connection_is_sent_whole_first)
{
	char *text = big_text();
	struct request *request = send_big(text, NEXT);
	struct downstream *downstream = request->client;
	request->client = NULL;
	downstream_end(downstream, false);
	wait_until(client_is_over, NULL);
	cr_expect(client.is_ended && !client.is_reset);
	expect_big(text);
	cr_expect_eq(seen.count, 1, "what was sent ahead is not answered");
	free(text);
}

Test(pressure, a_client_that_takes_nothing_is_given_up)
{
	char *text = big_text();
	for (int is_over = 0; is_over <= 1; is_over++) {
		shared.timeouts.send_ms = 100;
		struct request *request = send_big(text, "");
		if (is_over) {
			struct downstream *downstream = request->client;
			request->client = NULL;
			downstream_end(downstream, true);
		}
		wait_until(is_closed, NULL);
		cr_expect_eq(request->broken_count, !is_over);
		cr_expect(is_over || request->problem == PROBLEM_CLIENT_GONE);
		/* Not by a plain end, which is how a body without a stated length is complete. */
		wait_until(client_is_over, NULL);
		cr_expect(client.is_reset);
		peer_close(&client);
	}
	free(text);
}

Test(pressure, a_client_that_leaves_a_response_half_taken)
{
	char *text = big_text();
	for (int way = 0; way < 2; way++) {
		struct request *request = send_big(text, "");
		peer_close(&client); /* with bytes unread: a reset */
		wait_until(is_closed, NULL);
		cr_expect_eq(request->broken_count, 1);
		cr_expect_eq(request->problem, PROBLEM_CLIENT_GONE);
	}
	free(text);
}

Test(pressure, a_paused_request_waits_in_the_socket)
{
	char *text = big_text();
	struct request *request = &seen.requests[0];
	size_t sent = 0;
	seen.is_pausing = true;
	shared.timeouts.request_body_ms = 100;
	client_connect(SMALL_BUFFER);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: " BIG_LENGTH "\r\n\r\n");
	for (int quiet = 0; quiet < 20;) { /* longer than the timeout, which does not run meanwhile */
		ssize_t put = send(client.fd, text + sent, BIG_BYTES - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		quiet = put > 0 ? 0 : quiet + 1;
		loop_for(&loop, 10);
	}
	cr_expect_lt(sent, BIG_BYTES, "the window closes");
	cr_expect_leq(request->body_bytes, LOOP_RECEIVE_BYTES);
	cr_assert_not_null(request->client);
	size_t before = request->body_bytes;
	downstream_resume(request->client); /* and is paused again by the next event */
	loop_for(&loop, 50);
	cr_expect_gt(request->body_bytes, before);
	cr_expect_leq(request->body_bytes, before + LOOP_RECEIVE_BYTES);

	seen.is_pausing = false;
	shared.timeouts.request_body_ms = 60000;
	downstream_resume(request->client);
	for (int turn = 0; turn < 100000 && !request->is_last; turn++) {
		ssize_t put = send(client.fd, text + sent, BIG_BYTES - sent, MSG_NOSIGNAL);
		sent += put > 0 ? (size_t)put : 0;
		loop_for(&loop, 1);
	}
	wait_until(client_has, "POST /:" BIG_LENGTH "\n");
	cr_expect_eq(memcmp(request->body, text, BIG_BYTES), 0);
	free(text);
}

/* Paused in the middle of a segment of many chunks: what is held comes first, and once. */
Test(pressure, a_paused_request_goes_on_where_it_stopped)
{
	enum { CHUNKS = 1000 };
	char text[CHUNKS * 6 + 200];
	struct request *request = &seen.requests[0];
	size_t bytes = (size_t)sprintf(text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < CHUNKS; i++)
		bytes += (size_t)sprintf(text + bytes, "1\r\n%c\r\n", 'a' + i % 26);
	bytes += (size_t)sprintf(text + bytes, "0\r\n\r\n");
	seen.is_pausing = true;
	client_connect(0);
	peer_send(&client, text, bytes);
	wait_until(request_has_body, request);
	cr_assert_lt(request->body_bytes, CHUNKS, "what was received is not forced on it");
	for (int resumed = 0; resumed < CHUNKS && !request->is_last; resumed++) {
		size_t before = request->body_bytes;
		loop_for(&loop, 2);
		cr_assert_eq(request->body_bytes, before, "it is paused");
		downstream_resume(request->client);
		loop_for(&loop, 2);
	}
	wait_until(client_has, "POST /:1000\n");
	for (int i = 0; i < CHUNKS; i++)
		cr_assert_eq(request->body[i], 'a' + i % 26);
}

Test(pressure, a_paused_client_that_resets_is_noticed)
{
	struct request *request = &seen.requests[0];
	seen.is_pausing = true;
	client_connect(0);
	peer_say(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nhello");
	wait_until(request_has_body, request);
	loop_for(&loop, 5);
	peer_reset(&client);
	wait_until(is_closed, NULL);
	cr_expect_eq(request->problem, PROBLEM_CLIENT_GONE);
}

/* ---- The end of a worker --------------------------------------------------------------------- */

Test(pressure, draining_closes_idle_connections_and_lets_the_others_finish)
{
	struct peer idle;
	client_connect(0);
	peer_say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
	wait_until(client_has, "GET /1:0\n");
	idle = client;
	seen.is_silent = true;
	client_connect(0);
	peer_say(&client, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
	wait_until(request_is_complete, &seen.requests[0]);

	downstream_drain(&shared, 100);
	for (int i = 0; i < 5000 && !idle.is_ended; i++) {
		loop_for(&loop, 1);
		peer_poll(&idle);
	}
	cr_expect(idle.is_ended && !idle.is_reset);
	peer_close(&idle);
	cr_expect_not(client_is_over(NULL));
	request_answer(&seen.requests[0]);
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, "GET /2:0\n"));
	cr_expect(client.is_ended && !client.is_reset);
	wait_until(is_closed, NULL);
}

/* The client is still there, asks once more, is answered as request number `index`, and is over. */
static void expect_one_more(size_t index, const char *request, const char *answer)
{
	loop_for(&loop, 100);
	cr_expect_not(client_is_over(NULL));
	peer_say(&client, request);
	wait_until(request_is_complete, &seen.requests[index]);
	seen.requests[index].is_persistent = false;
	request_answer(&seen.requests[index]);
	wait_until(client_is_over, NULL);
	cr_expect_not_null(strstr(client.received, answer));
	cr_expect(client.is_ended && !client.is_reset);
}

/* The head of its answer was sent before, and invites it to ask again, as it does at once. */
Test(pressure, draining_answers_who_was_told_to_ask_again)
{
	client_connect(0);
	seen.is_silent = true;
	peer_say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
	wait_until(request_is_complete, &seen.requests[0]);
	downstream_drain(&shared, 60000);
	request_answer(&seen.requests[0]);
	wait_until(client_has, "GET /1:0\n");
	expect_one_more(1, "GET /2 HTTP/1.1\r\n" HOST "\r\n", "GET /2:0\n");
	wait_until(is_closed, NULL);
}

/* It connected just before: its request may be on its way. */
Test(pressure, draining_gives_a_new_connection_time_to_ask)
{
	seen.is_silent = true;
	client_connect(0);
	downstream_drain(&shared, 60000);
	expect_one_more(0, "GET /late HTTP/1.1\r\n" HOST "\r\n", "GET /late:0\n");
	peer_close(&client);
	wait_until(is_closed, NULL);

	client_connect(0); /* one that never asks */
	downstream_drain(&shared, 100);
	wait_until(client_is_over, NULL);
	cr_expect_eq(client.bytes, 0);
}

/* Its exchange is over, but the client did not take all of the response yet. */
Test(pressure, draining_closes_a_slow_client_when_it_has_its_response)
{
	char *text = big_text();
	struct request *request = send_big(text, "");
	struct downstream *downstream = request->client;
	request->client = NULL;
	downstream_end(downstream, true);
	loop_for(&loop, 10);
	downstream_drain(&shared, 100);
	wait_until(client_is_over, NULL);
	expect_big(text);
	cr_expect(client.is_ended && !client.is_reset);
	wait_until(is_closed, NULL);
	free(text);
}

/* It was answered, and does not stop sending: that is no reason to wait for it. */
Test(pressure, draining_ends_lingering_soon)
{
	for (int is_before = 0; is_before <= 1; is_before++) {
		shared.is_draining = false;
		shared.timeouts.linger_ms = 200;
		client_connect(0);
		if (is_before)
			downstream_drain(&shared, 100);
		peer_say(&client, "nonsense\r\n\r\n");
		wait_until(client_has, "400");
		if (!is_before)
			downstream_drain(&shared, 100);
		for (int i = 0; i < 500 && !is_closed(NULL); i++) {
			cr_assert_eq(send(client.fd, "x", 1, MSG_NOSIGNAL), 1);
			loop_for(&loop, 10);
		}
		cr_expect(is_closed(NULL));
		peer_close(&client);
	}
}

Test(pressure, closing_all_tells_each_exchange)
{
	struct peer first;
	seen.is_silent = true;
	client_connect(0);
	first = client;
	peer_say(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
	wait_until(request_is_complete, &seen.requests[0]);
	const struct sockaddr_in address = {.sin_family = AF_INET};
	cr_assert(downstream_open(
		&shared, peer_pair(&client, 0), (const struct sockaddr *)&address, DOWNSTREAM_PLAIN));
	peer_say(&client, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
	wait_until(request_is_complete, &seen.requests[1]);
	int closed_before = seen.closed_count;
	downstream_close_all(&shared);
	cr_expect(is_closed(NULL));
	cr_expect_eq(seen.closed_count, closed_before + 2);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(seen.requests[i].broken_count, 1);
		cr_expect_eq(seen.requests[i].problem, PROBLEM_CLIENT_GONE);
	}
	wait_until(client_is_over, NULL);
	peer_close(&first);
}
