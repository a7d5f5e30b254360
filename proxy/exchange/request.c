/* request - what clients send: routes a request, writes the head that is forwarded, has an attempt made. Owns
 * nothing; the events of downstream end here. */
#include "base/hash.h"
#include "exchange/attempt.h"
#include "exchange/explain.h"
#include "exchange/trace.h"
#include "exchange/tries.h"
#include "exchange/tunnel.h"
#include "http/last_hop.h"
#include "http/upgrade.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_ID_BYTES 32

static const struct route *request_route(const struct exchange_shared *shared, const struct http_head *head)
{
	struct str path = http_text(head, head->path);
	for (size_t i = 0; i < shared->route_count; i++)
		if (route_takes(&shared->routes[i], path))
			return &shared->routes[i];
	return NULL;
}

/* 32 bits as eight hexadecimal digits, all at once; which of them comes first is all the same here. */
static inline void request_put_digits(char *out, uint32_t bits)
{
	const uint64_t ones = 0x0101010101010101U;
	uint64_t digits = bits;
	digits = (digits | digits << 16) & 0x0000ffff0000ffffU;
	digits = (digits | digits << 8) & 0x00ff00ff00ff00ffU;
	digits = (digits | digits << 4) & 0x0f0f0f0f0f0f0f0fU;
	uint64_t is_letter = ((digits + 6 * ones) >> 4) & ones;
	digits += '0' * ones + is_letter * ('a' - '9' - 1);
	memcpy(out, &digits, sizeof(digits));
}

static void request_make_id(struct exchange *exchange, const struct http_head *head)
{
	struct str given = http_request_id(head);
	if (given.bytes > 0) {
		memcpy(exchange->request_id, given.at, given.bytes);
		exchange->request_id_bytes = (uint8_t)given.bytes;
		return;
	}
	for (int i = 0; i < REQUEST_ID_BYTES; i += 16) {
		uint64_t bits = random_next(&exchange->shared->loop->random);
		request_put_digits(exchange->request_id + i, (uint32_t)bits);
		request_put_digits(exchange->request_id + i + 8, (uint32_t)(bits >> 32));
	}
	exchange->request_id_bytes = REQUEST_ID_BYTES;
}

/* Which of the protocols that the client offers are offered to the backend. A request with a body switches
 * after it, if at all, so late that it is not worth the trouble: it is served as any other (RFC 9110
 * section 7.8). */
static void request_choose_upgrade(struct exchange *exchange, const struct http_head *head,
	const struct http_framing *framing, const struct route *route)
{
	if (LIKELY(!http_has(head, HTTP_FIELD_UPGRADE)) || route->upgrades == NULL ||
		framing->kind == HTTP_BODY_CHUNKED || framing->bytes > 0)
		return;
	exchange->upgrade_bytes = (uint8_t)http_upgrade_offer(
		head, route->upgrades, exchange->upgrade, sizeof(exchange->upgrade));
}

/* Write the head that is forwarded, whoever it goes to. False: no memory. */
static bool request_make_head(struct exchange *exchange, const struct http_head *head,
	const struct http_framing *framing, const struct route *route)
{
	const struct downstream *client = exchange->client;
	char address[NETWORK_TEXT_MAX], own_address[NETWORK_TEXT_MAX];
	const struct http_request_rewrite how = {
		.path = route->forward_to,
		.host = str_of(exchange->service->host),
		.forwarding = {.kinds = exchange->shared->forwarded_kinds,
			.is_peer_trusted = client->is_trusted,
			.client_address = downstream_address(client, address),
			.own_address = downstream_own_address(client, own_address)},
		.request_id = {exchange->request_id, exchange->request_id_bytes},
		.upgrade = {exchange->upgrade, exchange->upgrade_bytes},
		.is_continue_answered = exchange->is_continue_answered,
	};
	char *out = exchange->head_inline;
	size_t size =
		head->bytes + how.path.bytes + how.host.bytes + HTTP_REWRITE_EXTRA + EXCHANGE_UPGRADE_BYTES;
	if (UNLIKELY((how.forwarding.kinds & HTTP_FORWARDED_RFC7239) != 0))
		size += HTTP_FORWARDED_BYTES_MAX;
	if (size > sizeof(exchange->head_inline))
		out = malloc(size);
	if (out == NULL)
		return false;
	exchange->head = (struct str){out, http_rewrite_request(head, framing, &how, out, size)};
	return exchange->head.bytes > 0;
}

/* RFC 9110 section 7.6.2: an OPTIONS or TRACE that goes no further. */
static void request_answer_last_hop(struct exchange *exchange, const struct http_head *head, bool is_complete)
{
	struct exchange_shared *shared = exchange->shared;
	struct downstream *client = exchange->client;
	const struct http_last_hop answer = {
		.request_id = {exchange->request_id, exchange->request_id_bytes},
		.date = loop_http_date(shared->loop),
		.is_persistent = exchange->is_persistent && is_complete && !client->shared->is_draining,
	};
	struct iovec part = {.iov_base = shared->scratch};
	part.iov_len =
		http_write_last_hop(head, &answer, shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	counter_add(shared->counters, statuses[2], 1);
	exchange_end(exchange, EVIDENCE_CANCELLED);
	downstream_send_last(client, &part, 1, answer.is_persistent);
	if (UNLIKELY(exchange->trace != NULL))
		trace_end(exchange, PROBLEM_NONE, downstream_bytes_out(client));
	downstream_end(client, answer.is_persistent);
}

/* Somebody wants to know how this one goes, and may. */
static void request_begin_trace(struct exchange *exchange, const struct http_head *head)
{
	bool is_explained = http_has(head, HTTP_FIELD_SRSD_EXPLAIN) && explain_is_allowed(exchange, head);
	if (is_explained || exchange->shared->is_traced)
		trace_begin(exchange, head);
	if (is_explained && exchange->trace != NULL)
		explain_begin(exchange);
}

static inline void request_trace_body(struct exchange *exchange, const struct iovec *parts, int count)
{
	if (UNLIKELY(exchange->trace != NULL))
		trace_take_body(exchange->trace, parts, count);
}

/* What the backend is chosen by. A request that has nothing of the kind belongs to no others. */
static uint64_t request_key(const struct exchange *exchange, const struct http_head *head)
{
	struct str part;
	char address[NETWORK_TEXT_MAX];
	if (http_affinity_of(
		    &exchange->service->affinity, head, downstream_address(exchange->client, address), &part))
		return hash_bytes(part);
	return random_next(&exchange->shared->loop->random);
}

static void request_on_head(void *owner, struct downstream *client, const struct http_head *head,
	const struct http_framing *framing, const struct iovec *parts, int count, bool is_last)
{
	struct exchange_shared *shared = owner;
	struct exchange *exchange = exchange_new(shared, client, head);
	if (exchange == NULL) {
		uint64_t bytes_out =
			downstream_answer(client, &(struct downstream_answer){.problem = PROBLEM_NO_MEMORY});
		trace_refused(shared, client, head, PROBLEM_NO_MEMORY, bytes_out);
		return;
	}
	exchange->is_persistent = framing->is_persistent;
	exchange->request_body = (uint8_t)framing->kind;
	request_make_id(exchange, head);
	if (UNLIKELY(shared->is_traced || http_has(head, HTTP_FIELD_SRSD_EXPLAIN))) {
		request_begin_trace(exchange, head);
		request_trace_body(exchange, parts, count);
	}
	if (http_is_last_hop(head)) {
		request_answer_last_hop(exchange, head, is_last);
		return;
	}
	if (UNLIKELY(http_is_looping(head))) {
		exchange_fail(exchange, PROBLEM_LOOP);
		return;
	}
	const struct route *route = request_route(shared, head);
	if (route == NULL) {
		exchange_fail(exchange, PROBLEM_NO_ROUTE);
		return;
	}
	exchange_set_route(exchange, route);
	if (UNLIKELY(route->service->roster.policy->is_keyed))
		exchange->key = request_key(exchange, head);
	exchange->is_continue_answered = framing->expects_continue && route->service->answers_continue;
	exchange->is_continue_owed = exchange->is_continue_answered;
	request_choose_upgrade(exchange, head, framing, route);
	if (!request_make_head(exchange, head, framing, route)) {
		exchange_fail(exchange, PROBLEM_NO_MEMORY);
		return;
	}
	if (tries_enter(exchange))
		attempt_take_body(exchange, exchange->head, parts, count, is_last);
}

static void request_on_body(void *arg, const struct iovec *parts, int count, bool is_last)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	request_trace_body(exchange, parts, count);
	if (UNLIKELY(exchange->state == EXCHANGE_TUNNELLING))
		tunnel_from_client(exchange, parts, count, is_last);
	else
		attempt_take_body(exchange, STR(""), parts, count, is_last);
}

static void request_on_piped(void *arg, size_t bytes, bool is_last)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	if (UNLIKELY(exchange->trace != NULL))
		exchange->trace->record.bytes_in += bytes;
	if (UNLIKELY(exchange->state == EXCHANGE_TUNNELLING))
		tunnel_pipe_from_client(exchange);
	else
		attempt_pipe_body(exchange, is_last);
}

static void request_on_client_drained(void *arg)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	if (exchange->attempt.upstream != NULL)
		upstream_resume(exchange->attempt.upstream);
}

static void request_on_client_broken(void *arg, enum problem problem)
{
	struct exchange *exchange = CAST(struct exchange, arg, EXCHANGE_MAGIC);
	exchange_end_attempt(exchange, EVIDENCE_CANCELLED); /* the backend is not to blame */
	if (problem == PROBLEM_CLIENT_GONE) {
		counter_add(exchange->shared->counters, problems[problem], 1);
		exchange_end(exchange, EVIDENCE_CANCELLED);
		if (UNLIKELY(exchange->trace != NULL))
			trace_end(exchange, problem, exchange->client->request->bytes_sent);
	} else if (exchange->state == EXCHANGE_RELAYING) {
		exchange_cut(exchange, problem);
	} else {
		exchange_fail(exchange, problem);
	}
}

static void request_on_refused(void *owner, const struct downstream *client, const struct http_head *head,
	enum problem problem, uint64_t bytes_out)
{
	const struct exchange_shared *shared = owner;
	trace_refused(shared, client, head, problem, bytes_out);
}

const struct downstream_events exchange_downstream_events = {
	.on_request = request_on_head,
	.on_refused = request_on_refused,
	.on_body = request_on_body,
	.on_piped = request_on_piped,
	.on_drained = request_on_client_drained,
	.on_broken = request_on_client_broken,
};
