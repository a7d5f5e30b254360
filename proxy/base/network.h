/* network - IP networks: reads "192.0.2.0/24", says which addresses are in one. Pure; owns nothing. Needs
 * nothing of the proxy: the configuration is checked with it too. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

/* IPv4, or IPv6. An IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address: a listener on [::] sees
 * IPv4 clients so. */
struct network {
	uint8_t address[16];  /* in network order; of IPv4 the first 4 */
	uint8_t address_bits; /* 32 or 128 */
	uint8_t prefix_bits;
};

enum network_fault {
	NETWORK_GOOD,
	NETWORK_NO_ADDRESS, /* not an IP address before the '/' */
	NETWORK_BAD_PREFIX, /* not a number from 0 to the address's bits behind the '/' */
	NETWORK_HOST_BITS   /* bits are set behind the prefix */
};

/* Read "address/prefix", or "address", which is a network of one. `out` is set if NETWORK_GOOD is returned,
 * and with NETWORK_HOST_BITS: to the network without these bits, which may be what was meant. */
MUST_CHECK enum network_fault network_parse(const char *text, struct network *out);

#define NETWORK_TEXT_MAX 52 /* "IPv6/128" and the NUL */

/* Write it as network_parse() reads it, a network of one without its prefix, and a NUL. Returns the length.
 */
size_t network_write(const struct network *network, char out[NETWORK_TEXT_MAX]);

/* The same. Returns `out`. */
const char *network_format(const struct network *network, char out[NETWORK_TEXT_MAX]);

/* The network of the one address of a peer, without its port. False: it is of neither IPv4 nor IPv6. */
MUST_CHECK bool network_of_peer(const struct sockaddr *peer, struct network *out);

/* Is all of `inner` in one of these networks? */
bool networks_have(const struct network *networks, size_t count, const struct network *inner);

#endif
