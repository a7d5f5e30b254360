/* peer - the other end of a connection under test: a plain TCP socket on loopback that keeps what it
 * received. Owns its socket and bytes; never blocks. */
#ifndef SUPPORT_PEER_H
#define SUPPORT_PEER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
	int fd;
	char *received; /* NUL-terminated */
	size_t bytes;
	bool is_ended; /* the other side sent FIN */
	bool is_reset;
};

/* A socket that listens on a free port of 127.0.0.1, or is only bound to it: then whoever connects is
 * refused, and nobody else can take the port. */
static inline int peer_listen(struct sockaddr_in *address, bool is_listening)
{
	socklen_t bytes = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)address, bytes) == 0);
	cr_assert(!is_listening || listen(fd, 64) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)address, &bytes) == 0);
	return fd;
}

static inline void peer_adopt(struct peer *peer, int fd)
{
	int on = 1;
	*peer = (struct peer){.fd = fd, .received = calloc(1, 1)};
	cr_assert(fd >= 0 && peer->received != NULL);
	cr_assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	cr_assert(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
}

/* A connected pair: the peer, and the non-blocking socket for the side under test. A small `buffer_bytes`
 * (0: the kernel's choice) makes both sides meet their limits soon. */
static inline int peer_pair(struct peer *peer, int buffer_bytes)
{
	struct sockaddr_in address;
	int listener = peer_listen(&address, true);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (int i = 0; buffer_bytes > 0 && i < 2; i++) {
		int option = i == 0 ? SO_RCVBUF : SO_SNDBUF;
		cr_assert(setsockopt(fd, SOL_SOCKET, option, &buffer_bytes, sizeof(int)) == 0);
		cr_assert(setsockopt(listener, SOL_SOCKET, option, &buffer_bytes, sizeof(int)) == 0);
	}
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	peer_adopt(peer, fd);
	int other = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert(other >= 0);
	close(listener);
	return other;
}

/* Take what is there. */
static inline void peer_poll(struct peer *peer)
{
	char buffer[65536];
	while (!peer->is_ended && !peer->is_reset) {
		ssize_t got = recv(peer->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN)
			return;
		peer->is_ended = got == 0;
		peer->is_reset = got < 0;
		if (got <= 0)
			return;
		peer->received = realloc(peer->received, peer->bytes + (size_t)got + 1);
		cr_assert(peer->received != NULL);
		memcpy(peer->received + peer->bytes, buffer, (size_t)got);
		peer->bytes += (size_t)got;
		peer->received[peer->bytes] = '\0';
	}
}

#define PEER_ARRIVAL_MS 60000

/* Wait until something has come to a socket: bytes (POLLIN), an end (POLLRDHUP), or, with either, a reset.
 * The kernel may take its time, even between two sockets of one machine. */
static inline void peer_await(int fd, short events)
{
	struct pollfd watched = {.fd = fd, .events = events};
	cr_assert_eq(poll(&watched, 1, PEER_ARRIVAL_MS), 1, "nothing came");
}

/* Forget what was received so far. */
static inline void peer_clear(struct peer *peer)
{
	peer->bytes = 0;
	peer->received[0] = '\0';
}

/* Send all of a text that is short enough for the socket's buffer. */
static inline void peer_send(struct peer *peer, const void *at, size_t bytes)
{
	cr_assert_eq(send(peer->fd, at, bytes, MSG_NOSIGNAL), (ssize_t)bytes, "%s", strerror(errno));
}

static inline void peer_say(struct peer *peer, const char *text)
{
	peer_send(peer, text, strlen(text));
}

static inline void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->received);
	*peer = (struct peer){.fd = -1};
}

/* Close with RST instead of FIN. */
static inline void peer_reset(struct peer *peer)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	cr_assert(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
	peer_close(peer);
}

#endif
