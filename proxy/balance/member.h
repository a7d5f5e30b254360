/* member - a backend as one worker knows it. Owned by the worker's roster until it left and its last attempt
 * ended. */
#ifndef BALANCE_MEMBER_H
#define BALANCE_MEMBER_H

#include "balance/backend.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;

struct member {
	struct backend *backend;
	struct backend_share *share; /* this worker's, in the backend */
	struct pool *pool;	     /* this worker's connections to it */
	uint32_t weight;	     /* its share of the requests, as against others; 0: none */
	uint32_t in_flight;	     /* attempts of this worker under way */
	uint8_t state;		     /* enum belief_state, when its roster last looked */
	uint8_t tier;		     /* how good that makes it: see roster.c */
	bool is_leaving;	     /* gone from the registry: no new attempt */
};

#endif
