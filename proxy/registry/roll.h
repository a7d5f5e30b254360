/* roll - the endpoints of a snapshot as the proxy knows them: by their addresses, in the order of these, and
 * each address once. Two nodes may have one address, as when a service came back before its old session
 * expired: the newest counts, or the address would get twice its share. Owns the list and its texts, not the
 * endpoints. */
#ifndef REGISTRY_ROLL_H
#define REGISTRY_ROLL_H

#include "base/check.h"

#include <srsd.h>
#include <stdbool.h>
#include <stddef.h>

struct roll_entry {
	const struct srsd_endpoint *endpoint; /* borrowed of the snapshot */
	const char *name;		      /* host:port */
};

struct roll {
	size_t count;
	struct roll_entry *entries;
	char *texts; /* of the names, where nodes are not named by their addresses */
};

/* False: no memory. The snapshot must outlive it. */
MUST_CHECK bool roll_init(struct roll *roll, const struct srsd_snapshot *snapshot, enum srsd_format format);

void roll_finish(struct roll *roll);

#endif
