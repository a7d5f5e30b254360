/* endpoint.h - one member of a set: immutable, reference-counted, shared by the snapshots that hold it. */
#ifndef SRSD_ENDPOINT_H
#define SRSD_ENDPOINT_H

#include "node/node.h"
#include "node/node_data.h"

/* What the node says. NULL: memory is short. The caller owns one reference. */
struct srsd_endpoint *srsd_endpoint_new(
	const struct srsd_node *node, const struct srsd_node_data *said) SRSD_MUST_CHECK;

/* Is it what srsd_endpoint_new() would make of these? */
bool srsd_endpoint_is_made_of(const struct srsd_endpoint *endpoint, const struct srsd_node *node,
	const struct srsd_node_data *said);

/* Any thread. */
struct srsd_endpoint *srsd_endpoint_ref(struct srsd_endpoint *endpoint);
void srsd_endpoint_unref(struct srsd_endpoint *endpoint);

#endif
