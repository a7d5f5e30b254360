/* failover_backend - a backend that can be told to misbehave, and remembers what it was asked to do. Owns its
 * connections.
 *
 * Answers every request after its service time, with 200 and a body. What it begins to serve and bears an
 * "id=..." in its target is written to a file, a line each: time (CLOCK_MONOTONIC, nanoseconds), method, id;
 * so it can be told which requests were executed, when, and how often, even of a process that was killed. It
 * is told by lines on standard input:
 *
 *     mode well|500|reset|close|cut|hole|slow [MILLISECONDS]
 *
 * SIGTERM: no new connection is accepted, what is being served is answered, and then it ends. */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES	 (16 * 1024) /* a request longer than that is refused */
#define EVENTS_MAX	 256
#define ID_BYTES	 32
#define METHOD_BYTES	 8
#define NS_PER_MS	 UINT64_C(1000000)
#define CONTROL_BYTES	 128
#define BODY_BYTES	 4096
#define ANSWER_BYTES_MAX (BODY_BYTES + 256)

enum mode { MODE_WELL, MODE_500, MODE_RESET, MODE_CLOSE, MODE_CUT, MODE_HOLE, MODE_SLOW, MODE_COUNT };

static const char *const mode_names[MODE_COUNT] = {"well", "500", "reset", "close", "cut", "hole", "slow"};

/* What epoll tells about: each kind starts with its kind. */
enum source_kind { SOURCE_LISTENER, SOURCE_CONNECTION, SOURCE_SIGNALS, SOURCE_CONTROL };

/* What a connection does. */
enum phase { PHASE_READING, PHASE_QUEUED, PHASE_SERVED, PHASE_FORGOTTEN };

struct connection {
	enum source_kind kind;
	int fd;
	enum phase phase;
	enum mode mode;	 /* what becomes of the request that is served */
	uint64_t due_ns; /* when it is answered */
	size_t held;
	size_t request_bytes; /* of the request that is served */
	TAILQ_ENTRY(connection) open_link;
	TAILQ_ENTRY(connection) phase_link;
	char input[RECEIVE_BYTES + 1];
};
TAILQ_HEAD(connection_list, connection);

struct backend {
	int epoll, listener, signals, executions;
	uint64_t service_ns;
	size_t concurrency; /* requests served at a time; 0: all */
	size_t body_bytes;
	enum mode mode;
	uint64_t slow_ns;
	bool is_ending;
	size_t served_count;
	struct connection_list open, queued, served; /* served: what is due first comes first */
	struct sockaddr_in address;
	const char *executions_path;
};

static void connection_consume(struct backend *backend, struct connection *connection);

static void backend_watch(struct backend *backend, int fd, void *source)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
	if (epoll_ctl(backend->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		net_fail("epoll_ctl");
}

static void connection_leave_phase(struct backend *backend, struct connection *connection)
{
	if (connection->phase == PHASE_QUEUED) {
		TAILQ_REMOVE(&backend->queued, connection, phase_link);
	} else if (connection->phase == PHASE_SERVED) {
		TAILQ_REMOVE(&backend->served, connection, phase_link);
		backend->served_count--;
	}
	connection->phase = PHASE_READING;
}

static void connection_close(struct backend *backend, struct connection *connection)
{
	connection_leave_phase(backend, connection);
	TAILQ_REMOVE(&backend->open, connection, open_link);
	close(connection->fd);
	free(connection);
}

static void connection_reset(struct backend *backend, struct connection *connection)
{
	const struct linger linger = {.l_onoff = 1, .l_linger = 0};
	if (setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0)
		net_fail("SO_LINGER");
	connection_close(backend, connection);
}

/* Answers are small and the socket's buffer is empty: what it does not take whole is the connection's end. */
static void connection_answer(struct backend *backend, struct connection *connection)
{
	char answer[ANSWER_BYTES_MAX];
	bool is_last = backend->is_ending;
	bool is_cut = connection->mode == MODE_CUT;
	int head = snprintf(answer, sizeof(answer),
		"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n",
		connection->mode == MODE_500 ? "500 Internal Server Error" : "200 OK", backend->body_bytes,
		is_last ? "Connection: close\r\n" : "");
	size_t bytes = (size_t)head + (is_cut ? backend->body_bytes / 2 : backend->body_bytes);
	memset(answer + head, 'x', bytes - (size_t)head);
	bool is_sent = send(connection->fd, answer, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
	connection_leave_phase(backend, connection);
	if (!is_sent || is_last || is_cut) {
		connection_close(backend, connection);
		return;
	}
	connection->held -= connection->request_bytes;
	memmove(connection->input, connection->input + connection->request_bytes, connection->held);
	connection_consume(backend, connection);
}

static void backend_record(struct backend *backend, const char *request)
{
	char line[128], method[METHOD_BYTES], id[ID_BYTES];
	const char *end = strstr(request, "\r\n"), *at = strstr(request, "id=");
	if (backend->executions < 0 || at == NULL || at > end || sscanf(request, "%7s", method) != 1)
		return;
	size_t length = strspn(at + 3, "0123456789abcdef");
	if (length >= ID_BYTES)
		return;
	memcpy(id, at + 3, length);
	id[length] = '\0';
	int bytes =
		snprintf(line, sizeof(line), "%llu %s %s\n", (unsigned long long)net_now_ns(), method, id);
	if (write(backend->executions, line, (size_t)bytes) != bytes)
		net_fail("writing %s", backend->executions_path);
}

/* From here on the request counts as executed, whatever its asker will hear. */
static void connection_serve(struct backend *backend, struct connection *connection)
{
	backend_record(backend, connection->input);
	connection->mode = backend->mode;
	if (backend->mode == MODE_RESET) {
		connection_reset(backend, connection);
		return;
	}
	if (backend->mode == MODE_CLOSE) {
		connection_close(backend, connection);
		return;
	}
	if (backend->mode == MODE_HOLE) {
		connection->phase = PHASE_FORGOTTEN;
		return;
	}
	uint64_t delay_ns = backend->service_ns + (backend->mode == MODE_SLOW ? backend->slow_ns : 0);
	connection->due_ns = net_now_ns() + (backend->mode == MODE_500 ? 0 : delay_ns);
	connection->phase = PHASE_SERVED;
	backend->served_count++;
	struct connection *before = TAILQ_LAST(&backend->served, connection_list);
	while (before != NULL && before->due_ns > connection->due_ns)
		before = TAILQ_PREV(before, connection_list, phase_link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&backend->served, before, connection, phase_link);
	else
		TAILQ_INSERT_HEAD(&backend->served, connection, phase_link);
}

/* The bytes of the request that is held; 0: it is not complete. */
static size_t connection_request_bytes(const struct connection *connection)
{
	static const char length[] = "\nContent-Length:";
	const char *end = memmem(connection->input, connection->held, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	size_t bytes = (size_t)(end - connection->input) + 4;
	const char *field = strcasestr(connection->input, length);
	if (field != NULL && field < end)
		bytes += strtoull(field + sizeof(length) - 1, NULL, 10);
	return bytes <= connection->held ? bytes : 0;
}

/* The last thing that may be done with a connection: it may be gone afterwards. */
static void connection_consume(struct backend *backend, struct connection *connection)
{
	connection->input[connection->held] = '\0';
	connection->request_bytes = connection_request_bytes(connection);
	if (connection->request_bytes == 0) {
		if (connection->held == RECEIVE_BYTES || backend->is_ending)
			connection_close(backend, connection);
		return;
	}
	if (backend->concurrency > 0 && backend->served_count >= backend->concurrency) {
		connection->phase = PHASE_QUEUED;
		TAILQ_INSERT_TAIL(&backend->queued, connection, phase_link);
		return;
	}
	connection_serve(backend, connection);
}

static void connection_receive(struct backend *backend, struct connection *connection)
{
	ssize_t got = recv(
		connection->fd, connection->input + connection->held, RECEIVE_BYTES - connection->held, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	/* Whoever asked has gone: what waits is not begun, what is being served is, and nobody is answered.
	 */
	if (got <= 0) {
		connection_close(backend, connection);
		return;
	}
	connection->held += (size_t)got;
	if (connection->phase == PHASE_READING)
		connection_consume(backend, connection);
	else if (connection->held == RECEIVE_BYTES)
		connection_close(backend, connection);
}

static void backend_accept(struct backend *backend)
{
	int fd;
	while ((fd = net_accept(backend->listener)) >= 0) {
		struct connection *connection = calloc(1, sizeof(*connection));
		if (connection == NULL)
			net_fail("a connection");
		connection->kind = SOURCE_CONNECTION;
		connection->fd = fd;
		TAILQ_INSERT_HEAD(&backend->open, connection, open_link);
		backend_watch(backend, fd, connection);
	}
}

static void backend_begin_queued(struct backend *backend)
{
	struct connection *connection;
	while ((connection = TAILQ_FIRST(&backend->queued)) != NULL &&
		backend->served_count < backend->concurrency) {
		connection_leave_phase(backend, connection);
		connection_serve(backend, connection);
	}
}

/* Answer what is due, begin what waits. Returns how long to wait for what is due next, in nanoseconds. */
static uint64_t backend_advance(struct backend *backend)
{
	struct connection *connection;
	backend_begin_queued(backend);
	while ((connection = TAILQ_FIRST(&backend->served)) != NULL) {
		uint64_t now_ns = net_now_ns();
		if (connection->due_ns > now_ns)
			return connection->due_ns - now_ns;
		connection_answer(backend, connection);
		backend_begin_queued(backend);
	}
	return NANOSECONDS_PER_SECOND;
}

static void backend_obey(struct backend *backend, const char *line)
{
	char name[16];
	unsigned slow_ms = 0;
	if (sscanf(line, "mode %15s %u", name, &slow_ms) < 1)
		return;
	for (size_t i = 0; i < MODE_COUNT; i++)
		if (strcmp(name, mode_names[i]) == 0)
			backend->mode = (enum mode)i;
	backend->slow_ns = slow_ms * NS_PER_MS;
	printf("mode %s\n", mode_names[backend->mode]);
}

static void backend_read_control(struct backend *backend)
{
	char lines[CONTROL_BYTES];
	ssize_t got = read(STDIN_FILENO, lines, sizeof(lines) - 1);
	if (got <= 0) {
		epoll_ctl(backend->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
		return;
	}
	lines[got] = '\0';
	char *rest = lines;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		backend_obey(backend, line);
}

/* Nobody new; who waits for nothing is let go. */
static void backend_end(struct backend *backend)
{
	struct connection *connection = TAILQ_FIRST(&backend->open);
	backend->is_ending = true;
	close(backend->listener);
	while (connection != NULL) {
		struct connection *next = TAILQ_NEXT(connection, open_link);
		if (connection->phase == PHASE_FORGOTTEN ||
			(connection->phase == PHASE_READING && connection->held == 0))
			connection_close(backend, connection);
		connection = next;
	}
}

/* A connection is handled once a turn and nothing else ends it meanwhile, so that no event is of one that is
 * gone: answers are given between turns. The end of the program is left for the end of the turn. */
static bool backend_turn(struct backend *backend)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t wait_ns = backend_advance(backend);
	struct timespec wait = {.tv_sec = (time_t)(wait_ns / NANOSECONDS_PER_SECOND),
		.tv_nsec = (long)(wait_ns % NANOSECONDS_PER_SECOND)};
	int count = epoll_pwait2(backend->epoll, events, EVENTS_MAX, &wait, NULL);
	struct signalfd_siginfo told;
	bool is_told_to_end = false;
	if (count < 0 && errno != EINTR)
		net_fail("epoll_pwait2");
	for (int i = 0; i < count; i++) {
		enum source_kind *kind = events[i].data.ptr;
		if (*kind == SOURCE_SIGNALS)
			is_told_to_end = read(backend->signals, &told, sizeof(told)) > 0;
		else if (*kind == SOURCE_CONTROL)
			backend_read_control(backend);
		else if (*kind == SOURCE_LISTENER)
			backend_accept(backend);
		else
			connection_receive(backend, events[i].data.ptr);
	}
	if (is_told_to_end && backend->is_ending)
		return false;
	if (is_told_to_end)
		backend_end(backend);
	return !backend->is_ending || !TAILQ_EMPTY(&backend->open);
}

static void usage(int status)
{
	fputs("Usage: failover_backend [OPTION]... ADDRESS:PORT\n"
	      "Answer HTTP requests, or misbehave, as lines on standard input tell: mode NAME "
	      "[MILLISECONDS].\n\n"
	      "  --service-us TIME    microseconds between a request and its answer (0)\n"
	      "  --concurrency COUNT  requests served at a time (all)\n"
	      "  --body BYTES         size of the answer's body (120)\n"
	      "  --executions FILE    where what is executed is written to, a line each\n",
		status == 0 ? stdout : stderr);
	exit(status);
}

static void backend_read_arguments(struct backend *backend, int count, char **arguments)
{
	static const struct option options[] = {{"service-us", required_argument, NULL, 's'},
		{"concurrency", required_argument, NULL, 'c'}, {"body", required_argument, NULL, 'b'},
		{"executions", required_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;
	backend->body_bytes = 120;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 's')
			backend->service_ns = 1000 * net_number(optarg, "--service-us", 0, 60000000);
		else if (option == 'c')
			backend->concurrency = net_number(optarg, "--concurrency", 0, 100000);
		else if (option == 'b')
			backend->body_bytes = net_number(optarg, "--body", 0, BODY_BYTES);
		else if (option == 'e')
			backend->executions_path = optarg;
		else
			usage(option == 'h' ? 0 : 64);
	}
	if (optind != count - 1)
		usage(64);
	backend->address = net_address(arguments[optind]);
}

int main(int count, char **arguments)
{
	static struct backend backend = {.executions = -1};
	static enum source_kind signals = SOURCE_SIGNALS, control = SOURCE_CONTROL,
				listener = SOURCE_LISTENER;
	setvbuf(stdout, NULL, _IOLBF, 0);
	backend_read_arguments(&backend, count, arguments);
	net_raise_descriptor_limit();
	TAILQ_INIT(&backend.open);
	TAILQ_INIT(&backend.queued);
	TAILQ_INIT(&backend.served);
	if (backend.executions_path != NULL) {
		backend.executions =
			open(backend.executions_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (backend.executions < 0)
			net_fail("%s", backend.executions_path);
	}
	backend.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (backend.epoll < 0)
		net_fail("epoll_create1");
	backend.listener = net_listen_at(&backend.address);
	backend_watch(&backend, backend.listener, &listener);
	/* Standard input may be a file or /dev/null, which epoll does not take: then nobody tells it
	 * anything. */
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &control};
	epoll_ctl(backend.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	backend.signals = net_signals();
	backend_watch(&backend, backend.signals, &signals);
	puts("ready");
	while (backend_turn(&backend))
		continue;
	while (!TAILQ_EMPTY(&backend.open))
		connection_close(&backend, TAILQ_FIRST(&backend.open));
	return 0;
}
