/* backend - a cheap HTTP/1.1 server for the benchmarks: an answer has as many bytes as the path says
 * (/1048576), else always the same number. Owns its connections and answers.
 *
 * Says "listening ADDRESS" for each of its addresses, "first ADDRESS TIME" when one gets its first request
 * (nanoseconds of CLOCK_MONOTONIC), and when it is told to end "served ADDRESS REQUESTS". One thread, epoll,
 * one call to receive and one to send a request; bodies with Content-Length are read and dropped; pipelining
 * works. */
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES (16 * 1024) /* a head longer than that is refused */
#define EVENTS_MAX    256
#define LISTENERS_MAX 512
#define ANSWERS_MAX   16

/* What epoll tells about: each kind starts with its kind. */
enum source_kind { SOURCE_LISTENER, SOURCE_CONNECTION, SOURCE_SIGNALS };

struct listener {
	enum source_kind kind;
	int fd;
	uint64_t requests;
	char address[NET_ADDRESS_BYTES];
};

struct connection {
	enum source_kind kind;
	int fd;
	struct listener *listener;
	uint64_t body_left; /* bytes of the request's body that are still to come */
	const struct net_message *answer;
	uint64_t answer_left; /* bytes of the answer that are still to be sent */
	uint64_t due_ns;      /* when the answer goes out, while it waits for that */
	bool is_waiting;
	bool is_closing; /* after the answer */
	size_t held;
	TAILQ_ENTRY(connection) open_link;
	TAILQ_ENTRY(connection) wait_link;
	char input[RECEIVE_BYTES];
};
TAILQ_HEAD(connection_list, connection);

struct backend {
	int epoll;
	size_t answer_count;
	struct net_message answers[ANSWERS_MAX]; /* the first is for paths that name no number */
	uint64_t delay_ns;
	bool is_everywhere; /* on all addresses of the loopback network */
	struct connection_list open;
	struct connection_list waiting; /* all wait equally long: the first is due first */
	size_t listener_count;
	struct listener listeners[LISTENERS_MAX];
};

static void connection_consume(struct backend *backend, struct connection *connection);

static void backend_watch(struct backend *backend, int operation, int fd, uint32_t events, void *source)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	if (epoll_ctl(backend->epoll, operation, fd, &event) != 0)
		net_fail("epoll_ctl");
}

static void connection_close(struct backend *backend, struct connection *connection)
{
	if (connection->is_waiting)
		TAILQ_REMOVE(&backend->waiting, connection, wait_link);
	TAILQ_REMOVE(&backend->open, connection, open_link);
	close(connection->fd);
	free(connection);
}

/* Send what is left of the answer. False: the connection is gone. */
static bool connection_send(struct backend *backend, struct connection *connection)
{
	const struct net_message *answer = connection->answer;
	size_t bytes;
	const char *at = net_message_at(answer, answer->total_bytes - connection->answer_left, &bytes);
	ssize_t sent = send(connection->fd, at, bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		connection_close(backend, connection);
		return false;
	}
	bool was_whole = connection->answer_left == answer->total_bytes;
	connection->answer_left -= sent > 0 ? (size_t)sent : 0;
	if (connection->answer_left == 0 && connection->is_closing) {
		connection_close(backend, connection);
		return false;
	}
	if (connection->answer_left > 0 && was_whole)
		backend_watch(backend, EPOLL_CTL_MOD, connection->fd, EPOLLOUT, connection);
	else if (connection->answer_left == 0 && !was_whole)
		backend_watch(backend, EPOLL_CTL_MOD, connection->fd, EPOLLIN, connection);
	return true;
}

/* A request is complete. False: the connection is gone. */
static bool connection_answer(struct backend *backend, struct connection *connection)
{
	struct listener *listener = connection->listener;
	if (listener->requests++ == 0)
		printf("first %s %llu\n", listener->address, (unsigned long long)net_now_ns());
	connection->answer_left = connection->answer->total_bytes;
	if (backend->delay_ns == 0)
		return connection_send(backend, connection);
	connection->due_ns = net_now_ns() + backend->delay_ns;
	connection->is_waiting = true;
	TAILQ_INSERT_TAIL(&backend->waiting, connection, wait_link);
	return true;
}

/* The answer with so many bytes of body, which is made when it is asked for first. */
static const struct net_message *backend_find_answer(struct backend *backend, uint64_t body_bytes)
{
	for (size_t i = 0; i < backend->answer_count; i++)
		if (backend->answers[i].total_bytes - backend->answers[i].head_bytes == body_bytes)
			return &backend->answers[i];
	if (backend->answer_count == ANSWERS_MAX) {
		errno = 0;
		net_fail("more than %d sizes of answers were asked for", ANSWERS_MAX);
	}
	char head[256];
	int bytes = snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: backend\r\n"
		"Content-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
		(unsigned long long)body_bytes);
	struct net_message *answer = &backend->answers[backend->answer_count++];
	*answer = net_message_make(head, (size_t)bytes, body_bytes);
	return answer;
}

/* What the head says that matters here. `head` ends before the empty line. */
static void connection_read_head(
	struct backend *backend, struct connection *connection, const char *head, const char *end)
{
	static const char length[] = "Content-Length:", close_field[] = "Connection: close";
	const char *line = head, *slash = memchr(head, '/', (size_t)(end - head));
	connection->body_left = 0;
	connection->answer = &backend->answers[0];
	if (slash != NULL && slash[1] >= '1' && slash[1] <= '9')
		connection->answer = backend_find_answer(backend, strtoull(slash + 1, NULL, 10));
	while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		size_t left = (size_t)(end - ++line);
		if ((*line | 0x20) != 'c')
			continue;
		if (left > sizeof(length) && strncasecmp(line, length, sizeof(length) - 1) == 0)
			connection->body_left = strtoull(line + sizeof(length) - 1, NULL, 10);
		else if (left >= sizeof(close_field) - 1 &&
			 strncasecmp(line, close_field, sizeof(close_field) - 1) == 0)
			connection->is_closing = true;
	}
}

/* Use what is held until an answer is under way. */
static void connection_consume(struct backend *backend, struct connection *connection)
{
	size_t used = 0;
	while (connection->answer_left == 0 && used < connection->held) {
		char *at = connection->input + used;
		size_t left = connection->held - used;
		if (connection->body_left == 0) {
			char *end = memmem(at, left, "\r\n\r\n", 4);
			if (end == NULL)
				break;
			connection_read_head(backend, connection, at, end);
			used += (size_t)(end - at) + 4;
			left = connection->held - used;
		}
		size_t step = connection->body_left < left ? (size_t)connection->body_left : left;
		connection->body_left -= step;
		used += step;
		if (connection->body_left == 0 && !connection_answer(backend, connection))
			return;
	}
	connection->held -= used;
	if (used > 0 && connection->held > 0)
		memmove(connection->input, connection->input + used, connection->held);
	if (connection->held == RECEIVE_BYTES)
		connection_close(backend, connection);
}

static void connection_receive(struct backend *backend, struct connection *connection)
{
	/* A long body is not even copied, but for its end. */
	bool is_within = connection->body_left > RECEIVE_BYTES && connection->held == 0;
	ssize_t got = is_within ? recv(connection->fd, NULL, connection->body_left - 1, MSG_TRUNC)
				: recv(connection->fd, connection->input + connection->held,
					  RECEIVE_BYTES - connection->held, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		connection_close(backend, connection);
		return;
	}
	if (is_within) {
		connection->body_left -= (size_t)got;
		return;
	}
	connection->held += (size_t)got;
	connection_consume(backend, connection);
}

static void backend_accept(struct backend *backend, struct listener *listener)
{
	int fd;
	while ((fd = net_accept(listener->fd)) >= 0) {
		struct connection *connection = malloc(sizeof(*connection));
		if (connection == NULL)
			net_fail("a connection");
		memset(connection, 0, offsetof(struct connection, input));
		connection->kind = SOURCE_CONNECTION;
		connection->fd = fd;
		connection->listener = listener;
		TAILQ_INSERT_HEAD(&backend->open, connection, open_link);
		backend_watch(backend, EPOLL_CTL_ADD, fd, EPOLLIN, connection);
	}
}

/* Answer those whose time has come. Returns how long to wait for the next one, in milliseconds; -1: for ever.
 */
static int backend_answer_due(struct backend *backend)
{
	struct connection *connection;
	while ((connection = TAILQ_FIRST(&backend->waiting)) != NULL) {
		uint64_t now_ns = net_now_ns();
		if (connection->due_ns > now_ns)
			return (int)((connection->due_ns - now_ns + 999999) / 1000000);
		TAILQ_REMOVE(&backend->waiting, connection, wait_link);
		connection->is_waiting = false;
		if (connection_send(backend, connection) && connection->answer_left == 0)
			connection_consume(backend, connection);
	}
	return -1;
}

static void backend_handle_connection(struct backend *backend, struct connection *connection, uint32_t what)
{
	if ((what & EPOLLOUT) == 0)
		connection_receive(backend, connection);
	else if (connection_send(backend, connection) && connection->answer_left == 0)
		connection_consume(backend, connection);
}

static void backend_run(struct backend *backend)
{
	struct epoll_event events[EVENTS_MAX];
	for (;;) {
		int wait_ms = backend_answer_due(backend);
		int count = epoll_wait(backend->epoll, events, EVENTS_MAX, wait_ms);
		if (count < 0 && errno != EINTR)
			net_fail("epoll_wait");
		for (int i = 0; i < count; i++) {
			enum source_kind *kind = events[i].data.ptr;
			if (*kind == SOURCE_SIGNALS)
				return;
			if (*kind == SOURCE_LISTENER)
				backend_accept(backend, events[i].data.ptr);
			else
				backend_handle_connection(backend, events[i].data.ptr, events[i].events);
		}
	}
}

static void usage(int status)
{
	fputs("Usage: bench_backend [OPTION]...\n"
	      "Answer every HTTP request on 127.0.0.1 with 200 and as many bytes as its path says, "
	      "/1048576.\n\n"
	      "  --listeners COUNT  addresses to listen on (1)\n"
	      "  --everywhere       each is a port of all of 127.0.0.0/8\n"
	      "  --body BYTES       size of the body for other paths (120)\n"
	      "  --delay-us TIME    microseconds between a request and its answer (0)\n",
		status == 0 ? stdout : stderr);
	exit(status);
}

static void backend_read_arguments(struct backend *backend, int count, char **arguments)
{
	static const struct option options[] = {{"listeners", required_argument, NULL, 'l'},
		{"body", required_argument, NULL, 'b'}, {"delay-us", required_argument, NULL, 'd'},
		{"everywhere", no_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	uint64_t body_bytes = 120;
	int option;
	backend->listener_count = 1;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 'l')
			backend->listener_count = net_number(optarg, "--listeners", 1, LISTENERS_MAX);
		else if (option == 'e')
			backend->is_everywhere = true;
		else if (option == 'b')
			body_bytes = net_number(optarg, "--body", 0, UINT64_C(1) << 40);
		else if (option == 'd')
			backend->delay_ns = 1000 * net_number(optarg, "--delay-us", 0, 60000000);
		else
			usage(option == 'h' ? 0 : 64);
	}
	if (optind != count)
		usage(64);
	backend_find_answer(backend, body_bytes);
}

int main(int count, char **arguments)
{
	static struct backend backend;
	static enum source_kind signals = SOURCE_SIGNALS;
	setvbuf(stdout, NULL, _IOLBF, 0);
	backend_read_arguments(&backend, count, arguments);
	net_raise_descriptor_limit();
	TAILQ_INIT(&backend.open);
	TAILQ_INIT(&backend.waiting);
	backend.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (backend.epoll < 0)
		net_fail("epoll_create1");
	backend_watch(&backend, EPOLL_CTL_ADD, net_signals(), EPOLLIN, &signals);
	for (size_t i = 0; i < backend.listener_count; i++) {
		struct listener *listener = &backend.listeners[i];
		listener->kind = SOURCE_LISTENER;
		listener->fd = backend.is_everywhere ? net_listen_everywhere(listener->address)
						     : net_listen(0, listener->address);
		backend_watch(&backend, EPOLL_CTL_ADD, listener->fd, EPOLLIN, listener);
		printf("listening %s\n", listener->address);
	}
	puts("ready");
	backend_run(&backend);
	for (size_t i = 0; i < backend.listener_count; i++)
		printf("served %s %llu\n", backend.listeners[i].address,
			(unsigned long long)backend.listeners[i].requests);
	while (!TAILQ_EMPTY(&backend.open))
		connection_close(&backend, TAILQ_FIRST(&backend.open));
	for (size_t i = 0; i < backend.answer_count; i++)
		free(backend.answers[i].bytes);
	return 0;
}
