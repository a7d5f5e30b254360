/* evenness_test - who gets the next connection: even where there are few, seldom looked at where they come
 * fast, and no number is lost when all workers choose at once. */
#include "evenness.h"

#include <criterion/criterion.h>
#include <pthread.h>

#define WORKERS 4

static struct evenness evenness;

static void start(void)
{
	cr_assert(evenness_init(&evenness, WORKERS));
	for (size_t i = 0; i < WORKERS; i++)
		evenness_open(&evenness, i);
}

static void finish(void)
{
	evenness_finish(&evenness);
}

TestSuite(evenness, .init = start, .fini = finish);

static uint32_t count_of(size_t worker)
{
	return atomic_load(&evenness.places[worker].word) & ~EVENNESS_SHUT;
}

static void set_count(size_t worker, uint32_t count)
{
	while (count_of(worker) < count)
		evenness_enter(&evenness, worker);
}

Test(evenness, the_fewest_get_the_next_one)
{
	for (uint32_t i = 0; i < 8; i++)
		cr_expect_eq(evenness_choose(&evenness, 2), (2 + i) % WORKERS, "connection %u", i);
	evenness_leave(&evenness, 1);
	cr_expect_eq(evenness_choose(&evenness, 3), 1);
	cr_expect_eq(count_of(1), 2);
}

Test(evenness, who_is_among_the_fewest_keeps_it)
{
	set_count(0, 3);
	set_count(1, 2);
	set_count(2, 2);
	set_count(3, 2);
	cr_expect_eq(evenness_choose(&evenness, 3), 3);
	cr_expect_eq(count_of(3), 3);
}

Test(evenness, of_many_a_few_more_are_even)
{
	for (size_t i = 0; i < WORKERS; i++)
		set_count(i, 160);
	set_count(1, 170);
	cr_expect_eq(evenness_choose(&evenness, 1), 1);
	cr_expect_eq(evenness_choose(&evenness, 1), 2);
}

Test(evenness, who_is_shut_gets_its_own_only)
{
	evenness_shut(&evenness, 1);
	evenness_shut(&evenness, 2);
	set_count(0, 5);
	set_count(3, 5);
	cr_expect_eq(evenness_choose(&evenness, 0), 0);
	cr_expect_eq(evenness_choose(&evenness, 0), 3);
	cr_expect_eq(evenness_choose(&evenness, 1), 1);
	cr_expect_eq(count_of(1), 1);
	evenness_open(&evenness, 2);
	cr_expect_eq(evenness_choose(&evenness, 0), 2);
	cr_expect_eq(count_of(2), 1);
}

#define EACH 20000

static void *choose_many(void *arg)
{
	size_t worker = (size_t)(uintptr_t)arg;
	for (int i = 0; i < EACH; i++)
		(void)!evenness_choose(&evenness, worker);
	return NULL;
}

Test(evenness, nothing_is_lost_among_threads)
{
	pthread_t threads[WORKERS];
	uint32_t sum = 0;
	for (size_t i = 0; i < WORKERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, choose_many, (void *)(uintptr_t)i), 0);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < WORKERS; i++)
		sum += count_of(i);
	cr_expect_eq(sum, WORKERS * EACH);
}

Test(evenness, looks_are_few_in_a_second)
{
	struct evenness_looks looks = {.spent_ms = 0};
	uint64_t now_ms = 1000000;
	uint32_t count = 0;
	while (evenness_may_look(&looks, now_ms))
		count++;
	cr_expect_eq(count, EVENNESS_LOOKS_PER_SECOND, "at first: %u", count);
	for (int i = 0; i < 1000; i++)
		count += evenness_may_look(&looks, ++now_ms);
	cr_expect_eq(count, 2 * EVENNESS_LOOKS_PER_SECOND, "a second later: %u", count);
	now_ms += 100000;
	while (evenness_may_look(&looks, now_ms))
		count++;
	cr_expect_eq(count, 3 * EVENNESS_LOOKS_PER_SECOND, "after a rest: %u", count);
}
