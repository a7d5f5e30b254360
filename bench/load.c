/* load - sends requests and counts the answers (see load.h). Owns its connections. */
#include "load.h"

#include "histogram.h"
#include "net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES  (256 * 1024)
#define HEAD_BYTES_MAX 4096
#define FAILURES_MAX   10000

/* When nothing at all happened for this long, the requests under way are counted as failed, and that is the
 * end. */
#define PATIENCE_NS (5 * NANOSECONDS_PER_SECOND)

/* Without anything due the end is looked for so often. */
#define PAUSE_NS (NANOSECONDS_PER_SECOND / 10)

struct connection {
	struct loop_source source; /* fd -1: not connected */
	struct load *load;
	bool is_idle;
	bool is_head_done;
	bool is_answered;   /* with a connection for each request: its end is awaited */
	uint64_t body_left; /* of the answer */
	uint64_t due_ns;    /* when the request under way was due */
	uint64_t request_left;
	const struct message *request; /* under way */
	TAILQ_ENTRY(connection) idle_link;
	size_t head_bytes;
	char head[HEAD_BYTES_MAX]; /* of an answer, as far as it has come; not used when it comes at once */
};
TAILQ_HEAD(connection_list, connection);

struct load {
	const struct load_order *order;
	struct loop *loop;
	uint64_t start_ns, end_ns, last_event_ns;
	double start_cpu_seconds;
	uint64_t start_vain_ns;
	uint64_t begun, answered, failed, received_bytes, sent_bytes;
	uint64_t under_way;
	bool has_moved; /* since it was last looked for its end */
	struct connection_list idle;
	struct connection *connections;
	struct histogram latencies;
	char buffer[RECEIVE_BYTES];
};

static void connection_next(struct connection *connection, uint64_t now_ns);

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void connection_drop(struct connection *connection)
{
	if (connection->source.fd >= 0)
		close(connection->source.fd);
	connection->source.fd = -1;
}

/* The request under way gets no whole answer. */
static void connection_fail(struct connection *connection)
{
	struct load *load = connection->load;
	connection_drop(connection);
	load->under_way--;
	if (++load->failed > FAILURES_MAX) {
		errno = 0;
		net_fail("more than %d requests failed", FAILURES_MAX);
	}
	connection_next(connection, net_now_ns());
}

/* Send what is left of the request. */
static void connection_send(struct connection *connection, bool is_watched_for_room)
{
	struct load *load = connection->load;
	uint64_t before = connection->request_left;
	if (!message_send(connection->request, connection->source.fd, &connection->request_left)) {
		connection_fail(connection);
		return;
	}
	load->sent_bytes += before - connection->request_left;
	bool is_short = connection->request_left > 0;
	if (is_short != is_watched_for_room)
		loop_watch(load->loop, EPOLL_CTL_MOD, &connection->source,
			is_short ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void connection_begin(struct connection *connection, uint64_t due_ns)
{
	struct load *load = connection->load;
	const struct load_order *order = load->order;
	connection->request = &order->requests[load->begun % order->request_kinds];
	load->begun++;
	load->under_way++;
	connection->due_ns = due_ns;
	connection->is_idle = connection->is_head_done = connection->is_answered = false;
	connection->head_bytes = 0;
	connection->request_left = connection->request->total_bytes;
	if (connection->source.fd >= 0) {
		connection_send(connection, false);
		return;
	}
	size_t number = (size_t)(connection - load->connections);
	connection->source.fd = net_connect(&order->addresses[number % order->address_count], false);
	if (connection->source.fd < 0) {
		connection_fail(connection);
		return;
	}
	loop_watch(load->loop, EPOLL_CTL_ADD, &connection->source, EPOLLIN | EPOLLOUT);
}

/* It has nothing to do: begin the next request, now or when one is due. */
static void connection_next(struct connection *connection, uint64_t now_ns)
{
	struct load *load = connection->load;
	if (load->order->rate == 0 && load->failed == 0 && load->begun < load->order->request_count &&
		now_ns < load->end_ns) {
		connection_begin(connection, now_ns);
		return;
	}
	connection->is_idle = true;
	TAILQ_INSERT_HEAD(&load->idle, connection, idle_link);
}

static void connection_finish(struct connection *connection)
{
	struct load *load = connection->load;
	uint64_t now_ns = net_now_ns();
	load->under_way--;
	load->answered++;
	histogram_add(&load->latencies, now_ns - connection->due_ns);
	connection_next(connection, now_ns);
}

/* Read the head. Returns the bytes used of `bytes`, all while it is not complete; -1: not what is wanted. */
static ssize_t connection_take_head(struct connection *connection, const char *at, size_t bytes)
{
	static const char status[] = "HTTP/1.1 200 ";
	size_t before = connection->head_bytes;
	const char *head = at, *end = before == 0 ? message_head_end(at, bytes) : NULL;
	if (end == NULL) {
		size_t room = HEAD_BYTES_MAX - before, taken = bytes < room ? bytes : room;
		head = connection->head;
		memcpy(connection->head + before, at, taken);
		connection->head_bytes += taken;
		end = message_head_end(head, connection->head_bytes);
		if (end == NULL)
			return connection->head_bytes < HEAD_BYTES_MAX ? (ssize_t)bytes : -1;
	}
	struct message_fields fields = message_read_fields(head, end);
	if (!fields.has_length || (size_t)(end - head) < sizeof(status) ||
		memcmp(head, status, sizeof(status) - 1) != 0)
		return -1;
	connection->body_left = fields.body_bytes;
	connection->is_head_done = true;
	return (ssize_t)((size_t)(end - head) + 4 - before);
}

static void connection_take(struct connection *connection, size_t received)
{
	size_t used = 0;
	if (!connection->is_head_done) {
		ssize_t step = connection_take_head(connection, connection->load->buffer, received);
		if (step < 0) {
			connection_fail(connection);
			return;
		}
		if (!connection->is_head_done)
			return;
		used = (size_t)step;
	}
	if (received - used > connection->body_left) {
		connection_fail(connection); /* more than the answer */
		return;
	}
	connection->body_left -= received - used;
	if (connection->body_left > 0)
		return;
	if (connection->load->order->is_new_connections)
		connection->is_answered = true;
	else
		connection_finish(connection);
}

static void connection_receive(struct connection *connection)
{
	struct load *load = connection->load;
	int fd = connection->source.fd;
	/* Of a long body only the end is looked at, where something could follow; the rest is not even
	 * copied. */
	bool is_within = connection->is_head_done && connection->body_left > RECEIVE_BYTES;
	ssize_t got = is_within ? recv(fd, NULL, connection->body_left - 1, MSG_TRUNC)
				: recv(fd, load->buffer, RECEIVE_BYTES, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got > 0 && !connection->is_idle && !connection->is_answered) {
		load->received_bytes += (size_t)got;
		connection_take(connection, (size_t)got);
	} else if (got == 0 && connection->is_answered) {
		connection_drop(connection);
		connection_finish(connection);
	} else if (connection->is_idle) {
		connection_drop(connection); /* closed by the server between two requests */
	} else {
		connection_fail(connection);
	}
}

static void connection_handle(struct loop_source *source, uint32_t events)
{
	struct connection *connection = (struct connection *)source;
	connection->load->has_moved = true;
	if ((events & EPOLLIN) != 0 || connection->request_left == 0)
		connection_receive(connection);
	else
		connection_send(connection, true);
}

/* When the next request of an open loop is due. */
static uint64_t load_next_due_ns(const struct load *load)
{
	return load->start_ns + load->begun * NANOSECONDS_PER_SECOND / load->order->rate;
}

/* Begin what is due by now, as far as connections are free. Returns how long to wait at most, in nanoseconds.
 */
static uint64_t load_begin_due(struct load *load, uint64_t now_ns)
{
	while (load->order->rate > 0 && load->begun < load->order->request_count) {
		struct connection *connection = TAILQ_FIRST(&load->idle);
		uint64_t due_ns = load_next_due_ns(load);
		if (due_ns >= load->end_ns || connection == NULL)
			break;
		if (due_ns > now_ns)
			return due_ns - now_ns < PAUSE_NS ? due_ns - now_ns : PAUSE_NS;
		TAILQ_REMOVE(&load->idle, connection, idle_link);
		connection_begin(connection, due_ns);
	}
	return PAUSE_NS;
}

static bool load_is_over(struct load *load, uint64_t now_ns)
{
	const struct load_order *order = load->order;
	bool is_all_begun = load->begun >= order->request_count || now_ns >= load->end_ns ||
			    (order->rate == 0 && load->failed > 0);
	if (order->rate > 0 && load->begun < order->request_count)
		is_all_begun = load_next_due_ns(load) >= load->end_ns;
	if (load->has_moved)
		load->last_event_ns = now_ns;
	load->has_moved = false;
	if (load->under_way > 0)
		return now_ns > load->last_event_ns + PATIENCE_NS;
	return is_all_begun;
}

bool load_go_on(struct load *load, uint64_t *wait_ns)
{
	uint64_t now_ns = net_now_ns();
	*wait_ns = load_begin_due(load, now_ns);
	if (load->order->is_awake)
		*wait_ns = 0;
	return !load_is_over(load, now_ns);
}

struct load *load_begin(const struct load_order *order, struct loop *loop)
{
	struct load *load = calloc(1, sizeof(*load));
	if (load == NULL ||
		(load->connections = calloc(order->connection_count, sizeof(*load->connections))) == NULL)
		net_fail("starting");
	load->order = order;
	load->loop = loop;
	load->start_cpu_seconds = cpu_seconds();
	load->start_vain_ns = loop->vain_ns;
	load->last_event_ns = load->start_ns = net_now_ns();
	load->end_ns = order->milliseconds > 0 ? load->start_ns + order->milliseconds * 1000000 : UINT64_MAX;
	TAILQ_INIT(&load->idle);
	for (size_t i = 0; i < order->connection_count; i++) {
		struct connection *connection = &load->connections[i];
		connection->source = (struct loop_source){.fd = -1, .handle = connection_handle};
		connection->load = load;
		connection_next(connection, load->start_ns);
	}
	return load;
}

static void load_report(const struct load *load)
{
	printf("{\"answered\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"received_bytes\": %llu, "
	       "\"sent_bytes\": %llu, \"cpu_seconds\": %.6f, \"vain_seconds\": %.6f",
		(unsigned long long)load->answered, (unsigned long long)(load->failed + load->under_way),
		(double)(net_now_ns() - load->start_ns) / 1e9, (unsigned long long)load->received_bytes,
		(unsigned long long)load->sent_bytes, cpu_seconds() - load->start_cpu_seconds,
		(double)(load->loop->vain_ns - load->start_vain_ns) / 1e9);
	static const double shares[] = {0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1};
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++)
		printf("%s\"%g\": %.1f", i == 0 ? ", \"latency_us\": {" : ", ", shares[i],
			(double)histogram_quantile(&load->latencies, shares[i]) / 1e3);
	puts("}}");
}

void load_end(struct load *load)
{
	load_report(load);
	for (size_t i = 0; i < load->order->connection_count; i++)
		connection_drop(&load->connections[i]);
	free(load->connections);
	free(load);
}
