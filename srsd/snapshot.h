/* snapshot.h - how the library builds the immutable sets that srsd.h shows. */
#ifndef SRSD_SNAPSHOT_H
#define SRSD_SNAPSHOT_H

#include "internal.h"

/* Names that were refused while a set was built: sorted, owned, without duplicates. */
struct srsd_name_list {
	char **names;
	size_t count;
};

void srsd_name_list_clear(struct srsd_name_list *list);

/* Is `name` in it? */
bool srsd_name_list_has(const struct srsd_name_list *list, const char *name);

/* Build the set of those of `names` (in any order, no two alike) that are addresses. A member that `before`
 * (may be NULL) holds already is shared with it. `refused` (empty on entry) gets the others; the caller
 * clears it. Returns NULL when memory is short; `refused` is empty then. The caller owns one reference. */
struct srsd_snapshot *srsd_snapshot_build(const char *const *names, size_t count,
	struct srsd_snapshot *before, uint64_t version, struct srsd_name_list *refused) SRSD_MUST_CHECK;

/* Do both hold the same members? NULL holds none, but is not the same as an empty set. */
bool srsd_snapshot_is_same_set(const struct srsd_snapshot *one, const struct srsd_snapshot *other);

#endif
