/* shelf - the newest fleet of each service (see shelf.h). */
#include "balance/shelf.h"

#include <stdlib.h>

bool shelf_init(struct shelf *shelf, size_t count)
{
	*shelf = (struct shelf){.fleets = calloc(count + 1, sizeof(shelf->fleets[0]))};
	if (shelf->fleets != NULL)
		shelf->count = count;
	return shelf->fleets != NULL;
}

void shelf_finish(struct shelf *shelf)
{
	for (size_t i = 0; i < shelf->count; i++) {
		struct fleet *fleet = shelf_take(shelf, i);
		fleet_unref(&fleet);
	}
	free(shelf->fleets);
	*shelf = (struct shelf){0};
}

void shelf_put(struct shelf *shelf, struct fleet *fleet)
{
	struct fleet *before =
		atomic_exchange_explicit(&shelf->fleets[fleet->service], fleet, memory_order_acq_rel);
	fleet_unref(&before);
}

struct fleet *shelf_take(struct shelf *shelf, size_t service)
{
	return atomic_exchange_explicit(&shelf->fleets[service], NULL, memory_order_acquire);
}

void shelf_give_back(struct shelf *shelf, struct fleet **fleet)
{
	struct fleet *taken = *fleet, *none = NULL;
	*fleet = NULL;
	if (taken != NULL && !atomic_compare_exchange_strong_explicit(&shelf->fleets[taken->service], &none,
				     taken, memory_order_release, memory_order_relaxed))
		fleet_unref(&taken);
}
