/* local_address - which address of this machine others reach it by, as far as ZooKeeper can tell. Owns
 * nothing. */
#include <errno.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/session.h"

union any_address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
	struct sockaddr_storage room;
};

/* The server that answers for the session. */
static bool find_server(struct srsd *srsd, union any_address *server)
{
	struct srsd_zk_loop *before;
	socklen_t bytes = sizeof(*server);
	bool is_found;

	if (!srsd_is_connected(srsd))
		return false;
	before = srsd_zk_loop_speak(&srsd->loop);
	is_found = zookeeper_get_connected_host(srsd->loop.handle, &server->any, &bytes) != NULL;
	srsd_zk_loop_hush(before);
	return is_found;
}

/* The address that the system would send from: a datagram socket knows it once it is connected, and sends
 * nothing for that. */
static bool find_source(const union any_address *server, union any_address *source)
{
	socklen_t bytes = sizeof(*source);
	int fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_found;

	if (fd == -1)
		return false;
	is_found =
		connect(fd, &server->any, sizeof(*server)) == 0 && getsockname(fd, &source->any, &bytes) == 0;
	close(fd);
	return is_found;
}

enum srsd_status srsd_local_address(
	struct srsd *srsd, uint16_t port, struct srsd_address *out, struct srsd_error *error)
{
	union any_address server = {0}, source = {0};
	struct srsd_address address = {.port = port, .kind = SRSD_HOST_IPV4};
	const void *bytes = &source.ipv4.sin_addr;

	srsd_error_clear(error);
	if (port == 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "port 0 is no port; give one of 1 to 65535");
	if (!find_server(srsd, &server))
		return srsd_fail(error, SRSD_NOT_FOUND, "no ZooKeeper server is connected at this moment");
	if (!find_source(&server, &source))
		return srsd_fail(error, SRSD_SYSTEM, "the address of this machine towards ZooKeeper: %s",
			strerror(errno));
	if (source.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&source.ipv6.sin6_addr)) {
		bytes = &source.ipv6.sin6_addr.s6_addr[12];
		source.any.sa_family = AF_INET;
	} else if (source.any.sa_family == AF_INET6) {
		if (IN6_IS_ADDR_LINKLOCAL(&source.ipv6.sin6_addr))
			return srsd_fail(error, SRSD_SYSTEM,
				"the way to ZooKeeper is over a link-local address, which means nothing to "
				"others");
		address.kind = SRSD_HOST_IPV6;
		bytes = &source.ipv6.sin6_addr;
	}
	if (inet_ntop(source.any.sa_family, bytes, address.host, sizeof(address.host)) == NULL)
		return srsd_fail(error, SRSD_SYSTEM, "the address of this machine towards ZooKeeper: %s",
			strerror(errno));
	*out = address;
	return SRSD_OK;
}
