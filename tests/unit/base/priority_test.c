/* priority_test - who has stepped back gives way, but not more than half of its time. */
#include "base/priority.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <time.h>

#define LONG_NS	   UINT64_C(300000000)
#define PATIENT_NS UINT64_C(20000000000)

static int yield_count;
static uint64_t yield_takes_ns, yield_began_ns, yield_ended_ns;

static void sleep_ns(uint64_t ns)
{
	struct timespec time = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
	nanosleep(&time, NULL);
}

/* In place of the C library's: it takes as long as the others would have the processor. */
int sched_yield(void)
{
	yield_count++;
	yield_began_ns = clock_ns();
	sleep_ns(yield_takes_ns);
	yield_ended_ns = clock_ns();
	return 0;
}

Test(priority, gives_way_only_after_stepping_back)
{
	priority_give_way();
	cr_assert_eq(yield_count, 0);
	priority_step_back(0);
	priority_give_way();
	cr_assert_eq(yield_count, 0);
	priority_step_back(1);
	priority_give_way();
	cr_assert_eq(yield_count, 1);
}

Test(priority, gives_half_of_the_time_away_at_most)
{
	priority_step_back(1);
	yield_takes_ns = LONG_NS;
	priority_give_way();
	cr_assert_eq(yield_count, 1);
	uint64_t ended_ns = yield_ended_ns;
	while (yield_count == 1 && clock_ns() - ended_ns < PATIENT_NS)
		priority_give_way();
	cr_assert_eq(yield_count, 2);
	cr_assert_geq(yield_began_ns - ended_ns, LONG_NS);
}
