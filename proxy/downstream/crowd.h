/* crowd - how many connections clients may have: in all, and each of them. One for all workers; owns a
 * count for each client's address that is connected. In all is one atomic number; the counts by address stand
 * under locks, and are only kept where there is a limit to them. Touched when a connection comes and goes,
 * never by a request. */
#ifndef DOWNSTREAM_CROWD_H
#define DOWNSTREAM_CROWD_H

#include "base/check.h"
#include "http/problem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct network;
struct crowd_table;

struct crowd {
	_Atomic uint64_t open; /* that count */
	uint64_t open_max;
	uint64_t per_client_max;   /* 0: no limit */
	struct crowd_table *table; /* NULL without that limit */
};

/* False without memory or entropy; then, too, crowd_finish() is to be called. */
MUST_CHECK bool crowd_init(struct crowd *crowd, uint64_t open_max, uint64_t per_client_max);

/* Free it; everyone must have left. */
void crowd_finish(struct crowd *crowd);

/* One more connection; any thread. False: there are as many as may be, and it was not counted. */
MUST_CHECK bool crowd_enter(struct crowd *crowd);

/* It is one less. */
void crowd_leave(struct crowd *crowd);

/* Is there a limit to what one client may have? */
static inline bool crowd_counts_clients(const struct crowd *crowd)
{
	return crowd->table != NULL;
}

/* One more of the client at `address`; any thread. Where clients are counted. PROBLEM_NONE: it was counted,
 * and is to leave by the same address. PROBLEM_CLIENT_LIMIT: it has as many as it may. PROBLEM_NO_MEMORY.
 * IPv6 addresses count by their first 64 bits, of which one client commonly has all the rest. */
MUST_CHECK enum problem crowd_client_enter(struct crowd *crowd, const struct network *address);

/* It is one less. */
void crowd_client_leave(struct crowd *crowd, const struct network *address);

#endif
