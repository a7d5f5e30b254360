/* pool - this worker's connections to one backend. Owns the idle ones; leased ones come back or are closed.
 */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "balance/backend.h"
#include "upstream/upstream.h"

struct pool {
	struct upstream_home home; /* what its connections know of it */
	size_t idle_count;
	size_t leased_count;
	bool is_retired; /* nothing comes back to it */
	size_t connections_max;
	TAILQ_HEAD(pool_idle_list, upstream) idle; /* the one used last is first */
};

/* Of at most `connections_max` connections at a time. `backend` and `timeouts` are borrowed, and outlive the
 * pool. NULL without memory. */
MUST_CHECK struct pool *pool_new(struct upstream_shared *shared, struct backend *backend,
	const struct upstream_timeouts *timeouts, size_t connections_max);

/* Lease a connection to `attempt`: an idle one, or a new one (then on_connected follows, unless it is
 * connected at once). NULL with `*problem` set when there is none to be had, PROBLEM_ENDPOINTS_FULL for one.
 * `is_careful`: see upstream_lease(). */
MUST_CHECK struct upstream *pool_lease(
	struct pool *pool, void *attempt, bool is_careful, enum problem *problem);

/* Descriptors or memory are short: close up to `count_max` idle connections, those that were used longest ago
 * first. Returns how many. */
MUST_CHECK size_t pool_let_go(struct pool *pool, size_t count_max);

/* Close the idle ones, and the leased ones when they come back. */
void pool_retire(struct pool *pool);

/* Free it; no connection may be leased. */
void pool_free(struct pool *pool);

#endif
