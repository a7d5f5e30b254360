/* pool - a worker's connections to one backend (see pool.h). */
#include "upstream/pool.h"

#include <stdlib.h>

static void pool_forget(struct pool *pool, struct upstream *upstream)
{
	TAILQ_REMOVE(&pool->idle, upstream, link);
	pool->idle_count--;
	counter_subtract(pool->home.shared->counters, upstream_idle, 1);
}

static bool pool_on_returned(struct upstream_home *home, struct upstream *upstream)
{
	struct pool *pool = CONTAINER_OF(home, struct pool, home);
	if (pool->is_retired || pool->idle_count >= home->shared->idle_max)
		return false;
	pool->leased_count--;
	TAILQ_INSERT_HEAD(&pool->idle, upstream, link);
	pool->idle_count++;
	counter_add(home->shared->counters, upstream_idle, 1);
	return true;
}

static void pool_on_lost(struct upstream_home *home)
{
	CONTAINER_OF(home, struct pool, home)->leased_count--;
}

static void pool_on_idle_closed(struct upstream_home *home, struct upstream *upstream)
{
	pool_forget(CONTAINER_OF(home, struct pool, home), upstream);
}

static const struct upstream_home_events pool_events = {
	.on_returned = pool_on_returned,
	.on_lost = pool_on_lost,
	.on_idle_closed = pool_on_idle_closed,
};

struct pool *pool_new(struct upstream_shared *shared, struct backend *backend,
	const struct upstream_timeouts *timeouts, size_t connections_max)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	pool->home = (struct upstream_home){
		.shared = shared, .backend = backend, .events = &pool_events, .timeouts = timeouts};
	pool->connections_max = connections_max;
	TAILQ_INIT(&pool->idle);
	return pool;
}

struct upstream *pool_lease(struct pool *pool, void *attempt, bool is_careful, enum problem *problem)
{
	struct upstream *upstream;
	while ((upstream = TAILQ_FIRST(&pool->idle)) != NULL) {
		pool_forget(pool, upstream);
		if (!upstream_lease(upstream, attempt, is_careful))
			continue;
		pool->leased_count++;
		counter_add(pool->home.shared->counters, upstream_reuses, 1);
		return upstream;
	}
	if (UNLIKELY(pool->leased_count >= pool->connections_max)) {
		*problem = PROBLEM_ENDPOINTS_FULL;
		return NULL;
	}
	upstream = upstream_connect(&pool->home, attempt, problem);
	if (upstream != NULL)
		pool->leased_count++;
	return upstream;
}

size_t pool_let_go(struct pool *pool, size_t count_max)
{
	struct upstream *upstream;
	size_t count = 0;
	while (count < count_max && (upstream = TAILQ_LAST(&pool->idle, pool_idle_list)) != NULL) {
		upstream_close(upstream);
		count++;
	}
	return count;
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
