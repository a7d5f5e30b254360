/* draw_test - the table that members are drawn from gives each exactly the chance of its weight. */
#include "balance/draw.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 3000

static uint32_t weights[MEMBERS_MAX];
static uint64_t shares[MEMBERS_MAX];
static struct random generator;

static void start(void)
{
	cr_assert(random_seed(&generator));
}

TestSuite(draw, .init = start);

/* All columns are as likely: what each gives to whom must add up to the weights, in whole numbers. */
static void expect_exact_shares(const struct draw *draw, size_t count)
{
	uint64_t total = 0;
	for (size_t i = 0; i < count; i++)
		total += weights[i];
	cr_assert_eq(draw->total, total);
	cr_assert_eq(draw->count, count);
	memset(shares, 0, sizeof(shares));
	for (size_t i = 0; i < count; i++) {
		const struct draw_column *column = &draw->columns[i];
		cr_assert_leq(column->own, total);
		cr_assert_lt(column->other, count);
		shares[i] += column->own;
		shares[column->other] += total - column->own;
	}
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(shares[i], (uint64_t)weights[i] * count, "member %zu of %zu", i, count);
}

static void check(size_t count)
{
	struct draw *draw = draw_new(count);
	cr_assert_not_null(draw);
	draw_fill(draw, weights, count);
	expect_exact_shares(draw, count);
	for (int i = 0; draw->total > 0 && i < 100; i++)
		cr_assert_gt(weights[draw_index(draw, &generator)], 0);
	free(draw);
}

Test(draw, shares_are_exact_whatever_the_weights)
{
	for (int round = 0; round < 3000; round++) {
		size_t count = 1 + random_below(&generator, round % 50 == 0 ? MEMBERS_MAX : 20);
		uint32_t weight_max = 1 + random_below(&generator, round % 3 == 0 ? 65535 : 4);
		for (size_t i = 0; i < count; i++)
			weights[i] = random_below(&generator, weight_max + 1);
		check(count);
	}
}

Test(draw, holds_the_largest_weights)
{
	for (size_t i = 0; i < MEMBERS_MAX; i++)
		weights[i] = i % 2 == 0 ? 65535 : 65534;
	check(MEMBERS_MAX);
	weights[0] = 0;
	check(MEMBERS_MAX);
}

Test(draw, one_alone_is_always_drawn)
{
	weights[0] = 0;
	weights[1] = 1;
	weights[2] = 0;
	struct draw *draw = draw_new(3);
	draw_fill(draw, weights, 3);
	for (int i = 0; i < 10000; i++)
		cr_assert_eq(draw_index(draw, &generator), 1);
	free(draw);
}

Test(draw, nobody_is_there_or_takes_anything)
{
	struct draw *draw = draw_new(2);
	draw_fill(draw, weights, 0);
	cr_expect_eq(draw->total, 0);
	weights[0] = weights[1] = 0;
	draw_fill(draw, weights, 2);
	cr_expect_eq(draw->total, 0);
	free(draw);
}
