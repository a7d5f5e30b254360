/* wheel - deadlines in O(1). Arming and disarming on the path of a request is one store: a timer stays where
 * it is linked until its slot comes by, and only then is looked at again. Owns the slots, not the timers. */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define WHEEL_TICK_MS 16
#define WHEEL_SLOTS   4096 /* with the tick: 65 s until a timer is passed once without being due */

_Static_assert(WHEEL_SLOTS % 64 == 0, "the map of used slots is made of words");

struct wheel_timer;
typedef void wheel_fire_fn(struct wheel_timer *timer);

/* One stands in every connection: ticks are kept by their lower 32 bits, which tell before from after as long
 * as a deadline is no more than WHEEL_AHEAD_MAX ticks away. */
struct wheel_timer {
	LIST_ENTRY(wheel_timer) link;
	wheel_fire_fn *fire;
	uint32_t deadline_tick; /* 0: not armed */
	uint32_t linked_tick;	/* the tick at which it is looked at; 0: not linked */
};

#define WHEEL_AHEAD_MAX (UINT32_C(1) << 30) /* 198 days; what is further away fires then */

LIST_HEAD(wheel_slot, wheel_timer);

struct wheel {
	uint64_t tick;	    /* everything up to here has been looked at */
	uint64_t next_tick; /* no linked timer is looked at before; UINT64_MAX: none is linked */
	uint64_t used[WHEEL_SLOTS / 64];
	struct wheel_slot slots[WHEEL_SLOTS];
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);

/* A timer that calls `fire`, not yet armed. */
void wheel_timer_init(struct wheel_timer *timer, wheel_fire_fn *fire);

/* Call `fire` at `deadline_ms` (a tick late at most), instead of at any earlier said time. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms);

/* Do not call it. The timer may stay linked: before its memory goes, wheel_forget() it. */
static inline void wheel_disarm(struct wheel_timer *timer)
{
	timer->deadline_tick = 0;
}

static inline bool wheel_is_armed(const struct wheel_timer *timer)
{
	return timer->deadline_tick != 0;
}

/* When an armed timer is due, in ms of the same clock: what was said, up to a tick later. */
static inline uint64_t wheel_deadline_ms(const struct wheel *wheel, const struct wheel_timer *timer)
{
	int32_t ahead = (int32_t)(timer->deadline_tick - (uint32_t)wheel->tick);
	return (wheel->tick + (uint64_t)(int64_t)ahead) * WHEEL_TICK_MS;
}

/* Unlink for good. */
void wheel_forget(struct wheel_timer *timer);

/* Fire what is due at `now_ms`. A timer's function may arm, disarm and forget any timer. */
void wheel_advance(struct wheel *wheel, uint64_t now_ms);

/* When wheel_advance() should be called next, in ms of the same clock; UINT64_MAX: not at all. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
