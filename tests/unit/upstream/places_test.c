/* places_test - connections to a backend are limited over all workers: asked for, handed on, never lost. */
#include "support.h"

#include "base/clock.h"

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

enum { OTHER = 1 }; /* the second worker */

static struct upstream_shared other_shared;
static struct pool *other;
static int wanted_count, handed_on_count;
static uint32_t handed_on_to;
static bool is_somebody_there;

static bool on_wanted(void *arg, struct backend *of)
{
	(void)arg;
	cr_assert_eq(of, backend);
	wanted_count++;
	return is_somebody_there;
}

static void on_handed_on(void *arg, struct backend *of, uint32_t worker)
{
	(void)arg;
	cr_assert_eq(of, backend);
	handed_on_count++;
	handed_on_to = worker;
}

static const struct upstream_places places = {.on_wanted = on_wanted, .on_handed_on = on_handed_on};

/* Two workers that may have so many connections together. */
static void start(uint32_t most)
{
	pool_free(pool);
	shared.places = &places;
	other_shared = shared;
	other_shared.worker = OTHER;
	pool = pool_new(&shared, backend, &timeouts, most);
	other = pool_new(&other_shared, backend, &timeouts, most);
	cr_assert(pool != NULL && other != NULL);
	wanted_count = handed_on_count = 0;
	is_somebody_there = true;
}

static void finish(void)
{
	pool_free(other);
	pool_free(pool);
	pool = NULL;
	cr_expect_eq(backend->places, 0, "%u places are lost", backend->places);
	cr_expect_eq(backend->shares[0].places + backend->shares[OTHER].places, 0);
	cr_expect_null(backend->shares[OTHER].pool);
}

static void end_lease(struct lease *lease, struct peer *peer)
{
	peer_say(peer, ANSWER);
	lease_finish(lease);
}

static void begin_lease(struct lease *lease, struct peer *peer)
{
	lease_begin(lease);
	backend_accept(peer);
}

TestSuite(places, .init = support_start, .fini = support_finish);

Test(places, hold_over_all_workers_and_come_free_with_a_connection)
{
	struct lease lease = {0}, second = {0};
	struct peer peer;
	enum problem problem = PROBLEM_NONE;
	start(1);
	begin_lease(&lease, &peer);
	cr_expect_null(pool_lease(other, &second, false, &problem));
	cr_expect_eq(problem, PROBLEM_ENDPOINTS_FULL);
	peer_close(&peer);
	lease_finish(&lease);
	second.upstream = pool_lease(other, &second, false, &problem);
	cr_assert_not_null(second.upstream);
	upstream_release(second.upstream);
	cr_expect_eq(handed_on_count, 0);
	finish();
}

Test(places, of_an_idle_connection_go_to_who_asks)
{
	struct lease lease = {0};
	struct peer peer;
	start(1);
	begin_lease(&lease, &peer);
	end_lease(&lease, &peer);
	cr_expect(pool_yield(pool, OTHER));
	peer_close(&peer);
	cr_expect_eq(pool->idle_count, 0);
	cr_expect_eq(handed_on_count, 1);
	cr_expect_eq(handed_on_to, OTHER);
	cr_expect_eq(backend->places, 1, "it is free for anybody in between");
	cr_expect(pool_receive_place(other));
	/* Not used: the next one who asks gets it. */
	cr_expect(pool_yield(other, 0));
	cr_expect_eq(handed_on_to, 0);
	cr_expect(pool_receive_place(pool));
	begin_lease(&lease, &peer);
	end_lease(&lease, &peer);
	peer_close(&peer);
	finish();
}

Test(places, in_use_are_promised_to_who_has_none)
{
	struct lease lease = {0};
	struct peer peer;
	start(1);
	begin_lease(&lease, &peer);
	cr_expect(pool_yield(pool, OTHER));
	cr_expect(pool_yield(pool, OTHER), "it is promised still");
	cr_expect_eq(handed_on_count, 0);
	end_lease(&lease, &peer);
	peer_close(&peer);
	cr_expect_eq(pool->idle_count, 0, "it is kept");
	cr_expect_eq(handed_on_count, 1);
	cr_expect(pool_receive_place(other));
	finish();
}

Test(places, are_kept_from_who_has_as_many)
{
	struct lease leases[2] = {{0}};
	struct peer peers[2];
	start(2);
	struct pool *first = pool;
	begin_lease(&leases[0], &peers[0]);
	pool = other;
	begin_lease(&leases[1], &peers[1]);
	pool = first;
	cr_expect_not(pool_yield(pool, OTHER));
	cr_expect_not(pool_yield(other, 0));
	end_lease(&leases[0], &peers[0]);
	end_lease(&leases[1], &peers[1]);
	cr_expect_eq(handed_on_count, 0);
	peer_close(&peers[0]);
	peer_close(&peers[1]);
	finish();
}

Test(places, are_asked_for_once_at_a_time_and_in_vain_for_a_while_only)
{
	start(1);
	uint64_t now_ms = clock_coarse_ms();
	cr_expect(pool_ask(other, now_ms));
	cr_expect(pool_ask(other, now_ms));
	cr_expect_eq(wanted_count, 1);
	pool_note_refusal(other);
	cr_expect_not(pool_ask(other, now_ms - 1), "it was refused since");
	cr_expect(pool_ask(other, clock_coarse_ms()), "that was before");
	cr_expect_eq(wanted_count, 2);
	pool_note_refusal(other);
	is_somebody_there = false;
	cr_expect_not(pool_ask(other, clock_coarse_ms()));
	finish();
}

Test(places, are_not_counted_without_a_limit)
{
	struct lease lease = {0};
	struct peer peer;
	start(POOL_UNLIMITED);
	begin_lease(&lease, &peer);
	cr_expect_eq(backend->places, 0);
	cr_expect_not(pool_ask(pool, 0));
	end_lease(&lease, &peer);
	peer_close(&peer);
	finish();
}

Test(places, that_come_too_late_are_not_taken)
{
	start(1);
	pool_retire(other);
	cr_expect_not(pool_receive_place(other));
	cr_expect_not(pool_ask(other, 0));
	finish();
}
