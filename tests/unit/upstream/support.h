/* support.h - a worker's side of connections to one backend, and that backend: a listening socket whose every
 * byte the test sends itself. What the events say is recorded in a lease. */
#ifndef UNIT_UPSTREAM_SUPPORT_H
#define UNIT_UPSTREAM_SUPPORT_H

#include "loop_until.h"
#include "peer.h"
#include "upstream/pool.h"

#include <stdio.h>

static struct loop loop;
static struct blocks parsers;
static struct counters counters;
static struct upstream_shared shared;
static struct upstream_timeouts timeouts;
static struct backend *backend;
static struct pool *pool;
static int listener = -1;

/* One exchange as its events tell it. */
struct lease {
	struct upstream *upstream; /* NULL: over */
	const char *request;
	enum http_method method;
	bool is_open_ended; /* more of the request is to come */
	bool is_pausing;    /* take the first of the body, and then no more */
	uint64_t again_ms;  /* when it is late: to be told again after this long; UINT64_MAX: give it up */
	void (*on_over)(struct lease *lease);

	bool is_connected, is_last;
	int informational_count, drained_count, broken_count, response_count, late_count;
	int status;
	enum problem problem;
	bool was_sent; /* when it broke */
	char *body;    /* NUL-terminated */
	size_t body_bytes;
};

static inline void lease_start_request(struct lease *lease)
{
	struct iovec part = {
		.iov_base = (void *)(uintptr_t)lease->request, .iov_len = strlen(lease->request)};
	lease->is_connected = true;
	if (part.iov_len > 0)
		upstream_send(lease->upstream, &part, 1);
	if (!lease->is_open_ended)
		upstream_request_done(lease->upstream);
}

static inline void lease_take(struct lease *lease, const struct iovec *parts, int count, bool is_last)
{
	cr_assert_not(lease->is_last, "something came after the end");
	lease->body = realloc(lease->body, lease->body_bytes + parts_bytes(parts, count) + 1);
	cr_assert_not_null(lease->body);
	for (int i = 0; i < count; i++) {
		memcpy(lease->body + lease->body_bytes, parts[i].iov_base, parts[i].iov_len);
		lease->body_bytes += parts[i].iov_len;
	}
	lease->body[lease->body_bytes] = '\0';
	lease->is_last = is_last;
	if (is_last) {
		upstream_release(lease->upstream);
		lease->upstream = NULL;
		if (lease->on_over != NULL)
			lease->on_over(lease);
	} else if (lease->is_pausing) {
		upstream_pause(lease->upstream);
	}
}

static inline void lease_on_connected(void *exchange)
{
	struct lease *lease = exchange;
	cr_assert_not(lease->is_connected);
	lease_start_request(lease);
}

static inline void lease_on_informational(void *exchange, const struct http_head *head)
{
	struct lease *lease = exchange;
	cr_assert(head->status >= 100 && head->status < 200);
	lease->informational_count++;
	if (lease->is_pausing)
		upstream_pause(lease->upstream);
}

static inline void lease_on_response(void *exchange, const struct http_head *head,
	const struct http_framing *framing, const struct iovec *parts, int count, bool is_last)
{
	struct lease *lease = exchange;
	(void)framing;
	lease->status = head->status;
	lease->response_count++;
	lease_take(lease, parts, count, is_last);
}

static inline void lease_on_body(void *exchange, const struct iovec *parts, int count, bool is_last)
{
	struct lease *lease = exchange;
	cr_assert_eq(lease->response_count, 1);
	lease_take(lease, parts, count, is_last);
}

static inline void lease_on_drained(void *exchange)
{
	struct lease *lease = exchange;
	lease->drained_count++;
}

static inline void lease_on_broken(void *exchange, enum problem problem)
{
	struct lease *lease = exchange;
	cr_assert_not(lease->is_last, "broken after its end");
	lease->was_sent = upstream_is_sent(lease->upstream);
	lease->upstream = NULL;
	lease->problem = problem;
	lease->broken_count++;
	if (lease->on_over != NULL)
		lease->on_over(lease);
}

static inline uint64_t lease_on_late(void *exchange)
{
	struct lease *lease = exchange;
	lease->late_count++;
	if (lease->again_ms != UINT64_MAX)
		return lease->again_ms;
	upstream_release(lease->upstream);
	lease->upstream = NULL;
	return 0;
}

static const struct upstream_events lease_events = {
	.on_connected = lease_on_connected,
	.on_informational = lease_on_informational,
	.on_response = lease_on_response,
	.on_body = lease_on_body,
	.on_drained = lease_on_drained,
	.on_broken = lease_on_broken,
	.on_late = lease_on_late,
};

/* Lease a connection for a GET; `is_careful` as in upstream_lease(). False: `lease->problem` says why not. */
static inline bool lease_begin_careful(struct lease *lease, bool is_careful)
{
	if (lease->request == NULL)
		lease->request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	if (lease->method == HTTP_METHOD_OTHER)
		lease->method = HTTP_METHOD_GET;
	free(lease->body);
	lease->body = calloc(1, 1);
	lease->body_bytes = 0;
	lease->is_connected = lease->is_last = false;
	lease->response_count = lease->informational_count = lease->drained_count = lease->status = 0;
	lease->broken_count = lease->late_count = 0;
	lease->problem = PROBLEM_NONE;
	lease->upstream = pool_lease(pool, lease, is_careful, &lease->problem);
	if (lease->upstream == NULL)
		return false;
	lease->problem = PROBLEM_NONE;
	upstream_begin(lease->upstream, lease->method, false);
	if (upstream_is_connected(lease->upstream))
		lease_start_request(lease);
	return true;
}

static inline void lease_begin(struct lease *lease)
{
	cr_assert(lease_begin_careful(lease, false));
}

static inline bool lease_is_over(void *arg)
{
	const struct lease *lease = arg;
	return lease->upstream == NULL;
}

static inline bool lease_has_connected(void *arg)
{
	const struct lease *lease = arg;
	return lease->is_connected;
}

static inline bool lease_has_head(void *arg)
{
	const struct lease *lease = arg;
	return lease->response_count > 0;
}

static inline void wait_until(bool (*is_done)(void *arg), void *arg)
{
	cr_assert(loop_until(&loop, is_done, arg, LOOP_UNTIL_MS));
}

/* Wait for the lease's end and forget it. */
static inline void lease_finish(struct lease *lease)
{
	wait_until(lease_is_over, lease);
	free(lease->body);
	lease->body = NULL;
}

/* The backend's end of the connection that was made first and not accepted yet. */
static inline void backend_accept(struct peer *peer)
{
	for (int try = 0; try < 5000; try++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			peer_adopt(peer, fd);
			return;
		}
		loop_for(&loop, 1);
	}
	cr_assert_fail("nobody connects");
}

static inline void support_start(void)
{
	struct sockaddr_in address;
	memset(&counters, 0, sizeof(counters));
	cr_assert(loop_init(&loop, LOOP_RECEIVE_BYTES));
	blocks_init(&parsers, &loop.wheel, sizeof(struct http_parser));
	upstream_shared_init(&shared, &loop, &lease_events, &counters, &parsers);
	timeouts = (struct upstream_timeouts){60000, 60000, 60000, 60000};
	shared.limits = (struct http_parser_limits){.head_bytes = 4096, .fields = 20};
	shared.idle_max = 4;
	listener = peer_listen(&address, true);
	cr_assert_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	backend = backend_new("backend:1", &(const union address){.ipv4 = address}, 1, 2, NULL);
	cr_assert_not_null(backend);
	pool = pool_new(&shared, backend, &timeouts, POOL_UNLIMITED);
	cr_assert_not_null(pool);
}

static inline void support_finish(void)
{
	if (pool != NULL) {
		cr_expect_eq(pool->leased_count, 0);
		pool_free(pool);
	}
	cr_expect_eq(counters.upstream_open, 0, "%zu connections are counted as open still",
		(size_t)counters.upstream_open);
	cr_expect_eq(counters.upstream_idle, 0);
	loop_for(&loop, 1);
	backend_unref(&backend);
	upstream_shared_finish(&shared);
	blocks_finish(&parsers);
	loop_finish(&loop);
	if (listener >= 0)
		close(listener);
}

#endif
