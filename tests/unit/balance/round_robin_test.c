/* round_robin_test - the policy "round_robin": in turn; by weight, evenly spread. */
#include "policy_lab.h"

TestSuite(policy_round_robin, .fini = lab_close);

Test(policy_round_robin, each_has_its_turn)
{
	lab_open(&policy_round_robin, NULL, 7);
	size_t first = lab_pick();
	for (size_t n = 1; n < 700; n++)
		cr_assert_eq(lab_pick(), (first + n) % 7);
}

Test(policy_round_robin, one_member_is_always_chosen)
{
	static const uint32_t weight[] = {9};
	lab_open(&policy_round_robin, weight, 1);
	for (int n = 0; n < 10; n++)
		cr_assert_eq(lab_pick(), 0);
}

/* Each begins anywhere in its turn, so that by the time of the turns it is less than one pick off its share.
 * Of so many picks, that is by one less its share of them, and by its share of what the others are off. */
Test(policy_round_robin, turns_are_by_weight_and_evenly_spread)
{
	static const uint32_t sets[][5] = {
		{1, 2, 3, 4, 5}, {5, 1, 1, 0, 1}, {65535, 1, 1, 1, 1}, {7, 0, 0, 0, 3}};
	for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
		lab_open(&policy_round_robin, sets[set], 5);
		double total = 0, others = -1, counts[5] = {0};
		for (size_t i = 0; i < 5; i++) {
			total += sets[set][i];
			others += sets[set][i] > 0;
		}
		for (uint32_t n = 1; n <= 20000; n++) {
			counts[lab_pick()]++;
			for (size_t i = 0; i < 5; i++) {
				double share = sets[set][i] / total;
				double most = share > 0 ? 1 - share + share * others + 0.001 : 0;
				cr_assert(fabs(counts[i] - n * share) <= most,
					"set %zu, member %zu: %g of %u", set, i, counts[i], n);
			}
		}
	}
}

/* It begins anywhere: workers, and new sets, do not all begin with the same member. */
Test(policy_round_robin, the_beginning_is_random)
{
	static const uint32_t weights[] = {1, 2, 3, 4};
	unsigned counts[4] = {0};
	for (int n = 0; n < 20000; n++) {
		lab_open(&policy_round_robin, NULL, 4);
		counts[lab_pick()]++;
	}
	cr_expect(is_uniform(counts, 4), "%u %u %u %u", counts[0], counts[1], counts[2], counts[3]);
	memset(counts, 0, sizeof(counts));
	lab_open(&policy_round_robin, weights, 4);
	for (int n = 0; n < 20000; n++) {
		lab_refresh(4);
		counts[lab_pick()]++;
	}
	/* Not quite by weight: the first one is whoever has the earliest of all first turns. */
	cr_expect(counts[0] > 500 && counts[0] < counts[1] && counts[1] < counts[2] && counts[2] < counts[3],
		"%u %u %u %u", counts[0], counts[1], counts[2], counts[3]);
}

Test(policy_round_robin, who_is_no_candidate_has_no_turn)
{
	static const uint32_t weights[] = {1, 2, 3, 4};
	unsigned counts[4];
	for (int is_weighted_set = 0; is_weighted_set < 2; is_weighted_set++) {
		lab_open(&policy_round_robin, is_weighted_set ? weights : NULL, 4);
		lab_members[1].is_candidate = false;
		lab_refresh(4);
		lab_spread(counts, 4, 800);
		cr_expect_eq(counts[1], 0);
		cr_expect_geq(counts[0], 99);
		lab_members[1].is_candidate = true;
		lab_refresh(4);
		lab_spread(counts, 4, 800);
		cr_expect_geq(counts[1], 159);
	}
}

/* What is due is compared by difference: it goes on over the end of its numbers. */
Test(policy_round_robin, it_never_ends)
{
	static const uint32_t weights[] = {1, 2};
	unsigned counts[2] = {0};
	lab_open(&policy_round_robin, weights, 2);
	(void)lab_pick();
	struct { /* as in round_robin.c */
		bool is_stale;
		size_t next;
		uint64_t joined;
		size_t set_count, capacity, seat_count;
		struct {
			uint64_t due;
			struct member *member;
		} seats[2];
	} *robin = lab_view.state;
	for (size_t i = 0; i < 2; i++)
		robin->seats[i].due -= UINT64_C(1) << 35;
	lab_spread(counts, 2, 300);
	cr_expect(counts[0] >= 99 && counts[0] <= 101, "%u %u", counts[0], counts[1]);
}
