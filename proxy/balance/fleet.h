/* fleet - the backends of one service at one moment: what the registry's thread sends to everyone.
 * Immutable and reference-counted; holds a reference to each of its backends, sorted by name. */
#ifndef BALANCE_FLEET_H
#define BALANCE_FLEET_H

#include "balance/backend.h"

#include <stdbool.h>
#include <stddef.h>

struct fleet {
	_Atomic uint32_t references;
	uint32_t service;  /* index in the settings */
	uint64_t version;  /* of the snapshot it was made from */
	uint64_t taken_ms; /* when that was read, CLOCK_MONOTONIC */
	size_t refused_count;
	size_t refused_capacity;
	char **refused; /* names of members that must not be connected to, sorted */
	size_t count;
	struct backend *backends[];
};

/* An empty one with room for `count_max` and a reference for the caller, who fills it before anyone else sees
 * it. NULL without memory. */
MUST_CHECK struct fleet *fleet_new(uint32_t service, uint64_t version, uint64_t taken_ms, size_t count_max);

/* Put a backend behind the others; the names must come sorted. Takes a reference of its own. */
void fleet_append(struct fleet *fleet, struct backend *backend);

/* Note a member that is none of the backends because it must not be connected to; sorted, too. False without
 * memory. */
MUST_CHECK bool fleet_refuse(struct fleet *fleet, const char *name);

struct fleet *fleet_ref(struct fleet *fleet);

/* Give a reference back and set the pointer to NULL; NULL in it is fine. Any thread. */
void fleet_unref(struct fleet **fleet);

#endif
