/* registry - one thread that follows the service registry and sends each new set of backends to the checker.
 * Owns a libsrsd manager on an event_base of its own, because the ZooKeeper client may block. Losing
 * ZooKeeper changes nothing for the workers: the last set they got stands. */
#ifndef REGISTRY_H
#define REGISTRY_H

#include "config/settings.h"
#include "mailbox.h"
#include "observe/standing.h"

struct registry;

struct registry_settings {
	const struct settings *settings; /* outlive the registry */
	uint32_t worker_count;
	struct verdicts *verdicts;  /* one per service, for its backends; outlive these */
	struct standing *standings; /* one per service, kept up to date as long as the registry lives */
	struct mailbox *fleets;	    /* gets every fleet */
	struct mailbox *states;	    /* gets MESSAGE_STATE */
};

/* Make it, and send the sets of services whose endpoints are in the configuration. NULL: no memory or
 * descriptors, or ZooKeeper's client refuses; the reason was logged. */
MUST_CHECK struct registry *registry_new(const struct registry_settings *settings);

/* Start its thread. Returns 0 or an errno value. */
MUST_CHECK int registry_start(struct registry *registry);

/* End the thread and the session, and free it. Sets the pointer to NULL. */
void registry_free(struct registry **registry);

#endif
