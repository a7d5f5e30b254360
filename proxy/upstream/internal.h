/* internal - what the files of this folder share of a connection to a backend. Calls go down only:
 *
 *   pool.c (which of them are idle) --> upstream.c (connecting, readiness, timers)
 *   upstream.c --> responses.c (what a backend sends) --> connection.c (its states, and what is sent to it)
 */
#ifndef UPSTREAM_INTERNAL_H
#define UPSTREAM_INTERNAL_H

#include "upstream/upstream.h"

static inline struct upstream_shared *upstream_shared_of(const struct upstream *upstream)
{
	return upstream->home->shared;
}

/* ---- connection.c ---------------------------------------------------------------------------- */

/* The only door to upstream->state. */
void upstream_enter(struct upstream *upstream, enum upstream_state next);

/* No answer is to come any more, as it has begun, or the connection is closed. */
static inline void upstream_await_no_more(struct upstream *upstream)
{
	if (upstream->is_awaited)
		loop_has_answer(upstream_shared_of(upstream)->loop);
	upstream->is_awaited = false;
}

/* The lease ends here, without a complete response, and the connection is closed. */
void upstream_break(struct upstream *upstream, enum problem problem);

/* Arm its one timer, to be over in `wait_ms`. */
void upstream_wait(struct upstream *upstream, uint64_t wait_ms);

/* Wait up to `wait_ms` from `now_ms` on, and tell before if it is late: after `late_ms`, unless that is 0. */
void upstream_wait_watchfully(struct upstream *upstream, uint64_t now_ms, uint64_t wait_ms, uint64_t late_ms);

/* Arm its one timer for what it waits for: which wait it is in decides what the timer measures. */
void upstream_arm(struct upstream *upstream);

/* Send what is held. */
void upstream_flush(struct upstream *upstream);

/* ---- responses.c ----------------------------------------------------------------------------- */

/* Receive some of the response and use it. It may be closed when this returns, as after the two below. */
void upstream_receive(struct upstream *upstream);

/* Use what is held, which begins with a head. */
void upstream_consume_held(struct upstream *upstream);

/* The backend will send no more; `is_reset`: because the connection broke. */
void upstream_finish(struct upstream *upstream, bool is_reset);

#endif
