/* recovery_test - who is the first one back, where nobody was left, gets a few requests at a time and then
 * more. */
#include "balance/roster.h"
#include "base/clock.h"
#include "fixed_random.h"
#include "support.h"

#define COUNT 3

static struct roster roster;
static struct random generator = FIXED_RANDOM;
static struct verdicts verdicts;
static struct backend *backends[COUNT];
static uint64_t now_ms;

static bool on_added(void *owner, struct member *member)
{
	(void)owner;
	(void)member;
	return true;
}

static void on_other(void *owner, struct member *member)
{
	(void)owner;
	(void)member;
}

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static const struct roster_events events = {
	.on_added = on_added, .on_ejected = on_other, .on_leaving = on_other, .on_gone = on_other};

static void learn(int index, enum evidence evidence)
{
	now_ms++;
	belief_weigh(&backends[index]->belief, evidence, now_ms, now_ms);
}

static void start(void)
{
	static const struct policy_settings settings = {.choices = 2};
	const struct belief_rules rules = {
		.errors_max = 3, .ejected_share = 50, .ejection_ms = 1000, .ejection_max_ms = 8000};
	const union address address = {.ipv4 = {.sin_family = AF_INET}};
	now_ms = clock_coarse_ms();
	verdicts_init(&verdicts, "s", &rules);
	verdicts.on_doubt = on_doubt;
	roster_init(&roster, policy_find("random"), &settings, &verdicts, 0, &events, NULL);
	for (int i = 0; i < COUNT; i++) {
		char name[] = {(char)('a' + i), '\0'};
		backends[i] = backend_new(name, &address, 1, 1, &verdicts);
		cr_assert_not_null(backends[i]);
	}
	struct fleet *fleet = make_fleet(backends, COUNT);
	verdicts_set_count(&verdicts, COUNT);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
	for (int i = 0; i < COUNT; i++)
		learn(i, EVIDENCE_PROBE_PASSED);
}

static void finish(void)
{
	roster_finish(&roster);
	for (int i = 0; i < COUNT; i++)
		backend_unref(&backends[i]);
}

TestSuite(recovery, .init = start, .fini = finish);

/* Begin as many attempts as there may be, `most` at the most. */
static size_t begin_all(struct member **members, size_t most)
{
	size_t count = 0;
	while (count < most && (members[count] = roster_pick(&roster, &generator, NULL, 0)) != NULL)
		roster_begin(&roster, members[count++]);
	return count;
}

static void end_all(struct member *const *members, size_t count, enum evidence evidence)
{
	for (size_t i = 0; i < count; i++) {
		if (evidence == EVIDENCE_ANSWERED)
			roster_answers(&roster, members[i]);
		roster_done(&roster, members[i], evidence, now_ms);
	}
}

/* Everybody dies, and a pick sees it. */
static void kill_all(void)
{
	for (int i = 0; i < COUNT; i++)
		learn(i, EVIDENCE_CONNECT_REFUSED);
	cr_assert_not_null(roster_pick(&roster, &generator, NULL, 0), "there is panic");
}

Test(recovery, the_first_one_back_gets_more_and_more)
{
	struct member *members[4096];
	kill_all();
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t before = 0;
	for (int round = 0; round < 7; round++) {
		size_t count = begin_all(members, ARRAY_SIZE(members));
		cr_assert_eq(
			count, round == 0 ? 8 : 2 * before, "round %d: %zu after %zu", round, count, before);
		cr_expect_eq(roster_lack(&roster), ROSTER_BUSY);
		cr_expect_eq(members[0]->backend, backends[1]);
		end_all(members, count, EVIDENCE_ANSWERED);
		before = count;
	}
	size_t count = begin_all(members, ARRAY_SIZE(members));
	end_all(members, count, EVIDENCE_ANSWERED);
	count = begin_all(members, ARRAY_SIZE(members));
	cr_expect_eq(count, ARRAY_SIZE(members), "it bears what comes");
	end_all(members, count, EVIDENCE_ANSWERED);
}

Test(recovery, what_failed_does_not_make_it_more)
{
	struct member *members[64];
	kill_all();
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t count = begin_all(members, ARRAY_SIZE(members));
	end_all(members, count, EVIDENCE_CANCELLED);
	cr_expect_eq(begin_all(members, ARRAY_SIZE(members)), count);
	end_all(members, count, EVIDENCE_CANCELLED);
}

/* Tunnels, and what is sent for hours: nobody waits for their end. */
Test(recovery, answers_without_end_make_it_more)
{
	struct member *members[64];
	kill_all();
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t count = begin_all(members, ARRAY_SIZE(members)), answered = 0;
	while (count < ARRAY_SIZE(members)) {
		size_t before = count;
		while (answered < count)
			roster_answers(&roster, members[answered++]);
		count += begin_all(members + count, ARRAY_SIZE(members) - count);
		cr_assert_gt(count, before);
	}
	end_all(members, count, EVIDENCE_CANCELLED);
}

Test(recovery, the_second_one_back_takes_what_comes)
{
	struct member *members[64];
	kill_all();
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t count = begin_all(members, 8);
	learn(2, EVIDENCE_PROBE_PASSED);
	cr_expect_eq(begin_all(members + count, 32), 32);
	for (size_t i = count; i < count + 32; i++)
		cr_expect_eq(members[i]->backend, backends[2]);
	end_all(members, count + 32, EVIDENCE_ANSWERED);
}

Test(recovery, where_others_serve_nobody_is_held_back)
{
	struct member *members[64];
	learn(1, EVIDENCE_CONNECT_REFUSED);
	cr_assert_not_null(roster_pick(&roster, &generator, NULL, 0));
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t count = begin_all(members, ARRAY_SIZE(members));
	cr_expect_eq(count, ARRAY_SIZE(members), "%zu, windows %u", count, roster.window_count);
	end_all(members, count, EVIDENCE_ANSWERED);
}

Test(recovery, who_dies_again_or_leaves_holds_nobody_back)
{
	struct member *members[64];
	kill_all();
	learn(1, EVIDENCE_PROBE_PASSED);
	size_t count = begin_all(members, ARRAY_SIZE(members));
	end_all(members, count, EVIDENCE_CANCELLED);
	learn(1, EVIDENCE_CONNECT_REFUSED);
	cr_expect_eq(begin_all(members, ARRAY_SIZE(members)), ARRAY_SIZE(members), "there is panic again");
	end_all(members, ARRAY_SIZE(members), EVIDENCE_CANCELLED);
	learn(1, EVIDENCE_PROBE_PASSED);
	cr_expect_not_null(roster_pick(&roster, &generator, NULL, 0));
	cr_expect_eq(roster.window_count, 1);
	struct fleet *fleet = make_fleet(backends, 1);
	cr_assert(roster_update(&roster, fleet));
	fleet_unref(&fleet);
	cr_expect_eq(roster.window_count, 0);
}
