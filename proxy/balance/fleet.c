/* fleet - an immutable set of backends (see fleet.h). */
#include "balance/fleet.h"

#include <srsd.h>
#include <stdlib.h>
#include <string.h>

struct fleet *fleet_new(uint32_t service, uint64_t version, uint64_t taken_ms, size_t count_max)
{
	struct fleet *fleet = malloc(sizeof(*fleet) + count_max * sizeof(fleet->entries[0]));
	if (fleet == NULL)
		return NULL;
	*fleet = (struct fleet){.service = service, .version = version, .taken_ms = taken_ms};
	atomic_init(&fleet->references, 1);
	return fleet;
}

void fleet_hold(struct fleet *fleet, struct srsd_snapshot *snapshot)
{
	fleet->snapshot = srsd_snapshot_ref(snapshot);
}

void fleet_append(
	struct fleet *fleet, struct backend *backend, uint32_t weight, const struct srsd_endpoint *endpoint)
{
	fleet->entries[fleet->count++] =
		(struct fleet_entry){.backend = backend_ref(backend), .weight = weight, .endpoint = endpoint};
	fleet->is_weighted |= weight == 0 || weight != fleet->entries[0].weight;
}

bool fleet_refuse(struct fleet *fleet, const char *name)
{
	if (fleet->refused_count == fleet->refused_capacity) {
		size_t capacity = fleet->refused_capacity == 0 ? 8 : fleet->refused_capacity * 2;
		char **refused = realloc(fleet->refused, capacity * sizeof(*refused));
		if (refused == NULL)
			return false;
		fleet->refused = refused;
		fleet->refused_capacity = capacity;
	}
	char *copy = strdup(name);
	if (copy != NULL)
		fleet->refused[fleet->refused_count++] = copy;
	return copy != NULL;
}

const struct fleet_entry *fleet_find_from(const struct fleet *fleet, size_t *at, const char *name)
{
	for (; fleet != NULL && *at < fleet->count; ++*at) {
		int order = strcmp(fleet->entries[*at].backend->name, name);
		if (order >= 0)
			return order == 0 ? &fleet->entries[*at] : NULL;
	}
	return NULL;
}

bool fleet_is_same(const struct fleet *one, const struct fleet *other)
{
	if (one->snapshot != other->snapshot || one->count != other->count ||
		one->refused_count != other->refused_count)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (one->entries[i].backend != other->entries[i].backend)
			return false;
	for (size_t i = 0; i < one->refused_count; i++)
		if (strcmp(one->refused[i], other->refused[i]) != 0)
			return false;
	return true;
}

struct fleet *fleet_ref(struct fleet *fleet)
{
	atomic_fetch_add_explicit(&fleet->references, 1, memory_order_relaxed);
	return fleet;
}

bool fleet_is_shared(const struct fleet *fleet)
{
	return atomic_load_explicit(&fleet->references, memory_order_acquire) > 1;
}

void fleet_unref(struct fleet **fleet)
{
	struct fleet *old = *fleet;
	*fleet = NULL;
	if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < old->count; i++)
		backend_unref(&old->entries[i].backend);
	for (size_t i = 0; i < old->refused_count; i++)
		free(old->refused[i]);
	free(old->refused);
	srsd_snapshot_unref(&old->snapshot);
	free(old);
}
