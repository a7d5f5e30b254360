/* lending - places for connections to a backend, from one worker to another. Owns nothing.
 *
 * Where connections to a backend are limited, the limit holds over all workers: a place is taken before a
 * connection is opened, and given back when it is closed. A worker that finds none free asks the others, one
 * after the other: the question goes round until one yields, and is back with the asker when none does.
 *
 *   asker --MESSAGE_WANTED--> next worker --> next ... --> asker: nobody gives one
 *                                  |
 *                                  yields, at once or when a connection is not in use any more
 *   asker <--MESSAGE_HANDED_ON-----+
 *
 * A place that is handed on is never free in between, so that nobody else takes it.
 */
#ifndef LENDING_H
#define LENDING_H

#include "mailbox.h"
#include "upstream/upstream.h"

/* One worker's side of it. */
struct lending {
	uint32_t worker;
	uint32_t worker_count;
	struct mailbox *const *mailboxes; /* of the workers; borrowed */
};

/* Have the pools of this worker ask, and be asked. */
void lending_init(struct lending *lending, uint32_t worker, uint32_t worker_count,
	struct mailbox *const *mailboxes, struct upstream_shared *upstream);

/* MESSAGE_WANTED has come, from the worker `asker`. Takes over the reference. */
void lending_on_wanted(struct lending *lending, struct backend *backend, uint32_t asker);

/* MESSAGE_HANDED_ON has come. Takes over the reference. */
void lending_on_handed_on(struct lending *lending, struct backend *backend);

#endif
