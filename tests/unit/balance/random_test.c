/* random_test - the policy "random": with one choice every member has the same chance, with two the busy ones
 * are spared. */
#include "balance/policy.h"

#include "chi_square.h"
#include <criterion/criterion.h>

#define MEMBERS_MAX 10

static struct member members[MEMBERS_MAX];
static struct member *list[MEMBERS_MAX];
static struct random generator;

static void start(void)
{
	cr_assert(random_seed(&generator));
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
