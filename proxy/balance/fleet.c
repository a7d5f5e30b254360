/* fleet - an immutable set of backends (see fleet.h). */
#include "balance/fleet.h"

#include <stdlib.h>
#include <string.h>

struct fleet *fleet_new(uint32_t service, uint64_t version, uint64_t taken_ms, size_t count_max)
{
	struct fleet *fleet = malloc(sizeof(*fleet) + count_max * sizeof(fleet->backends[0]));
	if (fleet == NULL)
		return NULL;
	*fleet = (struct fleet){.service = service, .version = version, .taken_ms = taken_ms};
	atomic_init(&fleet->references, 1);
	return fleet;
}

void fleet_append(struct fleet *fleet, struct backend *backend)
{
	fleet->backends[fleet->count++] = backend_ref(backend);
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

struct fleet *fleet_ref(struct fleet *fleet)
{
	atomic_fetch_add_explicit(&fleet->references, 1, memory_order_relaxed);
	return fleet;
}

void fleet_unref(struct fleet **fleet)
{
	struct fleet *old = *fleet;
	*fleet = NULL;
	if (old == NULL || atomic_fetch_sub_explicit(&old->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < old->count; i++)
		backend_unref(&old->backends[i]);
	for (size_t i = 0; i < old->refused_count; i++)
		free(old->refused[i]);
	free(old->refused);
	free(old);
}
