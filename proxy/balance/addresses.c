/* addresses - the addresses of one endpoint (see addresses.h). */
#include "balance/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool address_same(const union address *one, const union address *other)
{
	if (one->any.sa_family != other->any.sa_family)
		return false;
	if (one->any.sa_family == AF_INET)
		return one->ipv4.sin_port == other->ipv4.sin_port &&
		       one->ipv4.sin_addr.s_addr == other->ipv4.sin_addr.s_addr;
	return one->ipv6.sin6_port == other->ipv6.sin6_port &&
	       one->ipv6.sin6_scope_id == other->ipv6.sin6_scope_id &&
	       memcmp(&one->ipv6.sin6_addr, &other->ipv6.sin6_addr, sizeof(one->ipv6.sin6_addr)) == 0;
}

bool addresses_have(const union address *list, uint32_t count, const union address *address)
{
	for (uint32_t i = 0; i < count; i++)
		if (address_same(&list[i], address))
			return true;
	return false;
}

void addresses_add(struct addresses *addresses, const struct sockaddr *address, uint16_t port)
{
	union address one = {.any.sa_family = address->sa_family};
	if (address->sa_family == AF_INET) {
		memcpy(&one.ipv4, address, sizeof(one.ipv4));
		one.ipv4.sin_port = htons(port);
	} else if (address->sa_family == AF_INET6) {
		memcpy(&one.ipv6, address, sizeof(one.ipv6));
		one.ipv6.sin6_port = htons(port);
	} else {
		return;
	}
	if (addresses->count < ADDRESSES_MAX && !addresses_have(addresses->list, addresses->count, &one))
		addresses->list[addresses->count++] = one;
}

void addresses_mix(struct addresses *addresses)
{
	const struct addresses before = *addresses;
	uint32_t at[] = {0, 0};
	const sa_family_t families[] = {AF_INET6, AF_INET};
	addresses->count = 0;
	for (unsigned turn = 0; addresses->count < before.count; turn ^= 1) {
		while (at[turn] < before.count && before.list[at[turn]].any.sa_family != families[turn])
			at[turn]++;
		if (at[turn] < before.count)
			addresses->list[addresses->count++] = before.list[at[turn]++];
	}
}

bool addresses_same(
	const union address *one, uint32_t one_count, const union address *other, uint32_t other_count)
{
	if (one_count != other_count)
		return false;
	for (uint32_t i = 0; i < one_count; i++) /* neither has one twice */
		if (!addresses_have(other, other_count, &one[i]))
			return false;
	return true;
}

void address_format(const union address *address, char out[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	bool is_ipv6 = address->any.sa_family == AF_INET6;
	inet_ntop(address->any.sa_family,
		is_ipv6 ? (const void *)&address->ipv6.sin6_addr : (const void *)&address->ipv4.sin_addr,
		host, sizeof(host));
	snprintf(out, ADDRESS_TEXT_MAX, is_ipv6 ? "[%s]:%u" : "%s:%u", host,
		ntohs(is_ipv6 ? address->ipv6.sin6_port : address->ipv4.sin_port));
}

int address_dial(const union address *address, bool *is_connected)
{
	int on = 1;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Only a matter of speed: a socket that refuses it works all the same. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*is_connected = connect(fd, &address->any, address_bytes(address)) == 0;
	if (*is_connected || errno == EINPROGRESS)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}
