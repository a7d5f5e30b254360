/* connection - a connection to a backend: its states, leases and waits, and what is sent on it. */
#include "upstream/internal.h"

#include "base/clock.h"
#include "health/latency.h"

#include <sys/socket.h>

static const uint8_t upstream_edges[] = {
	[UPSTREAM_CONNECTING] = BIT(UPSTREAM_BUSY) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_IDLE] = BIT(UPSTREAM_BUSY) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_BUSY] = BIT(UPSTREAM_IDLE) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_CLOSED] = 0,
};

void upstream_enter(struct upstream *upstream, enum upstream_state next)
{
	CHECK_EDGE(upstream_edges, upstream->state, next);
	upstream->state = (uint8_t)next;
}

void upstream_shared_init(struct upstream_shared *shared, struct loop *loop,
	const struct upstream_events *events, struct counters *counters, struct blocks *parsers)
{
	*shared = (struct upstream_shared){
		.loop = loop, .events = events, .counters = counters, .parsers = parsers};
	blocks_init(&shared->connections, &loop->wheel, sizeof(struct upstream));
}

void upstream_shared_finish(struct upstream_shared *shared)
{
	blocks_finish(&shared->connections);
}

/* ---- Its end --------------------------------------------------------------------------------- */

static void upstream_free(struct doomed *doomed)
{
	struct upstream *upstream = CONTAINER_OF(doomed, struct upstream, doomed);
	struct blocks *blocks = upstream->attempt; /* the home may be gone: see upstream_close() */
	bytes_free(&upstream->input);
	bytes_free(&upstream->output);
	MAGIC_CLEAR(upstream);
	blocks_give(blocks, upstream);
}

void upstream_close(struct upstream *upstream)
{
	struct upstream_shared *shared = upstream_shared_of(upstream);
	if (upstream->state == UPSTREAM_IDLE)
		upstream->home->events->on_idle_closed(upstream->home, upstream);
	upstream_enter(upstream, UPSTREAM_CLOSED);
	upstream_await_no_more(upstream);
	stream_close(&upstream->stream);
	upstream->home->events->on_closed(upstream->home);
	wheel_forget(&upstream->timer);
	if (upstream->parser != NULL)
		blocks_give(shared->parsers, upstream->parser);
	upstream->parser = NULL;
	counter_subtract(shared->counters, upstream_open, 1);
	upstream->attempt = &shared->connections;
	loop_doom(shared->loop, &upstream->doomed, upstream_free);
}

void upstream_break(struct upstream *upstream, enum problem problem)
{
	void *attempt = upstream->attempt;
	upstream->home->events->on_lost(upstream->home);
	upstream_close(upstream);
	upstream_shared_of(upstream)->events->on_broken(attempt, problem);
}

/* ---- Its waits ------------------------------------------------------------------------------- */

void upstream_wait(struct upstream *upstream, uint64_t wait_ms)
{
	wheel_arm(&upstream_shared_of(upstream)->loop->wheel, &upstream->timer, clock_coarse_ms() + wait_ms);
}

void upstream_wait_watchfully(struct upstream *upstream, uint64_t now_ms, uint64_t wait_ms, uint64_t late_ms)
{
	upstream->wait_end_ms = now_ms + wait_ms;
	if (late_ms != 0 && late_ms < wait_ms)
		wait_ms = late_ms;
	wheel_arm(&upstream_shared_of(upstream)->loop->wheel, &upstream->timer, now_ms + wait_ms);
}

/* Each address gets its part of the time that is left. */
static void upstream_wait_connect(struct upstream *upstream)
{
	uint64_t now_ms = clock_coarse_ms();
	uint64_t left_ms = upstream->connect_end_ms > now_ms ? upstream->connect_end_ms - now_ms : 0;
	const struct latencies *latencies = upstream->home->latencies;
	uint64_t late_ms = latencies != NULL ? latencies->connect_late_ms : LATENCY_CONNECT_LATE_MS;
	upstream_wait_watchfully(upstream, now_ms, left_ms / (upstream->others_left + 1U),
		upstream->others_left == 0 ? late_ms : 0);
}

static void upstream_wait_head(struct upstream *upstream)
{
	const struct upstream_home *home = upstream->home;
	upstream_wait_watchfully(
		upstream, clock_coarse_ms(), home->timeouts->response_head_ms, home->late_ms);
}

void upstream_arm(struct upstream *upstream)
{
	const struct upstream_timeouts *timeouts = upstream->home->timeouts;
	if (UNLIKELY(upstream->is_switched))
		wheel_disarm(&upstream->timer); /* a tunnel has a clock of its own */
	else if (upstream->state == UPSTREAM_CONNECTING)
		upstream_wait_connect(upstream);
	else if (upstream->state == UPSTREAM_IDLE)
		upstream_wait(upstream, timeouts->idle_ms);
	else if (upstream_is_congested(upstream))
		upstream_wait(upstream, timeouts->response_body_ms);
	else if (!upstream->is_request_done)
		wheel_disarm(&upstream->timer); /* it may be waiting for more of the request */
	else if (!upstream->is_head_done)
		upstream_wait_head(upstream);
	else if (!upstream->is_paused)
		upstream_wait(upstream, timeouts->response_body_ms);
	else
		wheel_disarm(&upstream->timer);
}

/* ---- Its leases ------------------------------------------------------------------------------ */

bool upstream_lease(struct upstream *upstream, void *attempt, bool is_careful)
{
	upstream_enter(upstream, UPSTREAM_BUSY);
	bool is_asked = is_careful || upstream->stream.is_readable;
	if (upstream->stream.is_ended || (is_asked && !stream_is_quiet(&upstream->stream))) {
		upstream_close(upstream);
		return false;
	}
	upstream->attempt = attempt;
	upstream->is_reused = true;
	wheel_disarm(&upstream->timer);
	return true;
}

void upstream_release(struct upstream *upstream)
{
	struct upstream_home *home = upstream->home;
	bool is_reusable = upstream->is_response_done && upstream->is_persistent &&
			   upstream->is_request_done && !upstream_is_congested(upstream) &&
			   !upstream->is_send_broken && !upstream->is_reset && !upstream->stream.is_ended;
	upstream->attempt = NULL;
	if (!is_reusable || !home->events->on_returned(home, upstream)) {
		home->events->on_lost(home);
		upstream_close(upstream);
		return;
	}
	upstream_enter(upstream, UPSTREAM_IDLE);
	upstream_arm(upstream);
	if (upstream->stream
			.is_readable) /* the response may have filled the buffer to the byte: look again */
		stream_again(&upstream->stream);
}

/* ---- Sending --------------------------------------------------------------------------------- */

void upstream_begin(struct upstream *upstream, enum http_method method, bool is_switch_asked)
{
	upstream->is_switch_asked = is_switch_asked;
	upstream->method = (uint8_t)method;
	upstream->is_sent = false;
	upstream->is_request_done = upstream->is_head_done = upstream->is_response_done = false;
	upstream->is_persistent = upstream->is_paused = false;
	upstream->is_pipe_allowed = upstream->is_plentiful = false;
}

/* So much was sent, the rest is held. */
static void upstream_has_sent(struct upstream *upstream, size_t sent)
{
	upstream->is_sent |= sent > 0;
	if (upstream->is_send_broken)
		stream_again(
			&upstream->stream); /* an answer may have come before: look, and only then give up */
	else if (upstream_is_congested(upstream))
		upstream_arm(upstream);
}

void upstream_send(struct upstream *upstream, const struct iovec *parts, int count)
{
	size_t sent = 0;
	if (upstream->is_send_broken)
		return;
	if (upstream->output.memory == NULL && upstream->stream.is_writable &&
		stream_send(&upstream->stream, parts, count, &sent) == STREAM_BROKEN)
		upstream->is_send_broken = true;
	bool is_all_sent = upstream->output.memory == NULL && upstream->stream.is_writable;
	if (UNLIKELY(!is_all_sent) && !upstream->is_send_broken &&
		!bytes_append_parts(&upstream->output, parts, count, sent))
		upstream->is_send_broken = true;
	upstream_has_sent(upstream, sent);
}

void upstream_send_piped(struct upstream *upstream)
{
	size_t sent = 0;
	if (upstream->is_send_broken)
		return;
	if (stream_send_piped(&upstream->stream, &upstream->output, &sent) == STREAM_BROKEN)
		upstream->is_send_broken = true;
	upstream_has_sent(upstream, sent);
}

void upstream_request_done(struct upstream *upstream)
{
	upstream->is_request_done = true;
	if (!upstream->is_head_done && !upstream->is_awaited) {
		upstream->is_awaited = true;
		loop_await_answer(upstream_shared_of(upstream)->loop);
	}
	upstream_arm(upstream);
}

static void upstream_shut_sending(struct upstream *upstream)
{
	/* It fails where the connection is dead, which shows when it is read. */
	if (upstream->is_send_ending && !upstream_is_congested(upstream))
		(void)shutdown(upstream->stream.fd, SHUT_WR);
}

void upstream_end_sending(struct upstream *upstream)
{
	upstream->is_send_ending = true;
	upstream_shut_sending(upstream);
}

void upstream_flush(struct upstream *upstream)
{
	struct iovec held = {.iov_base = (void *)(uintptr_t)bytes_at(&upstream->output),
		.iov_len = bytes_count(&upstream->output)};
	size_t sent;
	if (stream_send(&upstream->stream, &held, 1, &sent) == STREAM_BROKEN) {
		upstream->is_send_broken = true;
		bytes_free(&upstream->output);
		return;
	}
	if (sent == 0)
		return;
	upstream->is_sent = true;
	bytes_consume(&upstream->output, sent);
	upstream_arm(upstream);
	if (upstream_is_congested(upstream))
		return;
	if (UNLIKELY(upstream->is_send_ending))
		upstream_shut_sending(upstream);
	upstream_shared_of(upstream)->events->on_drained(upstream->attempt);
}

/* While the head is waited for its clock runs on, however often the client could not take a 1xx response. */
void upstream_pause(struct upstream *upstream)
{
	upstream->is_paused = true;
	if (upstream->is_head_done)
		upstream_arm(upstream);
}

void upstream_resume(struct upstream *upstream)
{
	if (!upstream->is_paused)
		return;
	upstream->is_paused = false;
	if (upstream->is_head_done)
		upstream_arm(upstream);
	stream_again(&upstream->stream);
}
