/* failover_load - asks one address at even intervals, whatever the answers do, and writes down what became of
 * each request. Owns its connections.
 *
 * A request's latency counts from when it was due. Some are POSTs, each with an id of its own. The record has
 * a line for each request: when it was due (CLOCK_MONOTONIC, nanoseconds), latency (microseconds), method,
 * id, status (0: none), and how it ended: "answered", which is a whole answer with status 200, or how it
 * failed. Nothing is asked twice. SIGTERM: no further request is begun, and it ends once each has ended. */
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

#define RECEIVE_BYTES	  (64 * 1024)
#define HEAD_BYTES_MAX	  4096
#define REQUEST_BYTES_MAX 4096
#define BODY_BYTES_MAX	  2048
#define EVENTS_MAX	  256
#define CONNECTIONS_MAX	  16384
#define NS_PER_MS	  UINT64_C(1000000)

/* Connections that are used in turn from the start; more are opened when all of them wait for answers. */
#define CONNECTIONS_LEAST 64

struct connection {
	int fd; /* -1: not connected */
	bool is_idle, is_post, is_head_done;
	unsigned status;
	uint64_t body_left; /* of the answer */
	uint64_t due_ns;    /* when the request under way was due */
	uint64_t id;
	size_t request_left, request_bytes;
	size_t head_bytes;
	TAILQ_ENTRY(connection)
	link; /* of the idle ones, or of those with a request under way, by when it was due */
	char request[REQUEST_BYTES_MAX];
	char head[HEAD_BYTES_MAX];
};
TAILQ_HEAD(connection_list, connection);

struct load {
	struct sockaddr_in address;
	const char *host, *path, *record_path;
	uint64_t rate, seconds, timeout_ns, posts_percent, body_bytes, first_id;
	int epoll, signals;
	FILE *record;
	unsigned seed;
	bool is_ending;
	uint64_t start_ns, begun, failed;
	size_t connection_count;
	struct connection_list idle, under_way;
	char buffer[RECEIVE_BYTES];
};

static void load_watch(struct load *load, int operation, struct connection *connection, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = connection};
	if (epoll_ctl(load->epoll, operation, connection->fd, &event) != 0)
		net_fail("epoll_ctl");
}

static void connection_drop(struct connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

/* The request under way is over. */
static void connection_finish(struct load *load, struct connection *connection, const char *how)
{
	uint64_t latency_ns = net_now_ns() - connection->due_ns;
	bool is_good = strcmp(how, "answered") == 0;
	load->failed += is_good ? 0 : 1;
	if (!is_good)
		connection_drop(connection);
	fprintf(load->record, "%llu %llu %s %llx %u %s\n", (unsigned long long)connection->due_ns,
		(unsigned long long)latency_ns / 1000, connection->is_post ? "POST" : "GET",
		(unsigned long long)connection->id, connection->is_head_done ? connection->status : 0, how);
	TAILQ_REMOVE(&load->under_way, connection, link);
	connection->is_idle = true;
	TAILQ_INSERT_TAIL(&load->idle, connection, link);
}

static const char *failure_of(int error)
{
	return error == ECONNREFUSED		       ? "refused"
	       : error == ECONNRESET || error == EPIPE ? "reset"
						       : "unreachable";
}

/* Send what is left of the request. */
static void connection_send(struct load *load, struct connection *connection)
{
	const char *at = connection->request + (connection->request_bytes - connection->request_left);
	ssize_t sent = send(connection->fd, at, connection->request_left, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		connection_finish(load, connection, failure_of(errno));
		return;
	}
	connection->request_left -= sent > 0 ? (size_t)sent : 0;
	load_watch(
		load, EPOLL_CTL_MOD, connection, connection->request_left > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void connection_write_request(struct load *load, struct connection *connection)
{
	bool has_query = strchr(load->path, '?') != NULL;
	int bytes = snprintf(connection->request, REQUEST_BYTES_MAX,
		"%s %s%cid=%llx HTTP/1.1\r\nHost: %s\r\nUser-Agent: failover_load\r\n",
		connection->is_post ? "POST" : "GET", load->path, has_query ? '&' : '?',
		(unsigned long long)connection->id, load->host);
	size_t body = connection->is_post ? (size_t)load->body_bytes : 0;
	if (connection->is_post)
		bytes += snprintf(connection->request + bytes, REQUEST_BYTES_MAX - (size_t)bytes,
			"Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", body);
	if ((size_t)bytes + 2 + body > REQUEST_BYTES_MAX) {
		errno = 0;
		net_fail("the path is too long");
	}
	memcpy(connection->request + bytes, "\r\n", 2);
	memset(connection->request + bytes + 2, 'x', body);
	connection->request_bytes = connection->request_left = (size_t)bytes + 2 + body;
}

static void connection_begin(struct load *load, struct connection *connection, uint64_t due_ns)
{
	TAILQ_REMOVE(&load->idle, connection, link);
	TAILQ_INSERT_TAIL(&load->under_way, connection, link);
	connection->is_idle = connection->is_head_done = false;
	connection->is_post = (uint64_t)rand_r(&load->seed) % 100 < load->posts_percent;
	connection->id = load->first_id + load->begun++;
	connection->due_ns = due_ns;
	connection->head_bytes = 0;
	connection_write_request(load, connection);
	if (connection->fd >= 0) {
		connection_send(load, connection);
		return;
	}
	connection->fd = net_connect(&load->address, false);
	if (connection->fd < 0)
		connection_finish(load, connection, failure_of(errno));
	else
		load_watch(load, EPOLL_CTL_ADD, connection, EPOLLIN | EPOLLOUT);
}

/* Read the head. Returns the bytes used of `bytes`; without its end, all; -1: this is none. */
static ssize_t connection_take_head(struct connection *connection, const char *at, size_t bytes)
{
	static const char length[] = "\nContent-Length:";
	size_t before = connection->head_bytes;
	size_t taken = bytes < HEAD_BYTES_MAX - 1 - before ? bytes : HEAD_BYTES_MAX - 1 - before;
	memcpy(connection->head + before, at, taken);
	connection->head_bytes += taken;
	connection->head[connection->head_bytes] = '\0';
	char *end = memmem(connection->head, connection->head_bytes, "\r\n\r\n", 4);
	if (end == NULL)
		return connection->head_bytes < HEAD_BYTES_MAX - 1 ? (ssize_t)bytes : -1;
	end[2] = '\0';
	if (sscanf(connection->head, "HTTP/1.%*1d %3u", &connection->status) != 1)
		return -1;
	connection->is_head_done = true;
	const char *field = strcasestr(connection->head, length);
	if (field == NULL && connection->status == 200)
		return -1;
	connection->body_left = field != NULL ? strtoull(field + sizeof(length) - 1, NULL, 10) : 0;
	return (ssize_t)((size_t)(end - connection->head) + 4 - before);
}

static void connection_take(struct load *load, struct connection *connection, size_t received)
{
	size_t used = 0;
	if (!connection->is_head_done) {
		ssize_t step = connection_take_head(connection, load->buffer, received);
		if (step < 0) {
			connection_finish(load, connection, "malformed");
			return;
		}
		if (!connection->is_head_done)
			return;
		used = (size_t)step;
		if (connection->status != 200) {
			connection_finish(load, connection, "status");
			return;
		}
	}
	if (received - used > connection->body_left) {
		connection_finish(load, connection, "malformed"); /* more than the answer */
		return;
	}
	connection->body_left -= received - used;
	if (connection->body_left > 0)
		return;
	bool is_last = strcasestr(connection->head, "\nConnection: close") != NULL;
	connection_finish(load, connection, "answered");
	if (is_last)
		connection_drop(connection);
}

static void connection_receive(struct load *load, struct connection *connection)
{
	ssize_t got = recv(connection->fd, load->buffer, RECEIVE_BYTES, 0);
	int error = errno;
	if (got < 0 && error == EAGAIN)
		return;
	if (connection->is_idle)
		connection_drop(connection); /* closed between two requests */
	else if (got > 0)
		connection_take(load, connection, (size_t)got);
	else if (connection->head_bytes > 0)
		connection_finish(load, connection, "cut");
	else
		connection_finish(load, connection, got == 0 ? "closed" : failure_of(error));
}

static struct connection *load_free_connection(struct load *load)
{
	struct connection *connection = TAILQ_FIRST(&load->idle);
	if (connection != NULL || load->connection_count >= CONNECTIONS_MAX)
		return connection;
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL)
		net_fail("a connection");
	connection->fd = -1;
	connection->is_idle = true;
	load->connection_count++;
	TAILQ_INSERT_HEAD(&load->idle, connection, link);
	return connection;
}

/* Begin what is due by now. Returns how long to wait for the next one, in nanoseconds. */
static uint64_t load_begin_due(struct load *load)
{
	while (!load->is_ending) {
		uint64_t now_ns = net_now_ns();
		uint64_t due_ns = load->start_ns + load->begun * NANOSECONDS_PER_SECOND / load->rate;
		if (load->seconds > 0 && due_ns - load->start_ns >= load->seconds * NANOSECONDS_PER_SECOND)
			load->is_ending = true;
		else if (due_ns > now_ns)
			return due_ns - now_ns;
		else {
			struct connection *connection = load_free_connection(load);
			if (connection == NULL)
				break;
			connection_begin(load, connection, due_ns);
		}
	}
	return 10 * NS_PER_MS;
}

static void load_end(struct load *load)
{
	load->is_ending = true;
	epoll_ctl(load->epoll, EPOLL_CTL_DEL, load->signals, NULL); /* told once is told */
}

static void load_time_out(struct load *load)
{
	uint64_t now_ns = net_now_ns();
	struct connection *connection;
	while ((connection = TAILQ_FIRST(&load->under_way)) != NULL &&
		now_ns > connection->due_ns + load->timeout_ns)
		connection_finish(load, connection, "timeout");
}

/* A connection has at most one event in a turn, and none is freed. One that was dropped since is passed over:
 * its descriptor may be another's by now, which will be told of again. */
static void load_run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	load->start_ns = net_now_ns();
	while (!load->is_ending || !TAILQ_EMPTY(&load->under_way)) {
		struct timespec wait = {.tv_nsec = (long)load_begin_due(load)};
		int count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);
		if (count < 0 && errno != EINTR)
			net_fail("epoll_pwait2");
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			if (connection == NULL)
				load_end(load);
			else if (connection->fd < 0)
				continue;
			else if ((events[i].events & EPOLLIN) != 0 || connection->request_left == 0 ||
				 connection->is_idle)
				connection_receive(load, connection);
			else
				connection_send(load, connection);
		}
		load_time_out(load);
	}
}

static void usage(int status)
{
	fputs("Usage: failover_load [OPTION]... ADDRESS:PORT\n"
	      "Ask at even intervals until told to end (SIGTERM), and write down what became of each "
	      "request.\n\n"
	      "  --record FILE    where; needed\n"
	      "  --rate COUNT     requests a second (500)\n"
	      "  --seconds TIME   end after that time\n"
	      "  --posts PERCENT  how many are POSTs (20)\n"
	      "  --body BYTES     of a POST (64)\n"
	      "  --path PATH      what is asked for; \"id=...\" is added to its query (/)\n"
	      "  --host NAME      the Host field (the address)\n"
	      "  --first-id ID    of the first request; each next is one more (1)\n"
	      "  --timeout-ms MS  how long an answer is waited for (10000)\n",
		status == 0 ? stdout : stderr);
	exit(status);
}

static void load_read_arguments(struct load *load, int count, char **arguments)
{
	static const struct option options[] = {{"record", required_argument, NULL, 'o'},
		{"rate", required_argument, NULL, 'r'}, {"seconds", required_argument, NULL, 's'},
		{"posts", required_argument, NULL, 'p'}, {"body", required_argument, NULL, 'b'},
		{"path", required_argument, NULL, 'a'}, {"host", required_argument, NULL, 'n'},
		{"first-id", required_argument, NULL, 'i'}, {"timeout-ms", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int option;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			load->record_path = optarg;
			break;
		case 'r':
			load->rate = net_number(optarg, "--rate", 1, 1000000);
			break;
		case 's':
			load->seconds = net_number(optarg, "--seconds", 1, 86400);
			break;
		case 'p':
			load->posts_percent = net_number(optarg, "--posts", 0, 100);
			break;
		case 'b':
			load->body_bytes = net_number(optarg, "--body", 0, BODY_BYTES_MAX);
			break;
		case 'a':
			load->path = optarg;
			break;
		case 'n':
			load->host = optarg;
			break;
		case 'i':
			load->first_id = net_number(optarg, "--first-id", 0, UINT64_MAX / 2);
			break;
		case 't':
			load->timeout_ns = NS_PER_MS * net_number(optarg, "--timeout-ms", 1, 3600000);
			break;
		default:
			usage(option == 'h' ? 0 : 64);
		}
	}
	if (optind != count - 1 || load->record_path == NULL)
		usage(64);
	load->host = load->host != NULL ? load->host : arguments[optind];
	load->address = net_address(arguments[optind]);
}

int main(int count, char **arguments)
{
	static struct load load = {.rate = 500,
		.posts_percent = 20,
		.body_bytes = 64,
		.path = "/",
		.first_id = 1,
		.timeout_ns = 10 * NANOSECONDS_PER_SECOND};
	load_read_arguments(&load, count, arguments);
	net_raise_descriptor_limit();
	TAILQ_INIT(&load.idle);
	TAILQ_INIT(&load.under_way);
	load.record = fopen(load.record_path, "we");
	if (load.record == NULL)
		net_fail("%s", load.record_path);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.signals = net_signals();
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (load.epoll < 0 || epoll_ctl(load.epoll, EPOLL_CTL_ADD, load.signals, &event) != 0)
		net_fail("starting");
	struct connection *first = calloc(CONNECTIONS_LEAST, sizeof(*first));
	if (first == NULL)
		net_fail("connections");
	load.connection_count = CONNECTIONS_LEAST;
	for (size_t i = 0; i < CONNECTIONS_LEAST; i++) {
		first[i].fd = -1;
		first[i].is_idle = true;
		TAILQ_INSERT_TAIL(&load.idle, &first[i], link);
	}
	load_run(&load);
	if (fclose(load.record) != 0)
		net_fail("%s", load.record_path);
	printf("{\"begun\": %llu, \"failed\": %llu}\n", (unsigned long long)load.begun,
		(unsigned long long)load.failed);
	return 0;
}
