/* load - sends HTTP/1.1 requests to one address, or several, and counts the answers. Owns its connections.
 *
 * Closed loop: each connection has a request under way all the time. Open loop (--rate): requests are due at
 * even intervals whatever the answers do, and a request's latency counts from when it was due, so that a
 * stall shows in all the requests that it delayed (in a closed loop it counts from its beginning). Prints one
 * line of JSON. Every answer is checked: status 200, complete body. */
#include "histogram.h"
#include "net.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES	(256 * 1024)
#define HEAD_BYTES_MAX	4096
#define EVENTS_MAX	256
#define CONNECTIONS_MAX 20000
#define FAILURES_MAX	10000
#define PATHS_MAX	1000
#define TARGETS_MAX	16

/* When nothing at all happened for this long, the requests under way are counted as failed, and that is the
 * end. */
#define PATIENCE_NS (5 * NANOSECONDS_PER_SECOND)

struct connection {
	int fd; /* -1: not connected */
	bool is_idle;
	bool is_head_done;
	bool is_answered;   /* with a connection for each request: its end is awaited */
	uint64_t body_left; /* of the answer */
	uint64_t due_ns;    /* when the request under way was due */
	uint64_t request_left;
	size_t head_bytes;
	const struct net_message *request; /* under way */
	TAILQ_ENTRY(connection) idle_link;
	char head[HEAD_BYTES_MAX];
};
TAILQ_HEAD(connection_list, connection);

struct load {
	struct sockaddr_in addresses[TARGETS_MAX]; /* connections take turns with them */
	size_t address_count;
	const char *target; /* the first */
	const char *path;
	size_t path_count; /* 0: that path alone */
	size_t connection_count;
	uint64_t milliseconds;	/* 0: until request_count */
	uint64_t request_count; /* UINT64_MAX: until the time is over */
	uint64_t rate;		/* requests a second; 0: closed loop */
	uint64_t body_bytes;
	bool is_new_connections;
	bool is_browser;

	int epoll;
	size_t request_kinds;
	struct net_message requests[PATHS_MAX]; /* sent in turn */
	uint64_t start_ns, end_ns;
	uint64_t begun, answered, failed, received_bytes, sent_bytes;
	uint64_t under_way;
	struct connection_list idle;
	struct connection *connections;
	struct histogram latencies;
	char buffer[RECEIVE_BYTES];
};

static void connection_next(struct load *load, struct connection *connection);

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

/* The request under way gets no whole answer. */
static void connection_fail(struct load *load, struct connection *connection)
{
	connection_drop(connection);
	load->under_way--;
	if (++load->failed > FAILURES_MAX) {
		errno = 0;
		net_fail("more than %d requests failed", FAILURES_MAX);
	}
	connection_next(load, connection);
}

/* Send what is left of the request. */
static void connection_send(struct load *load, struct connection *connection, bool is_watched_for_room)
{
	const struct net_message *request = connection->request;
	size_t bytes;
	const char *at = net_message_at(request, request->total_bytes - connection->request_left, &bytes);
	ssize_t sent = send(connection->fd, at, bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		connection_fail(load, connection);
		return;
	}
	connection->request_left -= sent > 0 ? (size_t)sent : 0;
	load->sent_bytes += sent > 0 ? (size_t)sent : 0;
	bool is_short = connection->request_left > 0;
	if (is_short != is_watched_for_room)
		load_watch(load, EPOLL_CTL_MOD, connection, is_short ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void connection_begin(struct load *load, struct connection *connection, uint64_t due_ns)
{
	connection->request = &load->requests[load->begun % load->request_kinds];
	load->begun++;
	load->under_way++;
	connection->due_ns = due_ns;
	connection->is_idle = connection->is_head_done = connection->is_answered = false;
	connection->head_bytes = 0;
	connection->request_left = connection->request->total_bytes;
	if (connection->fd >= 0) {
		connection_send(load, connection, false);
		return;
	}
	size_t number = (size_t)(connection - load->connections);
	connection->fd = net_connect(&load->addresses[number % load->address_count], false);
	if (connection->fd < 0) {
		connection_fail(load, connection);
		return;
	}
	load_watch(load, EPOLL_CTL_ADD, connection, EPOLLIN | EPOLLOUT);
}

/* It has nothing to do: begin the next request, now or when one is due. */
static void connection_next(struct load *load, struct connection *connection)
{
	uint64_t now_ns = net_now_ns();
	if (load->rate == 0 && load->failed == 0 && load->begun < load->request_count &&
		now_ns < load->end_ns) {
		connection_begin(load, connection, now_ns);
		return;
	}
	connection->is_idle = true;
	TAILQ_INSERT_HEAD(&load->idle, connection, idle_link);
}

static void connection_finish(struct load *load, struct connection *connection)
{
	load->under_way--;
	load->answered++;
	histogram_add(&load->latencies, net_now_ns() - connection->due_ns);
	connection_next(load, connection);
}

/* Read the head. Returns the bytes used of `bytes`, 0 while it is not complete; -1: not what is wanted. */
static ssize_t connection_take_head(struct connection *connection, const char *at, size_t bytes)
{
	static const char status[] = "HTTP/1.1 200 ", length[] = "\nContent-Length:";
	size_t before = connection->head_bytes;
	size_t taken = bytes < HEAD_BYTES_MAX - 1 - before ? bytes : HEAD_BYTES_MAX - 1 - before;
	memcpy(connection->head + before, at, taken);
	connection->head_bytes += taken;
	connection->head[connection->head_bytes] = '\0';
	char *end = memmem(connection->head, connection->head_bytes, "\r\n\r\n", 4);
	if (end == NULL)
		return connection->head_bytes < HEAD_BYTES_MAX - 1 ? 0 : -1;
	end[2] = '\0';
	const char *field = strcasestr(connection->head, length);
	if (field == NULL || memcmp(connection->head, status, sizeof(status) - 1) != 0)
		return -1;
	connection->body_left = strtoull(field + sizeof(length) - 1, NULL, 10);
	connection->is_head_done = true;
	return (ssize_t)((size_t)(end - connection->head) + 4 - before);
}

static void connection_take(struct load *load, struct connection *connection, size_t received)
{
	size_t used = 0;
	if (!connection->is_head_done) {
		ssize_t step = connection_take_head(connection, load->buffer, received);
		if (step < 0) {
			connection_fail(load, connection);
			return;
		}
		if (!connection->is_head_done)
			return;
		used = (size_t)step;
	}
	if (received - used > connection->body_left) {
		connection_fail(load, connection); /* more than the answer */
		return;
	}
	connection->body_left -= received - used;
	if (connection->body_left > 0)
		return;
	if (load->is_new_connections)
		connection->is_answered = true;
	else
		connection_finish(load, connection);
}

static void connection_receive(struct load *load, struct connection *connection)
{
	/* Of a long body only the end is looked at, where something could follow; the rest is not even
	 * copied. */
	bool is_within = connection->is_head_done && connection->body_left > RECEIVE_BYTES;
	ssize_t got = is_within ? recv(connection->fd, NULL, connection->body_left - 1, MSG_TRUNC)
				: recv(connection->fd, load->buffer, RECEIVE_BYTES, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 && !connection->is_idle && !connection->is_answered) {
		load->received_bytes += (size_t)got;
		connection_take(load, connection, (size_t)got);
	} else if (got == 0 && connection->is_answered) {
		connection_drop(connection);
		connection_finish(load, connection);
	} else if (connection->is_idle) {
		connection_drop(connection); /* closed by the server between two requests */
	} else {
		connection_fail(load, connection);
	}
}

/* When the next request of an open loop is due. */
static uint64_t load_next_due_ns(const struct load *load)
{
	return load->start_ns + load->begun * NANOSECONDS_PER_SECOND / load->rate;
}

/* Begin what is due by now, as far as connections are free. Returns how long to wait at most, in nanoseconds.
 */
static uint64_t load_begin_due(struct load *load)
{
	uint64_t now_ns = net_now_ns();
	while (load->rate > 0 && load->begun < load->request_count) {
		struct connection *connection = TAILQ_FIRST(&load->idle);
		uint64_t due_ns = load_next_due_ns(load);
		if (due_ns >= load->end_ns || connection == NULL)
			break;
		if (due_ns > now_ns)
			return due_ns - now_ns;
		TAILQ_REMOVE(&load->idle, connection, idle_link);
		connection_begin(load, connection, due_ns);
	}
	return NANOSECONDS_PER_SECOND / 10;
}

static bool load_is_over(const struct load *load, uint64_t last_event_ns)
{
	uint64_t now_ns = net_now_ns();
	bool is_all_begun = load->begun >= load->request_count || now_ns >= load->end_ns ||
			    (load->rate == 0 && load->failed > 0);
	if (load->rate > 0 && load->begun < load->request_count)
		is_all_begun = load_next_due_ns(load) >= load->end_ns;
	if (load->under_way > 0)
		return now_ns > last_event_ns + PATIENCE_NS;
	return is_all_begun;
}

static void load_run(struct load *load)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t last_event_ns = load->start_ns = net_now_ns();
	load->end_ns = load->milliseconds > 0 ? load->start_ns + load->milliseconds * 1000000 : UINT64_MAX;
	for (size_t i = 0; i < load->connection_count; i++) {
		load->connections[i].fd = -1;
		connection_next(load, &load->connections[i]);
	}
	do {
		uint64_t wait_ns = load_begin_due(load);
		struct timespec wait = {.tv_nsec = (long)wait_ns};
		int count = epoll_pwait2(load->epoll, events, EVENTS_MAX, &wait, NULL);
		if (count > 0)
			last_event_ns = net_now_ns();
		if (count < 0 && errno != EINTR)
			net_fail("epoll_pwait2");
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			if ((events[i].events & EPOLLIN) != 0 || connection->request_left == 0)
				connection_receive(load, connection);
			else
				connection_send(load, connection, true);
		}
	} while (!load_is_over(load, last_event_ns));
	load->failed += load->under_way;
}

static void load_report(const struct load *load)
{
	struct rusage usage;
	double seconds = (double)(net_now_ns() - load->start_ns) / 1e9;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"answered\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"received_bytes\": %llu, "
	       "\"sent_bytes\": %llu, \"cpu_seconds\": %.6f",
		(unsigned long long)load->answered, (unsigned long long)load->failed, seconds,
		(unsigned long long)load->received_bytes, (unsigned long long)load->sent_bytes,
		(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	static const double shares[] = {0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1};
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		printf("%s\"%g\": %.1f", i == 0 ? ", \"latency_us\": {" : ", ", shares[i],
			(double)histogram_quantile(&load->latencies, shares[i]) / 1e3);
	puts("}}");
}

/* What a browser says of itself, with the cookies of a shop. */
static const char browser_fields[] =
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0\r\n"
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
	"Accept-Language: en-US,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Referer: https://shop.example.com/catalogue/shoes?size=42&colour=black\r\n"
	"DNT: 1\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; "
	"_ga=GA1.2.1084398572.1667301002; _gid=GA1.2.913470264.1669046400; consent=yes\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-User: ?1\r\n";

static struct net_message load_make_request(const struct load *load, const char *path)
{
	char head[HEAD_BYTES_MAX], length[128] = "";
	if (load->body_bytes > 0)
		snprintf(length, sizeof(length),
			"Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n",
			(unsigned long long)load->body_bytes);
	int bytes = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n",
		load->body_bytes > 0 ? "POST" : "GET", path, load->target,
		load->is_browser ? browser_fields : "User-Agent: bench_load\r\n",
		load->is_new_connections ? "Connection: close\r\n" : "", length);
	if (bytes >= (int)sizeof(head))
		net_fail("the path is too long");
	return net_message_make(head, (size_t)bytes, load->body_bytes);
}

static void load_make_requests(struct load *load)
{
	char path[HEAD_BYTES_MAX];
	load->request_kinds = load->path_count > 0 ? load->path_count : 1;
	for (size_t i = 0; i < load->request_kinds; i++) {
		int bytes = load->path_count > 0 ? snprintf(path, sizeof(path), "%s%zu", load->path, i)
						 : snprintf(path, sizeof(path), "%s", load->path);
		if (bytes >= (int)sizeof(path))
			net_fail("the path is too long");
		load->requests[i] = load_make_request(load, path);
	}
}

static void usage(int status)
{
	fputs("Usage: bench_load [OPTION]... ADDRESS:PORT...\n"
	      "Send HTTP requests, check the answers, and print counts as JSON. Without --rate each "
	      "connection has\n"
	      "a request under way all the time, until one fails. Connections take turns with the "
	      "addresses.\n\n"
	      "  --connections COUNT  at the same time (64)\n"
	      "  --seconds TIME       how long requests are begun\n"
	      "  --milliseconds TIME  the same\n"
	      "  --requests COUNT     how many; this or a time is needed\n"
	      "  --rate COUNT         requests a second, at even intervals\n"
	      "  --path PATH          what is asked for (/)\n"
	      "  --paths COUNT        PATH followed by 0, 1, 2... in turn, so many\n"
	      "  --body BYTES         POST that many instead of GET\n"
	      "  --browser            header fields as a browser sends them\n"
	      "  --new-connections    a connection for each request\n",
		status == 0 ? stdout : stderr);
	exit(status);
}

static void load_read_arguments(struct load *load, int count, char **arguments)
{
	static const struct option options[] = {{"connections", required_argument, NULL, 'c'},
		{"seconds", required_argument, NULL, 's'}, {"milliseconds", required_argument, NULL, 'm'},
		{"requests", required_argument, NULL, 'n'}, {"rate", required_argument, NULL, 'r'},
		{"path", required_argument, NULL, 'p'}, {"paths", required_argument, NULL, 't'},
		{"body", required_argument, NULL, 'b'}, {"browser", no_argument, NULL, 'w'},
		{"new-connections", no_argument, NULL, 'x'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;
	while ((option = getopt_long(count, arguments, "", options, NULL)) != -1) {
		if (option == 'c')
			load->connection_count = net_number(optarg, "--connections", 1, CONNECTIONS_MAX);
		else if (option == 's')
			load->milliseconds = 1000 * net_number(optarg, "--seconds", 1, 86400);
		else if (option == 'm')
			load->milliseconds = net_number(optarg, "--milliseconds", 1, 86400000);
		else if (option == 'n')
			load->request_count = net_number(optarg, "--requests", 1, UINT64_MAX - 1);
		else if (option == 'r')
			load->rate = net_number(optarg, "--rate", 1, 10000000);
		else if (option == 'p')
			load->path = optarg;
		else if (option == 't')
			load->path_count = net_number(optarg, "--paths", 1, PATHS_MAX);
		else if (option == 'b')
			load->body_bytes = net_number(optarg, "--body", 1, UINT64_C(1) << 40);
		else if (option == 'w')
			load->is_browser = true;
		else if (option == 'x')
			load->is_new_connections = true;
		else
			usage(option == 'h' ? 0 : 64);
	}
	if (optind == count || count - optind > TARGETS_MAX ||
		(load->milliseconds == 0 && load->request_count == UINT64_MAX))
		usage(64);
	load->target = arguments[optind];
	for (int i = optind; i < count; i++)
		load->addresses[load->address_count++] = net_address(arguments[i]);
}

int main(int count, char **arguments)
{
	static struct load load = {.connection_count = 64, .request_count = UINT64_MAX, .path = "/"};
	load_read_arguments(&load, count, arguments);
	net_raise_descriptor_limit();
	load_make_requests(&load);
	TAILQ_INIT(&load.idle);
	load.connections = calloc(load.connection_count, sizeof(*load.connections));
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load.connections == NULL || load.epoll < 0)
		net_fail("starting");
	load_run(&load);
	load_report(&load);
	free(load.connections);
	for (size_t i = 0; i < load.request_kinds; i++)
		free(load.requests[i].bytes);
	return 0;
}
