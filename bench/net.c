/* net - addresses, sockets, time and arguments of the benchmarks' programs (see net.h). Owns nothing. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096

#define PORT_FIRST 10000
#define PORT_LAST  32767
#define PORT_TRIES 1000

void net_fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	if (error != 0)
		fprintf(stderr, ": %s", strerror(error));
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

uint64_t net_number(const char *text, const char *what, uint64_t least, uint64_t most)
{
	char *end = NULL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
	errno = 0;
	if (!is_number || value < least || value > most)
		net_fail("%s is a whole number from %llu to %llu, not \"%s\"", what,
			(unsigned long long)least, (unsigned long long)most, text);
	return value;
}

struct sockaddr_in net_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[INET_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	errno = 0;
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		net_fail("\"%s\" is no address; write it as 127.0.0.1:8080", text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		net_fail("\"%s\" is no IPv4 address", host);
	address.sin_port = htons((uint16_t)net_number(colon + 1, "a port", 1, UINT16_MAX));
	return address;
}

static void set_without_delay(int fd)
{
	int on = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		net_fail("TCP_NODELAY");
}

/* -1: the port is taken. */
static int try_listening(const struct sockaddr_in *address)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* A port with connections of an ended process is free all the same. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		net_fail("socket");
	/* All addresses are those of the loopback interface: nobody outside of the machine is to be answered.
	 */
	static const char loopback[] = "lo";
	if (address->sin_addr.s_addr == htonl(INADDR_ANY) &&
		setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, loopback, sizeof(loopback)) != 0)
		net_fail("a listener on all loopback addresses");
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
		listen(fd, LISTEN_BACKLOG) == 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int listen_on(int port, in_addr_t host)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(host)};
	return try_listening(&address);
}

int net_listen_at(const struct sockaddr_in *address)
{
	int fd = try_listening(address);
	if (fd < 0)
		net_fail("listening on port %d", ntohs(address->sin_port));
	return fd;
}

/* A listener on `port` of `host`, or on a free port; writes the port to `chosen`. */
static int listen_on_any(uint16_t port, in_addr_t host, int *chosen)
{
	unsigned seed = (unsigned)net_now_ns() ^ (unsigned)getpid();
	int fd = -1;
	*chosen = port;
	for (int i = 0; fd < 0 && i < (port != 0 ? 1 : PORT_TRIES); i++) {
		if (port == 0)
			*chosen = PORT_FIRST + rand_r(&seed) % (PORT_LAST - PORT_FIRST + 1);
		fd = listen_on(*chosen, host);
	}
	if (fd < 0)
		net_fail("listening on port %d", *chosen);
	return fd;
}

int net_listen(uint16_t port, char address[NET_ADDRESS_BYTES])
{
	int chosen;
	int fd = listen_on_any(port, INADDR_LOOPBACK, &chosen);
	snprintf(address, NET_ADDRESS_BYTES, "127.0.0.1:%d", chosen);
	return fd;
}

int net_listen_shared(const struct sockaddr_in *address)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
		bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
		listen(fd, LISTEN_BACKLOG) != 0)
		net_fail("sharing port %d", ntohs(address->sin_port));
	return fd;
}

int net_listen_everywhere(char address[NET_ADDRESS_BYTES])
{
	int chosen;
	int fd = listen_on_any(0, INADDR_ANY, &chosen);
	snprintf(address, NET_ADDRESS_BYTES, "0.0.0.0:%d", chosen);
	return fd;
}

int net_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		set_without_delay(fd);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		net_fail("accept");
	return fd;
}

int net_connect(const struct sockaddr_in *address, bool is_blocking)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (is_blocking ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		net_fail("socket");
	set_without_delay(fd);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno != EINPROGRESS) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	if (is_blocking && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
		net_fail("O_NONBLOCK");
	return fd;
}

uint64_t net_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void net_raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		net_fail("RLIMIT_NOFILE");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		net_fail("RLIMIT_NOFILE");
}

int net_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		net_fail("sigprocmask");
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		net_fail("signalfd");
	return fd;
}
