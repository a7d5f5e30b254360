/* subset - which backends of a large service this proxy uses: its share of them, so that the connections of
 * many proxies to many backends are bounded. Pure: the time is given. Owns nothing.
 *
 * Each proxy ranks the backends by a hash of its own identity and the backend's name, and uses the first ones
 * (rendezvous hashing: Thaler and Ravishankar, 1998). It needs to know of no other proxy. A backend that goes
 * is replaced where it was used, by one; one that comes takes the place of one where it ranks before it; a
 * proxy that comes or goes changes nothing elsewhere. */
#ifndef REGISTRY_SUBSET_H
#define REGISTRY_SUBSET_H

#include "balance/fleet.h"
#include "base/check.h"
#include "registry/roll.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who was taken in for others that do not work stays so long after the last was. */
#define SUBSET_HOLD_MS 60000

struct subset {
	size_t size;	       /* so many that are of use are wanted; 0: all are used */
	uint64_t identity;     /* of this proxy */
	size_t spare;	       /* so many more are used, for those that are not */
	bool is_spare_in_need; /* as many did not work when that was looked at last */
	uint64_t spared_ms;    /* up to when */
};

/* One backend, in any order. */
struct subset_entry {
	uint64_t rank;
	size_t index;	/* the caller's */
	bool is_useful; /* it may be chosen for requests, as far as is known */
};

/* `identity` is this proxy's, different for each and the same when it starts again; where it is NULL, that is
 * the host's name and `address`. */
void subset_init(struct subset *subset, size_t size, const char *identity, const char *address);

/* Where a backend of this name ranks: the lower the better. */
uint64_t subset_rank(const struct subset *subset, const char *name);

/* Sort the entries, whose ranks are set: the first of them are used. Returns how many. */
size_t subset_choose(struct subset *subset, struct subset_entry *entries, size_t count, uint64_t now_ms);

/* Keep those members of the roll that are used, in their order. `before` is what is known of them so far, or
 * NULL. False: no memory, and nothing was changed. */
MUST_CHECK bool subset_thin(
	struct subset *subset, struct roll *roll, const struct fleet *before, uint64_t now_ms);

#endif
