/* together_test - idle connections that are let go: the ones that have waited longest, and none with work to
 * do. */
#include "support.h"

TestSuite(downstream_together, .init = support_start, .fini = support_finish);

#define CLIENTS 4

static struct peer peers[CLIENTS];

/* Open CLIENTS connections, each with one answered request, `pause_ms` after each other. */
static void open_idle(uint64_t pause_ms)
{
	for (int i = 0; i < CLIENTS; i++) {
		client_connect(0);
		peer_say(&client, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_until(client_has, "GET /x:0\n");
		peers[i] = client;
		client = (struct peer){.fd = -1};
		loop_for(&loop, pause_ms);
	}
}

static bool is_over(void *arg)
{
	struct peer *peer = arg;
	peer_poll(peer);
	return peer->is_ended;
}

static void close_peers(void)
{
	for (int i = 0; i < CLIENTS; i++)
		peer_close(&peers[i]);
}

Test(downstream_together, those_that_waited_longest_go_first)
{
	open_idle(40);
	cr_expect_eq(downstream_let_go(&shared, 2), 2);
	wait_until(is_over, &peers[0]);
	wait_until(is_over, &peers[1]);
	for (int i = 2; i < CLIENTS; i++)
		cr_expect_not(is_over(&peers[i]), "connection %d", i);
	cr_expect_eq(downstream_let_go(&shared, 16), 2, "there are no more");
	cr_expect_eq(downstream_let_go(&shared, 16), 0);
	cr_expect_eq(downstream_let_go(&shared, 0), 0);
	close_peers();
}

Test(downstream_together, those_with_a_request_and_new_ones_stay)
{
	open_idle(1);
	seen.is_silent = true;
	client_connect(0);
	cr_expect_eq(downstream_let_go(&shared, 0), 0, "nothing was asked for");
	peer_say(&client, "GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_until(request_is_complete, &seen.requests[0]);
	struct peer fresh;
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	cr_assert(downstream_open(&shared, peer_pair(&fresh, 0), &none, DOWNSTREAM_PLAIN));
	cr_expect_eq(downstream_let_go(&shared, 16), CLIENTS);
	loop_for(&loop, 10);
	cr_expect_not(is_over(&client));
	cr_expect_not(is_over(&fresh), "it has only just connected");
	loop_for(&loop, 1100);
	cr_expect_eq(downstream_let_go(&shared, 16), 1, "it has had its time");
	request_answer(&seen.requests[0]);
	peer_close(&fresh);
	close_peers();
}
