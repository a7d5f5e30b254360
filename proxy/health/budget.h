/* budget - how many requests may be sent once more: a share of those of the last ten seconds, and some in any
 * case. It keeps retries and hedges from becoming a storm on backends that are down. Pure: time is told to
 * it. One for each worker and service, in the owner's memory. */
#ifndef HEALTH_BUDGET_H
#define HEALTH_BUDGET_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_SECONDS 10

/* Requests are sorted into seconds when so many have come, and when a repeat is asked for: counting one is an
 * addition. */
#define BUDGET_BATCH 64

/* A worker may always repeat so many in BUDGET_SECONDS, unless no minimum is set: its part of it is too
 * little to be divided further. */
#define BUDGET_LEAST 10

struct budget {
	uint32_t percent;  /* repeats among requests */
	uint32_t least;	   /* repeats in BUDGET_SECONDS that are allowed whatever the requests */
	uint32_t unsorted; /* requests since `second` began, or was looked at last */
	uint64_t second;   /* up to here the seconds below are those of the past */
	uint32_t requests[BUDGET_SECONDS];
	uint32_t repeats[BUDGET_SECONDS];
};

/* Repeats are allowed up to `percent` of the requests; and `minimum` a second over `worker_count` workers, of
 * which each is one. */
void budget_init(struct budget *budget, uint32_t percent, uint64_t minimum, uint32_t worker_count);

/* Requests have come: sort them into the seconds. `now_ms` as of CLOCK_MONOTONIC. */
void budget_sort(struct budget *budget, uint64_t now_ms);

/* A request has come. True: call budget_sort(). */
MUST_CHECK static inline bool budget_count(struct budget *budget)
{
	return ++budget->unsorted >= BUDGET_BATCH;
}

/* Take one repeat out of the budget. False: it is used up, and the repeat must not be made. */
MUST_CHECK bool budget_take(struct budget *budget, uint64_t now_ms);

#endif
