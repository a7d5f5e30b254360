/* proxy_header_test - connections that a load balancer begins with a PROXY header: cut anywhere, late,
 * missing. */
#include "support.h"

TestSuite(downstream_header, .init = support_start, .fini = support_finish);

#define REQUEST "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"

static const char line[] = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n" REQUEST;
static const char binary[] =
	"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb\x04\0\0" REQUEST;

/* In twos, cut at every place. */
static void expect_served_wherever_cut(const char *at, size_t bytes)
{
	seen.is_silent = true;
	for (size_t cut = 1; cut < bytes; cut++) {
		client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
		peer_send(&client, at, cut);
		loop_for(&loop, 1);
		peer_send(&client, at + cut, bytes - cut);
		wait_until(request_is_complete, &seen.requests[0]);
		cr_assert_eq(seen.count, 1);
		cr_expect_str_eq(seen.requests[0].line, "GET /x", "cut after %zu bytes", cut);
		cr_expect_str_eq(
			address_of(seen.requests[0].client), "192.0.2.7", "cut after %zu bytes", cut);
		request_answer(&seen.requests[0]);
		peer_close(&client);
		wait_until(is_closed, NULL);
	}
	cr_expect_eq(counters.proxy_headers_refused, 0);
}

Test(downstream_header, a_line_is_read_wherever_it_is_cut)
{
	expect_served_wherever_cut(line, sizeof(line) - 1);
}

Test(downstream_header, a_binary_header_is_read_wherever_it_is_cut)
{
	expect_served_wherever_cut(binary, sizeof(binary) - 1);
}

Test(downstream_header, without_an_address_the_sockets_own_stays)
{
	seen.is_silent = true;
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	peer_say(&client, "PROXY UNKNOWN\r\n" REQUEST);
	wait_until(request_is_complete, &seen.requests[0]);
	cr_expect_str_eq(address_of(seen.requests[0].client), "127.0.0.1");
	request_answer(&seen.requests[0]);
}

/* They are told so, whoever they speak for. */
Test(downstream_header, there_may_be_too_many)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 0, 0));
	shared.crowd = &crowd;
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	peer_send(&client, line, sizeof(line) - 1);
	wait_until(client_has, "HTTP/1.1 503");
	peer_close(&client);
	wait_until(is_closed, NULL);
	cr_expect_eq(seen.count, 0);
	shared.crowd = NULL;
	crowd_finish(&crowd);
}

/* The balancer is trusted, and speaks for a client that is not; then the other way round. */
Test(downstream_header, trust_is_that_of_the_client_it_tells_of)
{
	struct network trusted;
	seen.is_silent = true;
	shared.is_own_address_kept = true;
	shared.trusted = &trusted;
	shared.trusted_count = 1;
	cr_assert_eq(network_parse("127.0.0.0/8", &trusted), NETWORK_GOOD);
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	cr_expect(TAILQ_LAST(&shared.open, downstream_list)->is_trusted);
	peer_send(&client, line, sizeof(line) - 1);
	wait_until(request_is_complete, &seen.requests[0]);
	cr_expect_not(seen.requests[0].client->is_trusted);
	char own[NETWORK_TEXT_MAX];
	cr_expect(str_equal(downstream_own_address(seen.requests[0].client, own), STR("198.51.100.1")));
	request_answer(&seen.requests[0]);
	peer_close(&client);
	wait_until(is_closed, NULL);

	cr_assert_eq(network_parse("192.0.2.0/24", &trusted), NETWORK_GOOD);
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	cr_expect_not(TAILQ_LAST(&shared.open, downstream_list)->is_trusted);
	peer_send(&client, line, sizeof(line) - 1);
	wait_until(request_is_complete, &seen.requests[0]);
	cr_expect(seen.requests[0].client->is_trusted);
	request_answer(&seen.requests[0]);
}

Test(downstream_header, without_one_the_connection_is_closed_without_an_answer)
{
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	peer_say(&client, REQUEST);
	wait_until(client_is_over, NULL);
	cr_expect_str_eq(client.received, "");
	cr_expect_eq(seen.count, 0);
	cr_expect_eq(counters.proxy_headers_refused, 1);
}

/* Its time runs from the connection, whatever comes meanwhile; a request's begins with its first byte. */
Test(downstream_header, has_to_come_in_time)
{
	shared.timeouts.request_head_ms = 300;
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	for (int i = 0; i < 4 && !client_is_over(NULL); i++) {
		peer_send(&client, line + i, 1);
		loop_for(&loop, 100);
	}
	wait_until(client_is_over, NULL);
	cr_expect_str_eq(client.received, "");
	cr_expect_eq(counters.proxy_headers_refused, 1);
}

/* A balancer that only looks whether the port is open is nothing to count. */
Test(downstream_header, a_connection_that_says_nothing_is_closed_quietly)
{
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	peer_close(&client);
	wait_until(is_closed, NULL);
	cr_expect_eq(counters.proxy_headers_refused, 0);
}

Test(downstream_header, is_still_waited_for_when_draining)
{
	seen.is_silent = true;
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	peer_send(&client, line, 10);
	loop_for(&loop, 10);
	downstream_drain(&shared, 60000);
	peer_send(&client, line + 10, sizeof(line) - 1 - 10);
	wait_until(request_is_complete, &seen.requests[0]);
	seen.requests[0].is_persistent = false;
	request_answer(&seen.requests[0]);
	wait_until(client_is_over, NULL);
	cr_expect(client.is_ended && !client.is_reset);
	peer_close(&client);
	client_connect_by(DOWNSTREAM_BEHIND_BALANCER, 0);
	downstream_drain(&shared, 100);
	wait_until(client_is_over, NULL);
}
