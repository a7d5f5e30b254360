/* servers.h - where ZooKeeper is: the list of servers and the path above the labels, read from what a user
 * wrote. */
#ifndef SRSD_SERVERS_H
#define SRSD_SERVERS_H

#include "common/internal.h"

struct srsd_servers {
	char *list;	/* "host:port,host:port", without the chroot; owned */
	char *root;	/* chroot and registry in one, "" for the root; owned */
	unsigned count; /* of servers */
};

/* Read both. The chroot becomes a part of our own paths, so that its node need not be there before us, and
 * the client is never told of it. Errors: SRSD_BAD_ARGUMENT, SRSD_NO_MEMORY; nothing is owned then. */
enum srsd_status srsd_servers_read(const char *servers, const char *registry, struct srsd_servers *out,
	struct srsd_error *error) SRSD_MUST_CHECK;

void srsd_servers_clear(struct srsd_servers *servers);

#endif
