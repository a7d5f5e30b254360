/* exchange - one request and its response (see exchange.h).
 *
 *  client --head--> downstream --(a) route, pick a member--> balance
 *                       |                                      |
 *                       |        (b) lease a connection <------+
 *                       |               upstream/pool
 *                       v                    |
 *                   exchange --(c) head, body--> upstream --> backend
 *                       ^                                      |
 *  client <-- (e) body -+--------- (d) response head ----------+
 *  (f) finish: tell the member how it went, give the lease back, count, next request on this connection
 *
 * A retry goes back to (a) with the tried member excluded: only while nothing of a response has gone to the
 * client, and only when nothing of the request was handed to a backend, or the request may be repeated and is
 * still held whole. */
#include "exchange.h"

#include "http/rewrite.h"
#include "relay.h"
#include "upstream/pool.h"

#include <stdlib.h>
#include <string.h>

/* A forwarded head of this size or less needs no allocation of its own. */
#define EXCHANGE_HEAD_INLINE 4096

/* Body bytes that are held for a connection that is not made yet, or for another attempt. */
#define EXCHANGE_HELD_MAX (64 * 1024)

#define EXCHANGE_REQUEST_ID_BYTES 32

/* Exchange objects kept for the next requests. */
#define EXCHANGES_KEPT 256

enum exchange_state {
	EXCHANGE_PICKING,    /* no lease: before the first attempt, or between two */
	EXCHANGE_CONNECTING, /* leased, not connected yet; nothing was handed over */
	EXCHANGE_WAITING,    /* the request is on its way; no final response yet */
	EXCHANGE_RELAYING,   /* the response's head went to the client */
	EXCHANGE_ENDED
};

static const uint8_t exchange_edges[] = {
	[EXCHANGE_PICKING] = BIT(EXCHANGE_CONNECTING) | BIT(EXCHANGE_WAITING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_CONNECTING] = BIT(EXCHANGE_WAITING) | BIT(EXCHANGE_PICKING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_WAITING] = BIT(EXCHANGE_RELAYING) | BIT(EXCHANGE_PICKING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_RELAYING] = BIT(EXCHANGE_ENDED),
	[EXCHANGE_ENDED] = 0,
};

#define EXCHANGE_MAGIC UINT32_C(0x65786368)

struct exchange {
	uint32_t magic;
	uint8_t state; /* enum exchange_state; exchange_enter() is its only door */
	uint8_t method;
	uint8_t request_body;  /* enum http_body_kind, as forwarded */
	uint8_t response_body; /* the same, towards the client */
	bool is_client_http10;
	bool is_persistent;   /* the client's connection may live on */
	bool is_request_done; /* all of the request has come from the client */
	bool is_held_whole;   /* head and held_body are all of the request so far */
	uint8_t tried_count;
	struct exchange_shared *shared;
	struct downstream *client;
	struct upstream *upstream;
	struct service *service;
	struct member *member;
	struct member *tried[EXCHANGE_TRIES_MAX]; /* compared, never looked into: they may be gone */
	struct doomed doomed;
	struct bytes held_body; /* framed as forwarded */
	struct str head;	/* of the forwarded request: in head_inline or allocated */
	uint8_t request_id_bytes;
	char request_id[HTTP_REQUEST_ID_BYTES_MAX];
	char head_inline[EXCHANGE_HEAD_INLINE];
};

static void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
	CHECK_EDGE(exchange_edges, exchange->state, next);
	exchange->state = (uint8_t)next;
}

bool exchange_shared_init(struct exchange_shared *shared, struct loop *loop, struct counters *counters)
{
	*shared = (struct exchange_shared){.loop = loop, .counters = counters};
	slab_init(&shared->exchanges, sizeof(struct exchange), EXCHANGES_KEPT);
	shared->scratch = malloc(HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	return shared->scratch != NULL;
}

void exchange_shared_finish(struct exchange_shared *shared)
{
	slab_finish(&shared->exchanges);
	free(shared->scratch);
	shared->scratch = NULL;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void exchange_free(struct doomed *doomed)
{
	struct exchange *exchange = CONTAINER_OF(doomed, struct exchange, doomed);
	bytes_free(&exchange->held_body);
	if (exchange->head.at != exchange->head_inline)
		free((void *)(uintptr_t)exchange->head.at);
	MAGIC_CLEAR(exchange);
	slab_give(&exchange->shared->exchanges, exchange);
}

/* The attempt under way is over: give back what it holds. */
static void exchange_end_attempt(struct exchange *exchange, enum policy_outcome outcome)
{
	if (exchange->upstream != NULL)
		upstream_release(exchange->upstream);
	exchange->upstream = NULL;
	if (exchange->member != NULL)
		roster_done(&exchange->service->roster, exchange->member, outcome);
	exchange->member = NULL;
}

static void exchange_end(struct exchange *exchange, enum policy_outcome outcome)
{
	exchange_end_attempt(exchange, outcome);
	exchange_enter(exchange, EXCHANGE_ENDED);
	counter_subtract(exchange->shared->counters, requests_active, 1);
	loop_doom(exchange->shared->loop, &exchange->doomed, exchange_free);
}

/* The response is complete. */
static void exchange_finish(struct exchange *exchange)
{
	struct downstream *client = exchange->client;
	exchange_end(exchange, POLICY_ANSWERED);
	downstream_end(client, exchange->is_persistent);
}

/* No response of a backend goes to the client: answer in its place. */
static void exchange_fail(struct exchange *exchange, enum problem problem)
{
	struct downstream *client = exchange->client;
	const struct downstream_answer answer = {
		.problem = problem,
		.detail = exchange->service != NULL ? str_of(exchange->service->name) : STR(""),
		.request_id = {exchange->request_id, exchange->request_id_bytes},
		.is_head = exchange->method == HTTP_METHOD_HEAD,
		.is_persistent = exchange->is_persistent,
	};
	exchange_end(exchange, POLICY_FAILED);
	downstream_answer(client, &answer);
}

/* The response cannot be completed: let the client see that. */
static void exchange_cut(struct exchange *exchange, enum problem problem)
{
	struct downstream *client = exchange->client;
	counter_add(exchange->shared->counters, problems[problem], 1);
	exchange_end(exchange, POLICY_FAILED);
	downstream_abort(client, exchange->response_body != HTTP_BODY_UNTIL_CLOSE);
}

/* ---- (a) to (c): an attempt ------------------------------------------------------------------ */

static void exchange_note_tried(struct exchange *exchange)
{
	if (exchange->tried_count < EXCHANGE_TRIES_MAX)
		exchange->tried[exchange->tried_count++] = exchange->member;
}

/* After `problem` ended an attempt. `was_handed_over`: a backend may have seen some of the request. */
static bool exchange_may_retry(const struct exchange *exchange, enum problem problem, bool was_handed_over)
{
	if (exchange->tried_count >= exchange->shared->tries_max || !problem_row(problem)->may_retry)
		return false;
	if (!exchange->is_held_whole)
		return false;
	return !was_handed_over || http_method_is_idempotent(exchange->method);
}

/* Pick and lease until a connection is there or on its way. False: the exchange has failed and ended. */
static bool exchange_attempt(struct exchange *exchange)
{
	struct exchange_shared *shared = exchange->shared;
	struct roster *roster = &exchange->service->roster;
	bool is_careful = !http_method_is_idempotent(exchange->method);
	for (;;) {
		enum problem problem = PROBLEM_NONE;
		struct member *member =
			roster_pick(roster, &shared->loop->random, exchange->tried, exchange->tried_count);
		if (member == NULL) {
			exchange_fail(exchange, roster->is_known ? PROBLEM_SET_EMPTY : PROBLEM_SET_UNKNOWN);
			return false;
		}
		exchange->member = member;
		roster_begin(roster, member);
		counter_add(shared->counters, attempts, 1);
		if (exchange->tried_count > 0)
			counter_add(shared->counters, retries, 1);
		exchange->upstream = pool_lease(member->pool, exchange, is_careful, &problem);
		if (exchange->upstream != NULL)
			break;
		exchange_note_tried(exchange);
		exchange_end_attempt(exchange, POLICY_FAILED);
		if (!exchange_may_retry(exchange, problem, false)) {
			exchange_fail(exchange, problem);
			return false;
		}
	}
	upstream_begin(exchange->upstream, exchange->method);
	exchange_enter(
		exchange, upstream_is_connected(exchange->upstream) ? EXCHANGE_WAITING : EXCHANGE_CONNECTING);
	return true;
}

/* Everything that came was handed over: let more come, unless the backend is slower than the client. */
static void exchange_balance_request(struct exchange *exchange)
{
	if (exchange->is_request_done)
		upstream_request_done(exchange->upstream);
	else if (upstream_is_congested(exchange->upstream))
		downstream_pause(exchange->client);
	else
		downstream_resume(exchange->client);
}

/* Hand over what is held: the whole request so far. It stays held while it might be needed again. */
static void exchange_send_held(struct exchange *exchange)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)exchange->head.at, exchange->head.bytes},
		{(void *)(uintptr_t)bytes_at(&exchange->held_body), bytes_count(&exchange->held_body)}};
	upstream_send(exchange->upstream, parts, exchange->held_body.memory != NULL ? 2 : 1);
	if (!http_method_is_idempotent(exchange->method)) {
		exchange->is_held_whole = false;
		bytes_free(&exchange->held_body);
	}
	exchange_balance_request(exchange);
}

/* Hold body bytes for later. False without memory. */
static bool exchange_hold(struct exchange *exchange, const struct relay_run *run)
{
	return bytes_append_parts(&exchange->held_body, run->parts, run->count, 0);
}

/* Body bytes that are handed over now are held as well only for a request that may be repeated, within a
 * bound. */
static void exchange_hold_for_repeat(struct exchange *exchange, const struct relay_run *run)
{
	size_t held = bytes_count(&exchange->held_body) + parts_bytes(run->parts, run->count);
	exchange->is_held_whole = http_method_is_idempotent(exchange->method) && held <= EXCHANGE_HELD_MAX &&
				  exchange_hold(exchange, run);
	if (!exchange->is_held_whole)
		bytes_free(&exchange->held_body);
}

/* A run of the request's body, the first one with the head before it. */
static void exchange_take_body(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last)
{
	struct relay_run run;
	exchange->is_request_done = is_last;
	if (exchange->state == EXCHANGE_CONNECTING) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		if (!exchange_hold(exchange, &run))
			exchange_fail(exchange, PROBLEM_NO_MEMORY);
		else if (bytes_count(&exchange->held_body) > EXCHANGE_HELD_MAX)
			downstream_pause(exchange->client);
		return;
	}
	relay_frame(&run, head, exchange->request_body, parts, count, is_last);
	upstream_send(exchange->upstream, run.parts, run.count);
	if (exchange->is_held_whole && exchange->request_body != HTTP_BODY_NONE) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		exchange_hold_for_repeat(exchange, &run);
	}
	exchange_balance_request(exchange);
}

/* ---- Events of the client -------------------------------------------------------------------- */

static const struct route *exchange_route(const struct exchange_shared *shared, const struct http_head *head)
{
	struct str path = http_text(head, head->path);
	for (size_t i = 0; i < shared->route_count; i++)
		if (route_takes(&shared->routes[i], path))
			return &shared->routes[i];
	return NULL;
}

static void exchange_make_request_id(struct exchange *exchange, const struct http_head *head)
{
	struct str given = http_request_id(head);
	if (given.bytes > 0) {
		memcpy(exchange->request_id, given.at, given.bytes);
		exchange->request_id_bytes = (uint8_t)given.bytes;
		return;
	}
	for (int i = 0; i < EXCHANGE_REQUEST_ID_BYTES; i += 16) {
		uint64_t bits = random_next(&exchange->shared->loop->random);
		for (int digit = 0; digit < 16; digit++, bits >>= 4)
			exchange->request_id[i + digit] = "0123456789abcdef"[bits & 15];
	}
	exchange->request_id_bytes = EXCHANGE_REQUEST_ID_BYTES;
}

/* Write the head that is forwarded, whoever it goes to. False: no memory. */
static bool exchange_make_head(struct exchange *exchange, const struct http_head *head,
	const struct http_framing *framing, const struct route *route)
{
	const struct http_request_rewrite how = {
		.path = route->forward_to,
		.host = str_of(exchange->service->host),
		.client_address = str_of(exchange->client->address),
		.request_id = {exchange->request_id, exchange->request_id_bytes},
	};
	char *out = exchange->head_inline;
	size_t size = head->bytes + how.path.bytes + how.host.bytes + HTTP_REWRITE_EXTRA;
	if (size > sizeof(exchange->head_inline))
		out = malloc(size);
	if (out == NULL)
		return false;
	exchange->head = (struct str){out, http_rewrite_request(head, framing, &how, out, size)};
	return exchange->head.bytes > 0;
}

static struct exchange *exchange_new(
	struct exchange_shared *shared, struct downstream *client, const struct http_head *head)
{
	struct exchange *exchange = slab_take(&shared->exchanges);
	if (exchange == NULL)
		return NULL;
	memset(exchange, 0, offsetof(struct exchange, head_inline));
	exchange->magic = EXCHANGE_MAGIC;
	exchange->shared = shared;
	exchange->client = client;
	exchange->method = head->method;
	exchange->is_client_http10 = head->version_minor == 0;
	exchange->is_held_whole = true;
	exchange->head.at = exchange->head_inline;
	client->exchange = exchange;
	counter_add(shared->counters, requests_active, 1);
	return exchange;
}

static void exchange_on_request(void *owner, struct downstream *client, const struct http_head *head,
	const struct http_framing *framing, const struct iovec *parts, int count, bool is_last)
{
	struct exchange_shared *shared = owner;
	struct exchange *exchange = exchange_new(shared, client, head);
	if (exchange == NULL) {
		downstream_answer(client, &(struct downstream_answer){.problem = PROBLEM_NO_MEMORY});
		return;
	}
	exchange->is_persistent = framing->is_persistent;
	exchange->request_body = (uint8_t)framing->kind;
	exchange_make_request_id(exchange, head);
	if (http_is_last_hop(head)) {
		/* RFC 9110 section 7.6.2: it ends here, and here is nothing to tell of. */
		exchange_fail(exchange, PROBLEM_METHOD_REFUSED);
		return;
	}
	const struct route *route = exchange_route(shared, head);
	if (route == NULL) {
		exchange_fail(exchange, PROBLEM_NO_ROUTE);
		return;
	}
	exchange->service = route->service;
	if (!exchange_make_head(exchange, head, framing, route)) {
		exchange_fail(exchange, PROBLEM_NO_MEMORY);
		return;
	}
	if (exchange_attempt(exchange))
		exchange_take_body(exchange, exchange->head, parts, count, is_last);
}

static void exchange_on_client_body(void *arg, const struct iovec *parts, int count, bool is_last)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	exchange_take_body(exchange, STR(""), parts, count, is_last);
}

static void exchange_on_client_drained(void *arg)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	if (exchange->upstream != NULL)
		upstream_resume(exchange->upstream);
}

static void exchange_on_client_broken(void *arg, enum problem problem)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	exchange_end_attempt(exchange, POLICY_CANCELLED); /* the backend is not to blame */
	if (problem == PROBLEM_CLIENT_GONE) {
		counter_add(exchange->shared->counters, problems[problem], 1);
		exchange_end(exchange, POLICY_CANCELLED);
	} else if (exchange->state == EXCHANGE_RELAYING) {
		exchange_cut(exchange, problem);
	} else {
		exchange_fail(exchange, problem);
	}
}

/* ---- Events of the backend ------------------------------------------------------------------- */

static void exchange_on_connected(void *arg)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	exchange_enter(exchange, EXCHANGE_WAITING);
	exchange_send_held(exchange);
}

static void exchange_on_informational(void *arg, const struct http_head *head)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	const struct http_framing framing = {.kind = HTTP_BODY_NONE};
	const struct http_response_rewrite how = {.is_persistent = true, .body = HTTP_BODY_NONE};
	if (exchange->is_client_http10)
		return; /* RFC 9110 section 15.2: it would not understand */
	size_t bytes = http_rewrite_response(
		head, &framing, &how, exchange->shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	if (bytes == 0)
		return;
	struct iovec part = {.iov_base = exchange->shared->scratch, .iov_len = bytes};
	counter_add(exchange->shared->counters, responses_1xx, 1);
	downstream_send(exchange->client, &part, 1);
	if (downstream_is_congested(exchange->client))
		upstream_pause(exchange->upstream);
}

/* How the response is framed for this client: known lengths stay; else chunks, or for HTTP/1.0 the
 * connection's end. */
static enum http_body_kind exchange_frame_response(const struct exchange *exchange, enum http_body_kind kind)
{
	if (kind == HTTP_BODY_NONE || kind == HTTP_BODY_LENGTH)
		return kind;
	return exchange->is_client_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
}

static void exchange_relay(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last)
{
	struct relay_run run;
	relay_frame(&run, head, exchange->response_body, parts, count, is_last);
	if (run.count > 0)
		downstream_send(exchange->client, run.parts, run.count);
	if (is_last)
		exchange_finish(exchange);
	else if (downstream_is_congested(exchange->client))
		upstream_pause(exchange->upstream);
}

static void exchange_on_response(void *arg, const struct http_head *head, const struct http_framing *framing,
	const struct iovec *parts, int count, bool is_last)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	struct exchange_shared *shared = exchange->shared;
	exchange->response_body = (uint8_t)exchange_frame_response(exchange, framing->kind);
	exchange->is_persistent = exchange->is_persistent && exchange->is_request_done &&
				  exchange->response_body != HTTP_BODY_UNTIL_CLOSE &&
				  !exchange->client->shared->is_draining;
	const struct http_response_rewrite how = {
		.is_client_http10 = exchange->is_client_http10,
		.is_persistent = exchange->is_persistent,
		.body = exchange->response_body,
		.date = http_has(head, HTTP_FIELD_DATE) ? STR("") : loop_http_date(shared->loop),
	};
	size_t bytes = http_rewrite_response(
		head, framing, &how, shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	if (bytes == 0) {
		exchange_fail(exchange, PROBLEM_RESPONSE_TOO_LARGE);
		return;
	}
	counter_add(shared->counters, statuses[head->status < 600 ? head->status / 100 : 0], 1);
	exchange_enter(exchange, EXCHANGE_RELAYING);
	exchange->is_held_whole = false;
	bytes_free(&exchange->held_body);
	exchange_relay(exchange, (struct str){shared->scratch, bytes}, parts, count, is_last);
}

static void exchange_on_backend_body(void *arg, const struct iovec *parts, int count, bool is_last)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	exchange_relay(exchange, STR(""), parts, count, is_last);
}

static void exchange_on_backend_drained(void *arg)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	if (!exchange->is_request_done)
		downstream_resume(exchange->client);
}

static void exchange_on_backend_broken(void *arg, enum problem problem)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	bool was_handed_over = exchange->state != EXCHANGE_CONNECTING;
	exchange->upstream = NULL;
	exchange_note_tried(exchange);
	exchange_end_attempt(exchange, POLICY_FAILED);
	if (exchange->state == EXCHANGE_RELAYING) {
		exchange_cut(exchange, problem);
	} else if (!exchange_may_retry(exchange, problem, was_handed_over)) {
		exchange_fail(exchange, problem);
	} else {
		exchange_enter(exchange, EXCHANGE_PICKING);
		if (exchange_attempt(exchange) && exchange->state == EXCHANGE_WAITING)
			exchange_send_held(exchange);
	}
}

const struct downstream_events exchange_downstream_events = {
	.on_request = exchange_on_request,
	.on_body = exchange_on_client_body,
	.on_drained = exchange_on_client_drained,
	.on_broken = exchange_on_client_broken,
};

const struct upstream_events exchange_upstream_events = {
	.on_connected = exchange_on_connected,
	.on_informational = exchange_on_informational,
	.on_response = exchange_on_response,
	.on_body = exchange_on_backend_body,
	.on_drained = exchange_on_backend_drained,
	.on_broken = exchange_on_backend_broken,
};
