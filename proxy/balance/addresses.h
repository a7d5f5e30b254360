/* addresses - where one endpoint may be reached: its addresses, in the order in which they are tried. Plain
 * data, and the socket that leads to one. */
#ifndef BALANCE_ADDRESSES_H
#define BALANCE_ADDRESSES_H

#include "base/check.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of one endpoint; a host name with more is taken with so many. */
#define ADDRESSES_MAX 16

/* "[", an IPv6 address, "]:65535", NUL */
#define ADDRESS_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

struct addresses {
	uint32_t count;
	union address list[ADDRESSES_MAX];
};

static inline socklen_t address_bytes(const union address *address)
{
	return address->any.sa_family == AF_INET6 ? sizeof(address->ipv6) : sizeof(address->ipv4);
}

/* Append an IPv4 or IPv6 address with `port` for its port, unless it stands there or there is no room. */
void addresses_add(struct addresses *addresses, const struct sockaddr *address, uint16_t port);

/* Is this one of them? */
bool addresses_have(const union address *list, uint32_t count, const union address *address);

/* The two families by turns, IPv6 first, as RFC 6724 (section 2.1) prefers it, and each in the order that it
 * had: whatever is wrong with one family costs no more than one address before the other is tried. */
void addresses_mix(struct addresses *addresses);

/* Do both have the same addresses, in whatever order? */
bool addresses_same(
	const union address *one, uint32_t one_count, const union address *other, uint32_t other_count);

/* Begin to connect to it. Returns a socket that does not block, for the caller, and whether it is connected
 * at once; -1 with errno set when that fails at once, or there is no descriptor or memory. */
MUST_CHECK int address_dial(const union address *address, bool *is_connected);

/* "192.0.2.1:80", "[2001:db8::1]:80". */
void address_format(const union address *address, char out[ADDRESS_TEXT_MAX]);

#endif
