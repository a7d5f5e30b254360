/* limits - what a label may ask of us (see limits.h). Owns nothing. */
#include "limits.h"

#include <inttypes.h>
#include <string.h>

#include "node/node.h"
#include "node/node_data.h"

bool srsd_limits_take_count(
	struct srsd_limits *limits, const struct srsd *srsd, const char *path, size_t count)
{
	bool is_over = count > srsd->children_max;

	if (is_over && !limits->is_over)
		srsd_log(&srsd->logger, SRSD_LOG_ERROR,
			"%s has %zu nodes, above the limit of %" PRIu32
			": the last set is kept; raise the limit or remove nodes",
			path, count, srsd->children_max);
	if (!is_over && limits->is_over)
		srsd_log(&srsd->logger, SRSD_LOG_INFO, "%s has %zu nodes, within the limit again", path,
			count);
	limits->nodes = count;
	limits->is_over = is_over;
	return !is_over;
}

/* Say it when the first node is over a limit, and when the last one is gone. */
static void take(
	size_t *seen, size_t count, const struct srsd *srsd, const char *path, const char *what, size_t limit)
{
	if (count > 0 && *seen == 0)
		srsd_log(&srsd->logger, SRSD_LOG_ERROR,
			"%s has nodes with %s above the limit of %zu bytes (%zu of them): what was known of "
			"them stands; find out who makes them",
			path, what, limit, count);
	if (count == 0 && *seen > 0)
		srsd_log(&srsd->logger, SRSD_LOG_INFO, "%s has no node with %s above the limit any more",
			path, what);
	*seen = count;
}

void srsd_limits_take_set(struct srsd_limits *limits, const struct srsd *srsd, const char *path,
	const struct srsd_snapshot *snapshot)
{
	size_t names = 0;
	size_t data = 0;

	for (size_t i = 0; i < srsd_snapshot_outsider_count(snapshot); i++) {
		const struct srsd_outsider *outsider = srsd_snapshot_outsider_at(snapshot, i);

		if (outsider->fault == srsd_fault_data_too_large())
			data++;
		else if (strlen(outsider->name) > SRSD_NODE_NAME_MAX)
			names++;
	}
	take(&limits->names_too_long, names, srsd, path, "names", SRSD_NODE_NAME_MAX);
	take(&limits->data_too_large, data, srsd, path, "data", srsd->data_max);
}
