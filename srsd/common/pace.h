/* pace.h - how often something may be done that costs time: small things soon after one another, large ones
 * seldom. What it costs is learned from how long it took. */
#ifndef SRSD_PACE_H
#define SRSD_PACE_H

#include <stdint.h>

/* The share of the time that it may take in the long run: one part of so many. */
#define SRSD_PACE_SHARE 20

/* What one is taken to cost, whatever it took: so a small one waits for SHARE times the least, a large one
 * for SHARE times the most, 100 ms, at the latest. */
#define SRSD_PACE_COST_MIN_US 750
#define SRSD_PACE_COST_MAX_US 5000

/* After a quiet time so much may be spent at once: 6 small ones, or a large one. */
#define SRSD_PACE_CREDIT_MAX_US 5000

/* Begins as zeros. */
struct srsd_pace {
	uint64_t counted_us; /* until then credit was given */
	uint32_t credit_us;
	uint32_t cost_us; /* of one, as learned; 0: nothing is known */
};

/* For how long to wait before the next one, in microseconds; 0: it may be done at once. Otherwise it lies
 * anywhere in the upper half of what is due, so that many who were told of the same thing do not come
 * together. `now_us` is of a clock that never goes back. */
uint32_t srsd_pace_wait_us(struct srsd_pace *pace, uint64_t now_us);

/* One was done, and took so long. What it costs follows a shorter time at once, and a longer one slowly:
 * that one was held up says little of the next. */
void srsd_pace_spend(struct srsd_pace *pace, uint64_t took_us, uint64_t now_us);

#endif
