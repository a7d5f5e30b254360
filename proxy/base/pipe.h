/* pipe - takes bytes from one socket to another within the kernel, by splice(2), so that they are not copied
 * to us and back. One for a thread, beside its receive buffer, and as that empty between two callbacks: what
 * was put in goes out, or is copied out, before the callback returns. Owns two descriptors. */
#ifndef BASE_PIPE_H
#define BASE_PIPE_H

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <sys/types.h>

struct pipe {
	int in;
	int out;
	bool is_open;
	bool is_refused; /* the system does not splice, as it turned out */
	size_t held;
};

/* Make one. False with errno: there is none, and bytes have to be copied. */
MUST_CHECK bool pipe_open(struct pipe *pipe);

/* Fine on one that is not open. */
void pipe_close(struct pipe *pipe);

/* Can it be put to use? */
static inline bool pipe_is_usable(const struct pipe *pipe)
{
	return pipe->is_open && !pipe->is_refused;
}

/* Move up to `bytes` from the socket `fd` into it, which is usable and empty. As recv(), with its results;
 * with EOPNOTSUPP it is not usable any more, and nothing was moved. */
MUST_CHECK ssize_t pipe_fill(struct pipe *pipe, int fd, size_t bytes);

/* Send what it holds on the socket `fd`, whose process ignores SIGPIPE. As send(), likewise. */
MUST_CHECK ssize_t pipe_send(struct pipe *pipe, int fd);

/* Copy what it holds behind `bytes`. False: there is no memory; it is thrown away. */
MUST_CHECK bool pipe_copy_out(struct pipe *pipe, struct bytes *bytes);

/* Throw away what it holds, if anything. */
void pipe_drop(struct pipe *pipe);

#endif
