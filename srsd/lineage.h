/* lineage.h - notices that nodes were replaced by others of the same name between two lists, which then look
 * the same: a process that was killed and comes back removes the node of its dead session and makes its own.
 *
 * ZooKeeper counts in a label's own node each child that comes or goes. When it has counted more than the
 * difference of two lists explains, the nodes have to be looked at: who stood in the older list and was made
 * after that list is another one. */
#ifndef SRSD_LINEAGE_H
#define SRSD_LINEAGE_H

#include <zookeeper/zookeeper.h>

#include "node/node.h"

struct srsd_lineage {
	bool is_known; /* the next three, of the last list: */
	int64_t label_zxid;
	int64_t changed_zxid;
	uint32_t changes;
	struct srsd_snapshot *sure; /* the last set before some may have been replaced; NULL: none may */
	int64_t sure_zxid;	    /* when that was listed */
};

/* `after` was listed behind `before` (NULL: nothing was), with `label` for the label's own node (NULL: there
 * is none). Returns whether members may have been replaced since they were looked at. */
bool srsd_lineage_follow(struct srsd_lineage *lineage, struct srsd_snapshot *before,
	const struct srsd_snapshot *after, const struct Stat *label);

/* The nodes of a label of which only the names are wanted have all been read, behind `before`. Those that
 * were not replaced are made to look as if they had not been. `nodes` are sorted. */
void srsd_lineage_sift(const struct srsd_lineage *lineage, const struct srsd_snapshot *before,
	struct srsd_node *nodes, size_t count);

/* They have been looked at; or there will be no look. Fine on one that is zero. */
void srsd_lineage_settle(struct srsd_lineage *lineage);

#endif
