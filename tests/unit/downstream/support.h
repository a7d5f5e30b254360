/* support.h - a worker's side of a client's connection, and an owner that records requests and answers them.
 * The client is a plain socket. */
#ifndef UNIT_DOWNSTREAM_SUPPORT_H
#define UNIT_DOWNSTREAM_SUPPORT_H

#include "downstream/downstream.h"
#include "loop_until.h"
#include "peer.h"

#include <stdio.h>

#define REQUESTS_MAX 32

/* A request as its events tell it. */
struct request {
	struct downstream *client; /* NULL: over */
	char line[64];		   /* "GET /path" */
	char *body;		   /* NUL-terminated */
	size_t body_bytes;
	bool is_last, is_persistent;
	int broken_count, drained_count;
	enum problem problem;
};

static struct loop loop;
static struct blocks parsers;
static struct counters counters;
static struct downstream_shared shared;
static struct peer client;

static struct {
	struct request requests[REQUESTS_MAX];
	int count;
	int closed_count;
	bool is_silent;	 /* the test answers, not the owner */
	bool is_pausing; /* take the first of the body, and then no more */
} seen;

/* Answer 200 with the request's line and the length of its body. */
static inline void request_answer(struct request *request)
{
	struct downstream *downstream = request->client;
	char body[128], text[256];
	struct iovec part = {.iov_base = text};
	int bytes = snprintf(body, sizeof(body), "%s:%zu\n", request->line, request->body_bytes);
	part.iov_len = (size_t)snprintf(
		text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", bytes, body);
	request->client = NULL;
	downstream_send_last(downstream, &part, 1, request->is_persistent);
	downstream_end(downstream, request->is_persistent);
}

static inline void request_take(struct request *request, const struct iovec *parts, int count, bool is_last)
{
	cr_assert_not(request->is_last, "something came after the end");
	request->body = realloc(request->body, request->body_bytes + parts_bytes(parts, count) + 1);
	cr_assert_not_null(request->body);
	for (int i = 0; i < count; i++) {
		memcpy(request->body + request->body_bytes, parts[i].iov_base, parts[i].iov_len);
		request->body_bytes += parts[i].iov_len;
	}
	request->body[request->body_bytes] = '\0';
	request->is_last = is_last;
	if (is_last && !seen.is_silent)
		request_answer(request);
	else if (!is_last && seen.is_pausing)
		downstream_pause(request->client);
}

static inline void owner_on_request(void *owner, struct downstream *downstream, const struct http_head *head,
	const struct http_framing *framing, const struct iovec *parts, int count, bool is_last)
{
	cr_assert_eq(owner, &seen);
	cr_assert_lt(seen.count, REQUESTS_MAX);
	cr_assert_null(downstream->request->exchange, "one at a time");
	struct request *request = &seen.requests[seen.count++];
	struct str method = http_text(head, head->method_name), path = http_text(head, head->path);
	snprintf(request->line, sizeof(request->line), "%.*s %.*s", (int)method.bytes, method.at,
		(int)path.bytes, path.at);
	request->client = downstream;
	request->is_persistent = framing->is_persistent;
	downstream->request->exchange = request;
	request_take(request, parts, count, is_last);
}

static inline void owner_on_body(void *exchange, const struct iovec *parts, int count, bool is_last)
{
	request_take(exchange, parts, count, is_last);
}

static inline void owner_on_drained(void *exchange)
{
	struct request *request = exchange;
	cr_assert_not_null(request->client);
	request->drained_count++;
}

static inline void owner_on_refused(void *owner, const struct downstream *downstream,
	const struct http_head *head, enum problem problem, uint64_t bytes_out)
{
	(void)owner;
	(void)head;
	cr_expect_neq(problem, PROBLEM_NONE);
	cr_expect(bytes_out > 0 || downstream->request->is_send_broken);
}

static inline void owner_on_broken(void *exchange, enum problem problem)
{
	struct request *request = exchange;
	struct downstream *downstream = request->client;
	cr_assert_not_null(downstream);
	request->client = NULL;
	request->problem = problem;
	request->broken_count++;
	if (problem != PROBLEM_CLIENT_GONE)
		downstream_answer(downstream, &(struct downstream_answer){.problem = problem});
}

static inline void owner_on_closed(void *arg)
{
	cr_assert_eq(arg, &seen);
	seen.closed_count++;
}

static const struct downstream_events owner_events = {
	.on_request = owner_on_request,
	.on_body = owner_on_body,
	.on_drained = owner_on_drained,
	.on_refused = owner_on_refused,
	.on_broken = owner_on_broken,
};

static inline void support_start(void)
{
	memset(&counters, 0, sizeof(counters));
	memset(&seen, 0, sizeof(seen));
	client.fd = -1;
	cr_assert(loop_init(&loop, LOOP_RECEIVE_BYTES));
	blocks_init(&parsers, &loop.wheel, sizeof(struct http_parser));
	downstream_shared_init(&shared, &loop, &owner_events, &seen, &counters, &parsers);
	shared.timeouts = (struct downstream_timeouts){60000, 60000, 60000, 60000, 60000};
	shared.limits = (struct http_parser_limits){.head_bytes = 4096, .fields = 20};
	shared.on_closed = owner_on_closed;
	shared.on_closed_arg = &seen;
}

static inline void support_finish(void)
{
	peer_close(&client);
	downstream_close_all(&shared);
	loop_for(&loop, 1);
	cr_expect_eq(counters.connections_open, 0);
	cr_expect_eq(counters.connections_accepted, (uint64_t)seen.closed_count);
	for (int i = 0; i < REQUESTS_MAX; i++)
		free(seen.requests[i].body);
	downstream_shared_finish(&shared);
	blocks_finish(&parsers);
	loop_finish(&loop);
}

/* A client connects in one of these ways; what was recorded of the last one is forgotten. */
/* The client's address as the proxy tells it; good until the next call. */
static inline const char *address_of(const struct downstream *downstream)
{
	static char text[NETWORK_TEXT_MAX];
	char room[NETWORK_TEXT_MAX];
	struct str address = downstream_address(downstream, room);
	snprintf(text, sizeof(text), "%.*s", (int)address.bytes, address.at);
	return text;
}

static inline void client_connect_by(unsigned arrival, int buffer_bytes)
{
	const struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int accepted = seen.closed_count;
	bool is_silent = seen.is_silent, is_pausing = seen.is_pausing;
	for (int i = 0; i < REQUESTS_MAX; i++)
		free(seen.requests[i].body);
	memset(&seen, 0, sizeof(seen));
	seen.closed_count = accepted;
	seen.is_silent = is_silent;
	seen.is_pausing = is_pausing;
	int fd = peer_pair(&client, buffer_bytes);
	cr_assert(downstream_open(&shared, fd, (const struct sockaddr *)&address, arrival));
}

static inline void client_connect(int buffer_bytes)
{
	client_connect_by(DOWNSTREAM_PLAIN, buffer_bytes);
}

static inline bool client_is_over(void *arg)
{
	(void)arg;
	peer_poll(&client);
	return client.is_ended || client.is_reset;
}

/* Has the client received this text, at the end of what it received? */
static inline bool client_has(void *arg)
{
	const char *text = arg;
	peer_poll(&client);
	return strstr(client.received, text) != NULL;
}

static inline bool is_closed(void *arg)
{
	(void)arg;
	return TAILQ_EMPTY(&shared.open);
}

static inline bool request_is_over(void *arg)
{
	const struct request *request = arg;
	return seen.count > request - seen.requests && request->client == NULL;
}

static inline bool request_has_body(void *arg)
{
	const struct request *request = arg;
	return request->body_bytes > 0;
}

static inline bool request_is_complete(void *arg)
{
	const struct request *request = arg;
	return request->is_last;
}

static inline void wait_until(bool (*is_done)(void *arg), const void *arg)
{
	cr_assert(loop_until(&loop, is_done, (void *)(uintptr_t)arg, LOOP_UNTIL_MS),
		"received so far: %.200s", client.received);
}

#endif
