/* backoff_test - delays: they grow, stay under their cap, and differ. */
#include "srsd/common/backoff.h"

#include <criterion/criterion.h>

Test(backoff, doubles_up_to_its_cap)
{
	static const uint32_t uppers[] = {100, 200, 400, 800, 1000, 1000, 1000};

	for (int round = 0; round < 200; round++) {
		struct srsd_backoff backoff = {.base_ms = 100, .cap_ms = 1000};

		for (size_t i = 0; i < sizeof(uppers) / sizeof(uppers[0]); i++) {
			uint32_t delay_ms = srsd_backoff_next_ms(&backoff);

			cr_assert_geq(delay_ms, uppers[i] / 2);
			cr_assert_leq(delay_ms, uppers[i]);
		}
		srsd_backoff_reset(&backoff);
		cr_assert_leq(srsd_backoff_next_ms(&backoff), 100);
	}
}

Test(backoff, differs_from_time_to_time)
{
	struct srsd_backoff backoff = {.base_ms = 1000000, .cap_ms = 1000000};
	uint32_t first_ms = srsd_backoff_next_ms(&backoff);
	int equal = 0;

	for (int i = 0; i < 20; i++)
		equal += srsd_backoff_next_ms(&backoff) == first_ms;
	cr_assert_lt(equal, 20);
}

Test(backoff, stays_within_its_ends)
{
	struct srsd_backoff endless = {.base_ms = UINT32_MAX, .cap_ms = UINT32_MAX, .tries = UINT32_MAX};
	uint32_t lowest = UINT32_MAX;
	uint32_t highest = 0;

	for (int i = 0; i < 10000; i++) {
		uint32_t drawn = srsd_random_between(3, 7);

		lowest = drawn < lowest ? drawn : lowest;
		highest = drawn > highest ? drawn : highest;
	}
	cr_assert_eq(lowest, 3);
	cr_assert_eq(highest, 7);
	cr_assert_eq(srsd_random_between(5, 5), 5);
	srsd_random_between(0, UINT32_MAX);
	cr_assert_geq(srsd_backoff_next_ms(&endless), UINT32_MAX / 2);
	cr_assert_eq(endless.tries, UINT32_MAX);
}
