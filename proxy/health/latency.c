/* latency - learns how long answers take, and says what is late (see latency.h).
 *
 * Late is what takes far longer than is normal, by the larger of two measures:
 *   - LATE_OF_P99 times the 99th percentile of the service's recent answers, over all its members: a member
 *     that has slow requests now and then has no more of them than the others;
 *   - LATE_OF_PEAK times the member's own recent peak, or average: of many members, one that is slower than
 * all does not show in the percentile; and never less than the setting, health.silence. That is for fast
 * services, where a scheduler's whim is many times their latency.
 *
 * What is wrongly taken for late costs a probe, as long as it is rare: with each false alarm in a row the
 * member has twice the time (as TCP has it with its retransmissions, RFC 6298 section 5.5). What is wrongly
 * not taken for late costs a client its time, so a single answer teaches little: LATENCY_TRUST times what was
 * late so far, at most. A backend that was stopped for ten seconds does not have a minute from then on.
 *
 * The recent past is 8 s (each tick an eighth is forgotten), but never less than RECENT_MIN answers, however
 * old: a service with a request now and then has slow ones as well. */
#include "health/latency.h"

#include "base/clock.h"

#define LATE_OF_P99  4
#define LATE_OF_PEAK 3

#define LATENCY_TRUST	     4
#define LATENCY_PATIENCE_MAX 6
#define LATENCY_PATIENT_MS   60000

#define RECENT_MIN 256

/* ---- Histogram ------------------------------------------------------------------------------- */

uint64_t latency_bucket_end_us(uint32_t bucket)
{
	if (bucket >= LATENCY_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket == 0)
		return UINT64_C(1) << LATENCY_FIRST_BIT;
	uint32_t bit = LATENCY_FIRST_BIT + (bucket - 1) / LATENCY_PER_OCTAVE;
	return ((bucket - 1) % LATENCY_PER_OCTAVE + LATENCY_PER_OCTAVE + UINT64_C(1)) << (bit - 2);
}

/* Add what came since the last time, and forget some of the rest. Returns how many came. */
static uint64_t latencies_gather(struct latencies *latencies)
{
	bool is_forgetting = latencies->recent_16 > RECENT_MIN * 16;
	uint64_t come = 0;
	latencies->recent_16 = 0;
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		uint64_t count = atomic_load_explicit(&latencies->answers.counts[i], memory_order_relaxed);
		uint32_t *recent = &latencies->recent_16s[i];
		if (is_forgetting)
			*recent -= (*recent + 7) / 8;
		*recent += (uint32_t)(count - latencies->seen[i]) * 16;
		come += count - latencies->seen[i];
		latencies->seen[i] = count;
		latencies->recent_16 += *recent;
	}
	return come;
}

uint64_t latencies_quantile_us(const struct latencies *latencies, uint32_t percent)
{
	uint64_t above = latencies->recent_16 * (100 - percent) / 100; /* so many are slower */
	if (latencies->recent_16 < LATENCY_KNOWN_COUNT * 16)
		return 0;
	uint32_t i = LATENCY_BUCKETS - 1;
	while (i > 0 && latencies->recent_16s[i] <= above)
		above -= latencies->recent_16s[i--];
	uint64_t begin = i > 0 ? latency_bucket_end_us(i - 1) : 0;
	uint64_t end = i < LATENCY_BUCKETS - 1 ? latency_bucket_end_us(i) : begin;
	if (latencies->recent_16s[i] == 0)
		return end;
	return end - (end - begin) * above / latencies->recent_16s[i]; /* as if evenly spread in it */
}

/* ---- A service ------------------------------------------------------------------------------- */

static uint64_t max_of(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static uint64_t min_of(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

static uint64_t latencies_late_us(const struct latencies *latencies)
{
	uint64_t late_us = latencies->p99_us > 0 ? LATE_OF_P99 * latencies->p99_us
						 : (uint64_t)LATENCY_UNKNOWN_LATE_MS * 1000;
	if (latencies->rules.silence_ms == 0)
		return 0;
	return max_of(late_us, latencies->rules.silence_ms * 1000);
}

static void latencies_on_tick(struct wheel_timer *timer)
{
	struct latencies *latencies = CONTAINER_OF(timer, struct latencies, tick);
	latencies->is_ticking = latencies_gather(latencies) > 0;
	latencies->p99_us = latencies_quantile_us(latencies, 99);
	latencies->usual_us = latencies_quantile_us(latencies, 50);
	if (latencies->rules.hedge_percent > 0)
		latencies->hedge_us = latencies_quantile_us(latencies, latencies->rules.hedge_percent);
	latencies->late_us = latencies_late_us(latencies);
	if (latencies->is_ticking)
		wheel_arm(latencies->wheel, &latencies->tick, clock_coarse_ms() + LATENCY_TICK_MS);
	latencies->on_tick(latencies->arg);
}

void latencies_init(struct latencies *latencies, const struct latency_rules *rules, struct wheel *wheel,
	void (*on_tick)(void *arg), void *arg)
{
	*latencies = (struct latencies){.rules = *rules, .wheel = wheel, .on_tick = on_tick, .arg = arg};
	latencies->late_us = latencies_late_us(latencies);
	latencies->connect_late_ms = min_of(LATENCY_CONNECT_UNKNOWN_MS, rules->connect_ms);
	wheel_timer_init(&latencies->tick, latencies_on_tick);
}

void latencies_finish(struct latencies *latencies)
{
	wheel_forget(&latencies->tick);
}

void latencies_wake(struct latencies *latencies)
{
	latencies->is_ticking = true;
	wheel_arm(latencies->wheel, &latencies->tick, clock_coarse_ms() + LATENCY_FIRST_TICK_MS);
}

/* Smoothed as TCP does it (RFC 6298 section 2). Connections are made seldom: no time, but each new one, makes
 * the older ones count less. */
void latency_learn_connect(struct latencies *latencies, uint64_t us)
{
	uint64_t trusted_us = 2 * 1000 * max_of(latencies->connect_late_ms, LATENCY_CONNECT_LATE_MS);
	int64_t took = (int64_t)min_of(us + 1, min_of(trusted_us, LATENCY_MOST_US));
	if (latencies->connect_smoothed_8 == 0) {
		latencies->connect_smoothed_8 = (uint32_t)took * 8;
		latencies->connect_deviation_4 = (uint32_t)took * 2;
	} else {
		int64_t error = took - latencies->connect_smoothed_8 / 8;
		int64_t deviation = error < 0 ? -error : error;
		latencies->connect_smoothed_8 = (uint32_t)(latencies->connect_smoothed_8 + error);
		latencies->connect_deviation_4 = (uint32_t)(latencies->connect_deviation_4 + deviation -
							    latencies->connect_deviation_4 / 4);
	}
	uint64_t late_us = latencies->connect_smoothed_8 / 8 * UINT64_C(2) + latencies->connect_deviation_4;
	latencies->connect_late_ms =
		min_of(max_of(late_us / 1000, LATENCY_CONNECT_LATE_MS), latencies->rules.connect_ms);
}

/* ---- A member -------------------------------------------------------------------------------- */

uint32_t latency_trust(const struct latency *member, uint64_t us)
{
	uint32_t most = member->trusted_us > 0 ? member->trusted_us : LATENCY_MOST_US;
	return (uint32_t)min_of(us, most);
}

void latency_learn_at_least(struct latency *member, uint64_t us)
{
	uint32_t took = latency_trust(member, us);
	if (took > member->peak_us)
		member->peak_us = took;
}

void latency_was_well(struct latency *member, uint64_t now_ms)
{
	if (member->patience < LATENCY_PATIENCE_MAX)
		member->patience++;
	member->patient_until_ms = now_ms + LATENCY_PATIENT_MS;
}

/* What is late by what is learned, before any patience. */
static uint64_t latency_late_us(const struct latencies *latencies, const struct latency *member)
{
	return max_of(latencies->late_us, LATE_OF_PEAK * max_of(member->peak_us, member->smoothed_8 / 8));
}

uint64_t latency_late_ms(const struct latencies *latencies, const struct latency *member)
{
	if (latencies->late_us == 0)
		return 0;
	uint64_t late_us = latency_late_us(latencies, member) << member->patience;
	return min_of((late_us + 999) / 1000, latencies->rules.response_head_ms);
}

uint64_t latency_turn(const struct latencies *latencies, struct latency *member, uint64_t now_ms)
{
	/* Who was slow, and is spared for that, answers nothing that would show it to be fast again. */
	uint32_t low_us = member->smoothed_8 / 8;
	if (latencies->usual_us > 0 && latencies->usual_us < low_us)
		low_us = (uint32_t)latencies->usual_us;
	if (member->peak_us > low_us)
		member->peak_us -= (member->peak_us - low_us + 3) / 4;
	if (member->patience > 0 && now_ms >= member->patient_until_ms) {
		member->patience--; /* one step at a time: what it was it may be again */
		member->patient_until_ms = now_ms + LATENCY_PATIENT_MS;
	}
	if (latencies->late_us > 0)
		member->trusted_us = (uint32_t)min_of(
			LATENCY_TRUST * latency_late_us(latencies, member) << member->patience,
			LATENCY_MOST_US);
	return latency_late_ms(latencies, member);
}
