/* support.h - what the tests of proxy/observe share: two services, two workers' counters, some backends. */
#ifndef UNIT_OBSERVE_SUPPORT_H
#define UNIT_OBSERVE_SUPPORT_H

#include "balance/fleet.h"
#include "config/settings.h"
#include "observe/counters.h"
#include "observe/standing.h"

#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <string.h>

#define SERVICES 2
#define WORKERS	 2

/* A name that would break out of a label or a string if it were not escaped. */
#define HOSTILE_NAME "we\"ird\\label}"

static struct service_settings observed_services[SERVICES] = {
	{.name = (char[]){"tornado_app"}}, {.name = (char[]){HOSTILE_NAME}, .static_count = 1}};
static struct settings observed_settings = {.services = observed_services, .service_count = SERVICES};
static struct standing observed_standings[SERVICES];
static struct verdicts observed_verdicts[SERVICES];
static struct counters observed_counters[WORKERS];
static const struct counters *const observed_lists[WORKERS] = {&observed_counters[0], &observed_counters[1]};

/* A fleet of `service` with these backends, each with 10 requests, 1 failure, 2 in flight in each share. */
static inline struct fleet *observed_fleet(
	uint32_t service, uint64_t taken_ms, const char *const *names, size_t count)
{
	const union address address = {.ipv4.sin_family = AF_INET};
	struct fleet *fleet = fleet_new(service, 41, taken_ms, count);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < count; i++) {
		struct backend *backend = backend_new(names[i], &address, 1, WORKERS, NULL);
		cr_assert_not_null(backend);
		for (size_t w = 0; w < WORKERS; w++) {
			share_add(&backend->shares[w].requests, 10);
			share_add(&backend->shares[w].failures, 1);
			backend->shares[w].in_flight = 2;
		}
		fleet_append(fleet, backend, 1, NULL);
		backend_unref(&backend);
	}
	return fleet;
}

/* The text of a buffer, valid until it changes. */
static inline const char *buffer_text(struct evbuffer *buffer)
{
	cr_assert_eq(evbuffer_add(buffer, "", 1), 0);
	return (const char *)evbuffer_pullup(buffer, -1);
}

#endif
