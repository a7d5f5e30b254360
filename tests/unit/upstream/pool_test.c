/* pool_test - connections are kept, used again, and let go of when their backend or their time says so. */
#include "support.h"

#include <fcntl.h>

TestSuite(pool, .init = support_start, .fini = support_finish);

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* One exchange on a connection that is accepted as `peer`; it is in the pool then. */
static void make_idle(struct peer *peer)
{
	struct lease lease = {0};
	lease_begin(&lease);
	backend_accept(peer);
	peer_say(peer, ANSWER);
	wait_until(lease_is_over, &lease);
	cr_assert_str_eq(lease.body, "hello");
	lease_finish(&lease);
}

static bool pool_is_empty(void *arg)
{
	(void)arg;
	return pool->idle_count == 0;
}

static bool peer_is_over(void *arg)
{
	struct peer *peer = arg;
	peer_poll(peer);
	return peer->is_ended || peer->is_reset;
}

Test(pool, one_connection_serves_one_exchange_after_the_other)
{
	struct peer peer;
	make_idle(&peer);
	for (int round = 0; round < 20; round++) {
		struct lease lease = {0};
		lease_begin(&lease);
		cr_expect(lease.is_connected, "it can be sent to at once");
		cr_expect(lease.upstream->is_reused);
		cr_expect_eq(pool->leased_count, 1);
		cr_expect_eq(counters.upstream_idle, 0);
		peer_say(&peer, ANSWER);
		wait_until(lease_is_over, &lease);
		cr_expect_str_eq(lease.body, "hello");
		cr_expect_eq(pool->leased_count, 0);
		cr_expect_eq(counters.upstream_idle, 1);
		lease_finish(&lease);
	}
	cr_expect_eq(counters.upstream_connects, 1);
	cr_expect_eq(counters.upstream_reuses, 20);
	cr_expect_eq(counters.upstream_open, 1);
	peer_close(&peer);
}

Test(pool, keeps_no_more_than_its_limit_and_takes_the_last_used_first)
{
	struct lease leases[5] = {{0}};
	struct peer peers[5];
	struct upstream *last = NULL;
	shared.idle_max = 3;
	for (size_t i = 0; i < 5; i++) {
		lease_begin(&leases[i]);
		backend_accept(&peers[i]);
	}
	cr_expect_eq(pool->leased_count, 5);
	for (size_t i = 0; i < 5; i++) {
		struct upstream *upstream = leases[i].upstream;
		peer_say(&peers[i], ANSWER);
		wait_until(lease_is_over, &leases[i]);
		if (i < 3)
			last = upstream;
		cr_expect_eq(pool->idle_count, i < 3 ? i + 1 : 3);
		lease_finish(&leases[i]);
	}
	cr_expect_eq(counters.upstream_open, 3);
	cr_expect_eq(pool->leased_count, 0);
	wait_until(peer_is_over, &peers[4]);
	cr_expect_not(peer_is_over(&peers[0]));
	lease_begin(&leases[0]);
	cr_expect_eq(leases[0].upstream, last);
	peer_say(&peers[2], ANSWER);
	lease_finish(&leases[0]);
	/* When room is needed, those that were used longest ago go first. */
	cr_expect_eq(pool_let_go(pool, 2), 2);
	wait_until(peer_is_over, &peers[0]);
	wait_until(peer_is_over, &peers[1]);
	cr_expect_not(peer_is_over(&peers[2]));
	cr_expect_eq(pool_let_go(pool, 2), 1);
	cr_expect_eq(pool_let_go(pool, 2), 0);
	cr_expect_eq(counters.upstream_idle, 0);
	for (size_t i = 0; i < 5; i++)
		peer_close(&peers[i]);
}

Test(pool, an_idle_connection_that_its_backend_ends_leaves_the_pool)
{
	for (int way = 0; way < 3; way++) {
		struct peer peer;
		make_idle(&peer);
		cr_expect_eq(pool->idle_count, 1);
		if (way == 0)
			cr_assert_eq(shutdown(peer.fd, SHUT_WR), 0);
		else if (way == 1)
			peer_reset(&peer);
		else
			peer_say(&peer, "HTTP/1.1 408 Request Timeout\r\n\r\n"); /* to no request of ours */
		wait_until(pool_is_empty, NULL);
		cr_expect_eq(counters.upstream_open, 0);
		peer_close(&peer);
	}
}

Test(pool, an_idle_connection_leaves_after_its_time)
{
	struct peer peer;
	timeouts.idle_ms = 100;
	uint64_t begin_ms = clock_coarse_ms(); /* before it is idle: this machine may stall in between */
	make_idle(&peer);
	wait_until(pool_is_empty, NULL);
	cr_expect_geq(clock_coarse_ms() - begin_ms + 20, 100);
	wait_until(peer_is_over, &peer);
	cr_expect(peer.is_ended && !peer.is_reset);
	peer_close(&peer);
}

/* The timer of the pool must not hit the exchange that leases from it. */
Test(pool, a_leased_connection_is_not_idle)
{
	struct lease lease = {0};
	struct peer peer;
	timeouts.idle_ms = 100;
	make_idle(&peer);
	lease_begin(&lease);
	loop_for(&loop, 300);
	cr_assert_not_null(lease.upstream);
	peer_say(&peer, ANSWER);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_NONE);
	lease_finish(&lease);
	peer_close(&peer);
}

/* The backend has closed, but the loop did not see it yet. */
Test(pool, a_careful_lease_asks_the_socket)
{
	struct peer peers[2], fresh;
	struct lease lease = {0};
	for (size_t i = 0; i < 2; i++)
		peers[i].fd = -1;
	struct lease both[2] = {{0}};
	for (size_t i = 0; i < 2; i++) {
		lease_begin(&both[i]);
		backend_accept(&peers[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		peer_say(&peers[i], ANSWER);
		lease_finish(&both[i]);
	}
	cr_assert_eq(pool->idle_count, 2);
	for (size_t i = 0; i < 2; i++)
		peer_close(&peers[i]);
	cr_assert(lease_begin_careful(&lease, true));
	cr_expect_eq(pool->idle_count, 0, "both were found dead");
	backend_accept(&fresh);
	peer_say(&fresh, ANSWER);
	wait_until(lease_is_over, &lease);
	cr_expect_str_eq(lease.body, "hello");
	lease_finish(&lease);
	peer_close(&fresh);
}

Test(pool, a_careless_lease_of_a_dead_connection_breaks_so_that_it_can_be_tried_again)
{
	struct lease lease = {0};
	struct peer peer;
	make_idle(&peer);
	peer_close(&peer);
	lease_begin(&lease);
	wait_until(lease_is_over, &lease);
	cr_expect(problem_row(lease.problem)->may_retry, "%s", problem_row(lease.problem)->code);
	lease_finish(&lease);
}

Test(pool, a_retired_pool_closes_idle_ones_now_and_leased_ones_when_they_come_back)
{
	struct lease lease = {0};
	struct peer idle, leased;
	make_idle(&idle);
	struct lease other = {0};
	lease_begin(&lease); /* takes the idle one */
	lease_begin(&other);
	backend_accept(&leased);
	peer_say(&leased, ANSWER);
	lease_finish(&other);
	cr_assert(pool->idle_count == 1 && pool->leased_count == 1);
	pool_retire(pool);
	cr_expect_eq(pool->idle_count, 0);
	wait_until(peer_is_over, &leased);
	peer_say(&idle, ANSWER);
	wait_until(lease_is_over, &lease);
	cr_expect_str_eq(lease.body, "hello");
	cr_expect_eq(pool->idle_count, 0);
	wait_until(peer_is_over, &idle);
	lease_finish(&lease);
	peer_close(&idle);
	peer_close(&leased);
}

/* ---- What callbacks may do
 * ---------------------------------------------------------------------------------
 */

static struct lease second;

static void lease_another(struct lease *lease)
{
	(void)lease;
	lease_begin(&second);
}

Test(pool, an_exchange_may_try_again_from_inside_its_failure)
{
	struct lease lease = {.on_over = lease_another};
	struct peer peer, fresh;
	lease_begin(&lease);
	backend_accept(&peer);
	peer_close(&peer);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.broken_count, 1);
	backend_accept(&fresh);
	peer_say(&fresh, ANSWER);
	wait_until(lease_is_over, &second);
	cr_expect_str_eq(second.body, "hello");
	lease.upstream = NULL;
	lease_finish(&lease);
	lease_finish(&second);
	peer_close(&fresh);
}

static bool has_received(void *arg)
{
	peer_poll(arg);
	return ((struct peer *)arg)->bytes > 0;
}

/* The response ends with the last byte of a receive, so that what stands behind it in the socket was not seen
 * yet; the next exchange leases at once. It must not get those bytes as its answer. */
Test(pool, a_connection_that_may_have_bytes_behind_its_response_is_not_leased)
{
	enum { STEP = 4096 }; /* what is received at once behind the first part of a head */
	static const char behind[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
	char text[1 + STEP + sizeof(behind)];
	struct lease lease = {.on_over = lease_another};
	struct peer peer, fresh;
	int head = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nA: ");
	memset(text + head, 'x', sizeof(text) - (size_t)head);
	memcpy(text + 1 + STEP - 4000 - 4, "\r\n\r\n", 4);
	memcpy(text + 1 + STEP, behind, sizeof(behind) - 1);
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(has_received, &peer);
	peer_send(&peer, text, 1);
	loop_for(&loop, 10);
	peer_send(&peer, text + 1, STEP + sizeof(behind) - 1);
	wait_until(lease_is_over, &lease);
	cr_assert_eq(lease.body_bytes, 4000);
	cr_expect_eq(counters.upstream_connects, 2);
	backend_accept(&fresh);
	peer_say(&fresh, ANSWER);
	wait_until(lease_is_over, &second);
	cr_expect_str_eq(second.body, "hello");
	lease_finish(&lease);
	lease_finish(&second);
	peer_close(&peer);
	peer_close(&fresh);
}

static void free_pool(struct lease *lease)
{
	(void)lease;
	pool_free(pool);
	pool = NULL;
}

/* The member left the registry; its last attempt takes the pool along, from inside the event. */
Test(pool, may_be_freed_from_inside_the_end_of_its_last_lease)
{
	struct lease lease = {.on_over = free_pool};
	struct peer peer;
	lease_begin(&lease);
	backend_accept(&peer);
	pool_retire(pool);
	peer_say(&peer, ANSWER);
	lease_finish(&lease);
	cr_expect_null(pool);
	peer_close(&peer);
}

Test(pool, may_be_freed_from_inside_the_failure_of_its_last_lease)
{
	struct lease lease = {.on_over = free_pool};
	struct peer peer;
	lease_begin(&lease);
	backend_accept(&peer);
	pool_retire(pool);
	peer_say(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
	wait_until(lease_has_head, &lease);
	peer_close(&peer);
	lease_finish(&lease);
	cr_expect_null(pool);
}
