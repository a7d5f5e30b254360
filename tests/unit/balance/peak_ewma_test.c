/* peak_ewma_test - the policy "peak_ewma": of two, the one with the lower latency times load, for its weight.
 */
#include "policy_lab.h"

TestSuite(policy_peak_ewma, .fini = lab_close);

static void set_peaks(size_t count, uint32_t peak_us)
{
	for (size_t i = 0; i < count; i++)
		lab_members[i].latency.peak_us = peak_us;
}

Test(policy_peak_ewma, members_that_are_alike_are_chosen_by_their_weights)
{
	static const uint32_t sets[][5] = {{1, 1, 1, 1, 1}, {1, 2, 3, 4, 5}, {9, 0, 1, 0, 1}};
	unsigned counts[5];
	for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
		for (uint32_t peak_us = 0; peak_us <= 5000; peak_us += 5000) {
			lab_open(&policy_peak_ewma, sets[set], 5);
			set_peaks(5, peak_us);
			if (set >
				0) { /* as loaded as each may be: the costs for their weights are the same */
				for (size_t i = 0; i < 5; i++)
					lab_members[i].in_flight = sets[set][i] * 10 - (sets[set][i] > 0);
			}
			lab_spread(counts, 5, 60000);
			cr_expect(is_weighted(counts, sets[set], 5), "set %zu, peak %u us: %u %u %u %u %u",
				set, peak_us, counts[0], counts[1], counts[2], counts[3], counts[4]);
		}
	}
}

Test(policy_peak_ewma, of_two_the_faster_wins)
{
	lab_open(&policy_peak_ewma, NULL, 2);
	set_peaks(2, 5000);
	lab_members[0].latency.peak_us = 50000;
	lab_members[1].in_flight = 8;
	unsigned counts[2];
	lab_spread(counts, 2, 10000);
	cr_expect_lt(counts[0], 1500, "only where the same one is drawn five times");
	lab_members[1].in_flight = 10;
	lab_spread(counts, 2, 10000);
	cr_expect_lt(counts[1], 1500);
}

/* It is asked once, and then its first answer is waited for, if another one is idle. */
Test(policy_peak_ewma, who_has_not_answered_yet_is_as_fast_as_the_other)
{
	unsigned counts[2];
	lab_open(&policy_peak_ewma, NULL, 2);
	lab_members[0].latency.peak_us = 50000;
	lab_spread(counts, 2, 60000);
	cr_expect(is_uniform(counts, 2));
	lab_members[1].in_flight = 1;
	lab_spread(counts, 2, 10000);
	cr_expect_lt(counts[1], 1500);
}
