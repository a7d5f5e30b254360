/* random_test - the policy "random": with one choice every member has the same chance, or the one that its
 * weight gives it; with two the busy ones are spared. */
#include "balance/draw.h"
#include "balance/policy.h"

#include "chi_square.h"
#include "fixed_random.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 10

static struct member members[MEMBERS_MAX];
static struct member *list[MEMBERS_MAX];
static struct random generator = FIXED_RANDOM;

static void start(void)
{
	for (size_t i = 0; i < MEMBERS_MAX; i++) {
		members[i] = (struct member){0};
		list[i] = &members[i];
	}
}

static size_t pick(size_t count, uint32_t choices)
{
	const struct policy_settings settings = {.choices = choices};
	const struct policy_view view = {
		.members = list, .count = count, .settings = &settings, .random = &generator};
	struct member *member = policy_random.pick(&view);
	cr_assert(member >= members && member < members + count);
	return (size_t)(member - members);
}

TestSuite(policy_random, .init = start);

Test(policy, is_found_by_its_name)
{
	cr_expect_eq(policy_find("random"), &policy_random);
	cr_expect_null(policy_find("Random"));
	cr_expect_null(policy_find("rand"));
	cr_expect_null(policy_find(""));
}

Test(policy_random, every_member_has_the_same_chance)
{
	for (size_t count = 1; count <= MEMBERS_MAX; count++) {
		for (uint32_t choices = 1; choices <= 3; choices++) {
			unsigned counts[MEMBERS_MAX] = {0};
			for (int draw = 0; draw < 60000; draw++)
				counts[pick(count, choices)]++;
			cr_expect(count == 1 || is_uniform(counts, count), "%zu members, %u choices", count,
				choices);
		}
	}
}

Test(policy_random, one_choice_does_not_look_at_the_load)
{
	unsigned counts[3] = {0};
	members[0].in_flight = 1000;
	for (int draw = 0; draw < 60000; draw++)
		counts[pick(3, 1)]++;
	cr_expect(is_uniform(counts, 3), "%u %u %u", counts[0], counts[1], counts[2]);
}

/* Two draws of two members are both members: the busy one can only win if one was drawn twice. */
Test(policy_random, two_choices_are_two_members)
{
	members[1].in_flight = 1;
	for (int draw = 0; draw < 10000; draw++)
		cr_assert_eq(pick(2, 2), 0);
	members[0].in_flight = 2;
	for (int draw = 0; draw < 10000; draw++)
		cr_assert_eq(pick(2, 2), 1);
}

/* Members 0 to 4 with as many attempts in flight as their number: of the ten pairs, member n is the better
 * one of 4 - n. */
Test(policy_random, of_two_choices_the_less_busy_wins)
{
	unsigned counts[5] = {0}, shares[4];
	enum { DRAWS = 100000 };
	for (uint32_t i = 0; i < 5; i++)
		members[i].in_flight = i;
	for (int draw = 0; draw < DRAWS; draw++)
		counts[pick(5, 2)]++;
	cr_expect_eq(counts[4], 0, "the busiest is never the better one");
	for (unsigned i = 0; i < 4; i++)
		shares[i] = counts[i] / (4 - i); /* of one pair */
	for (size_t i = 0; i < 4; i++)
		cr_expect(shares[i] > DRAWS / 10 * 9 / 10 && shares[i] < DRAWS / 10 * 11 / 10,
			"member %zu: %u for each of its pairs", i, shares[i]);
}

Test(policy_random, more_choices_than_members_do_no_harm)
{
	members[2].in_flight = 1;
	for (int draw = 0; draw < 10000; draw++) {
		cr_assert_eq(pick(1, 16), 0);
		cr_assert_neq(pick(3, 16), 2);
	}
}

/* ---- Weights --------------------------------------------------------------------------------- */

static struct draw *weigh(const uint32_t *weights, size_t count)
{
	struct draw *draw = draw_new(count);
	cr_assert_not_null(draw);
	for (size_t i = 0; i < count; i++)
		members[i].weight = weights[i];
	draw_fill(draw, weights, count);
	return draw;
}

static size_t pick_weighted(const struct draw *draw, size_t count, uint32_t choices)
{
	const struct policy_settings settings = {.choices = choices};
	const struct policy_view view = {
		.members = list, .count = count, .draw = draw, .settings = &settings, .random = &generator};
	struct member *member = policy_random.pick(&view);
	cr_assert(member >= members && member < members + count);
	return (size_t)(member - members);
}

static const uint32_t sets_of_weights[][MEMBERS_MAX] = {
	{1, 2},
	{1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	{1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
	{0, 3, 0, 1},
	{5},
	{0, 0, 9},
	{65535, 1},
	{100, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	{0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
	{65535, 65535, 65534, 7, 0, 65535},
};

static size_t count_of(const uint32_t *weights)
{
	size_t count = MEMBERS_MAX;
	while (weights[count - 1] == 0)
		count--;
	return count;
}

/* While nothing is in flight, whatever the number of choices. */
Test(policy_random, a_members_chance_is_its_weight)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets_of_weights); i++) {
		size_t count = count_of(sets_of_weights[i]);
		struct draw *draw = weigh(sets_of_weights[i], count);
		for (uint32_t choices = 1; choices <= 3; choices++) {
			unsigned counts[MEMBERS_MAX] = {0};
			for (int n = 0; n < 60000; n++)
				counts[pick_weighted(draw, count, choices)]++;
			cr_expect(is_weighted(counts, sets_of_weights[i], count), "set %zu, %u choices", i,
				choices);
		}
		free(draw);
	}
}

Test(policy_random, one_choice_by_weight_does_not_look_at_the_load)
{
	static const uint32_t weights[] = {3, 2, 1};
	struct draw *draw = weigh(weights, 3);
	unsigned counts[3] = {0};
	members[0].in_flight = 1000;
	for (int n = 0; n < 60000; n++)
		counts[pick_weighted(draw, 3, 1)]++;
	cr_expect(is_weighted(counts, weights, 3), "%u %u %u", counts[0], counts[1], counts[2]);
	free(draw);
}

/* Attempts per weight: 6 of weight 3 are as 2 of weight 1. */
Test(policy_random, of_two_choices_the_less_busy_for_its_weight_wins)
{
	static const uint32_t weights[] = {3, 1};
	struct draw *draw = weigh(weights, 2);
	unsigned counts[2] = {0};
	enum { DRAWS = 20000 };
	members[0].in_flight = 6;
	members[1].in_flight = 2;
	for (int n = 0; n < DRAWS; n++)
		counts[pick_weighted(draw, 2, 2)]++;
	cr_expect(is_weighted(counts, weights, 2), "neither is: %u %u", counts[0], counts[1]);

	/* The draw finds no other one four times in a row at 3/4 to the fourth. */
	members[0].in_flight = 7;
	memset(counts, 0, sizeof(counts));
	for (int n = 0; n < DRAWS; n++)
		counts[pick_weighted(draw, 2, 2)]++;
	cr_expect(counts[1] > DRAWS / 2, "the small one is less busy: %u %u", counts[0], counts[1]);
	members[0].in_flight = 5;
	for (int n = 0; n < DRAWS; n++)
		cr_assert_eq(pick_weighted(draw, 2, 8), 0, "with 8 choices the big one is always seen");
	free(draw);
}

/* Each begins an attempt, and the oldest of 60 ends: what is in flight comes to stand as the weights do. */
Test(policy_random, load_spreads_by_weight)
{
	static const uint32_t weights[] = {1, 2, 3};
	struct draw *draw = weigh(weights, 3);
	unsigned counts[3] = {0};
	size_t window[60];
	enum { DRAWS = 60000 };
	for (size_t n = 0; n < DRAWS; n++) {
		size_t index = pick_weighted(draw, 3, 2);
		if (n >= ARRAY_SIZE(window))
			members[window[n % ARRAY_SIZE(window)]].in_flight--;
		window[n % ARRAY_SIZE(window)] = index;
		members[index].in_flight++;
		counts[index]++;
	}
	for (size_t i = 0; i < 3; i++) {
		unsigned wanted = DRAWS / 6 * weights[i];
		cr_expect(counts[i] > wanted * 95 / 100 && counts[i] < wanted * 105 / 100, "%u of %u",
			counts[i], wanted);
	}
	free(draw);
}
