/* listener - opens the listening sockets (see listener.h). */
#include "listener.h"

#include "base/log.h"
#include "base/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waiting connections per socket; the kernel's net.core.somaxconn bounds it further. */
#define LISTENER_BACKLOG 4096

/* A deferred connection whose client says nothing is taken after that. The kernel counts in times that it
 * asks for the client's last word of the handshake, of which this is the first. */
#define LISTENER_DEFER_S 1

/* "192.0.2.1:80", "[2001:db8::1]:80"; port 0 lets the kernel choose (libevent's parser refuses that one). */
static bool listener_parse(const char *text, struct sockaddr_storage *address, socklen_t *bytes)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address;
	char host[INET6_ADDRSTRLEN];
	bool is_ipv6 = text[0] == '[';
	const char *colon = strrchr(text, ':');
	memset(address, 0, sizeof(*address));
	if (colon == NULL || colon < text + 2 * is_ipv6 || (is_ipv6 && colon[-1] != ']'))
		return false;
	const char *start = text + is_ipv6, *end = colon - is_ipv6;
	if ((size_t)(end - start) >= sizeof(host))
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	char *rest;
	unsigned long port = strtoul(colon + 1, &rest, 10);
	if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || port > UINT16_MAX)
		return false;
	*bytes = is_ipv6 ? sizeof(*ipv6) : sizeof(*ipv4);
	if (is_ipv6) {
		ipv6->sin6_family = AF_INET6;
		ipv6->sin6_port = htons((uint16_t)port);
		return inet_pton(AF_INET6, host, &ipv6->sin6_addr) == 1;
	}
	ipv4->sin_family = AF_INET;
	ipv4->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &ipv4->sin_addr) == 1;
}

/* What went wrong, and what can be done about it. */
static const char *listener_complaint(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "address taken: another process listens there";
	case EACCES:
		return "cannot listen: give another port, or the right to listen on it "
		       "(CAP_NET_BIND_SERVICE)";
	case EADDRNOTAVAIL:
		return "cannot listen: give an address of an interface of this machine, or 0.0.0.0 or [::] "
		       "for all";
	default:
		return "cannot listen";
	}
}

static enum exit_code listener_refuse(const char *address, int error)
{
	log_event(LOG_ERROR, listener_complaint(error), LOG_TEXT("address", address),
		LOG_TEXT("reason", strerror(error)));
	switch (error) {
	case EADDRINUSE:
		return EXIT_CODE_ADDRESS_TAKEN;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return EXIT_CODE_RESOURCES;
	default:
		return EXIT_CODE_ADDRESS_REFUSED;
	}
}

/* Bound, not listening yet; -1 with errno. */
static int listener_bind(const struct sockaddr_storage *address, socklen_t bytes, bool is_reuse_port)
{
	int on = 1;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(!is_reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
		(address->ss_family != AF_INET6 ||
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ==
			0 && /* inherited by what is accepted */
		bind(fd, (const struct sockaddr *)address, bytes) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Our own sockets share the port by SO_REUSEPORT, which would also let another process of the same user in,
 * unnoticed: see first that nobody is there. */
static bool listener_is_free(const struct sockaddr_storage *address, socklen_t bytes)
{
	int fd = listener_bind(address, bytes, false);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static void listener_log(int fd, const char *configured)
{
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	uint16_t port = 0;
	if (getsockname(fd, (struct sockaddr *)&bound, &bytes) == 0)
		port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
							 : ((struct sockaddr_in *)&bound)->sin_port);
	log_event(LOG_INFO, "listening", LOG_TEXT("address", configured), LOG_INT("port", port));
}

/* The kernel keeps a connection for itself until its first bytes are there: it is taken together with them.
 */
static bool listener_defer(int fd)
{
	const int seconds = LISTENER_DEFER_S;
	return setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0;
}

/* The sockets of all workers for one address; `sockets` steps by `stride`. `is_paced`: also where its clients
 * are on this machine. */
static enum exit_code listener_open(const struct listener_settings *settings, bool is_paced,
	size_t worker_count, int *sockets, size_t stride)
{
	struct sockaddr_storage address;
	socklen_t bytes;
	if (!listener_parse(settings->address, &address, &bytes))
		return listener_refuse(settings->address, EINVAL);
	if (!settings->is_shared && !listener_is_free(&address, bytes))
		return listener_refuse(settings->address, errno);
	for (size_t worker = 0; worker < worker_count; worker++) {
		int fd = listener_bind(&address, bytes, true);
		if (fd < 0)
			return listener_refuse(settings->address, errno);
		sockets[worker * stride] = fd;
		if (!is_paced && loopback_is((const struct sockaddr *)&address))
			loopback_do_not_pace(fd);
		/* With port 0 the kernel chose one for the first worker: the others join it there. */
		if ((settings->is_deferred && !listener_defer(fd)) || listen(fd, LISTENER_BACKLOG) != 0 ||
			getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
			return listener_refuse(settings->address, errno);
	}
	listener_log(sockets[0], settings->address);
	return EXIT_CODE_OK;
}

enum exit_code listener_open_all(const struct settings *settings, size_t worker_count, int *sockets)
{
	size_t count = worker_count * settings->listener_count;
	bool is_paced = settings->loopback_congestion_control == LOOPBACK_CONGESTION_CONTROL_SETTING_SYSTEM;
	enum exit_code code = EXIT_CODE_OK;
	for (size_t i = 0; i < count; i++)
		sockets[i] = -1;
	for (size_t i = 0; i < settings->listener_count && code == EXIT_CODE_OK; i++)
		code = listener_open(&settings->listeners[i], is_paced, worker_count, &sockets[i],
			settings->listener_count);
	for (size_t i = 0; i < count && code != EXIT_CODE_OK; i++)
		if (sockets[i] >= 0)
			close(sockets[i]);
	return code;
}

enum exit_code listener_open_one(const char *address, int *socket)
{
	const struct listener_settings settings = {.address = (char *)(uintptr_t)address};
	*socket = -1;
	enum exit_code code = listener_open(&settings, true, 1, socket, 1);
	if (code != EXIT_CODE_OK && *socket >= 0)
		close(*socket);
	return code;
}
