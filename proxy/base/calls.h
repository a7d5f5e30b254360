/* calls - the calls to the kernel that each request makes, past the C library: there each of them is a point
 * at which its thread may be cancelled, which in a program with threads takes two locked operations and about
 * 40 instructions. No thread of ours is ever cancelled. Owns nothing.
 *
 * Each is as the function of the C library that it stands for, errno included. A build with sanitizers goes
 * through that one, as they look at the buffers there; tests take these calls over by their names. */
#ifndef BASE_CALLS_H
#define BASE_CALLS_H

#include "base/check.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* recv() */
MUST_CHECK ssize_t call_receive(int fd, void *buffer, size_t bytes, int flags);

/* send() */
MUST_CHECK ssize_t call_send(int fd, const void *buffer, size_t bytes, int flags);

/* sendmsg() */
MUST_CHECK ssize_t call_send_message(int fd, const struct msghdr *message, int flags);

#endif
