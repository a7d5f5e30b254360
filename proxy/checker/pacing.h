/* pacing - how many endpoints are probed, and when: bounds over all of them, so that ten thousand dead ones
 * cost no more than a few do. Pure: the time is given. */
#ifndef CHECKER_PACING_H
#define CHECKER_PACING_H

#include "base/check.h"
#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/* A look that something waits for, at a new endpoint or one that is in doubt, and one of the regular ones. */
enum pacing_kind { PACING_URGENT, PACING_REGULAR, PACING_KIND_COUNT };

/* Probes under way at a time; the regular ones leave some room for the others. */
#define PACING_IN_FLIGHT_MAX	     64
#define PACING_IN_FLIGHT_REGULAR_MAX 48

/* Probes begun per second in the long run, and so many at once after a rest. */
#define PACING_URGENT_PER_SECOND  5000
#define PACING_URGENT_BURST	  1000
#define PACING_REGULAR_PER_SECOND 500
#define PACING_REGULAR_BURST	  250

struct pacing {
	uint32_t in_flight[PACING_KIND_COUNT];
	uint64_t credit[PACING_KIND_COUNT]; /* thousandths of probes that may begin now */
	uint64_t refilled_ms;
};

void pacing_init(struct pacing *pacing, uint64_t now_ms);

/* May a probe of that kind begin? */
MUST_CHECK bool pacing_may_begin(struct pacing *pacing, enum pacing_kind kind, uint64_t now_ms);

/* One begins that may; pacing_end() ends it. */
void pacing_begin(struct pacing *pacing, enum pacing_kind kind);
void pacing_end(struct pacing *pacing, enum pacing_kind kind);

/* For how long pacing_may_begin() will say no, in ms; 0: until one ends. */
uint64_t pacing_wait_ms(const struct pacing *pacing, enum pacing_kind kind);

/* About `wait_ms`, a tenth more or less at most: what has begun together does not go on together. */
uint64_t pacing_jitter_ms(uint64_t wait_ms, struct random *random);

#endif
