/* canonical - one spelling for each address. Pure. */
#include "srsd/command/doctor/canonical.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static void write_ipv6(const struct in6_addr *binary, struct srsd_address *address)
{
	if (IN6_IS_ADDR_V4MAPPED(binary)) {
		address->kind = SRSD_HOST_IPV4;
		inet_ntop(AF_INET, &binary->s6_addr[12], address->host, sizeof(address->host));
	} else {
		inet_ntop(AF_INET6, binary, address->host, sizeof(address->host));
	}
}

bool canonical_address(struct srsd_address *address)
{
	struct srsd_address before = *address;
	struct in6_addr binary;

	switch (address->kind) {
	case SRSD_HOST_IPV4: /* there is but one way to write it that is accepted */
		break;
	case SRSD_HOST_IPV6:
		if (inet_pton(AF_INET6, address->host, &binary) == 1)
			write_ipv6(&binary, address);
		break;
	case SRSD_HOST_NAME:
		for (char *at = address->host; *at != '\0'; at++)
			if (*at >= 'A' && *at <= 'Z')
				*at = (char)(*at - 'A' + 'a');
		break;
	}
	return before.kind == address->kind && strcmp(before.host, address->host) == 0;
}

bool canonical_host(const char *digits, char *out)
{
	struct srsd_address address = {.kind = SRSD_HOST_IPV6};
	struct in_addr ipv4;
	struct in6_addr ipv6;

	*out = '\0';
	int bytes = snprintf(address.host, sizeof(address.host), "%.*s", (int)strcspn(digits, "%"), digits);
	if (bytes < 0 || (size_t)bytes >= sizeof(address.host))
		return false;
	if (inet_pton(AF_INET, address.host, &ipv4) != 1) {
		if (inet_pton(AF_INET6, address.host, &ipv6) != 1)
			return false;
		write_ipv6(&ipv6, &address);
	}
	memcpy(out, address.host, strlen(address.host) + 1);
	return true;
}

bool canonical_is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}
