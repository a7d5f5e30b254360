/* admission - how many requests of a service are in flight, over all workers, and who waits for a place.
 *
 * A place is a unit of `in_flight`. Who has taken one gives it back with admission_leave(); if somebody waits
 * by then the place is not freed but handed on, in a message to the worker of a waiter.
 *
 *   enter --> a place is free -------------------------------> taken
 *         --> else, room in the queue --> waits --> handed on -> taken
 *         --> else --> refused
 */
#ifndef ADMISSION_H
#define ADMISSION_H

#include "base/check.h"
#include "base/random.h"
#include "mailbox.h"

#include <stdatomic.h>
#include <sys/queue.h>

/* One service's places, shared by all workers. Owned by the server. */
struct admission_places {
	uint64_t limit;	    /* 0: requests are not counted, and nothing below is used */
	uint64_t queue_max; /* waiters, over all workers */
	uint32_t service;   /* its index, for messages */
	uint32_t worker_count;
	struct mailbox *const *mailboxes; /* of the workers; borrowed */
	_Atomic uint64_t in_flight;
	_Atomic uint64_t waiting;	     /* over all workers */
	_Atomic uint64_t *waiting_by_worker; /* the same, for each */
};

/* False without memory. */
MUST_CHECK bool admission_places_init(struct admission_places *places, uint64_t limit, uint64_t queue_max,
	uint32_t service, uint32_t worker_count, struct mailbox *const *mailboxes);
void admission_places_finish(struct admission_places *places);

/* Embedded in what waits. */
struct waiter {
	TAILQ_ENTRY(waiter) link;
	void (*on_admitted)(struct waiter *waiter); /* its turn has come: it has a place */
};

/* One worker's side of it. */
struct admission {
	struct admission_places *places;
	uint32_t worker;
	struct random *random;
	TAILQ_HEAD(, waiter) waiters;
};

void admission_init(
	struct admission *admission, struct admission_places *places, uint32_t worker, struct random *random);

enum admission_verdict { ADMISSION_TAKEN, ADMISSION_WAITS, ADMISSION_REFUSED };

/* Take a place, or wait for one. */
MUST_CHECK enum admission_verdict admission_enter(struct admission *admission, struct waiter *waiter);

/* It does not wait any longer. Not after on_admitted. */
void admission_cancel(struct admission *admission, struct waiter *waiter);

/* Give a place back. Nothing is called from inside. */
void admission_leave(struct admission *admission);

/* MESSAGE_PLACE has come: a place for one of this worker's waiters, whose on_admitted is called. */
void admission_receive(struct admission *admission);

#endif
