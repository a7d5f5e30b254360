/* response - what backends send: rewrites a response's head, relays its body. Owns nothing; the events of
 * upstream end here. */
#include "exchange/attempt.h"
#include "exchange/explain.h"
#include "exchange/hedge.h"
#include "exchange/trace.h"
#include "exchange/tries.h"
#include "exchange/tunnel.h"
#include "http/proxy_status.h"
#include "relay.h"

static void response_on_connected(void *arg)
{
	struct attempt *attempt = CAST(struct attempt, arg, ATTEMPT_MAGIC);
	if (LIKELY(attempt == &attempt->exchange->attempt))
		exchange_enter(attempt->exchange, EXCHANGE_WAITING);
	attempt_send_held(attempt);
}

static void response_on_informational(void *arg, const struct http_head *head)
{
	struct exchange *exchange = CAST(struct attempt, arg, ATTEMPT_MAGIC)->exchange;
	const struct http_framing framing = {.kind = HTTP_BODY_NONE};
	struct exchange_shared *shared = exchange->shared;
	const struct http_response_rewrite how = {
		.is_persistent = true,
		.body = HTTP_BODY_NONE,
		.date = http_has(head, HTTP_FIELD_DATE) ? STR("") : loop_http_date(shared->loop),
	};
	if (UNLIKELY(arg != &exchange->attempt))
		return; /* of a hedge: two would say it */
	if (exchange->is_client_http10)
		return; /* RFC 9110 section 15.2: it would not understand */
	if (UNLIKELY(exchange->is_continue_answered) && head->status == 100)
		return; /* said already, or not needed */
	size_t bytes = http_rewrite_response(
		head, &framing, &how, shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	if (bytes == 0)
		return;
	struct iovec part = {.iov_base = shared->scratch, .iov_len = bytes};
	counter_add(shared->counters, responses_1xx, 1);
	downstream_send(exchange->client, &part, 1);
	if (downstream_is_congested(exchange->client))
		upstream_pause(exchange->attempt.upstream);
}

/* How the response is framed for this client: known lengths stay; else chunks, or for HTTP/1.0 the
 * connection's end. */
static enum http_body_kind response_frame(const struct exchange *exchange, enum http_body_kind kind)
{
	if (kind == HTTP_BODY_NONE || kind == HTTP_BODY_LENGTH)
		return kind;
	return exchange->is_client_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
}

/* Some of it went to the client. */
static void response_go_on(struct exchange *exchange, bool is_last)
{
	if (is_last)
		exchange_finish(exchange);
	else if (downstream_is_congested(exchange->client))
		upstream_pause(exchange->attempt.upstream);
}

static void response_relay(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last)
{
	struct relay_run run;
	relay_frame(&run, head, exchange->response_body, parts, count, is_last);
	if (run.count > 0)
		downstream_send_last(
			exchange->client, run.parts, run.count, !is_last || exchange->is_persistent);
	response_go_on(exchange, is_last);
}

/* RFC 9209 section 2.1.4. */
static size_t response_add_received_status(const struct exchange *exchange, int status, size_t head_bytes)
{
	char line[HTTP_PROXY_STATUS_BYTES_MAX];
	struct str next_hop = str_of(exchange->attempt.member->backend->name);
	size_t bytes = http_write_received_status(status, next_hop, line, sizeof(line));
	return exchange_add_fields(exchange->shared, head_bytes, (struct str){line, bytes});
}

/* How long it took to answer. What came before all of the request was sent says nothing of that, and an error
 * says nothing of how long answers take. */
static void response_learn(const struct attempt *attempt, int status)
{
	struct exchange *exchange = attempt->exchange;
	if (LIKELY(attempt->upstream->is_request_done && status < 500))
		latency_learn(&exchange->service->latencies, &attempt->member->latency,
			loop_now_us(exchange->shared->loop) - attempt->begun_us);
}

/* For those who are not answered, and those who wait for one that recovers. */
static void response_note_answer(const struct attempt *attempt, int status)
{
	struct service *service = attempt->exchange->service;
	attempt->member->answered_us = loop_now_us(attempt->exchange->shared->loop);
	if (attempt->begun_us > service->newest_answered_us)
		service->newest_answered_us = attempt->begun_us;
	if (status < 500)
		roster_answers(&service->roster, attempt->member);
}

static void response_on_head(void *arg, const struct http_head *head, const struct http_framing *framing,
	const struct iovec *parts, int count, bool is_last)
{
	struct attempt *attempt = CAST(struct attempt, arg, ATTEMPT_MAGIC);
	struct exchange *exchange = attempt->exchange;
	struct exchange_shared *shared = exchange->shared;
	response_note_answer(attempt, head->status);
	if (UNLIKELY(exchange_is_hedged(exchange)) && !hedge_take_status(attempt, head->status))
		return;
	if (UNLIKELY(head->status == 101)) {
		tunnel_begin(exchange, head, parts, count);
		return;
	}
	response_learn(&exchange->attempt, head->status);
	if (UNLIKELY(head->status >= 500) && tries_refuse_status(exchange, head->status))
		return;
	exchange->response_body = (uint8_t)response_frame(exchange, framing->kind);
	exchange->is_persistent = exchange->is_persistent && exchange->is_request_done &&
				  exchange->response_body != HTTP_BODY_UNTIL_CLOSE &&
				  !exchange->client->shared->is_draining;
	const struct http_response_rewrite how = {
		.is_client_http10 = exchange->is_client_http10,
		.is_persistent = exchange->is_persistent,
		.body = exchange->response_body,
		/* RFC 9110 section 15.5.22: a 426 says what to upgrade to. */
		.upgrade = head->status == 426 ? http_value(head, HTTP_FIELD_UPGRADE) : STR(""),
		.date = http_has(head, HTTP_FIELD_DATE) ? STR("") : loop_http_date(shared->loop),
	};
	size_t bytes = http_rewrite_response(
		head, framing, &how, shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	if (bytes == 0) {
		exchange_fail(exchange, PROBLEM_RESPONSE_TOO_LARGE);
		return;
	}
	if (UNLIKELY(shared->has_received_status) && head->status >= 500)
		bytes = response_add_received_status(exchange, head->status, bytes);
	if (UNLIKELY(exchange->trace != NULL)) {
		trace_answered(&exchange->attempt, head->status);
		bytes = exchange_add_fields(shared, bytes, explain_fields(exchange));
	}
	counter_add(shared->counters, statuses[head->status / 100], 1);
	exchange->is_bad_status = exchange_is_bad_status(head->status);
	exchange_enter(exchange, EXCHANGE_RELAYING);
	exchange->is_held_whole = false;
	bytes_free(&exchange->held_body);
	if (exchange->response_body != HTTP_BODY_CHUNKED)
		upstream_allow_pipe(exchange->attempt.upstream);
	response_relay(exchange, (struct str){shared->scratch, bytes}, parts, count, is_last);
}

static void response_on_body(void *arg, const struct iovec *parts, int count, bool is_last)
{
	struct exchange *exchange = CAST(struct attempt, arg, ATTEMPT_MAGIC)->exchange;
	if (UNLIKELY(exchange->state == EXCHANGE_TUNNELLING))
		tunnel_from_backend(exchange, parts, count, is_last);
	else
		response_relay(exchange, STR(""), parts, count, is_last);
}

static void response_on_piped(void *arg, bool is_last)
{
	struct exchange *exchange = CAST(struct attempt, arg, ATTEMPT_MAGIC)->exchange;
	if (UNLIKELY(exchange->state == EXCHANGE_TUNNELLING)) {
		tunnel_pipe_from_backend(exchange);
		return;
	}
	downstream_send_piped(exchange->client);
	response_go_on(exchange, is_last);
}

static void response_on_backend_drained(void *arg)
{
	struct exchange *exchange = CAST(struct attempt, arg, ATTEMPT_MAGIC)->exchange;
	if (!exchange->is_request_done)
		downstream_resume(exchange->client);
}

static void response_on_backend_broken(void *arg, enum problem problem)
{
	struct exchange *exchange = CAST(struct attempt, arg, ATTEMPT_MAGIC)->exchange;
	if (UNLIKELY(exchange_is_hedged(exchange))) {
		hedge_lost(arg, problem);
		return;
	}
	if (exchange->state == EXCHANGE_RELAYING || exchange->state == EXCHANGE_TUNNELLING) {
		exchange->attempt.upstream = NULL;
		exchange_cut(exchange, problem);
		return;
	}
	tries_lost(exchange, problem);
}

static uint64_t response_on_late(void *arg)
{
	return hedge_on_late(CAST(struct attempt, arg, ATTEMPT_MAGIC));
}

const struct upstream_events exchange_upstream_events = {
	.on_connected = response_on_connected,
	.on_informational = response_on_informational,
	.on_response = response_on_head,
	.on_body = response_on_body,
	.on_piped = response_on_piped,
	.on_drained = response_on_backend_drained,
	.on_broken = response_on_backend_broken,
	.on_late = response_on_late,
};
