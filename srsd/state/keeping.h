/* keeping.h - keeps the set of one watch on disk, and brings it back when ZooKeeper is not heard at the
 * start.
 *
 *   confirmed by ZooKeeper --> (a second since the last) --> written by a thread
 *   not heard for state_wait_ms --> read --> on_found
 *
 * A set of which most has gone does not replace the one on disk for a while: a ZooKeeper that was emptied
 * must not empty that, too. */
#ifndef SRSD_KEEPING_H
#define SRSD_KEEPING_H

#include <event2/event_struct.h>

#include "session/session.h"
#include "state/state_file.h"
#include "state/state_write.h"

/* A set of the file: give it to the watch. `snapshot` is borrowed. */
typedef void srsd_keeping_fn(void *owner, struct srsd_snapshot *snapshot);

/* Embedded in a watch, all zeros until srsd_keeping_start(). */
struct srsd_keeping {
	uint32_t magic;
	struct srsd *srsd;
	struct srsd_state_subject subject;
	char *path; /* NULL: there is no state directory, and nothing is kept */
	srsd_keeping_fn *on_found;
	void *owner;
	struct event wait;  /* for ZooKeeper, at the start */
	struct event pause; /* before the next write */
	struct srsd_state_write *write;
	struct srsd_snapshot *snapshot; /* what is to be written next; a reference of its own, or NULL */
	int64_t confirmed_ms;		/* that, since 1970 */
	uint64_t begun_ms;		/* the last write */
	bool is_failing;		/* and it was said */
	bool is_large_known;		/* of the file as well */
	bool is_losing;			/* most of the set has gone; it was said */
	size_t large_count;		/* members of the largest set of late */
	int64_t large_ms;		/* when it was held for certain, as srsd_now_ms() */
};

/* Begin, if there is a state directory. `path` of the label and `options` must outlive it. False: memory is
 * short. */
bool srsd_keeping_start(struct srsd_keeping *keeping, struct srsd *srsd, const char *path,
	const struct srsd_read_options *options, srsd_keeping_fn *on_found, void *owner) SRSD_MUST_CHECK;

/* ZooKeeper holds just this at this moment. */
void srsd_keeping_confirm(struct srsd_keeping *keeping, struct srsd_snapshot *snapshot);

/* Write what is to be written, and free what it owns. Waits for that for a moment if the manager is closed.
 */
void srsd_keeping_end(struct srsd_keeping *keeping);

#endif
