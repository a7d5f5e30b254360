/* pipe - splice(2) between sockets (see pipe.h). */
#include "base/pipe.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A pipe has places, each for bytes that stand together in a socket's memory: of a page, or of as little as a
 * segment. It is asked to have as many as any user may have, so that they do not run out before the bytes do.
 */
#define PIPE_BYTES (1024 * 1024)

bool pipe_open(struct pipe *pipe)
{
	int ends[2];
	*pipe = (struct pipe){.is_open = false};
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return false;
	/* Where the system allows less, it moves less at once. */
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	*pipe = (struct pipe){.in = ends[1], .out = ends[0], .is_open = true};
	return true;
}

void pipe_close(struct pipe *pipe)
{
	if (!pipe->is_open)
		return;
	close(pipe->in);
	close(pipe->out);
	*pipe = (struct pipe){.is_open = false};
}

/* A splice has failed. Where that is not the connection's fault, its bytes can be copied. */
static void pipe_note_failure(struct pipe *pipe)
{
	if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != ENOMEM)
		return;
	log_event(LOG_WARNING, "long bodies are copied from now on: the system refuses to splice them",
		LOG_TEXT("reason", strerror(errno)));
	pipe->is_refused = true;
	errno = EOPNOTSUPP;
}

static ssize_t pipe_splice(struct pipe *pipe, int from, int to, size_t bytes)
{
	ssize_t moved;
	do {
		moved = splice(from, NULL, to, NULL, bytes, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (moved < 0 && errno == EINTR);
	if (moved < 0)
		pipe_note_failure(pipe);
	return moved;
}

ssize_t pipe_fill(struct pipe *pipe, int fd, size_t bytes)
{
	ssize_t got = pipe_splice(pipe, fd, pipe->in, bytes);
	if (got > 0)
		pipe->held = (size_t)got;
	return got;
}

ssize_t pipe_send(struct pipe *pipe, int fd)
{
	ssize_t put = pipe_splice(pipe, pipe->out, fd, pipe->held);
	if (put > 0)
		pipe->held -= (size_t)put;
	return put;
}

bool pipe_copy_out(struct pipe *pipe, struct bytes *bytes)
{
	while (pipe->held > 0) {
		char *room = bytes_reserve(bytes, pipe->held);
		ssize_t got = room != NULL ? read(pipe->out, room, pipe->held) : -1;
		if (got <= 0) {
			pipe_drop(pipe);
			return false;
		}
		bytes_commit(bytes, (size_t)got);
		pipe->held -= (size_t)got;
	}
	return true;
}

/* Nobody wants to read it: another pipe takes its place. */
void pipe_drop(struct pipe *pipe)
{
	if (LIKELY(pipe->held == 0))
		return;
	pipe_close(pipe);
	if (!pipe_open(pipe))
		log_event(LOG_WARNING, "long bodies are copied from now on: there is no other pipe for them",
			LOG_TEXT("reason", strerror(errno)));
}
