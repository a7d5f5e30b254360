/* loopback - has the kernel not pace what never leaves this machine (see loopback.h). */
#include "base/loopback.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

bool loopback_is(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
		return ntohl(ipv4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
	}
	if (address->sa_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;
	return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

void loopback_do_not_pace(int fd)
{
	static const char name[] = "reno";
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof(name) - 1);
}
