/* reach - the networks that a service's backends may be in (see reach.h). */
#include "registry/reach.h"

#include <stdlib.h>
#include <sys/socket.h>

/* No service is at one of these, unless its networks say so. A connection to 0.0.0.0 or :: ends at this very
 * machine; 169.254.169.254 hands out credentials in most clouds, also behind a translator (NAT64), and so do
 * two private IPv6 addresses in the largest ones. */
static const char *const reach_never[] = {"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255",
	"::", "64:ff9b::a9fe:0/112", "fd00:ec2::254", "fd20:ce::254", "fe80::/10", "ff00::/8"};

bool reach_init(struct reach *reach, const char *const *networks, size_t count)
{
	bool is_allowed = networks != NULL;
	if (!is_allowed) {
		networks = reach_never;
		count = ARRAY_SIZE(reach_never);
	}
	*reach = (struct reach){.is_allowed = is_allowed};
	reach->networks = calloc(count + 1, sizeof(*reach->networks));
	if (reach->networks == NULL)
		return false;
	for (; reach->count < count; reach->count++)
		if (network_parse(networks[reach->count], &reach->networks[reach->count]) != NETWORK_GOOD)
			return false; /* the settings were checked */
	return true;
}

void reach_init_all(struct reach *reach)
{
	*reach = (struct reach){.is_allowed = false};
}

bool reach_has(const struct reach *reach, const struct sockaddr *address)
{
	struct network one;
	if (!network_of_peer(address, &one))
		return false;
	return networks_have(reach->networks, reach->count, &one) == reach->is_allowed;
}

void reach_finish(struct reach *reach)
{
	free(reach->networks);
	*reach = (struct reach){0};
}
