/* pool - this worker's connections to one backend. Owns the idle ones; leased ones come back or are closed.
 */
#ifndef UPSTREAM_POOL_H
#define UPSTREAM_POOL_H

#include "balance/backend.h"
#include "upstream/upstream.h"

struct pool {
	struct upstream_home home; /* what its connections know of it */
	uint32_t idle_count;
	uint32_t leased_count;
	uint32_t connections_max; /* over all workers; POOL_UNLIMITED: nobody counts them */
	uint32_t spare_places;	  /* that it was given, and has not used yet */
	uint64_t asked_ms;	  /* when others were asked for a place, until one comes, or none; else 0 */
	uint64_t refused_ms;	  /* when nobody gave one the last time; 0: never */
	uint32_t owed_to;	  /* workers that get the next places to come free, as bits */
	bool is_retired;	  /* nothing comes back to it */
	bool is_yielding;	  /* the place of a connection that is closed is not free */
	TAILQ_HEAD(pool_idle_list, upstream) idle; /* the one used last is first */
};

#define POOL_UNLIMITED UINT32_MAX

/* Places that are in use are promised to the first workers alone. */
#define POOL_OWED_MAX 32

/* Of a backend to which all workers together have at most `connections_max` connections at a time. `backend`
 * and `timeouts` are borrowed, and outlive the pool. NULL without memory. */
MUST_CHECK struct pool *pool_new(struct upstream_shared *shared, struct backend *backend,
	const struct upstream_timeouts *timeouts, uint32_t connections_max);

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

/* There were as many connections as there may be: have the other workers asked for a place, unless they are
 * being asked. False: it is no use to wait, as there is nobody to ask, or nobody has given one since
 * `since_ms`. */
MUST_CHECK bool pool_ask(struct pool *pool, uint64_t since_ms);

/* Another worker asks for a place: it gets that of an idle connection, which is closed; else, where this
 * worker has more of them, that of the next connection that is not in use any more. False: it keeps what it
 * has. */
MUST_CHECK bool pool_yield(struct pool *pool, uint32_t worker);

/* A place has come that was asked for. False: it is of no use any more, and still the caller's. */
MUST_CHECK bool pool_receive_place(struct pool *pool);

/* Nobody gives one. */
void pool_note_refusal(struct pool *pool);

/* Free it; no connection may be leased. */
void pool_free(struct pool *pool);

#endif
