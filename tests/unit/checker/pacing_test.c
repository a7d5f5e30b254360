/* How many probes may begin, and when. */
#include "checker/pacing.h"

#include "fixed_random.h"
#include <criterion/criterion.h>

static uint32_t begin_all(struct pacing *pacing, enum pacing_kind kind, uint64_t now_ms)
{
	uint32_t count = 0;
	while (pacing_may_begin(pacing, kind, now_ms)) {
		pacing_begin(pacing, kind);
		count++;
	}
	return count;
}

static void end_all(struct pacing *pacing, enum pacing_kind kind)
{
	while (pacing->in_flight[kind] > 0)
		pacing_end(pacing, kind);
}

Test(pacing, bounds_what_is_under_way)
{
	struct pacing pacing;
	pacing_init(&pacing, 1000);
	cr_expect_eq(begin_all(&pacing, PACING_REGULAR, 1000), PACING_IN_FLIGHT_REGULAR_MAX);
	cr_expect_eq(pacing_wait_ms(&pacing, PACING_REGULAR), 0, "only an end helps");
	cr_expect_eq(
		begin_all(&pacing, PACING_URGENT, 1000), PACING_IN_FLIGHT_MAX - PACING_IN_FLIGHT_REGULAR_MAX);
	pacing_end(&pacing, PACING_REGULAR);
	cr_expect_eq(begin_all(&pacing, PACING_URGENT, 1000), 1);
	cr_expect_not(pacing_may_begin(&pacing, PACING_REGULAR, 1000));
}

/* However fast they end: begun in `seconds` from the start on. */
static uint64_t begun_in(enum pacing_kind kind, uint64_t seconds)
{
	struct pacing pacing;
	uint64_t begun = 0;
	pacing_init(&pacing, 5);
	for (uint64_t now_ms = 5; now_ms < 5 + seconds * 1000; now_ms++) {
		uint32_t count;
		while ((count = begin_all(&pacing, kind, now_ms)) > 0) {
			begun += count;
			end_all(&pacing, kind);
		}
	}
	return begun;
}

Test(pacing, bounds_the_rate)
{
	cr_expect_leq(begun_in(PACING_REGULAR, 10), PACING_REGULAR_BURST + 10 * PACING_REGULAR_PER_SECOND);
	cr_expect_geq(begun_in(PACING_REGULAR, 10), 10 * PACING_REGULAR_PER_SECOND);
	cr_expect_leq(begun_in(PACING_URGENT, 10), PACING_URGENT_BURST + 10 * PACING_URGENT_PER_SECOND);
	cr_expect_geq(begun_in(PACING_URGENT, 10), 10 * PACING_URGENT_PER_SECOND);
}

Test(pacing, a_rest_saves_up_no_more_than_a_burst)
{
	struct pacing pacing;
	uint64_t begun = 0;
	pacing_init(&pacing, 0);
	for (uint32_t count; (count = begin_all(&pacing, PACING_REGULAR, 3600000)) > 0; begun += count)
		end_all(&pacing, PACING_REGULAR);
	cr_expect_eq(begun, PACING_REGULAR_BURST);
	cr_expect_eq(pacing_wait_ms(&pacing, PACING_REGULAR), 1000 / PACING_REGULAR_PER_SECOND);
	cr_expect(pacing_may_begin(&pacing, PACING_REGULAR, 3600000 + 1000 / PACING_REGULAR_PER_SECOND));
}

Test(pacing, a_clock_that_stands_still_gives_nothing)
{
	struct pacing pacing;
	pacing_init(&pacing, 100);
	while (begin_all(&pacing, PACING_REGULAR, 100) > 0)
		end_all(&pacing, PACING_REGULAR);
	cr_expect_not(pacing_may_begin(&pacing, PACING_REGULAR, 50), "not even one that is behind");
	cr_expect_not(pacing_may_begin(&pacing, PACING_REGULAR, 100));
}

Test(pacing, jitter_stays_near)
{
	struct random random = FIXED_RANDOM;
	uint64_t least = UINT64_MAX, most = 0;
	for (int i = 0; i < 10000; i++) {
		uint64_t wait_ms = pacing_jitter_ms(1000, &random);
		least = wait_ms < least ? wait_ms : least;
		most = wait_ms > most ? wait_ms : most;
	}
	cr_expect(least >= 900 && least < 920);
	cr_expect(most <= 1100 && most > 1080);
	cr_expect_eq(pacing_jitter_ms(0, &random), 0);
	cr_expect_eq(pacing_jitter_ms(9, &random), 9);
}
