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
 * client, and only when nothing of the request was sent, or the request may be repeated and is still held
 * whole (tries.c). */
#include "exchange/explain.h"
#include "exchange/internal.h"
#include "exchange/trace.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t exchange_edges[] = {
	[EXCHANGE_PICKING] = BIT(EXCHANGE_QUEUED) | BIT(EXCHANGE_PAUSING) | BIT(EXCHANGE_CONNECTING) |
			     BIT(EXCHANGE_WAITING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_PAUSING] = BIT(EXCHANGE_PICKING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_QUEUED] = BIT(EXCHANGE_PICKING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_CONNECTING] = BIT(EXCHANGE_WAITING) | BIT(EXCHANGE_PICKING) | BIT(EXCHANGE_ENDED),
	[EXCHANGE_WAITING] = BIT(EXCHANGE_RELAYING) | BIT(EXCHANGE_TUNNELLING) | BIT(EXCHANGE_PICKING) |
			     BIT(EXCHANGE_ENDED),
	[EXCHANGE_RELAYING] = BIT(EXCHANGE_ENDED),
	[EXCHANGE_TUNNELLING] = BIT(EXCHANGE_ENDED),
	[EXCHANGE_ENDED] = 0,
};

void exchange_enter(struct exchange *exchange, enum exchange_state next)
{
	CHECK_EDGE(exchange_edges, exchange->state, next);
	exchange->state = (uint8_t)next;
}

bool exchange_shared_init(struct exchange_shared *shared, struct loop *loop, struct counters *counters)
{
	*shared = (struct exchange_shared){.loop = loop, .counters = counters};
	blocks_init(&shared->exchanges, &loop->wheel, sizeof(struct exchange));
	shared->scratch = malloc(HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	return shared->scratch != NULL;
}

void exchange_shared_finish(struct exchange_shared *shared)
{
	blocks_finish(&shared->exchanges);
	free(shared->scratch);
	shared->scratch = NULL;
}

/* ---- The beginning ------------------------------------------------------------------------------- */

struct exchange *exchange_new(
	struct exchange_shared *shared, struct downstream *client, const struct http_head *head)
{
	struct exchange *exchange = blocks_take(&shared->exchanges);
	if (exchange == NULL)
		return NULL;
	memset(exchange, 0, offsetof(struct exchange, deadline));
	exchange->magic = EXCHANGE_MAGIC;
	exchange->shared = shared;
	exchange->client = client;
	exchange->attempt.magic = ATTEMPT_MAGIC;
	exchange->attempt.exchange = exchange;
	exchange->method = head->method;
	exchange->is_client_http10 = head->version_minor == 0;
	exchange->is_held_whole = true;
	exchange->head.at = exchange->head_inline;
	client->request->exchange = exchange;
	counter_add(shared->counters, requests_active, 1);
	return exchange;
}

static bool exchange_is_repeatable(const struct exchange *exchange, enum route_repeat rule)
{
	return rule == ROUTE_REPEAT_ALWAYS ||
	       (rule == ROUTE_REPEAT_IDEMPOTENT && http_method_is_idempotent(exchange->method));
}

/* What took too long: the wait for a place; the client, whose request is not complete although it may go on;
 * else the backend. */
static enum problem exchange_lateness(const struct exchange *exchange)
{
	bool is_whole = exchange->deadline_ms != 0 && clock_coarse_ms() >= exchange->deadline_ms;
	if (exchange->state == EXCHANGE_QUEUED && !is_whole)
		return PROBLEM_QUEUE_TIMEOUT;
	return exchange->is_request_done || downstream_is_paused(exchange->client) ? PROBLEM_REQUEST_DEADLINE
										   : PROBLEM_REQUEST_TIMEOUT;
}

/* The backend that is asked now has only itself to blame if it had most of the time and has not begun to
 * answer: the rest of an answer may be large, or its client slow; or its request is large. */
static enum evidence exchange_blame(const struct exchange *exchange, enum problem problem)
{
	uint64_t taken_ms = (loop_now_us(exchange->shared->loop) - exchange->attempt.begun_us) / 1000;
	bool is_begun = exchange->state == EXCHANGE_RELAYING;
	return problem == PROBLEM_REQUEST_DEADLINE && exchange->is_request_done && !is_begun &&
			       taken_ms * 2 >= exchange->service->request_ms
		       ? EVIDENCE_RESPONSE_TIMEOUT
		       : EVIDENCE_CANCELLED;
}

void exchange_expire(struct exchange *exchange)
{
	enum problem problem = exchange_lateness(exchange);
	exchange_end_attempt(exchange, exchange_blame(exchange, problem));
	if (exchange->state == EXCHANGE_RELAYING)
		exchange_cut(exchange, problem);
	else
		exchange_fail(exchange, problem);
}

static void exchange_on_deadline(struct wheel_timer *timer)
{
	struct exchange *exchange = CONTAINER_OF(timer, struct exchange, deadline);
	assert(exchange->magic == EXCHANGE_MAGIC);
	exchange_expire(exchange);
}

void exchange_set_deadline(struct exchange *exchange, wheel_fire_fn *fire, uint64_t deadline_ms)
{
	if (exchange->has_deadline)
		wheel_forget(&exchange->deadline);
	exchange->has_deadline = deadline_ms != 0;
	if (deadline_ms == 0)
		return;
	wheel_timer_init(&exchange->deadline, fire != NULL ? fire : exchange_on_deadline);
	wheel_arm(&exchange->shared->loop->wheel, &exchange->deadline, deadline_ms);
}

void exchange_set_route(struct exchange *exchange, const struct route *route)
{
	struct service *service = route->service;
	exchange->service = service;
	exchange->begun_us = loop_now_us(exchange->shared->loop);
	exchange->is_repeatable = exchange_is_repeatable(exchange, route->repeat);
	downstream_set_timeouts(exchange->client, &service->client_timeouts);
	if (UNLIKELY(exchange->trace != NULL))
		trace_set_route(exchange->trace, route);
	if (LIKELY(service->request_ms == 0))
		return;
	exchange->deadline_ms = clock_coarse_ms() + service->request_ms;
	exchange_set_deadline(exchange, NULL, exchange->deadline_ms);
}

size_t exchange_add_fields(const struct exchange_shared *shared, size_t head_bytes, struct str lines)
{
	static const struct str end = {"\r\n", 2};
	char *at = shared->scratch + head_bytes - end.bytes;
	if (lines.bytes == 0 || head_bytes + lines.bytes > HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA)
		return head_bytes;
	memcpy(at, lines.at, lines.bytes);
	memcpy(at + lines.bytes, end.at, end.bytes);
	return head_bytes + lines.bytes;
}

/* ---- A place in the service ------------------------------------------------------------------ */

static void exchange_give_place_back(struct exchange *exchange)
{
	struct admission *admission = &exchange->service->admission;
	if (exchange->state == EXCHANGE_QUEUED) {
		counter_subtract(exchange->shared->counters, requests_waiting, 1);
		admission_cancel(admission, &exchange->waiter);
	} else if (exchange->is_admitted) {
		admission_leave(admission);
	}
	exchange->is_admitted = false;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void exchange_free(struct doomed *doomed)
{
	struct exchange *exchange = CONTAINER_OF(doomed, struct exchange, doomed);
	bytes_free(&exchange->held_body);
	if (UNLIKELY(exchange->trace != NULL))
		trace_free(exchange->trace);
	if (exchange->head.at != exchange->head_inline)
		free((void *)(uintptr_t)exchange->head.at);
	MAGIC_CLEAR(&exchange->attempt);
	MAGIC_CLEAR(&exchange->hedge);
	MAGIC_CLEAR(exchange);
	blocks_give(&exchange->shared->exchanges, exchange);
}

/* What a problem says of the member that was tried. */
enum evidence exchange_evidence(enum problem problem, bool was_pooled)
{
	switch (problem) {
	case PROBLEM_CONNECT_REFUSED:
		return EVIDENCE_CONNECT_REFUSED;
	case PROBLEM_CONNECT_FAILED:
		return EVIDENCE_CONNECT_FAILED;
	case PROBLEM_CONNECT_TIMEOUT:
		return EVIDENCE_CONNECT_TIMEOUT;
	case PROBLEM_UPSTREAM_CLOSED:
		return was_pooled ? EVIDENCE_IDLE_CLOSED : EVIDENCE_CLOSED;
	case PROBLEM_UPSTREAM_RESET:
		return was_pooled ? EVIDENCE_IDLE_CLOSED : EVIDENCE_RESET;
	case PROBLEM_BAD_RESPONSE:
	case PROBLEM_RESPONSE_TOO_LARGE:
		return EVIDENCE_MALFORMED;
	case PROBLEM_RESPONSE_TIMEOUT:
	case PROBLEM_REQUEST_DEADLINE:
	case PROBLEM_RESPONSE_STALLED:
		return EVIDENCE_RESPONSE_TIMEOUT;
	case PROBLEM_RESPONSE_CUT:
		return EVIDENCE_CUT;
	default:
		return EVIDENCE_NOT_TRIED; /* nothing that it can be blamed for */
	}
}

void exchange_release(struct attempt *attempt, enum evidence evidence)
{
	if (attempt->upstream != NULL)
		upstream_release(attempt->upstream);
	attempt->upstream = NULL;
	if (UNLIKELY(attempt->exchange->trace != NULL))
		trace_try_ends(attempt, evidence);
	if (attempt->member != NULL)
		roster_done(&attempt->exchange->service->roster, attempt->member, evidence,
			attempt->begun_us / 1000);
	attempt->member = NULL;
}

void exchange_end_attempt(struct exchange *exchange, enum evidence evidence)
{
	exchange_release(&exchange->attempt, evidence);
	if (UNLIKELY(exchange_is_hedged(exchange)))
		exchange_release(&exchange->hedge, EVIDENCE_CANCELLED);
}

void exchange_end(struct exchange *exchange, enum evidence evidence)
{
	exchange_end_attempt(exchange, evidence);
	if (UNLIKELY(exchange->is_admitted || exchange->state == EXCHANGE_QUEUED))
		exchange_give_place_back(exchange);
	if (UNLIKELY(exchange->state == EXCHANGE_TUNNELLING))
		counter_subtract(exchange->shared->counters, tunnels_open, 1);
	exchange_enter(exchange, EXCHANGE_ENDED);
	if (UNLIKELY(exchange->has_deadline))
		wheel_forget(&exchange->deadline);
	counter_subtract(exchange->shared->counters, requests_active, 1);
	loop_doom(exchange->shared->loop, &exchange->doomed, exchange_free);
}

/* What became of a request is handed to the client, or held for it: it took so long. */
static inline void exchange_count_time(const struct exchange *exchange)
{
	latency_count(&exchange->service->latencies.requests,
		loop_now_us(exchange->shared->loop) - exchange->begun_us);
}

/* The response is complete. */
void exchange_finish(struct exchange *exchange)
{
	struct downstream *client = exchange->client;
	if (LIKELY(exchange->state != EXCHANGE_TUNNELLING))
		exchange_count_time(exchange);
	exchange_end(exchange, exchange->is_bad_status ? EVIDENCE_STATUS_5XX : EVIDENCE_ANSWERED);
	if (UNLIKELY(exchange->trace != NULL))
		trace_end(exchange, PROBLEM_NONE, downstream_bytes_out(client));
	downstream_end(client, exchange->is_persistent);
}

/* No response of a backend goes to the client: answer in its place. */
void exchange_fail(struct exchange *exchange, enum problem problem)
{
	struct downstream *client = exchange->client;
	const struct downstream_answer answer = {
		.problem = problem,
		.detail = exchange->service != NULL ? str_of(exchange->service->name) : STR(""),
		.request_id = {exchange->request_id, exchange->request_id_bytes},
		.fields = explain_fields(exchange),
		.next_hop = exchange->trace != NULL ? trace_last_endpoint(exchange->trace) : STR(""),
		.is_head = exchange->method == HTTP_METHOD_HEAD,
		.is_persistent = exchange->is_persistent,
	};
	if (exchange->service != NULL && exchange->state != EXCHANGE_TUNNELLING)
		exchange_count_time(exchange);
	exchange_end(exchange, exchange_evidence(problem, false));
	uint64_t bytes_out = downstream_bytes_out(client);
	bytes_out += downstream_answer(client, &answer);
	if (UNLIKELY(exchange->trace != NULL))
		trace_end(exchange, problem, bytes_out);
}

/* The response cannot be completed: let the client see that. */
void exchange_cut(struct exchange *exchange, enum problem problem)
{
	struct downstream *client = exchange->client;
	counter_add(exchange->shared->counters, problems[problem], 1);
	if (exchange->service != NULL && exchange->state != EXCHANGE_TUNNELLING)
		exchange_count_time(exchange);
	exchange_end(exchange, exchange_evidence(problem, false));
	if (UNLIKELY(exchange->trace != NULL))
		trace_end(exchange, problem, downstream_bytes_out(client));
	downstream_abort(client, exchange->response_body != HTTP_BODY_UNTIL_CLOSE);
}
