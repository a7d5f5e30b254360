/* upstream - connections to backends (see upstream.h). */
#include "upstream/upstream.h"

#include "base/clock.h"
#include "base/loopback.h"
#include "health/latency.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* Parts of a body that one event carries; a body of tiny chunks takes several events. */
#define UPSTREAM_PARTS 32

/* Connection objects kept for the next ones. */
#define UPSTREAM_CONNECTIONS_KEPT 256

/* Received at once behind a part of a head that is held. */
#define UPSTREAM_HEAD_STEP 4096

static const uint8_t upstream_edges[] = {
	[UPSTREAM_CONNECTING] = BIT(UPSTREAM_BUSY) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_IDLE] = BIT(UPSTREAM_BUSY) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_BUSY] = BIT(UPSTREAM_IDLE) | BIT(UPSTREAM_CLOSED),
	[UPSTREAM_CLOSED] = 0,
};

static stream_ready_fn upstream_on_ready;
static void upstream_on_timer(struct wheel_timer *timer);

static void upstream_enter(struct upstream *upstream, enum upstream_state next)
{
	CHECK_EDGE(upstream_edges, upstream->state, next);
	upstream->state = (uint8_t)next;
}

void upstream_shared_init(struct upstream_shared *shared, struct loop *loop,
	const struct upstream_events *events, struct counters *counters, struct slab *parsers)
{
	*shared = (struct upstream_shared){
		.loop = loop, .events = events, .counters = counters, .parsers = parsers};
	slab_init(&shared->connections, sizeof(struct upstream), UPSTREAM_CONNECTIONS_KEPT);
}

void upstream_shared_finish(struct upstream_shared *shared)
{
	slab_finish(&shared->connections);
}

static struct upstream_shared *shared_of(const struct upstream *upstream)
{
	return upstream->home->shared;
}

/* ---- One connection's life ------------------------------------------------------------------- */

static void upstream_free(struct doomed *doomed)
{
	struct upstream *upstream = CONTAINER_OF(doomed, struct upstream, doomed);
	struct slab *slab = upstream->attempt; /* the home may be gone: see upstream_close() */
	bytes_free(&upstream->input);
	bytes_free(&upstream->output);
	MAGIC_CLEAR(upstream);
	slab_give(slab, upstream);
}

void upstream_close(struct upstream *upstream)
{
	struct upstream_shared *shared = shared_of(upstream);
	if (upstream->state == UPSTREAM_IDLE)
		upstream->home->events->on_idle_closed(upstream->home, upstream);
	upstream_enter(upstream, UPSTREAM_CLOSED);
	stream_close(&upstream->stream);
	wheel_forget(&upstream->timer);
	if (upstream->parser != NULL)
		slab_give(shared->parsers, upstream->parser);
	upstream->parser = NULL;
	counter_subtract(shared->counters, upstream_open, 1);
	upstream->attempt = &shared->connections;
	loop_doom(shared->loop, &upstream->doomed, upstream_free);
}

/* The lease ends here, without a complete response. */
static void upstream_break(struct upstream *upstream, enum problem problem)
{
	void *attempt = upstream->attempt;
	upstream->home->events->on_lost(upstream->home);
	upstream_close(upstream);
	shared_of(upstream)->events->on_broken(attempt, problem);
}

static void upstream_wait(struct upstream *upstream, uint64_t wait_ms)
{
	wheel_arm(&shared_of(upstream)->loop->wheel, &upstream->timer, clock_coarse_ms() + wait_ms);
}

/* Wait up to `wait_ms`, and tell before if it is late. */
static void upstream_wait_watchfully(
	struct upstream *upstream, uint64_t now_ms, uint64_t wait_ms, uint64_t late_ms)
{
	upstream->wait_end_ms = now_ms + wait_ms;
	if (late_ms != 0 && late_ms < wait_ms)
		wait_ms = late_ms;
	wheel_arm(&shared_of(upstream)->loop->wheel, &upstream->timer, now_ms + wait_ms);
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

/* Which wait the connection is in decides what its one timer measures. */
static void upstream_arm(struct upstream *upstream)
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

static enum problem problem_of_connect(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET: /* it ended while it was being asked */
		return PROBLEM_CONNECT_REFUSED;
	case ETIMEDOUT:
		return PROBLEM_CONNECT_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return PROBLEM_NO_MEMORY;
	case EADDRNOTAVAIL: /* all our ports for connections to it are in use: it may be as well as ever */
		return PROBLEM_ENDPOINTS_FULL;
	default:
		return PROBLEM_CONNECT_FAILED;
	}
}

/* An address is of no use. That it refuses, or does not answer, tells more than that there is no way to it.
 */
static void upstream_note_problem(struct upstream *upstream, enum problem problem)
{
	if (upstream->problem == PROBLEM_NONE || upstream->problem == PROBLEM_CONNECT_FAILED)
		upstream->problem = problem;
}

/* Go on to the next address. False: all were tried. */
static bool upstream_turn(struct upstream *upstream)
{
	if (LIKELY(upstream->others_left == 0))
		return false;
	upstream->others_left--;
	upstream->address = (uint8_t)((upstream->address + 1U) % upstream->home->backend->address_count);
	return true;
}

/* Begin to connect to the present address, or to the first behind it that does not fail at once. False: none,
 * upstream->problem says why. What all would lack, memory or descriptors, ends it. */
static bool upstream_dial(struct upstream *upstream)
{
	struct backend *backend = upstream->home->backend;
	bool is_connected = false;
	int fd;
	upstream->dialled_us = loop_now_us(shared_of(upstream)->loop);
	while ((fd = address_dial(&backend->addresses[upstream->address], &is_connected)) < 0) {
		enum problem problem = problem_of_connect(errno);
		upstream_note_problem(upstream, problem);
		if (problem == PROBLEM_NO_MEMORY || !upstream_turn(upstream)) {
			if (problem == PROBLEM_NO_MEMORY)
				upstream->problem = problem;
			return false;
		}
	}
	if (shared_of(upstream)->is_loopback_unpaced &&
		loopback_is(&backend->addresses[upstream->address].any))
		loopback_do_not_pace(fd);
	if (stream_open(&upstream->stream, shared_of(upstream)->loop, fd, is_connected, upstream_on_ready))
		return true;
	upstream->problem = PROBLEM_NO_MEMORY;
	return false;
}

/* The address is a good one, and took so long. */
static void upstream_learn_connect(struct upstream *upstream)
{
	const struct upstream_home *home = upstream->home;
	backend_prefer(home->backend, upstream->address);
	if (home->latencies != NULL)
		latency_learn_connect(
			home->latencies, loop_now_us(home->shared->loop) - upstream->dialled_us);
}

struct upstream *upstream_connect(struct upstream_home *home, void *attempt, enum problem *problem)
{
	struct upstream_shared *shared = home->shared;
	struct upstream *upstream = slab_take(&shared->connections);
	*problem = PROBLEM_NO_MEMORY;
	if (upstream == NULL)
		return NULL;
	memset(upstream, 0, sizeof(*upstream));
	upstream->magic = UPSTREAM_MAGIC;
	upstream->home = home;
	upstream->attempt = attempt;
	upstream->address = (uint8_t)backend_preferred(home->backend);
	upstream->others_left = (uint8_t)(home->backend->address_count - 1);
	counter_add(shared->counters, upstream_connects, 1);
	if (!upstream_dial(upstream)) {
		*problem = upstream->problem;
		slab_give(&shared->connections, upstream);
		return NULL;
	}
	upstream->state = upstream->stream.is_writable ? UPSTREAM_BUSY : UPSTREAM_CONNECTING;
	upstream->connect_end_ms = clock_coarse_ms() + home->timeouts->connect_ms;
	counter_add(shared->counters, upstream_open, 1);
	wheel_timer_init(&upstream->timer, upstream_on_timer);
	upstream_arm(upstream);
	if (upstream->state == UPSTREAM_BUSY)
		upstream_learn_connect(upstream);
	return upstream;
}

/* While it was being connected to, the address turned out to be of no use: try the next one, as if anew. */
static void upstream_connect_failed(struct upstream *upstream, enum problem problem)
{
	stream_close(&upstream->stream);
	upstream_note_problem(upstream, problem);
	if (problem == PROBLEM_NO_MEMORY || !upstream_turn(upstream) || !upstream_dial(upstream)) {
		upstream_break(upstream, problem == PROBLEM_NO_MEMORY ? problem : upstream->problem);
		return;
	}
	upstream_arm(upstream);
	if (upstream->stream.is_writable) /* connected at once: no edge tells of that */
		stream_again(&upstream->stream);
}

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
}

void upstream_send(struct upstream *upstream, const struct iovec *parts, int count)
{
	size_t sent = 0;
	if (upstream->is_send_broken)
		return;
	if (upstream->output.memory == NULL && upstream->stream.is_writable &&
		stream_send(&upstream->stream, parts, count, &sent) == STREAM_BROKEN)
		upstream->is_send_broken = true;
	upstream->is_sent |= sent > 0;
	if (!upstream->is_send_broken && !bytes_append_parts(&upstream->output, parts, count, sent))
		upstream->is_send_broken = true;
	if (upstream->is_send_broken)
		stream_again(
			&upstream->stream); /* an answer may have come before: look, and only then give up */
	else if (upstream_is_congested(upstream))
		upstream_arm(upstream);
}

void upstream_request_done(struct upstream *upstream)
{
	upstream->is_request_done = true;
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

static void upstream_flush(struct upstream *upstream)
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
	shared_of(upstream)->events->on_drained(upstream->attempt);
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

/* ---- Receiving ------------------------------------------------------------------------------- */

/* Bytes behind the response would be taken for the next one: such a connection is not used again. */
static void upstream_note_end(struct upstream *upstream, enum http_body_verdict verdict, size_t left)
{
	upstream->is_response_done = verdict == HTTP_BODY_DONE;
	if (upstream->is_response_done && left > 0)
		upstream->is_persistent = false;
}

/* What follows a 101 is the body of its own kind; one that nobody asked for is no answer (RFC 9110 section
 * 15.2.2). */
static enum problem upstream_frame(
	struct upstream *upstream, const struct http_head *head, struct http_framing *out)
{
	if (LIKELY(head->status != 101))
		return http_response_framing(head, upstream->method, out);
	*out = (struct http_framing){.kind = HTTP_BODY_UNTIL_CLOSE};
	upstream->is_switched = upstream->is_switch_asked;
	return upstream->is_switch_asked ? PROBLEM_NONE : PROBLEM_BAD_RESPONSE;
}

/* The final head is complete. Returns the bytes used, the head's included; 0: broken. */
static size_t upstream_respond(struct upstream *upstream, const char *at, size_t bytes)
{
	struct http_head *head = &upstream->parser->head;
	const struct upstream_events *events = shared_of(upstream)->events;
	struct http_framing framing;
	struct iovec parts[UPSTREAM_PARTS];
	int count = UPSTREAM_PARTS;
	size_t used = 0;
	enum problem problem = upstream_frame(upstream, head, &framing);
	if (problem != PROBLEM_NONE) {
		upstream_break(upstream, problem);
		return 0;
	}
	http_body_start(&upstream->body, &framing);
	enum http_body_verdict verdict =
		http_body_read(&upstream->body, at + head->bytes, bytes - head->bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		upstream_break(upstream, PROBLEM_BAD_RESPONSE);
		return 0;
	}
	used += head->bytes;
	struct http_parser *parser = upstream->parser;
	struct slab *parsers = shared_of(upstream)->parsers;
	upstream->parser = NULL;
	upstream->is_head_done = true;
	upstream->is_persistent = framing.is_persistent;
	upstream_note_end(upstream, verdict, bytes - used);
	if (!upstream->is_response_done)
		upstream_arm(upstream);
	events->on_response(upstream->attempt, head, &framing, parts, count, upstream->is_response_done);
	slab_give(parsers, parser);
	return used;
}

/* Returns the bytes used: none while the head is not complete, or when the connection broke. */
static size_t upstream_consume_head(struct upstream *upstream, const char *at, size_t bytes)
{
	struct upstream_shared *shared = shared_of(upstream);
	if (UNLIKELY(!upstream->is_sent)) {
		/* Said before it was asked: that is no answer to this request. */
		upstream_break(upstream, PROBLEM_UPSTREAM_RESET);
		return 0;
	}
	if (upstream->parser == NULL) {
		upstream->parser = slab_take(shared->parsers);
		if (upstream->parser == NULL) {
			upstream_break(upstream, PROBLEM_NO_MEMORY);
			return 0;
		}
		http_parser_start(upstream->parser, HTTP_KIND_RESPONSE, &shared->limits);
	}
	struct http_head *head = &upstream->parser->head;
	switch (http_parser_feed(upstream->parser, at, bytes)) {
	case HTTP_MORE:
		return 0;
	case HTTP_BAD:
		upstream_break(upstream, upstream->parser->problem);
		return 0;
	case HTTP_DONE:
		break;
	}
	if (head->status >= 200 || head->status == 101)
		return upstream_respond(upstream, at, bytes);
	size_t used = head->bytes;
	shared->events->on_informational(upstream->attempt, head);
	http_parser_start(upstream->parser, HTTP_KIND_RESPONSE, &shared->limits);
	return used;
}

static size_t upstream_consume_body(struct upstream *upstream, const char *at, size_t bytes)
{
	struct iovec parts[UPSTREAM_PARTS];
	int count = UPSTREAM_PARTS;
	size_t used = 0;
	enum http_body_verdict verdict = http_body_read(&upstream->body, at, bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		upstream_break(upstream, PROBLEM_BAD_RESPONSE);
		return 0;
	}
	upstream_note_end(upstream, verdict, bytes - used);
	if (!upstream->is_response_done)
		upstream_arm(upstream);
	if (count > 0 || upstream->is_response_done)
		shared_of(upstream)->events->on_body(
			upstream->attempt, parts, count, upstream->is_response_done);
	return used;
}

/* Use what was received, while the lease lasts. Returns the bytes used; what is left is a part of a head, or
 * heads for which it is paused: 1xx responses grow by what is added to each, so they are held here. A pause
 * is not looked at for a body: what was received goes on at once, to be held by the receiver. */
static size_t upstream_consume(struct upstream *upstream, const char *at, size_t bytes)
{
	size_t used = 0;
	while (used < bytes && upstream->state == UPSTREAM_BUSY && !upstream->is_response_done) {
		if (UNLIKELY(upstream->is_paused) && !upstream->is_head_done)
			break;
		size_t step = upstream->is_head_done
				      ? upstream_consume_body(upstream, at + used, bytes - used)
				      : upstream_consume_head(upstream, at + used, bytes - used);
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

/* The backend will send no more. */
static void upstream_finish(struct upstream *upstream, bool is_reset)
{
	if (UNLIKELY(upstream->is_response_done) && !is_reset)
		return; /* a tunnel's other direction goes on */
	if (!upstream->is_head_done) {
		bool is_silent = upstream->parser == NULL;
		upstream_break(upstream, !is_silent ? PROBLEM_RESPONSE_CUT
					 : is_reset ? PROBLEM_UPSTREAM_RESET
						    : PROBLEM_UPSTREAM_CLOSED);
	} else if (!is_reset && http_body_ends_at_close(&upstream->body)) {
		upstream->is_response_done = true;
		upstream->is_persistent = false;
		shared_of(upstream)->events->on_body(upstream->attempt, NULL, 0, true);
	} else {
		upstream_break(upstream, PROBLEM_RESPONSE_CUT);
	}
}

/* Use what is held, which begins with a head. */
static void upstream_consume_held(struct upstream *upstream)
{
	size_t used = upstream_consume(upstream, bytes_at(&upstream->input), bytes_count(&upstream->input));
	/* Behind the head it was all used, or is of no more use. */
	if (upstream->state == UPSTREAM_BUSY && !upstream->is_head_done)
		bytes_consume(&upstream->input, used);
	else
		bytes_free(&upstream->input);
}

static void upstream_receive(struct upstream *upstream)
{
	struct loop *loop = shared_of(upstream)->loop;
	bool is_held = upstream->input.memory != NULL;
	size_t room = loop->receive_bytes;
	if (is_held && room > UPSTREAM_HEAD_STEP)
		room = UPSTREAM_HEAD_STEP;
	char *buffer = is_held ? bytes_reserve(&upstream->input, room) : loop->receive_buffer;
	size_t received;
	if (buffer == NULL) {
		upstream_break(upstream, PROBLEM_NO_MEMORY);
		return;
	}
	enum stream_result result = stream_receive(&upstream->stream, buffer, room, &received);
	if (result == STREAM_END || result == STREAM_BROKEN) {
		upstream_finish(upstream, result == STREAM_BROKEN || upstream->is_reset);
		return;
	}
	if (result == STREAM_AGAIN)
		return;
	if (is_held) {
		bytes_commit(&upstream->input, received);
		upstream_consume_held(upstream);
		return;
	}
	size_t used = upstream_consume(upstream, buffer, received);
	if (upstream->state == UPSTREAM_BUSY && !upstream->is_head_done &&
		!bytes_append(&upstream->input, buffer + used, received - used))
		upstream_break(upstream, PROBLEM_NO_MEMORY);
}

/* It ended an idle connection: as many do after a while, and as it is when a process dies. */
static void upstream_hint(const struct upstream *upstream)
{
	uint64_t now_ms = clock_coarse_ms();
	belief_weigh(&upstream->home->backend->belief, EVIDENCE_IDLE_CLOSED, now_ms, now_ms);
}

/* Nothing is expected on an idle connection: bytes or an end, either way it is of no more use. */
static void upstream_check_idle(struct upstream *upstream)
{
	char byte;
	size_t received;
	enum stream_result result = stream_receive(&upstream->stream, &byte, 1, &received);
	if (result == STREAM_AGAIN)
		return;
	if (result == STREAM_END || result == STREAM_BROKEN)
		upstream_hint(upstream);
	upstream_close(upstream);
}

static void upstream_check_connect(struct upstream *upstream)
{
	int error = stream_error(&upstream->stream);
	if (error != 0) {
		upstream_connect_failed(upstream, problem_of_connect(error));
		return;
	}
	if (!upstream->stream.is_writable)
		return;
	upstream_enter(upstream, UPSTREAM_BUSY);
	upstream_learn_connect(upstream);
	wheel_disarm(&upstream->timer);
	shared_of(upstream)->events->on_connected(upstream->attempt);
}

static void upstream_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = stream_note(arg, what);
	struct upstream *upstream = CONTAINER_OF(stream, struct upstream, stream);
	(void)fd;
	assert(upstream->magic == UPSTREAM_MAGIC);
	if (upstream->state == UPSTREAM_CONNECTING) {
		upstream_check_connect(upstream);
		/* What came with the connection's edge brings no edge of its own. */
		if (upstream->state == UPSTREAM_BUSY && stream->is_readable)
			stream_again(stream);
		return;
	}
	if (upstream->state == UPSTREAM_IDLE) {
		if (stream->is_readable)
			upstream_check_idle(upstream);
		return;
	}
	if (upstream_is_congested(upstream) && stream->is_writable)
		upstream_flush(upstream);
	if (UNLIKELY(upstream->input.memory != NULL) && upstream->state == UPSTREAM_BUSY &&
		!upstream->is_paused)
		upstream_consume_held(upstream);
	if (upstream->state == UPSTREAM_BUSY && stream->is_readable && !upstream->is_paused)
		upstream_receive(upstream);
	if (upstream->state != UPSTREAM_BUSY || upstream->is_paused)
		return;
	if (stream->is_readable) {
		stream_again(stream);
	} else if (upstream->is_reset) {
		upstream_finish(upstream, true);
	} else if (upstream->is_send_broken || stream_error(stream) != 0) {
		/* Its last bytes may have come after the last look, and before the reset: look once more. */
		upstream->is_reset = stream->is_readable = true;
		stream_again(stream);
	}
}

bool upstream_is_silent(const struct upstream *upstream)
{
	return upstream->parser == NULL && !upstream->is_head_done && stream_is_quiet(&upstream->stream);
}

/* The present wait is not over, but late. False: it is over. */
static bool upstream_tell_late(struct upstream *upstream)
{
	bool is_watched = upstream->state == UPSTREAM_CONNECTING ||
			  (!upstream->is_head_done && !upstream_is_congested(upstream));
	uint64_t now_ms = clock_coarse_ms();
	if (upstream->state == UPSTREAM_IDLE || !is_watched || now_ms >= upstream->wait_end_ms)
		return false;
	uint64_t again_ms = shared_of(upstream)->events->on_late(upstream->attempt);
	if (upstream->state != UPSTREAM_CLOSED)
		upstream_wait_watchfully(upstream, now_ms, upstream->wait_end_ms - now_ms, again_ms);
	return true;
}

/* It is known what became of connecting, and the event that says so is yet to be handled: it is we who are
 * late.
 */
static bool upstream_has_connected(const struct upstream *upstream)
{
	struct pollfd look = {.fd = upstream->stream.fd, .events = POLLOUT};
	return upstream->state == UPSTREAM_CONNECTING && poll(&look, 1, 0) > 0;
}

static void upstream_on_timer(struct wheel_timer *timer)
{
	struct upstream *upstream = CONTAINER_OF(timer, struct upstream, timer);
	assert(upstream->magic == UPSTREAM_MAGIC);
	if (upstream_has_connected(upstream)) {
		upstream_wait(upstream, WHEEL_TICK_MS);
		return;
	}
	if (upstream_tell_late(upstream))
		return;
	if (upstream->state == UPSTREAM_IDLE)
		upstream_close(upstream);
	else if (upstream->state == UPSTREAM_CONNECTING)
		upstream_connect_failed(upstream, PROBLEM_CONNECT_TIMEOUT);
	else
		upstream_break(upstream,
			upstream->is_head_done ? PROBLEM_RESPONSE_STALLED : PROBLEM_RESPONSE_TIMEOUT);
}
