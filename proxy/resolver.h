/* resolver - host names of endpoints to addresses, asynchronously: a look-up that hangs holds up nobody else.
 * Owns the look-ups under way and what they found. One thread. */
#ifndef RESOLVER_H
#define RESOLVER_H

#include "base/check.h"

#include <srsd.h>
#include <stdbool.h>
#include <sys/socket.h>

struct event_base;
struct resolver;

/* `on_resolved` is called from the loop when a name that resolver_find() did not know was resolved. NULL: no
 * memory, or the system's resolver configuration cannot be used. */
MUST_CHECK struct resolver *resolver_new(struct event_base *base, void (*on_resolved)(void *arg), void *arg);

enum resolver_result {
	RESOLVER_FOUND,
	RESOLVER_WAITING,  /* its host name is being looked up; on_resolved tells when it was found */
	RESOLVER_NO_MEMORY /* it is not: ask again */
};

/* The socket address of an endpoint. A look-up that fails is tried again, at growing intervals, until it is
 * found. What was found is kept as long as the resolver. */
MUST_CHECK enum resolver_result resolver_find(struct resolver *resolver, const struct srsd_address *address,
	struct sockaddr_storage *resolved, socklen_t *bytes);

/* Cancel what is under way and free it. Sets the pointer to NULL. */
void resolver_free(struct resolver **resolver);

#endif
