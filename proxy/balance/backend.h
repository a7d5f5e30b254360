/* backend - one endpoint as all workers see it: its address, and what each worker counts about it.
 * Reference-counted; the same object from the moment its node appears until it is gone and its last request
 * ended. A worker writes its own share only, on a cache line of its own; everyone may read all. */
#ifndef BALANCE_BACKEND_H
#define BALANCE_BACKEND_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

/* What one worker counts. Written by that worker alone: a plain load and store, no locked instruction. */
struct backend_share {
	_Alignas(64) _Atomic uint64_t requests; /* attempts that were given to it */
	_Atomic uint64_t failures;		/* attempts that brought no response */
	_Atomic uint32_t in_flight;
};

struct backend {
	_Atomic uint32_t references;
	uint32_t share_count;
	socklen_t address_bytes;
	struct sockaddr_storage address;
	char name[264]; /* as its node is named: host:port, [host]:port */
	struct backend_share shares[];
};

/* One with a reference for the caller, with a share for each of `share_count` workers. NULL without memory.
 */
MUST_CHECK struct backend *backend_new(
	const char *name, const struct sockaddr *address, socklen_t address_bytes, uint32_t share_count);

struct backend *backend_ref(struct backend *backend);

/* Give a reference back and set the pointer to NULL; NULL in it is fine. Any thread. */
void backend_unref(struct backend **backend);

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
