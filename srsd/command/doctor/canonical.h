/* canonical.h - one spelling for each address, so that two spellings of it can be told to be the same. */
#ifndef COMMAND_DOCTOR_CANONICAL_H
#define COMMAND_DOCTOR_CANONICAL_H

#include "srsd/srsd.h"

#include <sys/socket.h>

/* Put `address` into its one spelling: a host name in lower case (RFC 4343), an IPv6 address as RFC 5952
 * has it, an IPv4 address that is written as IPv6 (::ffff:192.0.2.1, RFC 4291 section 2.5.5.2) as IPv4.
 * Returns whether it was in it already. */
bool canonical_address(struct srsd_address *address);

/* The same for a host alone: an address in digits, without brackets; a zone (%eth0) is cut off. False, and
 * `out` is empty, when it is none. `out` has SRSD_HOST_MAX + 1 bytes. */
bool canonical_host(const char *digits, char *out);

/* Is that canonical host in digits a loopback address? */
bool canonical_is_loopback(const char *host);

#endif
