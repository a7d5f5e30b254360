/* latency - how long backends take to answer, learned by each worker from what it sees: per service a
 * histogram, of which the recent past gives quantiles, and per member what is normal of it. Says from when on
 * an unanswered request is late. A service's part has a timer on the worker's wheel that rests without
 * traffic; nothing else is owned. */
#ifndef HEALTH_LATENCY_H
#define HEALTH_LATENCY_H

#include "base/check.h"
#include "base/wheel.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- Histogram ------------------------------------------------------------------------------- */

/* Four buckets for each doubling, from 2^6 us (64 us) to 2^26 us (67 s), and one on either side. */
#define LATENCY_FIRST_BIT  6
#define LATENCY_LAST_BIT   26
#define LATENCY_PER_OCTAVE 4
#define LATENCY_BUCKETS	   (2 + (LATENCY_LAST_BIT - LATENCY_FIRST_BIT) * LATENCY_PER_OCTAVE)

/* Written by one worker with plain stores; read by any thread. */
struct latency_histogram {
	_Atomic uint64_t counts[LATENCY_BUCKETS];
	_Atomic uint64_t sum_us;
};

/* The bucket that a duration belongs to. */
static inline uint32_t latency_bucket(uint64_t us)
{
	if (us < UINT64_C(1) << LATENCY_FIRST_BIT)
		return 0;
	uint32_t bit = 63 - (uint32_t)__builtin_clzll(us);
	if (bit >= LATENCY_LAST_BIT)
		return LATENCY_BUCKETS - 1;
	return 1 + (bit - LATENCY_FIRST_BIT) * LATENCY_PER_OCTAVE + (uint32_t)((us >> (bit - 2)) & 3);
}

/* All durations in a bucket are shorter than this. UINT64_MAX for the last one. */
uint64_t latency_bucket_end_us(uint32_t bucket);

/* Count a duration. */
static inline void latency_count(struct latency_histogram *histogram, uint64_t us)
{
	_Atomic uint64_t *count = &histogram->counts[latency_bucket(us)];
	atomic_store_explicit(
		count, atomic_load_explicit(count, memory_order_relaxed) + 1, memory_order_relaxed);
	atomic_store_explicit(&histogram->sum_us,
		atomic_load_explicit(&histogram->sum_us, memory_order_relaxed) + us, memory_order_relaxed);
}

/* ---- What is normal -------------------------------------------------------------------------- */

/* How often a service is gone over while it has traffic, and how soon the first time. */
#define LATENCY_TICK_MS	      1000
#define LATENCY_FIRST_TICK_MS 100

/* With fewer answers than this, a service's latency is not known. */
#define LATENCY_KNOWN_COUNT 16

/* What is late where nothing is known. */
#define LATENCY_UNKNOWN_LATE_MS 1000

/* A connection is not late before this. */
#define LATENCY_CONNECT_LATE_MS 100

/* And where nothing is known of connections, not before this. */
#define LATENCY_CONNECT_UNKNOWN_MS 300

/* The most that a request, or a connection, takes; what takes longer is taken as this. */
#define LATENCY_MOST_US (UINT32_C(1) << 28)

/* Of one member, as one worker knows it. All zero: nothing is known. */
struct latency {
	uint32_t smoothed_8; /* moving average of the last eight or so, times 8, in us */
	uint32_t peak_us;    /* rises at once, falls with time to the average, or to what is usual if that is
				less */
	uint32_t trusted_us; /* an answer that took longer teaches no more than this; 0: no bound yet */
	uint32_t patience;   /* so many times late_ms is doubled, */
	uint64_t patient_until_ms; /* until then */
};

struct latency_rules {
	uint64_t silence_ms;	   /* least time that is late; 0: nothing ever is */
	uint64_t response_head_ms; /* the most that it is */
	uint64_t connect_ms;	   /* the same for connections */
	uint32_t hedge_percent;	   /* the quantile that hedge_us is; 0: none */
};

/* Of one service, as one worker knows it. */
struct latencies {
	struct latency_histogram answers;  /* attempts: request sent, to the response's head */
	struct latency_histogram requests; /* whole requests, for the metrics alone */
	struct latency_rules rules;
	uint64_t p99_us;	  /* of the recent answers; 0: not known */
	uint64_t usual_us;	  /* their median; 0: not known */
	uint64_t hedge_us;	  /* the same at rules.hedge_percent */
	uint64_t late_us;	  /* of a member that nothing is known of; 0: nothing is late */
	uint64_t connect_late_ms; /* a connection that takes longer than this is late */
	uint32_t connect_smoothed_8, connect_deviation_4;
	bool is_ticking;
	struct wheel *wheel;
	struct wheel_timer tick;
	void (*on_tick)(void *arg); /* the quantiles are new: go over the members with latency_turn() */
	void *arg;
	uint64_t recent_16; /* sum of what follows */
	uint64_t seen[LATENCY_BUCKETS];
	uint32_t recent_16s[LATENCY_BUCKETS]; /* answers times 16, the older the less */
};

/* A service that nothing is known of, with its timer on `wheel`, which outlives it. */
void latencies_init(struct latencies *latencies, const struct latency_rules *rules, struct wheel *wheel,
	void (*on_tick)(void *arg), void *arg);

/* Take its timer off the wheel. */
void latencies_finish(struct latencies *latencies);

/* The recent answers that were at least as fast as `percent` of a hundred (0 to 100): how long they took, in
 * us. 0: too few are known. */
uint64_t latencies_quantile_us(const struct latencies *latencies, uint32_t percent);

/* For latency_learn(). */
void latencies_wake(struct latencies *latencies);
uint32_t latency_trust(const struct latency *member, uint64_t us);

/* A member has answered `us` after it was asked. On the path of a request: some twenty instructions. */
static inline void latency_learn(struct latencies *latencies, struct latency *member, uint64_t us)
{
	uint32_t took = (uint32_t)us;
	latency_count(&latencies->answers, us);
	if (UNLIKELY(us > member->trusted_us))
		took = latency_trust(member, us);
	if (UNLIKELY(member->smoothed_8 == 0))
		member->smoothed_8 = took * 8;
	else
		member->smoothed_8 += took - member->smoothed_8 / 8;
	if (took > member->peak_us)
		member->peak_us = took;
	if (UNLIKELY(!latencies->is_ticking))
		latencies_wake(latencies);
}

/* A member has not answered for `us`, and will not be heard: another one was faster. It takes so long at
 * least. */
void latency_learn_at_least(struct latency *member, uint64_t us);

/* A connection to some member took `us` to be made. */
void latency_learn_connect(struct latencies *latencies, uint64_t us);

/* Was taken for silent, and was not: wait longer from now on, for a while. */
void latency_was_well(struct latency *member, uint64_t now_ms);

/* Go over a member, in each tick. Returns from when on an unanswered request is late there, in ms; 0: never.
 */
uint64_t latency_turn(const struct latencies *latencies, struct latency *member, uint64_t now_ms);

/* The same without going over it. */
uint64_t latency_late_ms(const struct latencies *latencies, const struct latency *member);

#endif
