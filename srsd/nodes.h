/* nodes.h - lists the nodes of a label, and reads those of which more than the name is wanted: in batches, so
 * that neither side has to hold all of it on its way. */
#ifndef SRSD_NODES_H
#define SRSD_NODES_H

#include "node/node.h"
#include "session/request.h"

struct srsd_listing;

/* `nodes` are borrowed, and may be put in another order; valid during the call. Empty unless `rc` is ZOK, and
 * sorted when they were read. `label` is what the label's own node was when its children were listed, or
 * NULL. When there are more than children_max, none was read. */
typedef void srsd_listing_fn(
	void *owner, int rc, struct srsd_node *nodes, size_t count, const struct Stat *label);

struct srsd_listing_plan {
	const char *path;		   /* of the label */
	struct srsd_watcher *watcher;	   /* for its children; may be NULL */
	bool wants_reading;		   /* of nodes that are not known; else all are names only */
	const struct srsd_snapshot *known; /* members and outsiders that are known; NULL: none is */
};

/* Returns ZOK, after which `on_done` comes from the loop exactly once unless it is cancelled or the handle
 * goes; or an error, after which nothing comes. `slot`, which must be NULL, points to the listing until
 * `on_done` begins, and must not move. Copies what it keeps of the plan. */
int srsd_listing_start(struct srsd *srsd, const struct srsd_listing_plan *plan, srsd_listing_fn *on_done,
	void *owner, struct srsd_listing **slot) SRSD_MUST_CHECK;

/* No callback any more; sets the pointer to NULL, which it may be already. */
void srsd_listing_cancel(struct srsd_listing **slot);

#endif
