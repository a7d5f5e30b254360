/* budget_test - repeats stay a share of the requests of the last seconds, and some are always allowed. */
#include "health/budget.h"

#include <criterion/criterion.h>

static void count(struct budget *budget, uint32_t requests, uint64_t now_ms)
{
	for (uint32_t i = 0; i < requests; i++)
		if (budget_count(budget))
			budget_sort(budget, now_ms);
}

/* How many repeats are allowed at this moment? */
static uint32_t take_all(struct budget *budget, uint64_t now_ms)
{
	uint32_t taken = 0;
	while (taken < 1000000 && budget_take(budget, now_ms))
		taken++;
	return taken;
}

Test(budget, allows_a_share_of_the_requests_and_a_minimum)
{
	struct budget budget;
	budget_init(&budget, 20, 10, 2);
	count(&budget, 1000, 5000);
	cr_expect_eq(take_all(&budget, 5000), 200 + 50, "20 %% of 1000, and half of 10 a second");
	cr_expect_not(budget_take(&budget, 5999), "there is no more in the same second");
}

Test(budget, keeps_a_steady_share_over_time)
{
	struct budget budget;
	uint64_t requests = 0, repeats = 0;
	budget_init(&budget, 20, 10, 1);
	for (uint64_t now_ms = 7000; now_ms < 127000; now_ms += 20, requests += 10) {
		count(&budget, 10, now_ms);
		repeats += take_all(&budget, now_ms);
	}
	cr_expect_gt(repeats, requests * 20 / 100);
	cr_expect_lt(repeats, requests * 20 / 100 + 10 * 120 + 100 + 1000, "%lu of %lu", repeats, requests);
}

Test(budget, forgets_after_ten_seconds)
{
	struct budget budget;
	budget_init(&budget, 20, 1, 1);
	count(&budget, 1000, 1000);
	cr_expect_eq(take_all(&budget, 1500), 200 + 10);
	cr_expect_eq(take_all(&budget, 10900), 0, "all of it is within ten seconds");
	cr_expect_eq(take_all(&budget, 11000), 10, "only the minimum is left, and nothing is used of it");
}

Test(budget, forgets_requests_that_nobody_sorted)
{
	struct budget budget;
	budget_init(&budget, 100, 1, 1);
	count(&budget, BUDGET_BATCH - 1, 1000);
	cr_expect_eq(take_all(&budget, 1000000), 10);
}

Test(budget, sums_up_over_the_seconds)
{
	struct budget budget;
	budget_init(&budget, 50, 0, 1);
	for (uint64_t second = 100; second < 110; second++) {
		budget_sort(&budget, second * 1000);
		count(&budget, 100, second * 1000);
	}
	cr_expect_eq(take_all(&budget, 109999), 500);
}

Test(budget, a_worker_of_many_still_has_a_minimum)
{
	struct budget budget;
	budget_init(&budget, 20, 10, 64);
	cr_expect_eq(take_all(&budget, 1), BUDGET_LEAST);
}

Test(budget, nothing_is_allowed_where_none_is_set)
{
	struct budget budget;
	budget_init(&budget, 0, 0, 1);
	count(&budget, 1000, 1000);
	cr_expect_not(budget_take(&budget, 1000));
}

Test(budget, a_huge_minimum_does_not_overflow)
{
	struct budget budget;
	budget_init(&budget, 0, UINT64_MAX / 100, 1);
	cr_expect(budget_take(&budget, 1000));
	cr_expect_eq(budget.least, UINT32_MAX);
}
