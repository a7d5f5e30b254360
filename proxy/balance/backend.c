/* backend - what all workers share about one endpoint (see backend.h). */
#include "balance/backend.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct backend *backend_new(const char *name, const union address *addresses, uint32_t address_count,
	uint32_t share_count, struct verdicts *verdicts)
{
	size_t shares_end = sizeof(struct backend) + share_count * sizeof(struct backend_share);
	size_t addresses_end = shares_end + address_count * sizeof(*addresses);
	size_t name_length = strnlen(name, BACKEND_NAME_BYTES - 1);
	size_t bytes = addresses_end + name_length + 1;
	/* Not aligned_alloc(), which wants a multiple of the alignment: what is next begins in the rest. */
	void *memory;
	if (posix_memalign(&memory, _Alignof(struct backend), bytes) != 0)
		return NULL;
	struct backend *backend = memory;
	memset(backend, 0, bytes);
	atomic_init(&backend->references, 1);
	backend->share_count = share_count;
	backend->address_count = address_count;
	backend->addresses = (union address *)(void *)((char *)backend + shares_end);
	memcpy(backend->addresses, addresses, address_count * sizeof(*addresses));
	backend->name = memcpy((char *)backend + addresses_end, name, name_length);
	belief_init(&backend->belief, backend->name, verdicts, clock_coarse_ms());
	return backend;
}

struct backend *backend_ref(struct backend *backend)
{
	atomic_fetch_add_explicit(&backend->references, 1, memory_order_relaxed);
	return backend;
}

void backend_unref(struct backend **backend)
{
	struct backend *old = *backend;
	*backend = NULL;
	if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) != 1)
		return;
	belief_finish(&old->belief);
	free(old);
}

struct backend_totals backend_totals(const struct backend *backend)
{
	struct backend_totals totals = {0};
	for (uint32_t i = 0; i < backend->share_count; i++) {
		const struct backend_share *share = &backend->shares[i];
		totals.requests += atomic_load_explicit(&share->requests, memory_order_relaxed);
		totals.failures += atomic_load_explicit(&share->failures, memory_order_relaxed);
		totals.in_flight += atomic_load_explicit(&share->in_flight, memory_order_relaxed);
	}
	return totals;
}
