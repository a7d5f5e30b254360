/* shelf - the newest fleet of each service, for one who looks now and then, and is not to be woken by each.
 * Holds a reference to each of them. */
#ifndef BALANCE_SHELF_H
#define BALANCE_SHELF_H

#include "balance/fleet.h"

struct shelf {
	size_t count;
	struct fleet *_Atomic *fleets; /* one per service; NULL: none yet, or it was taken down */
};

/* For so many services. False: no memory. */
MUST_CHECK bool shelf_init(struct shelf *shelf, size_t count);
void shelf_finish(struct shelf *shelf);

/* Put up a newer fleet of its service, in place of the last one. Takes over the reference. Any one thread. */
void shelf_put(struct shelf *shelf, struct fleet *fleet);

/* Take down the newest fleet of a service, or NULL, for a look: the reference is the caller's until he gives
 * it back. Any other thread, one at a time. */
struct fleet *shelf_take(struct shelf *shelf, size_t service);

/* Put it back, unless there is a newer one by now: nothing that has gone is kept by who looks seldom. Sets
 * the pointer to NULL; NULL in it is fine. */
void shelf_give_back(struct shelf *shelf, struct fleet **fleet);

#endif
