/* locator.h - where the servers are: their list, with addresses in the place of host names.
 *
 * Each name is looked up by itself (lookup.h), so that one that fails or hangs costs the others at most a
 * short wait. What was found last stands until something else is found. */
#ifndef SRSD_LOCATOR_H
#define SRSD_LOCATOR_H

#include <event2/event_struct.h>

#include "common/internal.h"

struct srsd_place;

/* Events that rise from it. They come from the loop, never inside a call of this header. Only on_turn may
 * free the owner: it is the last thing of a turn. */
struct srsd_locator_ops {
	/* All names that are waited for have been looked up, with or without success; or the others take too
	 * long; or one of those came after all. */
	void (*on_located)(void *owner);
	/* A turn begins (true), a turn ends (false): it may have something to say for the log. */
	void (*on_turn)(void *owner, bool begins);
};

struct srsd_locator {
	struct event_base *base;
	const struct srsd_logger *logger;
	const struct srsd_locator_ops *ops;
	void *owner;
	struct srsd_place *places; /* owned; one for each server */
	unsigned count;
	bool has_names;	   /* else nothing is ever looked up */
	struct event late; /* no longer waits for who has not answered */
};

/* Read `servers`, a list of `count` that srsd_servers_check() has passed. `base`, `logger` and `owner` must
 * outlive it. Errors: SRSD_NO_MEMORY, SRSD_SYSTEM; nothing is owned then. */
enum srsd_status srsd_locator_init(struct srsd_locator *locator, struct event_base *base, const char *servers,
	unsigned count, const struct srsd_locator_ops *ops, void *owner,
	const struct srsd_logger *logger) SRSD_MUST_CHECK;

/* Look each name up, but those that are being looked up. on_located will come, if there are names. */
void srsd_locator_ask(struct srsd_locator *locator);

/* "192.0.2.1:2181,[2001:db8::1]:2181": each address that is known, once, sorted; "" when there is none.
 * NULL: memory is short. The caller frees it. */
char *srsd_locator_list(const struct srsd_locator *locator, unsigned *count) SRSD_MUST_CHECK;

/* No callback any more. Does not wait for a look-up that hangs. */
void srsd_locator_clear(struct srsd_locator *locator);

#endif
