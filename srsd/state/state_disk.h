/* state_disk.h - files of the state directory: read whole, replaced whole. A reader sees the old file or the
 * new one, whenever the writer is killed. */
#ifndef SRSD_STATE_DISK_H
#define SRSD_STATE_DISK_H

#include "common/internal.h"

/* Remove what writers left behind that were killed while they wrote. */
void srsd_state_disk_clean(const char *directory);

/* The file's bytes, which the caller frees. NULL: it cannot be read, and `why` says it; or there is none, and
 * `why` is empty. Only a regular file is read that belongs to this user, or root, and that nobody else may
 * write. */
char *srsd_state_disk_read(const char *path, size_t *bytes, struct srsd_error *why) SRSD_MUST_CHECK;

/* Make these bytes the file of that path, and have them on the disk. Returns 0, or an errno value, and `step`
 * gets the call that failed; the old file is as it was then. Blocks as long as the disk does. Any thread. */
int srsd_state_disk_write(
	const char *path, const char *text, size_t bytes, const char **step) SRSD_MUST_CHECK;

#endif
