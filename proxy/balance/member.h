/* member - a backend as one worker knows it. Owned by the worker's roster until it left and its last attempt
 * ended. */
#ifndef BALANCE_MEMBER_H
#define BALANCE_MEMBER_H

#include "balance/backend.h"
#include "balance/penalty.h"
#include "health/latency.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;

struct member {
	struct backend *backend;
	struct backend_share *share; /* this worker's, in the backend */
	struct pool *pool;	     /* this worker's connections to it */
	uint32_t set_weight;	     /* its share of the requests, as against others; 0: none */
	uint32_t weight;	     /* the same, as long as it starts slowly: candidates.c */
	uint32_t in_flight;	     /* attempts of this worker under way */
	uint32_t window;       /* so many there may be, while it recovers: candidates.c; 0: as many as come */
	uint64_t answered_us;  /* when it last answered one, as loop_now_us() */
	uint64_t late_ms;      /* an answer that takes longer is late; 0: none is */
	uint8_t state;	       /* enum belief_state, when its roster last looked */
	uint8_t tier;	       /* how good that makes it: candidates.c */
	bool is_candidate;     /* may be chosen as things stand */
	bool is_leaving;       /* gone from the registry: no new attempt */
	uint64_t live_ms;      /* when it began to take requests; 0: it does not */
	uint64_t suspected_ms; /* when it was taken for silent the last time */
	struct latency latency; /* how long it takes to answer */
	struct penalty penalty; /* for its failures */
};

#endif
