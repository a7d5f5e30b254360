/* roster_believing_test - whom a roster picks by what is believed of its members. */
#include "balance/roster.h"

#include "base/clock.h"
#include "chi_square.h"
#include "roster_recorder.h"
#include "support.h"

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static int ejected;

static void on_ejected(void *owner, struct member *member)
{
	(void)owner;
	cr_assert_neq(member->state, BELIEF_EJECTED, "told of once");
	ejected++;
}

#define BELIEVED 3

static struct verdicts verdicts;
static struct backend *believed[BELIEVED];

static void start_believing(void)
{
	static struct roster_events all;
	const struct belief_rules rules = {.errors_max = 1, .ejected_share = 100, .ejection_ms = 1000};
	static const char *const names[BELIEVED] = {"a:1", "b:1", "c:1"};
	start();
	all = events;
	all.on_ejected = on_ejected;
	ejected = 0;
	verdicts_init(&verdicts, "s", &rules);
	verdicts_set_count(&verdicts, BELIEVED);
	verdicts.on_doubt = on_doubt;
	roster.events = &all;
	roster.verdicts = &verdicts;
	for (int i = 0; i < BELIEVED; i++) {
		believed[i] = make_backend(names[i]);
		belief_init(&believed[i]->belief, believed[i]->name, &verdicts, 0);
	}
	struct fleet *fleet = make_fleet(believed, BELIEVED);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
}

static void finish_believing(void)
{
	finish();
	for (int i = 0; i < BELIEVED; i++)
		backend_unref(&believed[i]);
}

static void learn(int index, enum evidence evidence)
{
	belief_weigh(&believed[index]->belief, evidence, 1, 1);
}

/* Which members are picked, as bits, over many picks. */
static unsigned picked(void)
{
	unsigned bits = 0;
	for (int i = 0; i < 200; i++) {
		struct member *member = roster_pick(&roster, &generator, NULL, 0);
		for (int b = 0; member != NULL && b < BELIEVED; b++)
			bits |= member->backend == believed[b] ? 1U << b : 0;
	}
	return bits;
}

TestSuite(roster_believing, .init = start_believing, .fini = finish_believing);

Test(roster_believing, new_ones_serve_until_one_is_known_to)
{
	cr_expect_eq(picked(), 7);
	learn(1, EVIDENCE_PROBE_PASSED);
	cr_expect_eq(picked(), 2);
	learn(2, EVIDENCE_ANSWERED);
	cr_expect_eq(picked(), 6);
}

Test(roster_believing, a_verdict_counts_at_the_next_pick)
{
	for (int i = 0; i < BELIEVED; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
	cr_expect_eq(picked(), 7);
	learn(0, EVIDENCE_CONNECT_REFUSED);
	cr_expect_eq(picked(), 6);
	cr_expect_eq(ejected, 1);
	learn(2, EVIDENCE_SILENT);
	cr_expect_eq(picked(), 2);
	learn(1, EVIDENCE_VANISHED);
	cr_expect_eq(picked(), 2, "unlisted ones go on");
	learn(2, EVIDENCE_PROBE_PASSED);
	cr_expect_eq(picked(), 6);
	cr_expect_eq(ejected, 1);
}

Test(roster_believing, where_all_are_ejected_the_least_bad_serve)
{
	for (int i = 0; i < BELIEVED; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
	learn(0, EVIDENCE_CONNECT_REFUSED);
	learn(1, EVIDENCE_STATUS_5XX);
	learn(2, EVIDENCE_RESET);
	cr_expect_eq(picked(), 2);
	cr_expect(roster.is_panicking);
	roster.has_panic = false;
	verdicts.generation++;
	cr_expect_eq(picked(), 0);
	cr_expect_eq(roster_lack(&roster), ROSTER_EJECTED);
	learn(0, EVIDENCE_PROBE_PASSED);
	cr_expect_eq(picked(), 1);
	cr_expect(!roster.is_panicking);
}

/* The checker takes a set in before the workers do. */
Test(roster_believing, who_is_gone_serves_until_a_set_without_it_comes_where_nobody_else_would)
{
	for (int i = 0; i < BELIEVED; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
	learn(0, EVIDENCE_REMOVED);
	cr_expect_eq(picked(), 6, "not where there are others");
	learn(1, EVIDENCE_VANISHED);
	learn(1, EVIDENCE_CONNECT_REFUSED);
	learn(2, EVIDENCE_STATUS_5XX);
	cr_expect_eq(picked(), 1, "rather than one that fails");
	learn(2, EVIDENCE_REMOVED);
	cr_expect_eq(picked(), 5, "not where nobody is");
	cr_expect_not(roster.is_panicking);
	struct fleet *fleet = make_fleet(believed, 0);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
	cr_expect_eq(picked(), 0);
	cr_expect_eq(roster_lack(&roster), ROSTER_EMPTY);
}

Test(roster_believing, weights_hold_among_candidates)
{
	const uint32_t weights[BELIEVED] = {1, 0, 3};
	int counts[BELIEVED] = {0};
	for (int i = 0; i < BELIEVED; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
	struct fleet *fleet = make_weighted_fleet(believed, weights, BELIEVED);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
	cr_expect_eq(picked(), 5);
	learn(0, EVIDENCE_CONNECT_REFUSED);
	cr_expect_eq(picked(), 4);
	learn(0, EVIDENCE_PROBE_PASSED);
	for (int i = 0; i < 4000; i++) {
		struct member *member = roster_pick(&roster, &generator, NULL, 0);
		counts[member->backend->name[0] - 'a']++;
	}
	cr_expect(counts[2] > 2 * counts[0] && counts[2] < 4 * counts[0], "%d and %d", counts[0], counts[2]);
}

/* ---- Slow starts, false alarms, failures, what a policy keeps ------------------------------------ */

static void count_picks(unsigned *counts, unsigned picks)
{
	memset(counts, 0, BELIEVED * sizeof(*counts));
	for (unsigned i = 0; i < picks; i++)
		counts[roster_pick(&roster, &generator, NULL, 0)->backend->name[0] - 'a']++;
}

/* Enter LIVE now. */
static void enliven(int index)
{
	uint64_t now_ms = clock_coarse_ms();
	belief_weigh(&believed[index]->belief, EVIDENCE_PROBE_PASSED, now_ms, now_ms);
}

/* The set again, as it is when its service has this setting. */
static void give_slow_start(uint64_t slow_start_ms)
{
	roster.slow_start_ms = slow_start_ms;
	struct fleet *fleet = make_fleet(believed, BELIEVED);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
}

/* Longer than all of a test, and shorter than any machine has been up. */
#define MINUTE_MS UINT64_C(60000)

Test(roster_believing, who_becomes_live_starts_slowly)
{
	unsigned counts[BELIEVED];
	give_slow_start(MINUTE_MS);
	learn(0, EVIDENCE_PROBE_PASSED); /* long ago */
	learn(1, EVIDENCE_PROBE_PASSED);
	count_picks(counts, 10000);
	cr_expect_eq(counts[2], 0);
	enliven(2);
	count_picks(counts, 21000);
	cr_expect(is_weighted(counts, (const uint32_t[]){10, 10, 1}, 3), "%u %u %u", counts[0], counts[1],
		counts[2]);
	cr_expect_eq(roster_warmth(&roster, member_of('a')), 100);
	cr_expect_eq(roster_warmth(&roster, member_of('c')), 10);
	member_of('c')->live_ms -= MINUTE_MS / 2;
	roster.weigh_ms = 1; /* it is time */
	count_picks(counts, 25000);
	cr_expect(is_weighted(counts, (const uint32_t[]){2, 2, 1}, 3), "%u %u %u", counts[0], counts[1],
		counts[2]);
	member_of('c')->live_ms -= MINUTE_MS / 2;
	roster.weigh_ms = 1;
	count_picks(counts, 30000);
	cr_expect(is_uniform(counts, 3), "%u %u %u", counts[0], counts[1], counts[2]);
	cr_expect_eq(roster.weigh_ms, 0, "nothing is left to be done");
	roster.timed_until_ms = 1;
	(void)picked();
	cr_expect_eq(roster.timed_until_ms, 0);
}

Test(roster_believing, who_was_ejected_starts_slowly_and_who_was_suspected_does_not)
{
	unsigned counts[BELIEVED];
	give_slow_start(MINUTE_MS);
	for (int i = 0; i < BELIEVED; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
	(void)picked();
	learn(1, EVIDENCE_SILENT);
	(void)picked();
	enliven(1);
	count_picks(counts, 30000);
	cr_expect(is_uniform(counts, 3), "%u %u %u", counts[0], counts[1], counts[2]);
	learn(0, EVIDENCE_CONNECT_REFUSED);
	(void)picked();
	enliven(0);
	count_picks(counts, 21000);
	cr_expect(is_weighted(counts, (const uint32_t[]){1, 10, 10}, 3), "%u %u %u", counts[0], counts[1],
		counts[2]);
}

static int cleared;

static void on_cleared(void *owner, struct member *member)
{
	(void)owner;
	cr_assert_eq(member, member_of('a'));
	cleared++;
}

Test(roster_believing, a_short_suspicion_was_wrong_a_long_one_was_not)
{
	static struct roster_events all;
	all = *roster.events;
	all.on_cleared = on_cleared;
	roster.events = &all;
	learn(0, EVIDENCE_PROBE_PASSED);
	learn(1, EVIDENCE_PROBE_PASSED);
	(void)picked();
	belief_weigh(&believed[0]->belief, EVIDENCE_SILENT, 1000, 1000);
	(void)picked();
	cr_expect_eq(cleared, 0);
	belief_weigh(&believed[0]->belief, EVIDENCE_PROBE_PASSED, 1001, 1050);
	(void)picked();
	cr_expect_eq(cleared, 1);
	belief_weigh(&believed[0]->belief, EVIDENCE_SILENT, 2000, 2000);
	(void)picked();
	belief_weigh(&believed[0]->belief, EVIDENCE_PROBE_PASSED, 9001, 9050);
	(void)picked();
	cr_expect_eq(cleared, 1);
}
