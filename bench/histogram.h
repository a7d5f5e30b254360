/* histogram - counts of durations in nanoseconds, exact to 1/128, for quantiles. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <string.h>

#define HISTOGRAM_STEP_BITS 7
#define HISTOGRAM_STEPS	    (1U << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_BUCKETS   (HISTOGRAM_STEPS * (64 - HISTOGRAM_STEP_BITS + 1))

struct histogram {
	uint64_t count;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Values below the number of steps have a bucket each; above, each power of two is cut into as many steps. */
static inline uint32_t histogram_bucket(uint64_t value)
{
	if (value < HISTOGRAM_STEPS)
		return (uint32_t)value;
	uint32_t shift = (uint32_t)(63 - __builtin_clzll(value)) - HISTOGRAM_STEP_BITS;
	return (shift + 1) * HISTOGRAM_STEPS + (uint32_t)(value >> shift) - HISTOGRAM_STEPS;
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->count++;
	histogram->buckets[histogram_bucket(value)]++;
}

/* The least value that a bucket stands for. */
static inline uint64_t histogram_value(uint32_t bucket)
{
	if (bucket < HISTOGRAM_STEPS)
		return bucket;
	uint32_t shift = bucket / HISTOGRAM_STEPS - 1;
	return (uint64_t)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
}

/* The value that a share of `share` of all values does not exceed; 0 of an empty histogram. */
static inline uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t rank = (uint64_t)(share * (double)histogram->count);
	uint64_t seen = 0;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > rank || (seen > 0 && seen == histogram->count))
			return histogram_value(i);
	}
	return 0;
}

#endif
