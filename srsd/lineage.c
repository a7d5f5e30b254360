/* lineage - notices that nodes were replaced by others of the same name (see lineage.h). Owns a reference to
 * the set that was certain. */
#include "lineage.h"

#include <string.h>

#include "node/snapshot.h"

/* A walk over the names of a set, members and outsiders, in order. */
struct names {
	const struct srsd_snapshot *snapshot;
	size_t member;
	size_t outsider;
};

static const char *member_name(const struct names *names)
{
	return names->member < srsd_snapshot_count(names->snapshot)
		       ? srsd_endpoint_name(srsd_snapshot_at(names->snapshot, names->member))
		       : NULL;
}

static const char *outsider_name(const struct names *names)
{
	return names->outsider < srsd_snapshot_outsider_count(names->snapshot)
		       ? srsd_snapshot_outsider_at(names->snapshot, names->outsider)->name
		       : NULL;
}

/* NULL, the end, stands behind all names. */
static int compare(const char *one, const char *other)
{
	if (one == NULL || other == NULL)
		return (one == NULL) - (other == NULL);
	return strcmp(one, other);
}

/* The name at which the walk stands; NULL: at its end. */
static const char *current(const struct names *names)
{
	const char *member = member_name(names);
	const char *outsider = outsider_name(names);

	return compare(member, outsider) <= 0 ? member : outsider;
}

/* A member with a fault stands in both lists. */
static void walk_on(struct names *names)
{
	int order = compare(member_name(names), outsider_name(names));

	if (order <= 0)
		names->member++;
	if (order >= 0)
		names->outsider++;
}

static bool is_behind_outsiders(const struct names *names)
{
	return names->outsider == srsd_snapshot_outsider_count(names->snapshot);
}

/* Walk both on over members that they share, without a look at names. Where there are outsiders left, those
 * may come first. */
static void skip_shared(struct names *one, struct names *other)
{
	size_t count = srsd_snapshot_count(one->snapshot);
	size_t other_count = srsd_snapshot_count(other->snapshot);

	if (!is_behind_outsiders(one) || !is_behind_outsiders(other))
		return;
	while (one->member < count && other->member < other_count &&
		srsd_snapshot_at(one->snapshot, one->member) ==
			srsd_snapshot_at(other->snapshot, other->member)) {
		one->member++;
		other->member++;
	}
}

/* How many names are in one of them only? */
static size_t count_differences(const struct srsd_snapshot *before, const struct srsd_snapshot *after)
{
	struct names old = {.snapshot = before};
	struct names new = {.snapshot = after};
	size_t count = 0;

	skip_shared(&old, &new);
	while (current(&old) != NULL || current(&new) != NULL) {
		int order = compare(current(&old), current(&new));

		count += order != 0;
		if (order <= 0)
			walk_on(&old);
		if (order >= 0)
			walk_on(&new);
		skip_shared(&old, &new);
	}
	return count;
}

bool srsd_lineage_follow(struct srsd_lineage *lineage, struct srsd_snapshot *before,
	const struct srsd_snapshot *after, const struct Stat *label)
{
	/* A label that was made anew, or a server that knows less than before, counts from elsewhere. */
	bool is_comparable = lineage->is_known && before != NULL && label != NULL &&
			     label->czxid == lineage->label_zxid && label->pzxid >= lineage->changed_zxid;
	uint32_t changes = label != NULL ? (uint32_t)label->cversion - lineage->changes : 0;

	if (!is_comparable)
		srsd_lineage_settle(lineage);
	else if (lineage->sure == NULL && changes > 1 && changes > count_differences(before, after)) {
		lineage->sure = srsd_snapshot_ref(before);
		lineage->sure_zxid = lineage->changed_zxid;
	}
	lineage->is_known = label != NULL;
	if (label != NULL) {
		lineage->label_zxid = label->czxid;
		lineage->changed_zxid = label->pzxid;
		lineage->changes = (uint32_t)label->cversion;
	}
	return lineage->sure != NULL;
}

/* The member of that name, or NULL. `at` moves forward only. */
static const struct srsd_endpoint *find(const struct srsd_snapshot *snapshot, size_t *at, const char *name)
{
	while (snapshot != NULL && *at < srsd_snapshot_count(snapshot)) {
		const struct srsd_endpoint *member = srsd_snapshot_at(snapshot, *at);
		int order = strcmp(srsd_endpoint_name(member), name);

		if (order >= 0)
			return order == 0 ? member : NULL;
		(*at)++;
	}
	return NULL;
}

/* Is the node another one than that of this member? One that was replaced before says itself what it is. */
static bool is_replaced(const struct srsd_lineage *lineage, const struct srsd_endpoint *member,
	const struct srsd_endpoint *sure, const struct srsd_node *node)
{
	if (node->created_zxid == 0 || member == NULL)
		return false;
	if (srsd_endpoint_created_ms(member) != 0)
		return srsd_endpoint_created_ms(member) != node->created_ms ||
		       srsd_endpoint_owner(member) != node->owner;
	return member == sure && node->created_zxid > lineage->sure_zxid;
}

void srsd_lineage_sift(const struct srsd_lineage *lineage, const struct srsd_snapshot *before,
	struct srsd_node *nodes, size_t count)
{
	size_t in_before = 0;
	size_t in_sure = 0;

	for (size_t i = 0; i < count; i++) {
		struct srsd_node *node = &nodes[i];
		const struct srsd_endpoint *member = find(before, &in_before, node->name);
		const struct srsd_endpoint *sure = find(lineage->sure, &in_sure, node->name);

		node->is_read = is_replaced(lineage, member, sure, node);
		node->fault = NULL;
		if (!node->is_read)
			node->owner = node->created_ms = 0;
	}
}

void srsd_lineage_settle(struct srsd_lineage *lineage)
{
	if (lineage->sure != NULL)
		srsd_snapshot_unref(&lineage->sure);
}
