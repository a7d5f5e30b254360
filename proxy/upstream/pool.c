/* pool - a worker's connections to one backend (see pool.h). */
#include "upstream/pool.h"

#include <stdlib.h>

struct pool *pool_new(struct upstream_shared *shared, const struct backend *backend)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	pool->shared = shared;
	pool->backend = backend;
	TAILQ_INIT(&pool->idle);
	return pool;
}

struct upstream *pool_lease(struct pool *pool, void *exchange, bool is_careful, enum problem *problem)
{
	struct upstream *upstream;
	while ((upstream = TAILQ_FIRST(&pool->idle)) != NULL) {
		pool_forget(pool, upstream);
		if (!upstream_lease(upstream, exchange, is_careful))
			continue;
		pool->leased_count++;
		counter_add(pool->shared->counters, upstream_reuses, 1);
		return upstream;
	}
	upstream = upstream_connect(pool, exchange, problem);
	if (upstream != NULL)
		pool->leased_count++;
	return upstream;
}

bool pool_keep(struct pool *pool, struct upstream *upstream)
{
	if (pool->is_retired || pool->idle_count >= pool->shared->idle_max)
		return false;
	TAILQ_INSERT_HEAD(&pool->idle, upstream, link);
	pool->idle_count++;
	counter_add(pool->shared->counters, upstream_idle, 1);
	return true;
}

void pool_forget(struct pool *pool, struct upstream *upstream)
{
	TAILQ_REMOVE(&pool->idle, upstream, link);
	pool->idle_count--;
	counter_subtract(pool->shared->counters, upstream_idle, 1);
}

void pool_retire(struct pool *pool)
{
	struct upstream *upstream;
	pool->is_retired = true;
	while ((upstream = TAILQ_FIRST(&pool->idle)) != NULL)
		upstream_close(upstream);
}

void pool_free(struct pool *pool)
{
	assert(pool->leased_count == 0);
	pool_retire(pool);
	free(pool);
}
