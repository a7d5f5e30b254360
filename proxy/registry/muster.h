/* muster - makes backends of a set's members: each goes on with the one that it has, or gets a new one. Who
 * is where the service's cannot be is refused; whose host name is not resolved yet is left out. Owns where a
 * service's backends may be. One thread. */
#ifndef REGISTRY_MUSTER_H
#define REGISTRY_MUSTER_H

#include "balance/fleet.h"
#include "registry/reach.h"
#include "registry/resolver.h"
#include "registry/roll.h"

struct muster {
	const char *service; /* its name; outlives this, as do: */
	struct verdicts *verdicts;
	struct resolver *resolver; /* tells when what was left out is known */
	uint32_t worker_count;
	struct reach reach;
	bool has_names;	    /* of the last fleet: some of its endpoints are given by host name */
	bool is_incomplete; /* of the last fleet: not all that it could have, for want of memory */
};

/* Put the members of the roll into the fleet, which is empty and has room for them. `before` is the service's
 * fleet up to now, whose backends go on; NULL: there was none. */
void muster_fill(
	struct muster *muster, struct fleet *fleet, const struct roll *roll, const struct fleet *before);

#endif
