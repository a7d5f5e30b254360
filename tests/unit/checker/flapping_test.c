/* Names that come and go too often. */
#include "checker/flapping.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct flapping flapping;

static void teardown(void)
{
	flapping_finish(&flapping);
}

TestSuite(flapping, .fini = teardown);

static uint64_t wait_ms(const char *name, uint64_t now_ms)
{
	uint32_t goings;
	return flapping_wait_ms(&flapping, name, now_ms, &goings);
}

Test(flapping, restarts_are_no_flapping)
{
	cr_expect_eq(wait_ms("a:1", 1000), 0);
	for (uint64_t i = 0; i < FLAPPING_GOINGS; i++)
		flapping_went(&flapping, "a:1", 1000 + i);
	cr_expect_eq(wait_ms("a:1", 2000), 0);
}

Test(flapping, the_wait_grows_and_is_bounded)
{
	uint64_t now_ms = 1000, before_ms = 0;
	uint32_t goings = 0;
	for (int i = 0; i < FLAPPING_GOINGS; i++)
		flapping_went(&flapping, "a:1", now_ms += 10);
	for (int i = 0; i < 5; i++) {
		flapping_went(&flapping, "a:1", now_ms += 10);
		uint64_t wait = flapping_wait_ms(&flapping, "a:1", now_ms, &goings);
		cr_expect_eq(goings, (uint32_t)(FLAPPING_GOINGS + 1 + i));
		cr_expect_eq(wait, i == 0 ? FLAPPING_WAIT_MS : 2 * before_ms);
		before_ms = wait;
	}
	for (int i = 0; i < 100; i++)
		flapping_went(&flapping, "a:1", now_ms += 10);
	cr_expect_eq(wait_ms("a:1", now_ms), FLAPPING_WAIT_MAX_MS);
	cr_expect_eq(wait_ms("b:1", now_ms), 0, "another one");
}

Test(flapping, is_forgiven_with_time)
{
	for (int i = 0; i <= FLAPPING_GOINGS; i++)
		flapping_went(&flapping, "a:1", 1000 + (uint64_t)i * 1000);
	cr_expect_eq(wait_ms("a:1", 999 + FLAPPING_WINDOW_MS), FLAPPING_WAIT_MS);
	cr_expect_eq(wait_ms("a:1", 1000 + FLAPPING_WINDOW_MS), 0, "the first is too long ago");
}

/* Far more names than there is room for: each goes often, and the last ones are remembered. */
Test(flapping, the_table_is_bounded)
{
	char name[32];
	for (int i = 0; i < 10 * FLAPPING_ROWS * FLAPPING_WAYS; i++) {
		snprintf(name, sizeof(name), "10.0.0.1:%d", i);
		for (int k = 0; k <= FLAPPING_GOINGS; k++)
			flapping_went(&flapping, name, 1000 + (uint64_t)i);
	}
	cr_expect_eq(wait_ms(name, 1000000), 0);
	cr_expect_eq(wait_ms(name, 1000 + 10 * FLAPPING_ROWS * FLAPPING_WAYS), FLAPPING_WAIT_MS);
}

/* A service at rest costs nothing. */
Test(flapping, the_table_is_there_only_while_it_matters)
{
	cr_expect_eq(wait_ms("a:1", 1000), 0);
	cr_expect_null(flapping.rows);
	for (int i = 0; i <= FLAPPING_GOINGS; i++)
		flapping_went(&flapping, "a:1", 1000 + (uint64_t)i);
	flapping_age(&flapping, 999 + FLAPPING_GOINGS + FLAPPING_WINDOW_MS);
	cr_expect_not_null(flapping.rows);
	flapping_age(&flapping, 1000 + FLAPPING_GOINGS + FLAPPING_WINDOW_MS);
	cr_expect_null(flapping.rows);
	cr_expect_eq(wait_ms("a:1", 1001 + FLAPPING_GOINGS), 0);
}
