/* wheel_test - timers fire when they are due: never early, a tick late at most, however the clock moves. */
#include "base/random.h"
#include "base/wheel.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Any moment that is on no tick. */
#define START_MS UINT64_C(1000000005)

struct probe {
	struct wheel_timer timer;
	void (*then)(struct probe *probe);
	uint64_t fired_ms;
	int fired_count;
	int place; /* among all that fired */
};

static struct wheel wheel;
static uint64_t now_ms;
static int fired_total;

static void probe_fire(struct wheel_timer *timer)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	probe->fired_ms = now_ms;
	probe->fired_count++;
	probe->place = fired_total++;
	if (probe->then != NULL)
		probe->then(probe);
}

static void probe_init(struct probe *probe)
{
	*probe = (struct probe){0};
	wheel_timer_init(&probe->timer, probe_fire);
}

static void start(void)
{
	now_ms = START_MS;
	fired_total = 0;
	wheel_init(&wheel, now_ms);
}

static void advance_to(uint64_t ms)
{
	now_ms = ms;
	wheel_advance(&wheel, ms);
}

TestSuite(wheel, .init = start);

Test(wheel, fires_once_when_due_never_early_a_tick_late_at_most)
{
	static const uint64_t waits_ms[] = {0, 1, 10, 11, 12, 15, 16, 17, 100, 1000, 1001, 30000, 65519,
		65520, 65535, 65536, 65537, 70000, 131072, 200000};
	struct probe probes[ARRAY_SIZE(waits_ms)];
	for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
		probe_init(&probes[i]);
		wheel_arm(&wheel, &probes[i].timer, START_MS + waits_ms[i]);
	}
	for (uint64_t ms = START_MS; ms < START_MS + 201000; ms++)
		advance_to(ms);
	for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
		uint64_t wait_ms = waits_ms[i], took_ms = probes[i].fired_ms - START_MS;
		cr_expect_eq(probes[i].fired_count, 1, "%zu ms: fired %d times", (size_t)wait_ms,
			probes[i].fired_count);
		cr_expect(took_ms >= wait_ms && took_ms <= wait_ms + WHEEL_TICK_MS, "%zu ms: took %zu ms",
			(size_t)wait_ms, (size_t)took_ms);
	}
	cr_expect_eq(wheel_next_ms(&wheel), UINT64_MAX);
}

Test(wheel, fires_in_the_order_of_deadlines_when_the_clock_jumps)
{
	static const uint64_t waits_ms[] = {500, 20, 300, 64000, 40, 66000, 1000};
	static const int places[] = {3, 0, 2, 5, 1, 6, 4};
	struct probe probes[ARRAY_SIZE(waits_ms)];
	for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
		probe_init(&probes[i]);
		wheel_arm(&wheel, &probes[i].timer, START_MS + waits_ms[i]);
	}
	advance_to(START_MS + 100000);
	for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++)
		cr_expect_eq(probes[i].place, places[i], "%zu ms fired as number %d", (size_t)waits_ms[i],
			probes[i].place);
}

Test(wheel, a_later_deadline_costs_no_relinking_and_holds)
{
	struct probe probe;
	probe_init(&probe);
	wheel_arm(&wheel, &probe.timer, START_MS + 100);
	uint64_t linked_tick = probe.timer.linked_tick;
	for (uint64_t more_ms = 1; more_ms <= 400; more_ms++)
		wheel_arm(&wheel, &probe.timer, START_MS + 100 + more_ms);
	cr_expect_eq(probe.timer.linked_tick, linked_tick);
	advance_to(START_MS + 499);
	cr_expect_eq(probe.fired_count, 0);
	advance_to(START_MS + 516);
	cr_expect_eq(probe.fired_count, 1);
}

Test(wheel, an_earlier_deadline_moves_the_timer)
{
	struct probe probe;
	probe_init(&probe);
	wheel_arm(&wheel, &probe.timer, START_MS + 60000);
	wheel_arm(&wheel, &probe.timer, START_MS + 50);
	cr_expect_leq(wheel_next_ms(&wheel), START_MS + 50 + WHEEL_TICK_MS);
	advance_to(START_MS + 66);
	cr_expect_eq(probe.fired_count, 1);
	advance_to(START_MS + 70000);
	cr_expect_eq(probe.fired_count, 1, "fired again at its first deadline");
}

Test(wheel, disarmed_does_not_fire_and_can_be_armed_again)
{
	struct probe probe;
	probe_init(&probe);
	wheel_arm(&wheel, &probe.timer, START_MS + 50);
	wheel_disarm(&probe.timer);
	advance_to(START_MS + 100);
	cr_expect_eq(probe.fired_count, 0);
	cr_expect_eq(wheel_next_ms(&wheel), UINT64_MAX, "a disarmed timer is let go of when passed");

	wheel_arm(&wheel, &probe.timer, START_MS + 200);
	wheel_disarm(&probe.timer);
	wheel_arm(&wheel, &probe.timer, START_MS + 150); /* earlier than where it is linked */
	advance_to(START_MS + 166);
	cr_expect_eq(probe.fired_count, 1);
}

Test(wheel, an_armed_or_disarmed_timer_can_be_forgotten_twice)
{
	struct probe probe, other;
	probe_init(&probe);
	probe_init(&other);
	wheel_forget(&probe.timer);
	wheel_arm(&wheel, &probe.timer, START_MS + 50);
	wheel_arm(&wheel, &other.timer, START_MS + 50);
	wheel_forget(&probe.timer);
	wheel_forget(&probe.timer);
	advance_to(START_MS + 100);
	cr_expect_eq(probe.fired_count, 0);
	cr_expect_eq(other.fired_count, 1);
}

static struct probe *bystanders[4];

static void forget_bystanders(struct probe *probe)
{
	(void)probe;
	for (size_t i = 0; i < ARRAY_SIZE(bystanders); i++)
		wheel_forget(&bystanders[i]->timer);
}

/* Each of five timers of one slot, the first, a middle or the last one, takes all others away. */
Test(wheel, a_callback_may_forget_every_other_timer_of_its_slot)
{
	for (size_t killer = 0; killer < 5; killer++) {
		struct probe *probes = calloc(5, sizeof(*probes));
		cr_assert(probes != NULL);
		for (size_t i = 0, other = 0; i < 5; i++) {
			probe_init(&probes[i]);
			if (i != killer)
				bystanders[other++] = &probes[i];
			wheel_arm(&wheel, &probes[i].timer, now_ms + 100);
		}
		probes[killer].then = forget_bystanders;
		advance_to(now_ms + 200);
		cr_expect_eq(probes[killer].fired_count, 1);
		for (size_t i = 0; i < 5; i++)
			cr_expect_eq(probes[i].timer.linked_tick, 0);
		free(probes); /* the sanitizer sees whoever still looks at them */
		advance_to(now_ms + 1000);
	}
}

static void arm_itself(struct probe *probe)
{
	if (probe->fired_count < 10)
		wheel_arm(&wheel, &probe->timer, now_ms + 10);
}

static void arm_itself_in_the_past(struct probe *probe)
{
	wheel_arm(&wheel, &probe->timer, now_ms - 1);
}

Test(wheel, a_callback_may_arm_its_own_timer)
{
	struct probe periodic, hasty;
	probe_init(&periodic);
	periodic.then = arm_itself;
	wheel_arm(&wheel, &periodic.timer, now_ms + 10);
	for (uint64_t ms = START_MS; ms < START_MS + 1000; ms++)
		advance_to(ms);
	cr_expect_eq(periodic.fired_count, 10);

	probe_init(&hasty);
	hasty.then = arm_itself_in_the_past;
	wheel_arm(&wheel, &hasty.timer, now_ms);
	uint64_t begin_ms = now_ms;
	for (uint64_t ms = begin_ms; ms <= begin_ms + 160; ms++)
		advance_to(ms);
	cr_expect_eq(hasty.fired_count, 10, "once a tick, not for ever within one: %d", hasty.fired_count);
}

static void arm_first_bystander(struct probe *probe)
{
	(void)probe;
	wheel_arm(&wheel, &bystanders[0]->timer, now_ms + 20);
}

Test(wheel, a_callback_may_arm_another_timer)
{
	struct probe first, second;
	probe_init(&first);
	probe_init(&second);
	first.then = arm_first_bystander;
	bystanders[0] = &second;
	wheel_arm(&wheel, &first.timer, now_ms + 10);
	for (uint64_t ms = START_MS; ms < START_MS + 100; ms++)
		advance_to(ms);
	cr_expect_eq(second.fired_count, 1);
	cr_expect_geq(second.fired_ms, first.fired_ms + 20);
}

Test(wheel, a_deadline_far_beyond_the_wheel_is_waited_for_turn_by_turn)
{
	const uint64_t hour_ms = 3600 * 1000;
	struct probe probe;
	int looks = 0;
	probe_init(&probe);
	wheel_arm(&wheel, &probe.timer, START_MS + hour_ms);
	while (probe.fired_count == 0 && looks < 1000) {
		cr_assert_leq(wheel_next_ms(&wheel), START_MS + hour_ms + WHEEL_TICK_MS);
		advance_to(wheel_next_ms(&wheel));
		looks++;
	}
	cr_expect_eq(probe.fired_count, 1);
	cr_expect_geq(probe.fired_ms, START_MS + hour_ms);
	cr_expect_leq(looks, 56, "about one look in each turn of 65 s, not %d", looks);
}

/* A loop without timers may wait for hours in one turn; then an event arms one, with the wheel far behind. */
Test(wheel, a_wheel_that_is_hours_behind_catches_up_at_the_next_advance)
{
	static const uint64_t idle_ms[] = {100, 65000, 65536, 66000, 3600 * 1000, 24 * 3600 * 1000};
	for (size_t i = 0; i < ARRAY_SIZE(idle_ms); i++) {
		struct probe probe;
		probe_init(&probe);
		wheel_init(&wheel, START_MS);
		now_ms = START_MS + idle_ms[i];
		wheel_arm(&wheel, &probe.timer, now_ms + 50);
		advance_to(now_ms + 1);
		cr_expect_eq(probe.fired_count, 0);
		uint64_t deadline_ms = START_MS + idle_ms[i] + 50;
		cr_expect(wheel_next_ms(&wheel) >= deadline_ms &&
				  wheel_next_ms(&wheel) <= deadline_ms + WHEEL_TICK_MS,
			"after %zu ms", (size_t)idle_ms[i]);
		advance_to(wheel_next_ms(&wheel));
		cr_expect_eq(probe.fired_count, 1);
	}
}

Test(wheel, says_when_it_is_to_be_advanced_next)
{
	struct probe early, late;
	probe_init(&early);
	probe_init(&late);
	cr_expect_eq(wheel_next_ms(&wheel), UINT64_MAX);
	wheel_arm(&wheel, &late.timer, START_MS + 5000);
	wheel_arm(&wheel, &early.timer, START_MS + 1000);
	cr_expect_geq(wheel_next_ms(&wheel), START_MS + 1000);
	cr_expect_leq(wheel_next_ms(&wheel), START_MS + 1000 + WHEEL_TICK_MS);

	/* A mark left by a forgotten timer costs one look that finds nothing. */
	wheel_forget(&early.timer);
	advance_to(wheel_next_ms(&wheel));
	cr_expect_geq(wheel_next_ms(&wheel), START_MS + 5000);
	wheel_forget(&late.timer);
	advance_to(wheel_next_ms(&wheel));
	cr_expect_eq(wheel_next_ms(&wheel), UINT64_MAX);
}

/* ---- Against a model ------------------------------------------------------------------------- */

#define MODEL_TIMERS 48

static struct model_timer {
	struct wheel_timer timer;
	uint64_t deadline_ms; /* 0: must not fire */
	uint64_t armed_ms;
} model[MODEL_TIMERS];

static void model_fire(struct wheel_timer *timer)
{
	struct model_timer *entry = CONTAINER_OF(timer, struct model_timer, timer);
	cr_assert_neq(entry->deadline_ms, 0, "fired though disarmed, forgotten or fired before");
	cr_assert_leq(entry->deadline_ms, now_ms, "fired early");
	entry->deadline_ms = 0;
}

static void model_check(void)
{
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		const struct model_timer *entry = &model[i];
		if (entry->deadline_ms == 0)
			continue;
		uint64_t due_ms = entry->deadline_ms > entry->armed_ms ? entry->deadline_ms : entry->armed_ms;
		cr_assert_gt(due_ms + WHEEL_TICK_MS, now_ms, "more than a tick late");
		cr_assert_leq(wheel_next_ms(&wheel), due_ms + WHEEL_TICK_MS, "would be woken late");
	}
}

/* Waits of all sizes: within a tick, within the wheel, beyond it. */
static uint64_t model_wait_ms(struct random *random)
{
	return random_below(random, 4U << (2 * random_below(random, 9)));
}

static void model_step(struct random *random)
{
	struct model_timer *entry = &model[random_below(random, MODEL_TIMERS)];
	switch (random_below(random, 8)) {
	case 0:
		wheel_disarm(&entry->timer);
		entry->deadline_ms = 0;
		break;
	case 1:
		wheel_forget(&entry->timer);
		entry->deadline_ms = 0;
		break;
	case 2: /* the clock goes on while the loop waits */
		now_ms += model_wait_ms(random);
		break;
	case 3:
	case 4:
		advance_to(now_ms + model_wait_ms(random) / 4);
		model_check();
		break;
	default: /* now and then in the past */
		entry->deadline_ms = now_ms + model_wait_ms(random) - random_below(random, 20);
		entry->armed_ms = now_ms;
		wheel_arm(&wheel, &entry->timer, entry->deadline_ms);
		break;
	}
}

Test(wheel, behaves_as_a_list_of_deadlines_does)
{
	struct random random = {{1, 2, 3, 4}};
	cr_assert(random_seed(&random));
	printf("seed %llx %llx %llx %llx\n", (unsigned long long)random.state[0],
		(unsigned long long)random.state[1], (unsigned long long)random.state[2],
		(unsigned long long)random.state[3]);
	for (size_t i = 0; i < MODEL_TIMERS; i++)
		wheel_timer_init(&model[i].timer, model_fire);
	for (int step = 0; step < 300000; step++)
		model_step(&random);
}

/* Timers keep the lower half of a tick: it begins anew after 795 days. */
Test(wheel, deadlines_hold_where_ticks_begin_anew)
{
	const uint64_t turn_ms = (UINT64_C(1) << 32) * WHEEL_TICK_MS;
	static const uint64_t waits_ms[] = {0, 1, 15, 16, 17, 32, 1000, 3600 * 1000};
	for (uint64_t before_ms = 0; before_ms <= 64; before_ms += 8) {
		for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
			struct probe probe;
			probe_init(&probe);
			now_ms = turn_ms - before_ms;
			wheel_init(&wheel, now_ms);
			uint64_t due_ms = now_ms + waits_ms[i];
			wheel_arm(&wheel, &probe.timer, due_ms + 40);
			wheel_arm(&wheel, &probe.timer, due_ms);
			cr_expect_leq(wheel_deadline_ms(&wheel, &probe.timer), due_ms + 2 * WHEEL_TICK_MS);
			for (int looks = 0; probe.fired_count == 0 && looks < 1000; looks++)
				advance_to(wheel_next_ms(&wheel));
			cr_expect_eq(probe.fired_count, 1);
			cr_expect_geq(probe.fired_ms, due_ms, "early");
			cr_expect_leq(probe.fired_ms, due_ms + 3 * WHEEL_TICK_MS, "late by %d ms",
				(int)(probe.fired_ms - due_ms));
		}
	}
}

Test(wheel, a_deadline_beyond_reckoning_is_taken_for_the_furthest)
{
	struct probe probe;
	probe_init(&probe);
	wheel_arm(&wheel, &probe.timer, UINT64_MAX / 2);
	cr_expect_gt(wheel_deadline_ms(&wheel, &probe.timer), START_MS + UINT64_C(190) * 24 * 3600 * 1000);
	advance_to(START_MS + 70000);
	cr_expect_eq(probe.fired_count, 0);
	wheel_forget(&probe.timer);
}
