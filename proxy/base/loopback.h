/* loopback - sockets whose bytes never leave this machine: has the kernel not pace them. Owns nothing.
 *
 * A congestion control that paces, as BBR does, programs a timer for every few segments. On a network that
 * spares queues; between two sockets of one machine there are none, and it is a third of what a large body
 * costs. Reno is part of every kernel, open to every user, and does not pace. */
#ifndef BASE_LOOPBACK_H
#define BASE_LOOPBACK_H

#include "base/check.h"

#include <stdbool.h>

struct sockaddr;

/* Is this address one of the machine's own, whichever machine it is: 127.0.0.0/8 or ::1? */
MUST_CHECK bool loopback_is(const struct sockaddr *address);

/* Have what is sent on a TCP socket, and on those that it accepts, go out without pacing. Only a matter of
 * speed: where the kernel refuses, nothing changes. */
void loopback_do_not_pace(int fd);

#endif
