/* change_test - a set that is followed member by member, and verdict by verdict, is the one that is made anew
 * each time: the same members, candidates and weights, and the same choices, whatever changes. */
#include "balance/candidates.h"
#include "balance/draw.h"
#include "balance/roster.h"

#include "base/clock.h"
#include "fixed_random.h"
#include "support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES 300

static struct verdicts verdicts;
static struct backend *backends[NAMES];
static uint32_t weights[NAMES];
static bool is_listed[NAMES];
static struct roster followed, anew;
static struct random generator = FIXED_RANDOM;
static size_t is_refusing; /* no memory for a pool, so many times */

static bool on_added(void *owner, struct member *member)
{
	(void)owner;
	(void)member;
	if (is_refusing == 0)
		return true;
	is_refusing--;
	return false;
}

static void on_nothing(void *owner, struct member *member)
{
	(void)owner;
	(void)member;
}

static const struct roster_events events = {
	.on_added = on_added, .on_ejected = on_nothing, .on_leaving = on_nothing, .on_gone = on_nothing};

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static struct backend *make_judged_backend(size_t number)
{
	const union address address = {.ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)}};
	char name[32];
	snprintf(name, sizeof(name), "10.0.0.%zu:80", number);
	struct backend *backend = backend_new(name, &address, 1, WORKERS, &verdicts);
	cr_assert_not_null(backend);
	return backend;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp((*(struct backend *const *)left)->name, (*(struct backend *const *)right)->name);
}

static void start(const struct policy *policy, uint32_t slow_start_ms)
{
	const struct policy_settings settings = {.choices = 2};
	const struct belief_rules rules = {
		.errors_max = 1, .ejected_share = 100, .ejection_ms = 1000, .ejection_max_ms = 1000};
	verdicts_init(&verdicts, "service", &rules);
	verdicts_set_count(&verdicts, NAMES);
	verdicts.on_doubt = on_doubt;
	for (size_t i = 0; i < NAMES; i++) {
		backends[i] = make_judged_backend(i);
		weights[i] = 1;
		is_listed[i] = i % 2 == 0;
	}
	qsort(backends, NAMES, sizeof(backends[0]), compare_names);
	roster_init(&followed, policy, &settings, &verdicts, 0, &events, NULL);
	roster_init(&anew, policy, &settings, &verdicts, 1, &events, NULL);
	followed.slow_start_ms = anew.slow_start_ms = slow_start_ms;
}

static void finish(void)
{
	roster_finish(&followed);
	roster_finish(&anew);
	for (size_t i = 0; i < NAMES; i++)
		backend_unref(&backends[i]);
}

/* ---- Random changes -------------------------------------------------------------------------- */

static struct fleet *make_listed_fleet(void)
{
	struct fleet *fleet = fleet_new(0, 1, 0, NAMES);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < NAMES; i++)
		if (is_listed[i])
			fleet_append(fleet, backends[i], weights[i], NULL);
	return fleet;
}

static void change_one(bool is_weighted)
{
	size_t i = random_below(&generator, NAMES);
	uint64_t now_ms = clock_coarse_ms();
	static const enum evidence evidences[] = {EVIDENCE_PROBE_PASSED, EVIDENCE_PROBE_PASSED,
		EVIDENCE_SILENT, EVIDENCE_CONNECT_REFUSED, EVIDENCE_STATUS_5XX, EVIDENCE_EJECTION_OVER,
		EVIDENCE_PROBE_TIMEOUT};
	switch (random_below(&generator, 8)) {
	case 0:
	case 1:
		is_listed[i] = !is_listed[i];
		break;
	case 2:
		weights[i] = is_weighted ? random_below(&generator, 4) : 1;
		break;
	case 3: /* another one of that name */
		if (!is_listed[i]) {
			struct backend *other = make_judged_backend((size_t)atoi(backends[i]->name + 7));
			backend_unref(&backends[i]);
			backends[i] = other;
		}
		is_listed[i] = true;
		break;
	default:
		belief_weigh(&backends[i]->belief, evidences[random_below(&generator, ARRAY_SIZE(evidences))],
			now_ms, now_ms);
	}
}

/* All at once, as a restart of everything does it. */
static void change_all(enum evidence evidence)
{
	uint64_t now_ms = clock_coarse_ms();
	for (size_t i = 0; i < NAMES; i++)
		belief_weigh(&backends[i]->belief, evidence, now_ms, now_ms);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static void expect_same_sets(void)
{
	cr_assert_eq(followed.count, anew.count);
	cr_assert_eq(followed.candidate_count, anew.candidate_count);
	cr_assert_eq(followed.view.count, anew.view.count);
	cr_assert_eq(followed.view.weight, anew.view.weight);
	cr_assert_eq(followed.best, anew.best);
	cr_assert_eq(followed.has_good, anew.has_good);
	cr_assert_eq(followed.is_panicking, anew.is_panicking);
	cr_assert_eq(followed.view.draw != NULL, anew.view.draw != NULL);
	cr_assert_arr_eq(followed.tiers, anew.tiers, sizeof(followed.tiers));
	for (size_t i = 0; i < followed.count; i++) {
		const struct member *one = followed.members[i], *other = anew.members[i];
		cr_assert_eq(one->backend, other->backend);
		cr_assert_eq(one->set_weight, other->set_weight);
		cr_assert_eq(one->is_candidate, other->is_candidate);
	}
	for (size_t i = 0; i < followed.candidate_count; i++) {
		cr_assert_eq(followed.candidates[i]->backend, anew.candidates[i]->backend);
		cr_assert_eq(followed.weights[i], followed.candidates[i]->weight);
		cr_assert_eq(followed.weights[i], anew.weights[i]);
	}
	if (followed.view.draw != NULL)
		cr_assert_eq(followed.view.draw->total, anew.view.draw->total);
}

/* A keyed policy chooses the same in both. */
static void expect_same_choices(void)
{
	for (int i = 0; followed.policy->is_keyed && i < 50; i++) {
		uint64_t key = random_next(&generator);
		struct member *one = roster_pick_for(&followed, &generator, key, NULL, 0);
		struct member *other = roster_pick_for(&anew, &generator, key, NULL, 0);
		cr_assert_eq(one == NULL, other == NULL);
		if (one != NULL)
			cr_assert_eq(one->backend, other->backend);
	}
}

static void follow_and_make_anew(void)
{
	struct fleet *fleet = make_listed_fleet();
	is_refusing = random_below(&generator, 20) == 0;
	while (!roster_update(&followed, fleet)) {
	}
	anew.is_whole = false; /* so it looks at everybody */
	cr_assert(roster_update(&anew, fleet));
	fleet_unref(&fleet);
}

static void compare_through_changes(const struct policy *policy, bool is_weighted)
{
	start(policy, 0);
	for (int round = 0; round < 3000; round++) {
		uint32_t changes = round % 100 == 99 ? 200 : random_below(&generator, 4);
		for (uint32_t i = 0; i < changes; i++)
			change_one(is_weighted);
		if (round % 500 == 250)
			change_all(round % 1000 == 250 ? EVIDENCE_CONNECT_REFUSED : EVIDENCE_PROBE_PASSED);
		if (round % 2 == 0 || !followed.is_known)
			follow_and_make_anew();
		candidates_follow(&followed);
		candidates_refresh(&anew);
		expect_same_sets();
		expect_same_choices();
		if (followed.candidate_count > 0 && followed.view.weight > 0)
			cr_assert(roster_pick(&followed, &generator, NULL, 0)->is_candidate);
	}
	finish();
}

Test(change, random_is_followed)
{
	compare_through_changes(&policy_random, false);
	compare_through_changes(&policy_random, true);
}

Test(change, least_requests_is_followed)
{
	compare_through_changes(&policy_least_requests, true);
}

Test(change, round_robin_is_followed)
{
	compare_through_changes(&policy_round_robin, false);
	compare_through_changes(&policy_round_robin, true);
}

Test(change, the_ring_is_followed)
{
	compare_through_changes(&policy_ring_hash, false);
	compare_through_changes(&policy_ring_hash, true);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

/* While others come and go, turns go on: each that stays has one in as many choices as there are candidates.
 */
static void expect_even_turns(bool is_weighted)
{
	static unsigned counts[NAMES];
	unsigned picks = 0, total = 0;
	start(&policy_round_robin, 0);
	memset(counts, 0, sizeof(counts));
	for (size_t i = 0; i < NAMES; i++) {
		is_listed[i] = i >= 50;
		weights[i] = is_weighted ? 1 + (uint32_t)i % 2 : 1;
	}
	change_all(EVIDENCE_PROBE_PASSED);
	for (int round = 0; round < 2000; round++) {
		is_listed[random_below(&generator, 50)] ^= true;
		struct fleet *fleet = make_listed_fleet();
		cr_assert(roster_update(&followed, fleet));
		fleet_unref(&fleet);
		for (int i = 0; i < 10; i++, picks++) {
			struct member *member = roster_pick(&followed, &generator, NULL, 0);
			for (size_t b = 50; b < NAMES; b++)
				counts[b] += member->backend == backends[b];
		}
	}
	for (size_t b = 50; b < NAMES; b++)
		total += counts[b];
	double each = (double)total / (is_weighted ? 375 : 250);
	for (size_t b = 50; b < NAMES; b++)
		cr_expect(
			counts[b] >= each * weights[b] * 0.9 - 2 && counts[b] <= each * weights[b] * 1.1 + 2,
			"%zu: %u of %u", b, counts[b], picks);
	finish();
}

Test(change, turns_go_on_while_others_come_and_go)
{
	expect_even_turns(false);
	expect_even_turns(true);
}

/* ---- Without memory -------------------------------------------------------------------------- */

/* All shall weigh two, and the memory ends when one does: neither the next one is weighed nor is there a
 * table for a set with weights. */
static void expect_choices_amid_a_set(const struct policy *policy)
{
	start(policy, 0);
	change_all(EVIDENCE_PROBE_PASSED);
	struct fleet *fleet = make_listed_fleet();
	cr_assert(roster_update(&followed, fleet));
	cr_assert_null(followed.draw);
	candidates_set_weight(&followed, followed.members[0], 2);
	followed.is_whole = false;
	candidates_settle(&followed);
	for (int i = 0; i < 100; i++)
		cr_assert(roster_pick(&followed, &generator, NULL, 0)->is_candidate);
	fleet_unref(&fleet);
	finish();
}

Test(change, a_set_that_is_taken_on_in_part_is_chosen_from)
{
	expect_choices_amid_a_set(&policy_random);
	expect_choices_amid_a_set(&policy_round_robin);
}
