/* snapshot.h - how the library builds the immutable sets that srsd.h shows. */
#ifndef SRSD_SNAPSHOT_H
#define SRSD_SNAPSHOT_H

#include "node/node.h"
#include "node/node_data.h"

/* How many of the sorted `nodes` are not known to `before` (may be NULL: none is), neither as members nor as
 * outsiders? Those are moved to the front, and the order among them stays. */
size_t srsd_nodes_bring_new_forward(
	struct srsd_node *nodes, size_t count, const struct srsd_snapshot *before);

/* Build the set of those nodes that are members; the others are kept as its outsiders. A member of `before`
 * (may be NULL) is shared when its node was not read again or says the same as before; it also stands when
 * what was read now is a fault. Sorts `nodes`. Returns NULL when memory is short. The caller owns one
 * reference. */
struct srsd_snapshot *srsd_snapshot_build(struct srsd_node *nodes, size_t count,
	const struct srsd_read_options *options, const struct srsd_snapshot *before,
	uint64_t version) SRSD_MUST_CHECK;

/* Only by who has built it, before it is shown to anybody. */
void srsd_snapshot_set_version(struct srsd_snapshot *snapshot, uint64_t version);

/* A set of these members, sorted by name, with a reference of its own to each. It is of a file; see
 * srsd_snapshot_set_age(). NULL: memory is short. The caller owns one reference. */
struct srsd_snapshot *srsd_snapshot_of_members(
	struct srsd_endpoint *const *members, size_t count) SRSD_MUST_CHECK;

/* How old it was when it was taken. Only by who has made it, before it is shown to anybody. */
void srsd_snapshot_set_age(struct srsd_snapshot *snapshot, uint64_t age_ms);

/* Do both hold the same members, by their objects? NULL holds none, but is not the same as an empty set. */
bool srsd_snapshot_is_same_set(const struct srsd_snapshot *one, const struct srsd_snapshot *other);

/* The outsider of that name; NULL: there is none. Borrowed. */
const struct srsd_outsider *srsd_snapshot_find_outsider(
	const struct srsd_snapshot *snapshot, const char *name);

/* Say which nodes under `path` have a fault that they did not have in `before` (may be NULL): some of them by
 * name, the others by their number. */
void srsd_snapshot_report_faults(const struct srsd_snapshot *snapshot, const struct srsd_snapshot *before,
	const struct srsd_logger *logger, const char *path);

#endif
