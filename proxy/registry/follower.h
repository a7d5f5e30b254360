/* follower - follows one service: what the registry lists of it, and what of that was sent to the checker.
 * Owns the newest set, the fleet that was made of it, and the rules by which. One thread. */
#ifndef REGISTRY_FOLLOWER_H
#define REGISTRY_FOLLOWER_H

#include "config/settings.h"
#include "mailbox.h"
#include "observe/standing.h"
#include "registry/muster.h"
#include "registry/subset.h"

#include <srsd.h>

/* What it hands up. */
struct follower_events {
	void (*on_set)(void *owner);	/* a newer set was taken on: names may be out of use */
	void (*on_behind)(void *owner); /* not all of it was sent, for want of memory: publish again, later */
};

struct follower_settings {
	const struct settings *settings; /* this and what follows outlive the follower */
	uint32_t index;			 /* of the service among these */
	uint32_t worker_count;
	struct verdicts *verdicts; /* of the service */
	struct standing *standing; /* of the service, kept up to date */
	struct resolver *resolver;
	struct mailbox *fleets; /* gets every fleet */
	const struct follower_events *events;
	void *owner;
};

struct follower {
	uint32_t index;
	const char *name; /* the service's */
	const struct service_settings *settings;
	const struct follower_events *events;
	void *owner;
	struct mailbox *fleets;
	struct standing *standing;
	struct muster muster;
	struct subset subset;
	uint32_t subset_generation; /* of the verdicts that it was chosen by */
	struct srsd_read_options read;
	struct srsd_watch *watch;	/* NULL: its endpoints are in the configuration */
	struct srsd_snapshot *snapshot; /* the newest; NULL: there was none yet */
	struct fleet *fleet;		/* the newest that was sent */
	bool is_behind;			/* not all of the newest set was sent: no memory */
};

/* False: no memory; follower_finish() is called for it all the same. */
MUST_CHECK bool follower_init(struct follower *follower, const struct follower_settings *settings);

/* Take on the endpoints that the configuration has of the service. False: there is no memory; it was logged.
 */
MUST_CHECK bool follower_open_static(struct follower *follower);

/* Take on what ZooKeeper lists, from now until that is closed. False: the client refuses; the reason was
 * logged. */
MUST_CHECK bool follower_open_watch(struct follower *follower, struct srsd *srsd);

/* Make a fleet of the newest set and send it, unless nothing has changed. */
void follower_publish(struct follower *follower);

/* Is another choice of backends due: some are ejected, or work again, or were held in their places for long
 * enough? Never without a subset. */
bool follower_is_refill_due(const struct follower *follower);

/* Say in the service's standing how the watch stands now. */
void follower_look(const struct follower *follower);

/* Say of each host name in the newest set that it is in use. */
void follower_keep_names(const struct follower *follower);

/* Give back what it owns. The watch must be closed. */
void follower_finish(struct follower *follower);

#endif
