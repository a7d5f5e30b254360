/* vigil_test - when the rule has a worker wait awake, with times made up. */
#include "base/vigil.h"

#include <criterion/criterion.h>

#define REQUEST_US 200

static struct vigil vigil;
static uint64_t now_us;
static uint32_t answers;

static void start(void)
{
	vigil_init(&vigil, true);
	now_us = 1000000;
	answers = 7;
}

TestSuite(vigil, .init = start);

/* A wait while `awaited` answers are to come; the first of them comes after so long, by whether the worker
 * was awake then. Returns what it was. */
static struct vigil_report wait_for(uint32_t awaited, uint64_t awake_us, uint64_t asleep_us)
{
	uint64_t began_us = now_us;
	vigil_begin(&vigil, now_us, awaited, answers);
	while (now_us < began_us + awake_us && vigil_goes_on(&vigil, now_us))
		now_us++;
	if (!vigil_goes_on(&vigil, now_us) && now_us < began_us + asleep_us)
		now_us = began_us + asleep_us;
	struct vigil_report report = vigil_end(&vigil, now_us, ++answers);
	now_us += REQUEST_US;
	return report;
}

struct sums {
	uint32_t awake, successes;
	uint64_t awake_us, all_us;
};

static struct sums wait_often(uint32_t count, uint32_t awaited, uint64_t awake_us, uint64_t asleep_us)
{
	struct sums sums = {0};
	uint64_t began_us = now_us;
	for (uint32_t i = 0; i < count; i++) {
		struct vigil_report report = wait_for(awaited, awake_us, asleep_us);
		sums.awake += report.was_awake;
		sums.successes += report.is_success;
		sums.awake_us += report.awake_us;
	}
	sums.all_us = now_us - began_us;
	return sums;
}

Test(vigil, a_lone_answer_that_comes_soon_is_waited_for_awake)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	struct sums sums = wait_often(1600, 1, 25, 60);
	cr_expect_eq(sums.awake, 1500, "%u", sums.awake);
	cr_expect_eq(sums.successes, 1500, "%u", sums.successes);
	cr_expect_eq(sums.awake_us, 1500 * 25);
}

Test(vigil, nobody_is_awake_who_has_more_to_do)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	cr_expect_eq(wait_often(1000, 2, 25, 60).awake, 0);
	cr_expect_eq(wait_often(1000, 0, 25, 60).awake, 0);
}

Test(vigil, one_request_alone_among_others_is_slept_for)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	for (int i = 0; i < 100; i++) {
		wait_for(3, 25, 60);
		cr_expect_eq(wait_often(VIGIL_ALONE_MIN, 1, 25, 60).awake, 0);
	}
}

Test(vigil, between_requests_it_sleeps)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	for (int i = 0; i < 100; i++) {
		wait_for(1, 25, 60);
		cr_expect_not(wait_for(0, 5, 30).was_awake);
	}
}

Test(vigil, where_sleeping_takes_little_longer_it_sleeps_but_for_trials)
{
	struct sums sums = wait_often(100 * VIGIL_PERIOD, 1, 25, 32);
	cr_expect_leq(sums.awake, 100 * VIGIL_TRIAL);
	cr_expect_geq(sums.awake, 99 * VIGIL_TRIAL);
}

Test(vigil, answers_that_are_not_soon_are_slept_for)
{
	wait_often(4 * VIGIL_PERIOD, 1, 80, 400);
	cr_expect_eq(wait_often(1000, 1, 80, 400).awake, 0, "far too late to try");
	struct sums sums = wait_often(100 * VIGIL_PERIOD, 1, 80, 160);
	cr_expect_leq(sums.awake, 100 * VIGIL_TRIAL);
}

Test(vigil, when_answers_become_slow_it_stops_and_when_they_are_soon_again_it_begins_again)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	cr_expect_lt(wait_often(1000, 1, 1000, 1000).awake, 200);
	cr_expect_eq(wait_often(1000, 1, 1000, 1000).awake, 0);
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	cr_expect_gt(wait_often(1000, 1, 25, 60).awake, 900);
}

/* Every tenth answer takes longer than anybody waits awake. */
Test(vigil, what_is_waited_in_vain_is_one_part_in_a_hundred)
{
	uint64_t vain_us = 0, began_us = now_us;
	for (int i = 0; i < 300000; i++) {
		uint64_t took_us = i % 10 == 0 ? 120 : 20;
		struct vigil_report report = wait_for(1, took_us, 150);
		if (report.was_awake && !report.is_success)
			vain_us += report.awake_us;
	}
	uint64_t most_us = (now_us - began_us) / VIGIL_VAIN_PART + VIGIL_VAIN_US_MAX + VIGIL_US_MAX;
	cr_expect_gt(vain_us, most_us / 2, "%lu of %lu", vain_us, most_us);
	cr_expect_leq(vain_us, most_us, "%lu of %lu", vain_us, most_us);
}

/* Something else came, a new connection say: that is not what was waited for. */
Test(vigil, what_else_comes_is_no_answer)
{
	wait_often(2 * VIGIL_PERIOD, 1, 25, 60);
	uint32_t in_vain = 0;
	for (int i = 0; i < 10; i++) {
		vigil_begin(&vigil, now_us, 1, answers);
		struct vigil_report report = vigil_end(&vigil, now_us + 5, answers);
		in_vain += report.was_awake && !report.is_success;
		now_us += REQUEST_US;
	}
	cr_expect_geq(in_vain, 9);
}

Test(vigil, with_a_time_given_it_waits_for_anything_after_what_came_within_it)
{
	vigil_set(&vigil, 500);
	wait_for(0, 400, 400);
	for (int i = 0; i < 10; i++) {
		struct vigil_report report = wait_for((uint32_t)i % 3, 400, 400);
		cr_expect(report.was_awake && report.is_success);
		cr_expect_eq(report.awake_us, 400);
	}
	struct vigil_report report = wait_for(1, 600, 600);
	cr_expect(report.was_awake && !report.is_success);
	cr_expect_eq(report.awake_us, 500);
	cr_expect_not(wait_for(1, 600, 600).was_awake);
	cr_expect_not(wait_for(1, 400, 400).was_awake);
	cr_expect(wait_for(1, 400, 400).was_awake);
}
