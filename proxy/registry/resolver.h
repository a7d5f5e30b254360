/* resolver - host names of endpoints to addresses, asynchronously: a look-up that hangs holds up nobody else.
 * Owns the names in use, the look-ups under way and what they found. One thread. */
#ifndef REGISTRY_RESOLVER_H
#define REGISTRY_RESOLVER_H

#include "balance/addresses.h"

#include <srsd.h>

struct event_base;
struct resolver;

/* A name is looked up again about each `refresh_ms`. `on_resolved` is called from the loop when what
 * resolver_find() says of some name has changed. NULL: no memory. */
MUST_CHECK struct resolver *resolver_new(
	struct event_base *base, uint64_t refresh_ms, void (*on_resolved)(void *arg), void *arg);

enum resolver_result {
	RESOLVER_FOUND,
	RESOLVER_WAITING,  /* its host name is being looked up; on_resolved tells when it was found */
	RESOLVER_NO_MEMORY /* it is not: ask again */
};

/* The addresses of an endpoint, all of them. A look-up that fails is tried again, at growing intervals; what
 * was found before stands meanwhile. A name is looked up as long as it is in use. */
MUST_CHECK enum resolver_result resolver_find(
	struct resolver *resolver, const struct srsd_address *address, struct addresses *found);

/* Between the first and the last of these calls, say of each name that it is in use; the others are
 * forgotten. Without names there is nothing to do. */
bool resolver_has_names(const struct resolver *resolver);
void resolver_keep_begin(struct resolver *resolver);
void resolver_keep(struct resolver *resolver, const struct srsd_address *address);
void resolver_keep_end(struct resolver *resolver);

/* Cancel what is under way and free it. Sets the pointer to NULL. */
void resolver_free(struct resolver **resolver);

#endif
