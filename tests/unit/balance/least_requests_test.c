/* least_requests_test - the policy "least_requests": the fewest in flight for its weight, ties by weight. */
#include "policy_lab.h"

TestSuite(policy_least_requests, .fini = lab_close);

Test(policy_least_requests, the_least_busy_is_always_chosen)
{
	lab_open(&policy_least_requests, NULL, 5);
	for (size_t least = 0; least < 5; least++) {
		for (size_t i = 0; i < 5; i++)
			lab_members[i].in_flight = i == least ? 3 : 4;
		for (int n = 0; n < 1000; n++)
			cr_assert_eq(lab_pick(), least);
	}
}

Test(policy_least_requests, ties_are_broken_evenly)
{
	static const uint32_t first_three[] = {1, 1, 1, 0};
	unsigned counts[4];
	lab_open(&policy_least_requests, NULL, 4);
	lab_members[3].in_flight = 1;
	lab_spread(counts, 4, 60000);
	cr_expect(is_weighted(counts, first_three, 4), "%u %u %u %u", counts[0], counts[1], counts[2],
		counts[3]);
}

Test(policy_least_requests, ties_are_broken_by_weight)
{
	static const uint32_t sets[][6] = {{1, 2, 3, 4, 5, 6}, {0, 3, 0, 1, 0, 9}, {100, 1, 1, 1, 1, 1}};
	unsigned counts[6];
	for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
		lab_open(&policy_least_requests, sets[set], 6);
		lab_spread(counts, 6, 60000);
		cr_expect(is_weighted(counts, sets[set], 6), "idle, set %zu", set);
		for (size_t i = 0; i < 6; i++)
			lab_members[i].in_flight = sets[set][i] * 3;
		lab_spread(counts, 6, 60000);
		cr_expect(is_weighted(counts, sets[set], 6), "as busy, set %zu", set);
	}
}

Test(policy_least_requests, in_flight_counts_for_its_weight)
{
	static const uint32_t weights[] = {3, 1};
	lab_open(&policy_least_requests, weights, 2);
	lab_members[0].in_flight = 7;
	lab_members[1].in_flight = 2;
	cr_expect_eq(lab_pick(), 1);
	lab_members[0].in_flight = 5;
	cr_expect_eq(lab_pick(), 0);
}

Test(policy_least_requests, who_is_excluded_is_not_chosen_though_it_is_idle)
{
	struct member *excluded[] = {&lab_members[1]};
	lab_open(&policy_least_requests, NULL, 3);
	lab_members[0].in_flight = 5;
	lab_members[2].in_flight = 4;
	lab_view.excluded = excluded;
	lab_view.excluded_count = 1;
	for (int n = 0; n < 1000; n++)
		cr_assert_eq(lab_pick(), 2);
	struct member *all[] = {&lab_members[0], &lab_members[1], &lab_members[2]};
	lab_view.excluded = all;
	lab_view.excluded_count = 3;
	(void)lab_pick(); /* anyone */
}

/* Of thousands not all are looked at; each is as often, and the load stays even all the same. */
Test(policy_least_requests, of_thousands_one_of_the_least_is_chosen)
{
	enum { COUNT = 2000, BUSY = 20000 };
	static unsigned counts[COUNT];
	lab_open(&policy_least_requests, NULL, COUNT);
	lab_spread(counts, COUNT, 200000);
	cr_expect(is_uniform(counts, COUNT));
	for (int n = 0; n < BUSY; n++)
		lab_members[lab_pick()].in_flight++;
	for (size_t i = 0; i < COUNT; i++)
		cr_expect(lab_members[i].in_flight + 2 >= BUSY / COUNT &&
				  lab_members[i].in_flight <= BUSY / COUNT + 2,
			"member %zu: %u", i, lab_members[i].in_flight);
}
