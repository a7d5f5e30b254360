/* sink - where the access log goes: a file, standard output or standard error, and a thread of its own that
 * writes. Workers hand it buffers of whole lines and get them back empty; a disk or a reader that is stuck
 * makes it late and lines lost, never a worker wait. Owns the descriptor, the thread and what is in the
 * queue.
 *
 *   worker --fills--> buffer --access_sink_give()--> queue --> the sink's thread --write()--> file
 *      ^---------------------access_sink_take_back()------------------'
 *
 * As one thread writes, lines of several workers never mix, not even in a pipe. */
#ifndef ACCESS_SINK_H
#define ACCESS_SINK_H

#include "base/check.h"
#include "exit_code.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define ACCESS_BUFFER_BYTES (64 * 1024)

struct access_sink;

/* Buffers that came back to one worker. */
STAILQ_HEAD(access_buffers, access_buffer);

struct access_buffer {
	STAILQ_ENTRY(access_buffer) link;
	struct access_buffers *home; /* where it goes back to: the worker's; NULL: nowhere, it is freed */
	size_t used;
	uint32_t lines;
	uint32_t lost; /* of these lines: they could not be written */
	char text[ACCESS_BUFFER_BYTES];
};

/* Open it: `where` is "stdout", "stderr" or a path. A file is appended to, and made for this user and group
 * alone (0640). Logs what is wrong where it is not EXIT_CODE_OK. */
MUST_CHECK enum exit_code access_sink_open(const char *where, struct access_sink **sink);

/* Start its thread. Returns 0 or an errno value. */
MUST_CHECK int access_sink_start(struct access_sink *sink);

/* Open the file anew, as after it was renamed: what is handed over from here on goes into the new one. When
 * that fails the old one stays. Any thread; logs what came of it. */
void access_sink_reopen(struct access_sink *sink);

/* Hand over a buffer of whole lines, which goes back to its home. Any thread. */
void access_sink_give(struct access_sink *sink, struct access_buffer *buffer);

/* Move what has come back to `home` to the end of `to`. */
void access_sink_take_back(struct access_sink *sink, struct access_buffers *home, struct access_buffers *to);

/* The same, and `home` is left: what is not back by now never comes. */
void access_sink_leave(struct access_sink *sink, struct access_buffers *home, struct access_buffers *to);

/* Write what was handed over, as long as somebody takes it, end the thread, close. Sets the pointer to NULL;
 * NULL in it is fine. */
void access_sink_free(struct access_sink **sink);

#endif
