/* fleet - the backends of one service at one moment: what the registry's thread sends to everyone.
 * Immutable and reference-counted; holds a reference to each of its backends, sorted by name. */
#ifndef BALANCE_FLEET_H
#define BALANCE_FLEET_H

#include "balance/backend.h"

#include <stdbool.h>
#include <stddef.h>

struct srsd_endpoint;
struct srsd_snapshot;

/* A backend, and what its node says of it now: that may change while the backend goes on. */
struct fleet_entry {
	struct backend *backend;
	uint32_t weight;		      /* its share of the requests, as against others; 0: none */
	const struct srsd_endpoint *endpoint; /* of the fleet's snapshot, with all the rest; may be NULL */
};

struct fleet {
	_Atomic uint32_t references;
	uint32_t service;		/* index in the settings */
	uint64_t version;		/* of the snapshot it was made from */
	uint64_t taken_ms;		/* when that was read, CLOCK_MONOTONIC */
	struct srsd_snapshot *snapshot; /* held for the sake of the endpoints; may be NULL */
	bool is_weighted;		/* not all weights are the same, or they are 0 */
	size_t passed_count;		/* registered as well, and not among these: not in our subset */
	size_t refused_count;
	size_t refused_capacity;
	char **refused; /* names of members that must not be connected to, sorted */
	size_t count;
	struct fleet_entry entries[];
};

/* An empty one with room for `count_max` and a reference for the caller, who fills it before anyone else sees
 * it. NULL without memory. */
MUST_CHECK struct fleet *fleet_new(uint32_t service, uint64_t version, uint64_t taken_ms, size_t count_max);

/* Hold the snapshot that its endpoints are of, with a reference of its own. */
void fleet_hold(struct fleet *fleet, struct srsd_snapshot *snapshot);

/* Put a backend behind the others; the names must come sorted. Takes a reference of its own. `endpoint` is
 * borrowed of the snapshot, or NULL. */
void fleet_append(
	struct fleet *fleet, struct backend *backend, uint32_t weight, const struct srsd_endpoint *endpoint);

/* Note a member that is none of the backends because it must not be connected to; sorted, too. False without
 * memory. */
MUST_CHECK bool fleet_refuse(struct fleet *fleet, const char *name);

/* The entry of that name, which is sought from `*at` on: for a walk along the names in their order, from 0.
 * NULL: there is none, or no fleet. */
const struct fleet_entry *fleet_find_from(const struct fleet *fleet, size_t *at, const char *name);

/* Are they the same backends, of the same snapshot? */
bool fleet_is_same(const struct fleet *one, const struct fleet *other);

struct fleet *fleet_ref(struct fleet *fleet);

/* Does anybody else hold a reference still? */
bool fleet_is_shared(const struct fleet *fleet);

/* Give a reference back and set the pointer to NULL; NULL in it is fine. Any thread. */
void fleet_unref(struct fleet **fleet);

#endif
