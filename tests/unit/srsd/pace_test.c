/* pace_test - how often: small things at once and often, large ones in turn, whatever one of them took. */
#include "srsd/common/pace.h"

#include <criterion/criterion.h>

#define SMALL_US 200
#define LARGE_US 60000

/* So many may be done at this moment, one behind the other. */
static unsigned done_at_once(struct srsd_pace *pace, uint64_t took_us, uint64_t now_us)
{
	unsigned done = 0;

	while (srsd_pace_wait_us(pace, now_us) == 0) {
		srsd_pace_spend(pace, took_us, now_us);
		done++;
	}
	return done;
}

/* So many are done in `span_us` when each is wanted as soon as it may be. */
static unsigned done_in(struct srsd_pace *pace, uint64_t took_us, uint64_t *now_us, uint64_t span_us)
{
	uint64_t end_us = *now_us + span_us;
	unsigned done = 0;

	while (*now_us < end_us) {
		*now_us += srsd_pace_wait_us(pace, *now_us);
		srsd_pace_spend(pace, took_us, *now_us);
		done++;
	}
	return done;
}

Test(pace, lets_several_small_ones_pass_and_one_large_one)
{
	struct srsd_pace small = {0};
	struct srsd_pace large = {0};

	cr_assert_eq(done_at_once(&small, SMALL_US, 1000000), 6);
	cr_assert_eq(done_at_once(&small, SMALL_US, 1000000), 0);
	cr_assert_eq(done_at_once(&small, SMALL_US, 2000000), 6, "after a quiet time again");
	cr_assert_eq(done_at_once(&large, LARGE_US, 1000000), 1);
	cr_assert_eq(done_at_once(&large, LARGE_US, 1040000), 0);
	cr_assert_eq(done_at_once(&large, LARGE_US, 2000000), 1);
}

Test(pace, never_waits_longer_than_what_is_due)
{
	struct srsd_pace small = {0};
	struct srsd_pace large = {0};

	done_at_once(&small, SMALL_US, 1000000);
	done_at_once(&large, LARGE_US, 1000000);
	for (int i = 0; i < 1000; i++) {
		uint32_t wait_us = srsd_pace_wait_us(&small, 1000000);

		cr_assert_gt(wait_us, 0);
		cr_assert_leq(wait_us, SRSD_PACE_SHARE * SRSD_PACE_COST_MIN_US);
		wait_us = srsd_pace_wait_us(&large, 1000000);
		cr_assert_geq(wait_us, SRSD_PACE_SHARE * SRSD_PACE_COST_MAX_US / 2);
		cr_assert_leq(wait_us, SRSD_PACE_SHARE * SRSD_PACE_COST_MAX_US);
	}
}

Test(pace, gives_large_ones_ten_to_twenty_turns_a_second_and_small_ones_many)
{
	struct srsd_pace small = {0};
	struct srsd_pace large = {0};
	uint64_t now_us = 5000000;
	unsigned done = done_in(&large, LARGE_US, &now_us, 10000000);

	cr_assert_geq(done, 100);
	cr_assert_leq(done, 201);
	done = done_in(&small, SMALL_US, &now_us, 10000000);
	cr_assert_geq(done, 600);
	cr_assert_leq(done, 1340);
}

Test(pace, is_not_deceived_by_one_that_was_held_up)
{
	struct srsd_pace pace = {0};

	srsd_pace_spend(&pace, SMALL_US, 1000000);
	srsd_pace_spend(&pace, LARGE_US, 2000000);
	cr_assert_leq(pace.cost_us, 2 * SRSD_PACE_COST_MIN_US);
	for (int i = 0; i < 40; i++)
		srsd_pace_spend(&pace, LARGE_US, 3000000);
	cr_assert_geq(pace.cost_us, SRSD_PACE_COST_MAX_US * 9 / 10, "it has grown for good");
	srsd_pace_spend(&pace, SMALL_US, 4000000);
	cr_assert_eq(pace.cost_us, SRSD_PACE_COST_MIN_US, "and is small again");
}
