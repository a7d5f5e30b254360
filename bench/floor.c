/* floor - the least that a proxy can cost: forwards bytes between a client's connection and one of its own to
 * a backend, and parses nothing. Owns both. The benchmarks compare real proxies with it.
 *
 * One thread, epoll, one receive buffer for all connections, one call to receive and one to send each way.
 * What a short send leaves over is kept, and nothing more is received from the other side until it is gone.
 * With --threads there are so many of that side by side, which share nothing but the port.
 *
 * With --new-connections a client's connection is for one request, and those to backends are kept: a request
 * is what the first receive brings, in which Connection: close is made a field that backends do not know, and
 * an answer is what one receive brings. */
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES (256 * 1024)
#define EVENTS_MAX    256
#define BACKENDS_MAX  64
#define THREADS_MAX   64

struct pair;

/* One connection of a pair, with the bytes that are still to be sent on it. */
struct side {
	struct pair *pair;
	struct side *other;
	int fd;
	char *left;
	size_t left_bytes;
};

struct pair {
	struct side client;
	struct side backend;
	bool is_dead;
	struct pair *next; /* of the dead, or of the idle */
};

struct floor {
	int epoll;
	int listener;
	size_t backend_count;
	size_t backend_next;
	struct pair *dead;	   /* freed after the events that may still name them */
	bool is_single;		   /* one request on each of a client's connections */
	struct pair *idle;	   /* backends without a client, then */
	struct sockaddr_in shared; /* where it listens, if it is one of several */
	struct sockaddr_in backends[BACKENDS_MAX];
	char buffer[RECEIVE_BYTES];
};

static pthread_barrier_t floor_all_listen;

static void floor_watch(struct floor *floor, int operation, int fd, uint32_t events, void *source)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	if (epoll_ctl(floor->epoll, operation, fd, &event) != 0)
		net_fail("epoll_ctl");
}

static void pair_close(struct floor *floor, struct pair *pair)
{
	if (pair->is_dead)
		return;
	pair->is_dead = true;
	if (pair->client.fd >= 0)
		close(pair->client.fd);
	close(pair->backend.fd);
	pair->next = floor->dead;
	floor->dead = pair;
}

/* The client has its answer: the connection to the backend is for the next one. */
static void pair_end_client(struct floor *floor, struct pair *pair)
{
	close(pair->client.fd);
	pair->client.fd = -1;
	pair->next = floor->idle;
	floor->idle = pair;
}

/* The backend's connection is to live on. */
static void keep_connection(char *request, size_t bytes)
{
	static const char close_field[] = "\r\nConnection: close", other[] = "\r\nUnknown___: close";
	char *at = memmem(request, bytes, close_field, sizeof(close_field) - 1);
	if (at != NULL)
		memcpy(at, other, sizeof(other) - 1);
}

static void floor_free_dead(struct floor *floor)
{
	while (floor->dead != NULL) {
		struct pair *pair = floor->dead;
		floor->dead = pair->next;
		free(pair->client.left);
		free(pair->backend.left);
		free(pair);
	}
}

/* Keep what a short send left over, and wait until it can go. */
static void side_keep(struct floor *floor, struct side *side, const char *at, size_t bytes)
{
	side->left = malloc(bytes);
	if (side->left == NULL)
		net_fail("%zu bytes", bytes);
	memcpy(side->left, at, bytes);
	side->left_bytes = bytes;
	floor_watch(floor, EPOLL_CTL_MOD, side->fd, EPOLLOUT, side);
	floor_watch(floor, EPOLL_CTL_MOD, side->other->fd, side->other->left_bytes > 0 ? EPOLLOUT : 0,
		side->other);
}

static void side_send_left(struct floor *floor, struct side *side)
{
	ssize_t sent = send(side->fd, side->left, side->left_bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		pair_close(floor, side->pair);
		return;
	}
	if (sent <= 0)
		return;
	side->left_bytes -= (size_t)sent;
	if (side->left_bytes > 0) {
		memmove(side->left, side->left + sent, side->left_bytes);
		return;
	}
	free(side->left);
	side->left = NULL;
	bool is_other_full = side->other->left_bytes > 0;
	floor_watch(floor, EPOLL_CTL_MOD, side->fd, is_other_full ? 0 : EPOLLIN, side);
	floor_watch(floor, EPOLL_CTL_MOD, side->other->fd, is_other_full ? EPOLLOUT : EPOLLIN, side->other);
}

static void side_forward(struct floor *floor, struct side *side)
{
	struct pair *pair = side->pair;
	bool is_last = floor->is_single && side == &pair->backend;
	ssize_t got = recv(side->fd, floor->buffer, RECEIVE_BYTES, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		pair_close(floor, side->pair);
		return;
	}
	if (is_last && pair->client.fd < 0)
		net_fail("a backend said something that nobody asked for");
	if (floor->is_single && !is_last)
		keep_connection(floor->buffer, (size_t)got);
	ssize_t sent =
		send(side->other->fd, floor->buffer, (size_t)got, MSG_NOSIGNAL | (is_last ? MSG_MORE : 0));
	if (sent < 0 && errno != EAGAIN) {
		pair_close(floor, pair);
		return;
	}
	if (is_last && sent == got) {
		pair_end_client(floor, pair);
		return;
	}
	size_t done = sent > 0 ? (size_t)sent : 0;
	if (done < (size_t)got)
		side_keep(floor, side->other, floor->buffer + done, (size_t)got - done);
}

/* With a connection to a backend, without a client. */
static struct pair *pair_new(struct floor *floor)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	if (pair == NULL)
		net_fail("a pair of connections");
	struct sockaddr_in *backend = &floor->backends[floor->backend_next++ % floor->backend_count];
	pair->client = (struct side){.pair = pair, .other = &pair->backend, .fd = -1};
	pair->backend = (struct side){.pair = pair, .other = &pair->client};
	pair->backend.fd = net_connect(backend, true);
	if (pair->backend.fd < 0)
		net_fail("connecting to a backend");
	floor_watch(floor, EPOLL_CTL_ADD, pair->backend.fd, EPOLLIN, &pair->backend);
	return pair;
}

static void floor_accept(struct floor *floor)
{
	int fd;
	while ((fd = net_accept(floor->listener)) >= 0) {
		struct pair *pair = floor->idle;
		if (pair != NULL)
			floor->idle = pair->next;
		else
			pair = pair_new(floor);
		pair->client.fd = fd;
		floor_watch(floor, EPOLL_CTL_ADD, fd, EPOLLIN, &pair->client);
	}
}

static void floor_run(struct floor *floor)
{
	struct epoll_event events[EVENTS_MAX];
	for (;;) {
		int count = epoll_wait(floor->epoll, events, EVENTS_MAX, -1);
		if (count < 0 && errno != EINTR)
			net_fail("epoll_wait");
		for (int i = 0; i < count; i++) {
			struct side *side = events[i].data.ptr;
			if (side == NULL)
				floor_accept(floor);
			else if (side->pair->is_dead || side->fd < 0)
				continue;
			else if (events[i].events & EPOLLOUT)
				side_send_left(floor, side);
			else if (side->other->left_bytes > 0)
				pair_close(floor, side->pair); /* an error: nothing else is waited for */
			else
				side_forward(floor, side);
		}
		floor_free_dead(floor);
	}
}

static void floor_open(struct floor *floor, int listener)
{
	floor->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (floor->epoll < 0)
		net_fail("epoll_create1");
	floor->listener = listener;
	floor_watch(floor, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
}

/* One of several, with a table of descriptors of its own, as a process would have. */
static void *floor_run_thread(void *arg)
{
	struct floor *floor = arg;
	if (unshare(CLONE_FILES) != 0)
		net_fail("unshare");
	floor_open(floor, net_listen_shared(&floor->shared));
	if (pthread_barrier_wait(&floor_all_listen) == PTHREAD_BARRIER_SERIAL_THREAD)
		printf("listening on %d\n", ntohs(floor->shared.sin_port));
	floor_run(floor);
	return NULL;
}

/* Does not return. `first` has the backends. */
static void floor_run_threads(const struct floor *first, unsigned count, uint16_t port)
{
	pthread_t thread;
	pthread_barrier_init(&floor_all_listen, NULL, count);
	for (unsigned i = 0; i < count; i++) {
		struct floor *floor = malloc(sizeof(*floor));
		if (floor == NULL)
			net_fail("a thread");
		*floor = *first;
		floor->shared = (struct sockaddr_in){.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		if (pthread_create(&thread, NULL, floor_run_thread, floor) != 0)
			net_fail("a thread");
	}
	pthread_join(thread, NULL);
}

static void usage(int status)
{
	fputs("Usage: bench_floor [OPTION]... BACKEND...\n"
	      "Forward bytes, one connection to a backend for each client.\n\n"
	      "  --port PORT        listen there, instead of on a free port\n"
	      "  --threads COUNT    so many side by side, on a port that is given\n"
	      "  --new-connections  close a client's connection after its answer, keep the backend's\n"
	      "  --deferred         take a connection when its first bytes are there\n",
		status == 0 ? stdout : stderr);
	exit(status);
}

int main(int count, char **arguments)
{
	static struct floor floor;
	static const struct option options[] = {{"port", required_argument, NULL, 'p'},
		{"threads", required_argument, NULL, 't'}, {"new-connections", no_argument, NULL, 'n'},
		{"deferred", no_argument, NULL, 'd'}, {"help", no_argument, NULL, 'h'}, {0}};
	char address[NET_ADDRESS_BYTES];
	uint16_t port = 0;
	unsigned threads = 1;
	int option, defer_seconds = 0;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 'p')
			port = (uint16_t)net_number(optarg, "--port", 1, UINT16_MAX);
		else if (option == 't')
			threads = (unsigned)net_number(optarg, "--threads", 1, THREADS_MAX);
		else if (option == 'n')
			floor.is_single = true;
		else if (option == 'd')
			defer_seconds = 1;
		else
			usage(option == 'h' ? 0 : 64);
	}
	if (optind == count || count - optind > BACKENDS_MAX || (threads > 1 && port == 0))
		usage(64);
	setvbuf(stdout, NULL, _IOLBF, 0);
	net_raise_descriptor_limit();
	for (int i = optind; i < count; i++)
		floor.backends[floor.backend_count++] = net_address(arguments[i]);
	if (threads > 1)
		floor_run_threads(&floor, threads, port);
	floor_open(&floor, net_listen(port, address));
	if (setsockopt(floor.listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_seconds,
		    sizeof(defer_seconds)) != 0)
		net_fail("TCP_DEFER_ACCEPT");
	printf("listening %s\n", address);
	floor_run(&floor);
}
