/* penalty_test - failures count as load: for a while, and so much that what fails at once draws no traffic.
 */
#include "policy_lab.h"

#define HALF_MS PENALTY_HALF_MS

Test(penalty, is_halved_and_forgotten)
{
	struct penalty penalty = {0};
	cr_expect_eq(penalty_at(&penalty, 123456, HALF_MS), 0);
	penalty_add(&penalty, 1000, HALF_MS);
	cr_expect_eq(penalty_at(&penalty, 1000, HALF_MS), 4);
	cr_expect_eq(penalty_at(&penalty, 1000 + HALF_MS / 2, HALF_MS), 3);
	cr_expect_eq(penalty_at(&penalty, 1000 + HALF_MS, HALF_MS), 2);
	cr_expect_eq(penalty_at(&penalty, 1000 + 2 * HALF_MS, HALF_MS), 1);
	cr_expect_eq(penalty_at(&penalty, 1000 + 3 * HALF_MS, HALF_MS), 0);
	cr_expect_eq(penalty_end_ms(&penalty, HALF_MS), 1000 + 3 * HALF_MS);
	cr_expect_eq(penalty_at(&penalty, UINT64_MAX, HALF_MS), 0);
	cr_expect_eq(penalty_at(&penalty, 0, HALF_MS), 4, "time may be a little behind");
}

/* However close together, what was before is less by then. */
Test(penalty, adds_up_to_what_it_loses_meanwhile)
{
	struct penalty penalty = {0};
	for (uint64_t now_ms = 0; now_ms < 20 * HALF_MS; now_ms++)
		penalty_add(&penalty, now_ms, HALF_MS);
	uint64_t settled = penalty_at(&penalty, 20 * HALF_MS, HALF_MS);
	cr_expect(settled > 4 * HALF_MS && settled < 8 * HALF_MS, "%lu", (unsigned long)settled);
	for (int n = 0; n < 10000000; n++)
		penalty_add(&penalty, 20 * HALF_MS, HALF_MS);
	cr_expect_leq(penalty_at(&penalty, 20 * HALF_MS, HALF_MS), UINT64_C(1) << 24, "bounded");
}

/* ---- In a simulation ------------------------------------------------------------------------- */

struct run {
	size_t member;
	uint64_t end_us;
	bool is_failing;
};

#define SIMULATED     5
#define IN_FLIGHT_MAX 4096

/* Requests come at random, `per_second` of them for 20 s; backends answer after about `answer_us`, but the
 * first one fails after `failure_us`. Returns its part of the requests, in percent of a fair one. */
static double share_of_failing(
	const struct policy *policy, double per_second, uint64_t answer_us, uint64_t failure_us)
{
	static struct run runs[IN_FLIGHT_MAX];
	size_t run_count = 0, total = 0, failing = 0;
	const uint64_t half_ms = answer_us / 1000 > HALF_MS ? answer_us / 1000 : HALF_MS;
	lab_open(policy, NULL, SIMULATED);
	lab_view.penalty_half_ms = half_ms;
	for (size_t i = 1; i < SIMULATED; i++)
		lab_members[i].latency.peak_us = (uint32_t)answer_us;
	double now_us = 1e6;
	while (now_us < 21e6) {
		now_us += -log(1.0 - (double)random_below(&lab_random, 1000000) / 1e6) * 1e6 / per_second;
		for (size_t i = 0; i < run_count;) {
			struct run *run = &runs[i];
			if ((double)run->end_us > now_us) {
				i++;
				continue;
			}
			lab_members[run->member].in_flight--;
			if (run->is_failing)
				penalty_add(&lab_members[run->member].penalty, run->end_us / 1000, half_ms);
			*run = runs[--run_count];
		}
		lab_view.now_ms = (uint64_t)now_us / 1000;
		size_t member = lab_pick();
		uint64_t took_us =
			member == 0 ? failure_us : answer_us * (50 + random_below(&lab_random, 100)) / 100;
		cr_assert_lt(run_count, IN_FLIGHT_MAX);
		runs[run_count++] = (struct run){member, (uint64_t)now_us + took_us, member == 0};
		lab_members[member].in_flight++;
		total++;
		failing += member == 0;
	}
	return 100.0 * SIMULATED * (double)failing / (double)total;
}

Test(penalty, what_fails_at_once_gets_no_more_than_its_part)
{
	static const struct policy *const policies[] = {
		&policy_random, &policy_least_requests, &policy_peak_ewma};
	static const struct {
		double per_second;
		uint64_t answer_us;
	} loads[] = {{50, 5000}, {500, 5000}, {5000, 5000}, {500, 100000}, {200, 2000000}};
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t load = 0; load < ARRAY_SIZE(loads); load++) {
			double share = share_of_failing(
				policies[p], loads[load].per_second, loads[load].answer_us, 200);
			cr_expect_leq(share, 100.0, "%s, load %zu: %.0f %% of a fair share",
				policies[p]->name, load, share);
		}
	}
	lab_close();
}
