/* reach - the networks that a service's backends may be in: whoever can register can name any address, and
 * must not make the proxy connect to one that is none of the service's. Owns the networks. Pure. */
#ifndef REGISTRY_REACH_H
#define REGISTRY_REACH_H

#include "base/network.h"

/* One list, and whether an address must be in it or must not. */
struct reach {
	struct network *networks;
	size_t count;
	bool is_allowed;
};

/* From the networks of the settings, which were checked. NULL: every address is allowed but those that no
 * service has: "this network", link-local (where clouds answer with credentials), multicast, broadcast.
 * False: no memory. */
MUST_CHECK bool reach_init(struct reach *reach, const char *const *networks, size_t count);

/* Everything is allowed. */
void reach_init_all(struct reach *reach);

/* May the proxy connect there? An IPv4-mapped IPv6 address is the IPv4 address. */
bool reach_has(const struct reach *reach, const struct sockaddr *address);

void reach_finish(struct reach *reach);

#endif
