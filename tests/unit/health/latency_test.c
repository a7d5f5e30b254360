/* latency_test - what is learned of latencies: buckets, quantiles, what is late, and what is not learned. */
#include "health/latency.h"

#include "base/clock.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct wheel wheel;
static struct latencies service;
static struct latency member;
static unsigned ticks;
static uint64_t now_ms;

static const struct latency_rules rules = {
	.silence_ms = 50, .response_head_ms = 30000, .connect_ms = 1000, .hedge_percent = 90};

static void on_tick(void *arg)
{
	cr_assert_eq(arg, &service);
	ticks++;
	(void)latency_turn(&service, &member, now_ms);
}

static void start_with(const struct latency_rules *with)
{
	now_ms = clock_coarse_ms();
	wheel_init(&wheel, now_ms);
	latencies_init(&service, with, &wheel, on_tick, &service);
	member = (struct latency){0};
	ticks = 0;
}

static void start(void)
{
	start_with(&rules);
}

static void finish(void)
{
	latencies_finish(&service);
}

TestSuite(latency, .init = start, .fini = finish);

/* The clock stands still meanwhile: what is armed by it is long due for the wheel. */
static void tick(void)
{
	if (service.tick.deadline_tick != 0 && now_ms < wheel_deadline_ms(&wheel, &service.tick))
		now_ms = wheel_deadline_ms(&wheel, &service.tick);
	now_ms += WHEEL_TICK_MS;
	wheel_advance(&wheel, now_ms);
}

static void learn(unsigned count, uint64_t us)
{
	while (count-- > 0)
		latency_learn(&service, &member, us);
}

static uint64_t late_ms(void)
{
	return latency_late_ms(&service, &member);
}

/* ---- Buckets --------------------------------------------------------------------------------- */

Test(latency, every_duration_has_its_bucket)
{
	for (uint32_t i = 0; i + 1 < LATENCY_BUCKETS; i++) {
		uint64_t end_us = latency_bucket_end_us(i);
		cr_assert_eq(latency_bucket(end_us - 1), i, "%lu", (unsigned long)end_us - 1);
		cr_assert_eq(latency_bucket(end_us), i + 1, "%lu", (unsigned long)end_us);
		cr_assert_lt(end_us, latency_bucket_end_us(i + 1));
	}
	cr_expect_eq(latency_bucket(0), 0);
	cr_expect_eq(latency_bucket_end_us(0), 64);
	cr_expect_eq(latency_bucket_end_us(LATENCY_BUCKETS - 2), UINT64_C(1) << LATENCY_LAST_BIT);
	cr_expect_eq(latency_bucket(UINT64_MAX), LATENCY_BUCKETS - 1);
}

Test(latency, what_is_counted_adds_up)
{
	static struct latency_histogram histogram;
	latency_count(&histogram, 5000);
	latency_count(&histogram, 5100);
	latency_count(&histogram, 90000000);
	cr_expect_eq(histogram.counts[latency_bucket(5000)], 2);
	cr_expect_eq(histogram.counts[LATENCY_BUCKETS - 1], 1);
	cr_expect_eq(histogram.sum_us, 90010100);
}

/* ---- Quantiles ------------------------------------------------------------------------------- */

Test(latency, quantiles_are_those_of_what_was_seen)
{
	for (uint64_t us = 10; us < 1 << 17; us += 10) /* evenly, up to a bucket's end */
		latency_learn(&service, &member, us);
	tick();
	for (uint32_t percent = 10; percent <= 99; percent++) {
		double said = (double)latencies_quantile_us(&service, percent) / (1310.72 * percent);
		cr_expect(said > 0.98 && said < 1.02, "%u %%: %f of what it is", percent, said);
	}
	cr_expect_eq(service.p99_us, latencies_quantile_us(&service, 99));
	cr_expect_eq(service.hedge_us, latencies_quantile_us(&service, 90));
}

Test(latency, quantiles_at_the_ends)
{
	learn(100, 5);
	tick();
	cr_expect_leq(latencies_quantile_us(&service, 99), 64);
	start();
	learn(100, UINT64_C(200) * 1000000);
	tick();
	cr_expect_eq(latencies_quantile_us(&service, 1), UINT64_C(1) << LATENCY_LAST_BIT);
	cr_expect_eq(latencies_quantile_us(&service, 100), UINT64_C(1) << LATENCY_LAST_BIT);
}

Test(latency, a_few_answers_are_no_quantile)
{
	learn(LATENCY_KNOWN_COUNT - 1, 5000);
	tick();
	cr_expect_eq(service.p99_us, 0);
	cr_expect_eq(service.hedge_us, 0);
	learn(1, 5000);
	tick();
	cr_expect_neq(service.p99_us, 0);
}

Test(latency, what_is_long_past_is_forgotten_where_there_is_traffic)
{
	learn(5000, 100000);
	tick();
	cr_expect_gt(service.p99_us, 90000);
	for (int second = 0; second < 60; second++) {
		learn(500, 5000);
		tick();
	}
	cr_expect_lt(service.p99_us, 7000, "%lu", (unsigned long)service.p99_us);
}

/* One request each second, and every fiftieth takes 2 s. */
Test(latency, a_service_with_little_traffic_keeps_what_it_knows)
{
	for (int second = 0; second < 1000; second++) {
		learn(1, second % 50 == 0 ? 2000000 : 5000);
		tick();
		if (second >= 100)
			cr_assert_geq(service.p99_us, 1000000, "after %d s", second);
	}
}

/* ---- The tick -------------------------------------------------------------------------------- */

Test(latency, the_tick_rests_without_traffic)
{
	cr_expect_eq(wheel_next_ms(&wheel), UINT64_MAX);
	learn(1, 5000);
	uint64_t first_ms = wheel_deadline_ms(&wheel, &service.tick);
	cr_expect_leq(first_ms, clock_coarse_ms() + LATENCY_FIRST_TICK_MS + WHEEL_TICK_MS);
	tick();
	cr_expect_eq(ticks, 1);
	tick();
	cr_expect_eq(ticks, 2, "one without traffic");
	cr_expect_not(service.is_ticking);
	wheel_advance(&wheel, now_ms + 100000);
	cr_expect_eq(ticks, 2);
	learn(1, 5000);
	cr_expect(service.is_ticking);
}

/* ---- What is late ---------------------------------------------------------------------------- */

Test(latency, nothing_known_is_not_late_soon)
{
	cr_expect_eq(late_ms(), LATENCY_UNKNOWN_LATE_MS);
	learn(LATENCY_KNOWN_COUNT - 1, 5000);
	tick();
	cr_expect_eq(late_ms(), LATENCY_UNKNOWN_LATE_MS);
}

Test(latency, a_fast_service_is_late_when_the_setting_says_so)
{
	for (int second = 0; second < 20; second++) {
		learn(99, 5000);
		learn(1, 9000);
		tick();
		cr_assert_eq(late_ms(), 50, "after %d s: %lu", second, (unsigned long)late_ms());
	}
}

Test(latency, a_slow_service_is_late_later)
{
	for (int second = 0; second < 20; second++) {
		learn(97, 20000);
		learn(3, 1500000); /* now and then */
		tick();
	}
	cr_expect_geq(late_ms(), 5000);
	cr_expect_leq(late_ms(), 8000);
}

/* One of a thousand members: nothing of it shows in the percentile. */
Test(latency, a_slow_member_is_late_later_than_the_others)
{
	struct latency other = {0};
	for (int second = 0; second < 20; second++) {
		learn(1, 300000);
		for (int i = 0; i < 1000; i++)
			latency_learn(&service, &other, 5000);
		tick();
		(void)latency_turn(&service, &other, now_ms);
	}
	cr_expect_eq(latency_late_ms(&service, &other), 50);
	cr_expect_geq(late_ms(), 900);
	cr_expect_leq(late_ms(), 1000);
}

Test(latency, a_peak_passes)
{
	learn(100, 5000);
	tick();
	learn(1, 40000);
	cr_expect_eq(late_ms(), 120, "at once");
	for (int second = 0; second < 10; second++) {
		learn(100, 5000);
		tick();
	}
	cr_expect_eq(late_ms(), 50);
}

/* A policy spares it for its peak, so it answers nothing; the others show what is usual. */
Test(latency, a_peak_passes_without_answers_too)
{
	struct latency spared = {0}, other = {0};
	latency_learn(&service, &spared, 300000);
	for (int second = 0; second < 30; second++) {
		for (int i = 0; i < 100; i++)
			latency_learn(&service, &other, 5000);
		tick();
		(void)latency_turn(&service, &spared, now_ms);
		(void)latency_turn(&service, &other, now_ms);
	}
	cr_expect_leq(spared.peak_us, other.peak_us + 1000, "%u and %u", spared.peak_us, other.peak_us);
	cr_expect_geq(latency_late_ms(&service, &spared), 900, "but if it is asked it may take long again");
}

/* It was stopped for 10 s: that is no reason to wait 30 s the next time. */
Test(latency, one_answer_teaches_little)
{
	learn(1000, 5000);
	tick();
	learn(1, 10000000);
	cr_expect_leq(late_ms(), 600, "%lu", (unsigned long)late_ms());
	latency_learn_at_least(&member, 10000000);
	cr_expect_leq(late_ms(), 600);
	tick();
	learn(1, 10000000);
	cr_expect_gt(late_ms(), 1000, "but the next one teaches more");
}

Test(latency, who_was_slower_than_a_hedge_is_known_to_be_slow)
{
	learn(1000, 5000);
	tick();
	latency_learn_at_least(&member, 100000);
	cr_expect_eq(late_ms(), 300);
	cr_expect_eq(member.smoothed_8 / 8, 5000);
}

Test(latency, a_false_alarm_doubles_it_for_a_while)
{
	learn(1000, 5000);
	tick();
	latency_was_well(&member, now_ms);
	cr_expect_eq(late_ms(), 100);
	latency_was_well(&member, now_ms);
	cr_expect_eq(late_ms(), 200);
	for (int i = 0; i < 100; i++)
		latency_was_well(&member, now_ms);
	cr_expect_eq(late_ms(), 50 << 6);
	cr_expect_eq(latency_turn(&service, &member, now_ms + 59000), 50 << 6);
	cr_expect_eq(latency_turn(&service, &member, now_ms + 60000), 50 << 5);
	cr_expect_eq(latency_turn(&service, &member, now_ms + 60001), 50 << 5);
	cr_expect_eq(latency_turn(&service, &member, now_ms + 120000), 50 << 4);
}

Test(latency, it_is_never_later_than_the_timeout)
{
	for (int i = 0; i < 10; i++) {
		learn(100, 20000000);
		tick();
	}
	cr_expect_eq(late_ms(), rules.response_head_ms);
}

Test(latency, nothing_is_late_where_that_is_switched_off)
{
	struct latency_rules off = rules;
	off.silence_ms = 0;
	finish();
	start_with(&off);
	cr_expect_eq(late_ms(), 0);
	learn(1000, 5000);
	learn(1, 10000000);
	tick();
	cr_expect_eq(late_ms(), 0);
	cr_expect_eq(service.late_us, 0);
	cr_expect_neq(service.hedge_us, 0);
}

/* ---- Connections ----------------------------------------------------------------------------- */

Test(latency, a_connection_is_late_by_what_others_took)
{
	cr_expect_eq(service.connect_late_ms, LATENCY_CONNECT_UNKNOWN_MS, "nothing is known");
	latency_learn_connect(&service, 150);
	cr_expect_eq(service.connect_late_ms, LATENCY_CONNECT_LATE_MS);
	for (int i = 0; i < 100; i++)
		latency_learn_connect(&service, 150000); /* far away */
	cr_expect_geq(service.connect_late_ms, 290);
	cr_expect_leq(service.connect_late_ms, 350);
}

/* A packet was lost: connections are made so seldom that this would be remembered for long. */
Test(latency, one_slow_connection_teaches_little)
{
	for (int i = 0; i < 10; i++)
		latency_learn_connect(&service, 200);
	latency_learn_connect(&service, 1030000);
	cr_expect_leq(service.connect_late_ms, 300, "%lu", (unsigned long)service.connect_late_ms);
	for (int i = 0; i < 1000; i++)
		latency_learn_connect(&service, 1030000);
	cr_expect_eq(service.connect_late_ms, rules.connect_ms);
}
