/* upstream_late_test - who waits for a backend is told that it is late, before its time is over, and may
 * leave. */
#include "support.h"

TestSuite(upstream_late, .init = support_start, .fini = support_finish);

#define LATE_MS	   50
#define TIMEOUT_MS 400

static bool lease_was_late(void *arg)
{
	const struct lease *lease = arg;
	return lease->late_count > 0;
}

static bool lease_is_heard(void *arg)
{
	const struct lease *lease = arg;
	return !upstream_is_silent(lease->upstream);
}

/* Make a connection that nobody accepts. */
static struct lease *begin_waiting(struct lease *leases, size_t count)
{
	struct sockaddr_in address;
	close(listener);
	listener = peer_listen(&address, false);
	cr_assert_eq(listen(listener, 0), 0); /* room for one or two that nobody accepts */
	backend->addresses[0].ipv4 = address;
	for (size_t i = 0; i < count; i++)
		lease_begin(&leases[i]);
	loop_for(&loop, 20);
	struct lease *waiting = NULL;
	for (size_t i = 0; i < count; i++)
		if (!leases[i].is_connected)
			waiting = &leases[i];
	cr_assert_not_null(waiting, "the kernel took all of them");
	return waiting;
}

static void give_up(struct lease *leases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (leases[i].upstream != NULL)
			upstream_release(leases[i].upstream);
		free(leases[i].body);
	}
}

Test(upstream_late, is_told_again_until_the_time_is_over)
{
	struct lease lease = {.again_ms = LATE_MS};
	struct peer peer;
	pool->home.late_ms = LATE_MS;
	timeouts.response_head_ms = TIMEOUT_MS;
	uint64_t begin_ms = clock_coarse_ms();
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT, "%s", problem_row(lease.problem)->code);
	cr_expect_geq(clock_coarse_ms() - begin_ms + 20, TIMEOUT_MS);
	cr_expect_geq(lease.late_count, 1);
	cr_expect_leq(lease.late_count, TIMEOUT_MS / LATE_MS);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream_late, is_told_once_if_that_is_enough)
{
	struct lease lease = {0};
	struct peer peer;
	pool->home.late_ms = LATE_MS;
	timeouts.response_head_ms = TIMEOUT_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT);
	cr_expect_eq(lease.late_count, 1);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream_late, an_answer_may_come_late)
{
	struct lease lease = {0};
	struct peer peer;
	pool->home.late_ms = LATE_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	cr_expect(upstream_is_silent(lease.upstream));
	wait_until(lease_was_late, &lease);
	peer_say(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
	wait_until(lease_has_head, &lease);
	loop_for(&loop, 2 * LATE_MS);
	cr_expect_eq(lease.late_count, 1, "a body is not late");
	peer_say(&peer, "ok");
	lease_finish(&lease);
	cr_expect_eq(lease.status, 200);
	peer_close(&peer);
}

Test(upstream_late, a_part_of_a_head_breaks_the_silence)
{
	struct lease lease = {.again_ms = LATE_MS};
	struct peer peer;
	pool->home.late_ms = LATE_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	peer_say(&peer, "HTTP/1.1 2");
	wait_until(lease_is_heard, &lease);
	lease.late_count = 0; /* it may have been late before that */
	wait_until(lease_was_late, &lease);
	cr_expect_not(upstream_is_silent(lease.upstream));
	upstream_release(lease.upstream);
	free(lease.body);
	peer_close(&peer);
}

Test(upstream_late, a_lease_may_end_for_it)
{
	struct lease lease = {.again_ms = UINT64_MAX};
	struct peer peer;
	pool->home.late_ms = LATE_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	lease_finish(&lease);
	cr_expect_eq(lease.late_count, 1);
	cr_expect_eq(lease.broken_count, 0);
	cr_expect_eq(counters.upstream_open, 0);
	peer_close(&peer);
}

Test(upstream_late, nothing_is_late_unless_it_is_said_what_is)
{
	struct lease lease = {0};
	struct peer peer;
	timeouts.response_head_ms = TIMEOUT_MS;
	lease_begin(&lease);
	backend_accept(&peer);
	wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_RESPONSE_TIMEOUT);
	cr_expect_eq(lease.late_count, 0);
	lease_finish(&lease);
	peer_close(&peer);
}

Test(upstream_late, a_connection_takes_its_time)
{
	struct lease leases[8] = {{0}};
	timeouts.connect_ms = TIMEOUT_MS;
	struct lease *lease = begin_waiting(leases, ARRAY_SIZE(leases));
	wait_until(lease_was_late, lease);
	cr_expect_eq(lease->broken_count, 0, "late is not lost");
	wait_until(lease_is_over, lease);
	cr_expect_eq(lease->problem, PROBLEM_CONNECT_TIMEOUT);
	give_up(leases, ARRAY_SIZE(leases));
}

Test(upstream_late, a_connection_is_given_up_for_it)
{
	struct lease leases[8] = {{0}};
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++)
		leases[i].again_ms = UINT64_MAX;
	struct lease *lease = begin_waiting(leases, ARRAY_SIZE(leases));
	wait_until(lease_is_over, lease);
	cr_expect_eq(lease->late_count, 1);
	cr_expect_eq(lease->broken_count, 0);
	give_up(leases, ARRAY_SIZE(leases));
}
