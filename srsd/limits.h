/* limits.h - what a label may ask of us: how many nodes, how long their names, how much data. Says so when
 * that is too much, and when it is not any more. */
#ifndef SRSD_LIMITS_H
#define SRSD_LIMITS_H

#include "session/session.h"

/* Of one watch: what was seen at its last reading. */
struct srsd_limits {
	size_t nodes;
	bool is_over; /* more than children_max */
	size_t names_too_long;
	size_t data_too_large;
};

/* May a label have so many nodes? */
bool srsd_limits_take_count(
	struct srsd_limits *limits, const struct srsd *srsd, const char *path, size_t count) SRSD_MUST_CHECK;

/* Look at the nodes that were left out of a set. */
void srsd_limits_take_set(struct srsd_limits *limits, const struct srsd *srsd, const char *path,
	const struct srsd_snapshot *snapshot);

#endif
