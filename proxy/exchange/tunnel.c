/* tunnel - bytes both ways after a switch of protocols (see tunnel.h). */
#include "exchange/tunnel.h"

#include "base/clock.h"
#include "exchange/explain.h"
#include "exchange/trace.h"
#include "http/upgrade.h"
#include "relay.h"

/* Somebody sent something: the idle time begins anew. */
static void tunnel_touch(struct exchange *exchange)
{
	wheel_arm(&exchange->shared->loop->wheel, &exchange->deadline,
		clock_coarse_ms() + exchange->service->tunnel_idle_ms);
}

static void tunnel_on_idle(struct wheel_timer *timer)
{
	struct exchange *exchange = CONTAINER_OF(timer, struct exchange, deadline);
	assert(exchange->magic == EXCHANGE_MAGIC);
	counter_add(exchange->shared->counters, problems[PROBLEM_TUNNEL_IDLE], 1);
	if (UNLIKELY(exchange->trace != NULL))
		exchange->trace->record.problem = PROBLEM_TUNNEL_IDLE;
	exchange->is_persistent = false;
	exchange_finish(exchange);
}

void tunnel_begin(
	struct exchange *exchange, const struct http_head *head, const struct iovec *parts, int count)
{
	struct exchange_shared *shared = exchange->shared;
	const struct str offered = {exchange->upgrade, exchange->upgrade_bytes};
	const struct http_framing framing = {.kind = HTTP_BODY_UNTIL_CLOSE};
	const struct http_response_rewrite how = {
		.body = HTTP_BODY_UNTIL_CLOSE, .upgrade = http_value(head, HTTP_FIELD_UPGRADE)};
	size_t bytes = 0;
	if (http_upgrade_is_answered(head, offered) && !http_is_repeated(head, HTTP_FIELD_UPGRADE))
		bytes = http_rewrite_response(
			head, &framing, &how, shared->scratch, HTTP_HEAD_BYTES_MAX + HTTP_REWRITE_EXTRA);
	if (bytes == 0) {
		exchange_fail(exchange, PROBLEM_BAD_RESPONSE);
		return;
	}
	if (UNLIKELY(exchange->trace != NULL)) {
		trace_answered(&exchange->attempt, head->status);
		trace_note(exchange->trace, ACCESS_NOTE_TUNNEL);
		bytes = exchange_add_fields(shared, bytes, explain_fields(exchange));
	}
	counter_add(shared->counters, statuses[1], 1);
	counter_add(shared->counters, tunnels, 1);
	counter_add(shared->counters, tunnels_open, 1);
	exchange_enter(exchange, EXCHANGE_TUNNELLING);
	exchange->is_held_whole = false;
	exchange->is_request_done = false; /* the client goes on: with what is not HTTP */
	exchange->is_persistent = false;
	exchange->response_body = HTTP_BODY_UNTIL_CLOSE;
	bytes_free(&exchange->held_body);
	exchange_set_deadline(
		exchange, tunnel_on_idle, clock_coarse_ms() + exchange->service->tunnel_idle_ms);
	struct relay_run run;
	relay_frame(&run, (struct str){shared->scratch, bytes}, HTTP_BODY_UNTIL_CLOSE, parts, count, false);
	tunnel_from_backend(exchange, run.parts, run.count, false);
	downstream_switch(exchange->client);
	downstream_allow_pipe(exchange->client);
	upstream_allow_pipe(exchange->attempt.upstream);
}

void tunnel_from_client(struct exchange *exchange, const struct iovec *parts, int count, bool is_last)
{
	tunnel_touch(exchange);
	if (count > 0)
		upstream_send(exchange->attempt.upstream, parts, count);
	if (upstream_is_congested(exchange->attempt.upstream))
		downstream_pause(exchange->client);
	if (!is_last)
		return;
	exchange->is_request_done = true;
	if (exchange->is_response_done)
		exchange_finish(exchange);
	else
		upstream_end_sending(exchange->attempt.upstream);
}

void tunnel_from_backend(struct exchange *exchange, const struct iovec *parts, int count, bool is_last)
{
	tunnel_touch(exchange);
	if (count > 0)
		downstream_send(exchange->client, parts, count);
	if (downstream_is_congested(exchange->client))
		upstream_pause(exchange->attempt.upstream);
	if (!is_last)
		return;
	exchange->is_response_done = true;
	if (exchange->is_request_done)
		exchange_finish(exchange);
	else
		downstream_end_sending(exchange->client);
}

void tunnel_pipe_from_client(struct exchange *exchange)
{
	upstream_send_piped(exchange->attempt.upstream);
	tunnel_from_client(exchange, NULL, 0, false);
}

void tunnel_pipe_from_backend(struct exchange *exchange)
{
	downstream_send_piped(exchange->client);
	tunnel_from_backend(exchange, NULL, 0, false);
}
