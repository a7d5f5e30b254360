/* support.h - what the tests of proxy/balance share: backends and fleets by name. */
#ifndef UNIT_BALANCE_SUPPORT_H
#define UNIT_BALANCE_SUPPORT_H

#include "balance/fleet.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

#define WORKERS 3

static inline struct backend *make_backend(const char *name)
{
	const union address address = {.ipv4 = {.sin_family = AF_INET,
					       .sin_port = htons(80),
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	struct backend *backend = backend_new(name, &address, 1, WORKERS, NULL);
	cr_assert_not_null(backend);
	return backend;
}

static inline struct fleet *make_fleet(struct backend *const *backends, size_t count)
{
	struct fleet *fleet = fleet_new(0, 1, 0, count);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < count; i++)
		fleet_append(fleet, backends[i], 1, NULL);
	return fleet;
}

static inline struct fleet *make_weighted_fleet(
	struct backend *const *backends, const uint32_t *weights, size_t count)
{
	struct fleet *fleet = fleet_new(0, 1, 0, count);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < count; i++)
		fleet_append(fleet, backends[i], weights[i], NULL);
	return fleet;
}

#endif
