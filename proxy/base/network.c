/* network - IP networks: text in, text out, membership (see network.h). */
#include "base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define IPV4_BITS   32
#define IPV6_BITS   128
#define MAPPED_BITS 96 /* of the prefix before an IPv4-mapped address */

/* An IPv4-mapped network becomes the IPv4 network that it is. */
static void unmap(struct network *network)
{
	struct in6_addr ipv6;
	memcpy(&ipv6, network->address, sizeof(ipv6));
	if (network->address_bits != IPV6_BITS || network->prefix_bits < MAPPED_BITS ||
		!IN6_IS_ADDR_V4MAPPED(&ipv6))
		return;
	memset(network->address, 0, sizeof(network->address));
	memcpy(network->address, &ipv6.s6_addr[MAPPED_BITS / 8], IPV4_BITS / 8);
	network->address_bits = IPV4_BITS;
	network->prefix_bits = (uint8_t)(network->prefix_bits - MAPPED_BITS);
}

/* 1*3DIGIT without leading zero, at most `maximum`. */
static bool parse_prefix(const char *text, unsigned maximum, uint8_t *out)
{
	unsigned prefix = 0;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 3 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
		return false;
	for (size_t i = 0; i < digits; i++)
		prefix = prefix * 10 + (unsigned)(text[i] - '0');
	*out = (uint8_t)prefix;
	return prefix <= maximum;
}

/* Clear the bits behind the prefix. Were any set? */
static bool clear_host_bits(struct network *network)
{
	bool was_any_set = false;
	for (unsigned bit = network->prefix_bits; bit < network->address_bits; bit++) {
		uint8_t mask = (uint8_t)(0x80U >> bit % 8);
		was_any_set |= (network->address[bit / 8] & mask) != 0;
		network->address[bit / 8] &= (uint8_t)~mask;
	}
	return was_any_set;
}

enum network_fault network_parse(const char *text, struct network *out)
{
	char address[INET6_ADDRSTRLEN];
	struct network network = {{0}, 0, 0};
	size_t bytes = strcspn(text, "/");
	if (bytes >= sizeof(address))
		return NETWORK_NO_ADDRESS;
	memcpy(address, text, bytes);
	address[bytes] = '\0';
	if (inet_pton(AF_INET, address, network.address) == 1)
		network.address_bits = IPV4_BITS;
	else if (inet_pton(AF_INET6, address, network.address) == 1)
		network.address_bits = IPV6_BITS;
	else
		return NETWORK_NO_ADDRESS;
	network.prefix_bits = network.address_bits;
	if (text[bytes] == '/' && !parse_prefix(text + bytes + 1, network.address_bits, &network.prefix_bits))
		return NETWORK_BAD_PREFIX;
	bool has_host_bits = clear_host_bits(&network);
	unmap(&network);
	*out = network;
	return has_host_bits ? NETWORK_HOST_BITS : NETWORK_GOOD;
}

/* ---- As text ----------------------------------------------------------------------------------- */

/* inet_ntop() prints by snprintf: 2,000 instructions, a fifth of a request whose IPv6 client is told of. */
static char *put_number(char *at, unsigned number)
{
	if (number >= 100)
		*at++ = (char)('0' + number / 100);
	if (number >= 10)
		*at++ = (char)('0' + number / 10 % 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

static char *put_ipv4(char *at, const uint8_t *address)
{
	at = put_number(at, address[0]);
	for (size_t i = 1; i < IPV4_BITS / 8; i++) {
		*at++ = '.';
		at = put_number(at, address[i]);
	}
	return at;
}

#define IPV6_GROUPS 8

static unsigned group_of(const uint8_t *address, size_t index)
{
	return (unsigned)address[2 * index] << 8 | address[2 * index + 1];
}

static char *put_group(char *at, unsigned group)
{
	for (unsigned shift = group > 0xfff ? 12 : group > 0xff ? 8 : group > 0xf ? 4 : 0;; shift -= 4) {
		*at++ = "0123456789abcdef"[group >> shift & 0xf];
		if (shift == 0)
			return at;
	}
}

/* The longest run of groups that are 0, of two at least, the first of equals (RFC 5952 section 4.2): where it
 * begins, and with how many. */
static size_t find_zeros(const uint8_t *address, size_t *count)
{
	size_t longest = 0, run = 0, begin = IPV6_GROUPS;
	for (size_t i = 0; i < IPV6_GROUPS; i++) {
		run = group_of(address, i) == 0 ? run + 1 : 0;
		if (run > longest && run > 1) {
			longest = run;
			begin = i + 1 - run;
		}
	}
	*count = longest;
	return begin;
}

static char *put_ipv6(char *at, const uint8_t *address)
{
	size_t zero_count;
	size_t zeros = find_zeros(address, &zero_count);
	if (zeros == 0 &&
		zero_count == MAPPED_BITS / 16) { /* an IPv4 address in IPv6, as it was once meant */
		memcpy(at, "::", 2);
		return put_ipv4(at + 2, address + MAPPED_BITS / 8);
	}
	for (size_t i = 0; i < IPV6_GROUPS;) {
		if (i == zeros) {
			*at++ = ':';
			i += zero_count;
			if (i == IPV6_GROUPS)
				*at++ = ':';
			continue;
		}
		if (i > 0)
			*at++ = ':';
		at = put_group(at, group_of(address, i++));
	}
	return at;
}

size_t network_write(const struct network *network, char out[NETWORK_TEXT_MAX])
{
	bool is_ipv4 = network->address_bits == IPV4_BITS;
	char *at = is_ipv4 ? put_ipv4(out, network->address) : put_ipv6(out, network->address);
	if (network->prefix_bits < network->address_bits) {
		*at++ = '/';
		at = put_number(at, network->prefix_bits);
	}
	*at = '\0';
	return (size_t)(at - out);
}

const char *network_format(const struct network *network, char out[NETWORK_TEXT_MAX])
{
	network_write(network, out);
	return out;
}

bool network_of_peer(const struct sockaddr *peer, struct network *out)
{
	struct network network = {{0}, 0, 0};
	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)peer;
		memcpy(network.address, &ipv4->sin_addr, sizeof(ipv4->sin_addr));
		network.address_bits = IPV4_BITS;
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)peer;
		memcpy(network.address, &ipv6->sin6_addr, sizeof(ipv6->sin6_addr));
		network.address_bits = IPV6_BITS;
	} else {
		return false;
	}
	network.prefix_bits = network.address_bits;
	unmap(&network);
	*out = network;
	return true;
}

static bool network_has(const struct network *network, const struct network *inner)
{
	size_t whole = network->prefix_bits / 8;
	unsigned rest = network->prefix_bits % 8;
	if (network->address_bits != inner->address_bits || network->prefix_bits > inner->prefix_bits ||
		memcmp(network->address, inner->address, whole) != 0)
		return false;
	return rest == 0 || ((network->address[whole] ^ inner->address[whole]) >> (8 - rest)) == 0;
}

bool networks_have(const struct network *networks, size_t count, const struct network *inner)
{
	for (size_t i = 0; i < count; i++)
		if (network_has(&networks[i], inner))
			return true;
	return false;
}
