/* pace_test - what is learned of latencies reaches those who act on it. */
#include "pace.h"

#include "base/clock.h"
#include "config/settings.h"
#include "upstream/pool.h"

#include <criterion/criterion.h>

#define MEMBERS 2

static struct wheel wheel;
static struct verdicts verdicts;
static struct service service;
static struct member members[MEMBERS];
static struct member *list[MEMBERS] = {&members[0], &members[1]};
static struct pool pools[MEMBERS];
static uint64_t now_ms;

static void start(void)
{
	const struct service_settings settings = {
		.health = {.silence_ms = 50}, .timeouts = {.response_head_ms = 30000, .connect_ms = 1000}};
	now_ms = clock_coarse_ms();
	wheel_init(&wheel, now_ms);
	service.roster.members = list;
	service.roster.count = MEMBERS;
	service.roster.verdicts = &verdicts;
	service.roster.view.penalty_half_ms = PENALTY_HALF_MS;
	pace_start(&service, &settings, 90, &wheel);
	for (size_t i = 0; i < MEMBERS; i++) {
		members[i].pool = &pools[i];
		pace_set(&service, &members[i]);
	}
}

static void finish(void)
{
	pace_stop(&service);
}

TestSuite(pace, .init = start, .fini = finish);

static void learn(size_t member, unsigned count, uint64_t us)
{
	while (count-- > 0)
		latency_learn(&service.latencies, &members[member].latency, us);
	now_ms += 2 * LATENCY_TICK_MS;
	wheel_advance(&wheel, now_ms);
}

Test(pace, nothing_is_known_at_first)
{
	cr_expect_eq(members[0].late_ms, LATENCY_UNKNOWN_LATE_MS);
	cr_expect_eq(pools[0].home.late_ms, LATENCY_UNKNOWN_LATE_MS);
	cr_expect_eq(pools[0].home.latencies, &service.latencies);
	cr_expect_eq(verdicts.late_us, 0);
}

Test(pace, what_one_answers_is_known_of_all)
{
	learn(0, 100, 20000);
	for (size_t i = 0; i < MEMBERS; i++)
		cr_expect(members[i].late_ms >= 80 && members[i].late_ms <= 100, "%lu ms",
			(unsigned long)members[i].late_ms);
	cr_expect_eq(verdicts.late_us, service.latencies.late_us);
	cr_expect_eq(service.roster.view.penalty_half_ms, PENALTY_HALF_MS);
	learn(1, 10000, 2000000);
	cr_expect_geq(
		service.roster.view.penalty_half_ms, 1500, "failures count for as long as answers take");
}

/* A connection tells of whatever comes first; the time for one attempt, and for a hedge, is told of too. */
Test(pace, a_connection_tells_of_what_comes_first)
{
	learn(0, 100, 5000);
	cr_expect_eq(members[0].late_ms, 50);
	cr_expect(pools[0].home.late_ms >= 5 && pools[0].home.late_ms <= 7, "when it is hedged: %lu",
		(unsigned long)pools[0].home.late_ms);
	service.latencies.hedge_us = 0;
	service.attempt_ms = 30;
	pace_set(&service, &members[0]);
	cr_expect_eq(pools[0].home.late_ms, 30);
	service.attempt_ms = 3000;
	pace_set(&service, &members[0]);
	cr_expect_eq(pools[0].home.late_ms, 50);
	cr_expect_eq(members[0].late_ms, 50);
}

Test(pace, after_a_false_alarm_there_is_more_time_at_once)
{
	learn(0, 100, 5000);
	pace_ease(&service, &members[0]);
	cr_expect_eq(members[0].late_ms, 100);
	cr_expect_eq(members[1].late_ms, 50);
	learn(0, 100, 5000);
	cr_expect_eq(members[0].late_ms, 100, "for a while");
}
