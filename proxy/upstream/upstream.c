/* upstream - connects to backends, and handles what wakes a connection: readiness and its timer. */
#include "upstream/internal.h"

#include "base/clock.h"
#include "base/loopback.h"
#include "health/latency.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

static stream_ready_fn upstream_on_ready;
static void upstream_on_timer(struct wheel_timer *timer);

/* ---- Connecting ------------------------------------------------------------------------------ */

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
	upstream->dialled_us = loop_now_us(upstream_shared_of(upstream)->loop);
	while ((fd = address_dial(&backend->addresses[upstream->address], &is_connected)) < 0) {
		enum problem problem = problem_of_connect(errno);
		upstream_note_problem(upstream, problem);
		if (problem == PROBLEM_NO_MEMORY || !upstream_turn(upstream)) {
			if (problem == PROBLEM_NO_MEMORY)
				upstream->problem = problem;
			return false;
		}
	}
	if (upstream_shared_of(upstream)->is_loopback_unpaced &&
		loopback_is(&backend->addresses[upstream->address].any))
		loopback_do_not_pace(fd);
	if (stream_open(&upstream->stream, upstream_shared_of(upstream)->loop, fd, is_connected,
		    upstream_on_ready))
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
	struct upstream *upstream = blocks_take(&shared->connections);
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
		blocks_give(&shared->connections, upstream);
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
	upstream_shared_of(upstream)->events->on_connected(upstream->attempt);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

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

/* ---- The timer ------------------------------------------------------------------------------- */

/* The present wait is not over, but late. False: it is over. */
static bool upstream_tell_late(struct upstream *upstream)
{
	bool is_watched = upstream->state == UPSTREAM_CONNECTING ||
			  (!upstream->is_head_done && !upstream_is_congested(upstream));
	uint64_t now_ms = clock_coarse_ms();
	if (upstream->state == UPSTREAM_IDLE || !is_watched || now_ms >= upstream->wait_end_ms)
		return false;
	uint64_t again_ms = upstream_shared_of(upstream)->events->on_late(upstream->attempt);
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
