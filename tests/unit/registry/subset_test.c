/* subset_test - each proxy's share of the backends: how evenly they are shared, and what a change moves. */
#include "registry/subset.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROXIES	 1000
#define BACKENDS 10000

static char names[BACKENDS + 1][24];
static struct subset_entry entries[BACKENDS + 1];

static void name_backends(void)
{
	for (size_t i = 0; i <= BACKENDS; i++)
		snprintf(names[i], sizeof(names[i]), "10.1.%zu.%zu:8080", i / 250, i % 250);
}

TestSuite(subset, .init = name_backends, .timeout = 120);

static struct subset subset_of(size_t proxy, size_t size)
{
	struct subset subset;
	char identity[32];
	snprintf(identity, sizeof(identity), "proxy-%zu 0.0.0.0:80", proxy);
	subset_init(&subset, size, identity, "");
	return subset;
}

/* Marks who is used of the backends from `first` on. Returns how many. */
static size_t use(
	struct subset *subset, size_t first, size_t count, const bool *is_out, bool *is_used, uint64_t now_ms)
{
	for (size_t i = 0; i < count; i++)
		entries[i] = (struct subset_entry){.rank = subset_rank(subset, names[first + i]),
			.index = first + i,
			.is_useful = is_out == NULL || !is_out[first + i]};
	size_t used = subset_choose(subset, entries, count, now_ms);
	memset(is_used, 0, BACKENDS + 1);
	for (size_t i = 0; i < used; i++)
		is_used[entries[i].index] = true;
	return used;
}

static bool used[BACKENDS + 1], used_before[BACKENDS + 1], out[BACKENDS + 1];

static size_t count_new(void)
{
	size_t count = 0;
	for (size_t i = 0; i <= BACKENDS; i++)
		count += used[i] && !used_before[i];
	return count;
}

static int compare_counts(const void *left, const void *right)
{
	return *(const int *)left - *(const int *)right;
}

/* With SRSD_SUBSET_TABLE in the environment it prints the rows of docs/operations.md. */
static void expect_spread(size_t size, double most_of_mean)
{
	static int loads[BACKENDS];
	memset(loads, 0, sizeof(loads));
	for (size_t proxy = 0; proxy < PROXIES; proxy++) {
		struct subset subset = subset_of(proxy, size);
		cr_assert_eq(use(&subset, 0, BACKENDS, NULL, used, 0), size);
		for (size_t i = 0; i < BACKENDS; i++)
			loads[i] += used[i];
	}
	qsort(loads, BACKENDS, sizeof(loads[0]), compare_counts);
	double mean = (double)PROXIES * (double)size / BACKENDS;
	double variance = 0;
	for (size_t i = 0; i < BACKENDS; i++)
		variance += (loads[i] - mean) * (loads[i] - mean) / BACKENDS;
	if (getenv("SRSD_SUBSET_TABLE") != NULL)
		printf("| %zu | %.0f | %.0f %% | %d | %d | %d | %d | %.2f |\n", size, mean,
			100 * sqrt(variance) / mean, loads[0], loads[BACKENDS / 100],
			loads[BACKENDS - BACKENDS / 100], loads[BACKENDS - 1], loads[BACKENDS - 1] / mean);
	/* As chance has it: the standard deviation of independent draws, give or take a tenth. */
	double wanted = sqrt(mean * (1 - (double)size / BACKENDS));
	cr_expect(fabs(sqrt(variance) - wanted) < wanted / 10, "%g, not %g", sqrt(variance), wanted);
	cr_expect(loads[BACKENDS - 1] <= mean * most_of_mean, "%d of %g", loads[BACKENDS - 1], mean);
}

Test(subset, connections_are_spread_as_chance_has_it)
{
	expect_spread(100, 3.0);
	expect_spread(1000, 1.6);
}

Test(subset, a_backend_that_goes_or_comes_moves_one_where_it_is_used_and_nothing_elsewhere)
{
	size_t users_that_lost = 0, users_that_won = 0;
	for (size_t proxy = 0; proxy < 100; proxy++) {
		struct subset subset = subset_of(proxy, 100);
		(void)use(&subset, 0, BACKENDS, NULL, used_before, 0);
		bool had_first = used_before[0];
		cr_assert_eq(use(&subset, 1, BACKENDS - 1, NULL, used, 0), 100);
		cr_assert_eq(count_new(), had_first ? 1 : 0);
		users_that_lost += had_first;
		cr_assert_eq(use(&subset, 0, BACKENDS + 1, NULL, used, 0), 100);
		cr_assert_eq(count_new(), used[BACKENDS] ? 1 : 0);
		users_that_won += used[BACKENDS];
	}
	cr_expect_leq(users_that_lost, 10);
	cr_expect_leq(users_that_won, 10);
}

Test(subset, who_is_out_is_replaced_at_once_and_gets_its_place_back_after_a_while)
{
	struct subset subset = subset_of(1, 20);
	memset(out, 0, sizeof(out));
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used_before, 1000), 20);
	size_t out_count = 0;
	for (size_t i = 0; i < BACKENDS; i++)
		out_count += out[i] = used_before[i] && out_count < 15;
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, 2000), 35, "20 that work, and those that do not");
	cr_expect_eq(count_new(), 15);
	memcpy(used_before, used, sizeof(used));
	memset(out, 0, sizeof(out));
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, 3000), 35, "held");
	cr_expect_eq(count_new(), 0);
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, 3000 + SUBSET_HOLD_MS), 20);
	cr_expect_eq(count_new(), 0, "those of before");
}

Test(subset, who_was_out_for_long_gets_its_place_back_as_late)
{
	const uint64_t over_ms = 2000 + 3 * SUBSET_HOLD_MS;
	struct subset subset = subset_of(1, 20);
	memset(out, 0, sizeof(out));
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, 1000), 20);
	size_t first = 0;
	while (!used[first])
		first++;
	out[first] = true;
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, 2000), 21);
	out[first] = false;
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, over_ms), 21, "held from here on");
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, over_ms + SUBSET_HOLD_MS - 1), 21);
	cr_assert_eq(use(&subset, 0, BACKENDS, out, used, over_ms + SUBSET_HOLD_MS), 20);
}

Test(subset, where_too_few_work_all_are_used)
{
	struct subset subset = subset_of(1, 20);
	memset(out, true, sizeof(out));
	cr_expect_eq(use(&subset, 0, 300, out, used, 1000), 300);
	cr_expect_eq(use(&subset, 0, 5, NULL, used, 1000), 5);
	cr_expect_eq(use(&subset, 0, 0, NULL, used, 1000), 0);
}

Test(subset, a_proxy_has_its_share_again_when_it_starts_again_and_others_have_others)
{
	struct subset one = subset_of(7, 100), again = subset_of(7, 100), other = subset_of(8, 100);
	(void)use(&one, 0, BACKENDS, NULL, used_before, 0);
	(void)use(&again, 0, BACKENDS, NULL, used, 0);
	cr_expect_eq(count_new(), 0);
	(void)use(&other, 0, BACKENDS, NULL, used, 0);
	cr_expect_geq(count_new(), 90);
}
