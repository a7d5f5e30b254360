/* backend - one endpoint as all workers see it: its addresses, and what each worker counts about it.
 * Reference-counted; the same object from the moment its node appears until it is gone and its last request
 * ended. A worker writes its own share only, on a cache line of its own; everyone may read all. */
#ifndef BALANCE_BACKEND_H
#define BALANCE_BACKEND_H

#include "balance/addresses.h"
#include "base/check.h"
#include "health/belief.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;

/* What one worker counts. Written by that worker alone: a plain load and store, no locked instruction. */
struct backend_share {
	_Alignas(64) _Atomic uint64_t requests; /* attempts that were given to it */
	_Atomic uint64_t failures;		/* attempts that brought no response */
	_Atomic uint32_t in_flight;
	_Atomic uint32_t places; /* for connections, that it has of those that are limited */
	struct pool *pool;	 /* its connections, where they are limited; that worker's alone */
};

struct backend {
	_Atomic uint32_t references;
	uint32_t share_count;
	uint32_t address_count;
	_Atomic uint32_t preferred; /* index of the address that was connected to last */
	struct belief belief;	    /* what all threads believe of it */
	union address *addresses;   /* in the same memory, behind the shares */
	const char *name; /* behind those, as long as it is; as its node is named: host:port, [host]:port */
	_Atomic uint32_t places; /* for connections, taken by all workers, where they are limited */
	struct backend_share shares[];
};

/* What is longer than any host and port, and the end of the text: such a name is cut. */
#define BACKEND_NAME_BYTES 264

/* One at these addresses, 1 to ADDRESSES_MAX of them, with a reference for the caller and a share for each of
 * `share_count` workers. `verdicts` are its service's, and outlive it: see belief_init(). NULL without
 * memory. */
MUST_CHECK struct backend *backend_new(const char *name, const union address *addresses,
	uint32_t address_count, uint32_t share_count, struct verdicts *verdicts);

/* Which address is tried first: the one that was connected to last. Any thread. */
static inline uint32_t backend_preferred(const struct backend *backend)
{
	return atomic_load_explicit(&backend->preferred, memory_order_relaxed);
}
static inline void backend_prefer(struct backend *backend, uint32_t address)
{
	if (backend_preferred(backend) != address)
		atomic_store_explicit(&backend->preferred, address, memory_order_relaxed);
}

struct backend *backend_ref(struct backend *backend);

/* Give a reference back and set the pointer to NULL; NULL in it is fine. Any thread. */
void backend_unref(struct backend **backend);

/* Take a place for a connection, where there may be `most` of them over all workers. False: all are taken.
 * Any thread. */
MUST_CHECK static inline bool backend_take_place(struct backend *backend, uint32_t most)
{
	uint32_t taken = atomic_load_explicit(&backend->places, memory_order_relaxed);
	while (taken < most)
		if (atomic_compare_exchange_weak_explicit(
			    &backend->places, &taken, taken + 1, memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

/* Give it back, once the connection is closed. Any thread. */
static inline void backend_give_place(struct backend *backend)
{
	atomic_fetch_sub_explicit(&backend->places, 1, memory_order_release);
}

/* The sums over all workers. Any thread. */
struct backend_totals {
	uint64_t requests;
	uint64_t failures;
	uint64_t in_flight;
};
struct backend_totals backend_totals(const struct backend *backend);

/* Add to a number that this thread alone writes. */
static inline void share_add(_Atomic uint64_t *number, uint64_t by)
{
	atomic_store_explicit(
		number, atomic_load_explicit(number, memory_order_relaxed) + by, memory_order_relaxed);
}

#endif
