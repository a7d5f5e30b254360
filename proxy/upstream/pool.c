/* pool - a worker's connections to one backend (see pool.h). */
#include "upstream/pool.h"

#include "base/clock.h"

#include <stdlib.h>

/* Who was asked has most likely got over it without an answer, for want of memory: ask again. */
#define POOL_ASK_AGAIN_MS 1000

/* ---- Places, where connections are limited over all workers ----------------------------------- */

static struct backend_share *pool_share(const struct pool *pool)
{
	return &pool->home.backend->shares[pool->home.shared->worker];
}

/* Its own number of them, for others to see. */
static void pool_count_place(const struct pool *pool, int by)
{
	struct backend_share *share = pool_share(pool);
	uint32_t places = atomic_load_explicit(&share->places, memory_order_relaxed);
	atomic_store_explicit(&share->places, places + (uint32_t)by, memory_order_relaxed);
}

static bool pool_take_place(struct pool *pool)
{
	if (LIKELY(pool->connections_max == POOL_UNLIMITED))
		return true;
	if (pool->spare_places > 0) {
		pool->spare_places--;
		return true;
	}
	if (!backend_take_place(pool->home.backend, pool->connections_max))
		return false;
	pool_count_place(pool, 1);
	return true;
}

static void pool_hand_on(const struct pool *pool, uint32_t worker)
{
	const struct upstream_shared *shared = pool->home.shared;
	pool_count_place(pool, -1);
	shared->places->on_handed_on(shared->places_arg, pool->home.backend, worker);
}

/* A place of its own is free: for whom it is owed to, or for anybody. */
static void pool_give_place(struct pool *pool)
{
	if (LIKELY(pool->connections_max == POOL_UNLIMITED))
		return;
	if (pool->owed_to != 0) {
		pool_hand_on(pool, (uint32_t)__builtin_ctz(pool->owed_to));
		pool->owed_to &= pool->owed_to - 1;
	} else {
		pool_count_place(pool, -1);
		backend_give_place(pool->home.backend);
	}
}

bool pool_ask(struct pool *pool, uint64_t since_ms)
{
	const struct upstream_shared *shared = pool->home.shared;
	if (pool->connections_max == POOL_UNLIMITED || shared->places == NULL || pool->is_retired ||
		pool->refused_ms > since_ms)
		return false;
	uint64_t now_ms = clock_coarse_ms();
	if (pool->asked_ms != 0 && now_ms - pool->asked_ms < POOL_ASK_AGAIN_MS)
		return true;
	pool->asked_ms = now_ms;
	if (!shared->places->on_wanted(shared->places_arg, pool->home.backend))
		pool->asked_ms = 0;
	return pool->asked_ms != 0;
}

/* Has it more than the one who asks, also after that? Who has none comes first. */
static bool pool_has_more(const struct pool *pool, uint32_t worker)
{
	const struct backend *backend = pool->home.backend;
	uint32_t theirs = atomic_load_explicit(&backend->shares[worker].places, memory_order_relaxed);
	uint32_t owed = (uint32_t)__builtin_popcount(pool->owed_to);
	return pool->leased_count > owed && (theirs == 0 || pool->leased_count - owed > theirs + 1);
}

bool pool_yield(struct pool *pool, uint32_t worker)
{
	struct upstream *upstream = TAILQ_LAST(&pool->idle, pool_idle_list);
	if (pool->spare_places == 0 && upstream != NULL) {
		pool->is_yielding = true;
		upstream_close(upstream);
		pool->is_yielding = false;
	}
	if (pool->spare_places > 0) {
		pool->spare_places--;
		pool_hand_on(pool, worker);
		return true;
	}
	if (worker >= POOL_OWED_MAX)
		return false;
	uint32_t bit = UINT32_C(1) << worker;
	if ((pool->owed_to & bit) == 0 && pool_has_more(pool, worker))
		pool->owed_to |= bit;
	return (pool->owed_to & bit) != 0;
}

bool pool_receive_place(struct pool *pool)
{
	pool->asked_ms = 0;
	if (pool->is_retired)
		return false;
	pool->spare_places++;
	pool_count_place(pool, 1);
	return true;
}

void pool_note_refusal(struct pool *pool)
{
	pool->asked_ms = 0;
	pool->refused_ms = clock_coarse_ms();
}

/* ---- Connections that come and go ------------------------------------------------------------- */

static void pool_forget(struct pool *pool, struct upstream *upstream)
{
	TAILQ_REMOVE(&pool->idle, upstream, link);
	pool->idle_count--;
	counter_subtract(pool->home.shared->counters, upstream_idle, 1);
}

static bool pool_on_returned(struct upstream_home *home, struct upstream *upstream)
{
	struct pool *pool = CONTAINER_OF(home, struct pool, home);
	if (pool->is_retired || pool->idle_count >= home->shared->idle_max || UNLIKELY(pool->owed_to != 0))
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

static void pool_on_closed(struct upstream_home *home)
{
	struct pool *pool = CONTAINER_OF(home, struct pool, home);
	if (UNLIKELY(pool->is_yielding))
		pool->spare_places++;
	else
		pool_give_place(pool);
}

static const struct upstream_home_events pool_events = {
	.on_returned = pool_on_returned,
	.on_lost = pool_on_lost,
	.on_idle_closed = pool_on_idle_closed,
	.on_closed = pool_on_closed,
};

/* ---- A pool ----------------------------------------------------------------------------------- */

struct pool *pool_new(struct upstream_shared *shared, struct backend *backend,
	const struct upstream_timeouts *timeouts, uint32_t connections_max)
{
	struct pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return NULL;
	pool->home = (struct upstream_home){
		.shared = shared, .backend = backend, .events = &pool_events, .timeouts = timeouts};
	pool->connections_max = connections_max;
	TAILQ_INIT(&pool->idle);
	if (connections_max != POOL_UNLIMITED)
		pool_share(pool)->pool = pool;
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
	if (UNLIKELY(!pool_take_place(pool))) {
		*problem = PROBLEM_ENDPOINTS_FULL;
		return NULL;
	}
	upstream = upstream_connect(&pool->home, attempt, problem);
	if (upstream != NULL)
		pool->leased_count++;
	else
		pool_give_place(pool);
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
	for (; pool->spare_places > 0; pool->spare_places--)
		pool_give_place(pool);
	/* A member that comes back has a pool of its own by then. */
	if (pool->connections_max != POOL_UNLIMITED && pool_share(pool)->pool == pool)
		pool_share(pool)->pool = NULL;
}

void pool_free(struct pool *pool)
{
	assert(pool->leased_count == 0);
	pool_retire(pool);
	free(pool);
}
