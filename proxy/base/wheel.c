/* wheel - a hashed timing wheel with lazy timers (see wheel.h). */
#include "base/wheel.h"

#include <string.h>

static size_t slot_of(uint64_t tick)
{
	return tick % WHEEL_SLOTS;
}

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->tick = now_ms / WHEEL_TICK_MS;
	wheel->next_tick = UINT64_MAX;
}

void wheel_timer_init(struct wheel_timer *timer, wheel_fire_fn *fire)
{
	memset(timer, 0, sizeof(*timer));
	timer->fire = fire;
}

/* What a timer keeps of a tick: never 0, which has a meaning; that makes one tick in 2 years come late. */
static uint32_t stamp_of(uint64_t tick)
{
	return (uint32_t)tick != 0 ? (uint32_t)tick : 1;
}

/* How far `later` is ahead; negative where it is not. */
static int32_t ticks_between(uint32_t earlier, uint32_t later)
{
	return (int32_t)(later - earlier);
}

/* A timer further away than the wheel is long is looked at a full turn from now, and linked anew. */
static void wheel_link(struct wheel *wheel, struct wheel_timer *timer)
{
	int32_t ahead = ticks_between((uint32_t)wheel->tick, timer->deadline_tick);
	if (ahead < 1)
		ahead = 1;
	if (ahead > WHEEL_SLOTS - 1)
		ahead = WHEEL_SLOTS - 1;
	uint64_t tick = wheel->tick + (uint64_t)ahead;
	size_t slot = slot_of(tick);
	LIST_INSERT_HEAD(&wheel->slots[slot], timer, link);
	wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
	timer->linked_tick = stamp_of(tick);
	if (tick < wheel->next_tick)
		wheel->next_tick = tick;
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms)
{
	uint64_t tick = (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
	if (UNLIKELY(tick > wheel->tick + WHEEL_AHEAD_MAX))
		tick = wheel->tick + WHEEL_AHEAD_MAX;
	timer->deadline_tick = stamp_of(tick);
	if (timer->linked_tick != 0 && ticks_between(timer->linked_tick, timer->deadline_tick) >= 0)
		return; /* it is looked at in time, and moved on then */
	if (timer->linked_tick != 0)
		LIST_REMOVE(timer, link);
	wheel_link(wheel, timer);
}

void wheel_forget(struct wheel_timer *timer)
{
	if (timer->linked_tick != 0)
		LIST_REMOVE(timer, link);
	timer->linked_tick = 0;
	timer->deadline_tick = 0;
}

static void wheel_visit(struct wheel *wheel, struct wheel_timer *timer, uint64_t now_tick)
{
	LIST_REMOVE(timer, link);
	timer->linked_tick = 0;
	if (timer->deadline_tick == 0)
		return;
	if (ticks_between((uint32_t)now_tick, timer->deadline_tick) > 0) {
		wheel_link(wheel, timer);
		return;
	}
	timer->deadline_tick = 0;
	timer->fire(timer);
}

/* The first tick after the present one whose slot is marked. Marks may be stale (every timer of a slot
 * forgotten): that costs one visit of an empty slot. */
static uint64_t wheel_find_next(const struct wheel *wheel)
{
	uint64_t tick = wheel->tick + 1;
	uint64_t end = wheel->tick + WHEEL_SLOTS;
	while (tick < end) {
		size_t slot = slot_of(tick);
		uint64_t word = wheel->used[slot / 64] >> (slot % 64);
		if (word != 0)
			return tick + (uint64_t)__builtin_ctzll(word);
		tick += 64 - slot % 64;
	}
	return UINT64_MAX;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
	uint64_t now_tick = now_ms / WHEEL_TICK_MS;
	while (wheel->next_tick <= now_tick) {
		size_t slot = slot_of(wheel->next_tick);
		wheel->tick = wheel->next_tick;
		wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
		/* What is linked during a visit goes to a later tick, hence to another slot. */
		struct wheel_timer *timer;
		while ((timer = LIST_FIRST(&wheel->slots[slot])) != NULL)
			wheel_visit(wheel, timer, now_tick);
		wheel->next_tick = wheel_find_next(wheel);
	}
	if (wheel->tick < now_tick)
		wheel->tick = now_tick;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
	return wheel->next_tick == UINT64_MAX ? UINT64_MAX : wheel->next_tick * WHEEL_TICK_MS;
}
