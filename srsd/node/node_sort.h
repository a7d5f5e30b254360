/* node_sort.h - puts nodes in the order of their names. */
#ifndef SRSD_NODE_SORT_H
#define SRSD_NODE_SORT_H

#include "node/node.h"

/* Sort `nodes` by name, bytewise. Uses memory for a moment, and is slower where there is none. */
void srsd_nodes_sort(struct srsd_node *nodes, size_t count);

#endif
