/* tries - attempts, one after the other (see tries.h). */
#include "exchange/tries.h"

#include "base/clock.h"
#include "exchange/attempt.h"
#include "exchange/trace.h"
#include "upstream/pool.h"

/* A backend that was tried is tried again after about this long first, then after twice as long, up to: */
#define TRIES_PAUSE_MS	   16
#define TRIES_PAUSE_MAX_MS 512

/* Other workers are asked for a place at a backend for so long at least. */
#define TRIES_ASK_MS 32

bool tries_take_budget(struct exchange *exchange)
{
	if (LIKELY(budget_take(&exchange->service->budget, clock_coarse_ms())))
		return true;
	counter_add(exchange->shared->counters, retries_denied, 1);
	exchange->is_retry_denied = true;
	return false;
}

/* May there be one attempt more? */
static bool tries_are_left(const struct exchange *exchange)
{
	return exchange->tried_count < EXCHANGE_TRIES_MAX &&
	       exchange->tried_count - exchange->vain_count < (int)exchange->shared->tries_max;
}

static struct member *tries_untried(const struct exchange *exchange)
{
	struct member *member = attempt_pick(exchange);
	return member != NULL && !exchange_has_tried(exchange, member) ? member : NULL;
}

/* Nobody was there for the attempt that just ended. Where somebody else may be, it does not count: of
 * backends that die together a request may meet one after the other. */
static void tries_note_vain(struct exchange *exchange)
{
	if (exchange->shared->tries_max > 1 && tries_untried(exchange) != NULL)
		exchange->vain_count++;
}

/* After `problem` ended an attempt. `was_sent`: a backend may have seen some of the request. */
static bool tries_may_go_on(struct exchange *exchange, enum problem problem, bool was_sent)
{
	if (!problem_row(problem)->may_retry || !exchange->is_held_whole)
		return false;
	if (was_sent && !exchange->is_repeatable)
		return false;
	/* To find a backend full is no try of it. */
	if (problem == PROBLEM_ENDPOINTS_FULL)
		return exchange->tried_count < EXCHANGE_TRIES_MAX;
	if (problem == PROBLEM_CONNECT_REFUSED || problem == PROBLEM_CONNECT_FAILED ||
		problem == PROBLEM_CONNECT_TIMEOUT)
		tries_note_vain(exchange);
	return tries_are_left(exchange) && tries_take_budget(exchange);
}

/* ---- Waiting for a moment -------------------------------------------------------------------- */

static void tries_on_pause_over(struct wheel_timer *timer);

/* Spread, so that those who failed together do not come back together. */
static void tries_rest(struct exchange *exchange, uint32_t pause_ms)
{
	uint64_t until_ms =
		clock_coarse_ms() + pause_ms / 2 + random_below(&exchange->shared->loop->random, pause_ms);
	if (exchange->deadline_ms != 0 && exchange->deadline_ms < until_ms)
		until_ms = exchange->deadline_ms;
	exchange_enter(exchange, EXCHANGE_PAUSING);
	exchange_set_deadline(exchange, tries_on_pause_over, until_ms);
}

static void tries_pause(struct exchange *exchange)
{
	uint32_t pause_ms = TRIES_PAUSE_MS;
	for (uint8_t i = 0; i < exchange->pause_count && pause_ms < TRIES_PAUSE_MAX_MS; i++)
		pause_ms *= 2;
	exchange->pause_count++;
	tries_rest(exchange, pause_ms);
}

/* Some requests wait for a place in their service, and then for one at a backend. */
static void tries_count_queued(struct exchange *exchange)
{
	counter_add(exchange->shared->counters, requests_queued, exchange->was_queued ? 0 : 1);
	exchange->was_queued = true;
}

/* Whoever there is recovers, and has as many requests as it may for now. False: that took too long. */
static bool tries_wait_for_room(struct exchange *exchange)
{
	uint64_t now_ms = clock_coarse_ms();
	if (exchange->room_end_ms == 0) {
		exchange->room_end_ms = now_ms + exchange->service->queue_ms;
		tries_count_queued(exchange);
	}
	if (now_ms >= exchange->room_end_ms)
		return false;
	tries_rest(exchange, TRIES_PAUSE_MS);
	return true;
}

/* ---- One attempt, and another one ------------------------------------------------------------ */

/* Which backends were full, of those that were tried since the last pause. */
struct tries_full {
	uint8_t before; /* so many were tried before */
	uint8_t count;
	bool is_asked_for; /* other workers are being asked for a place at one of them */
};

/* Others may have connections to it that they do not need, or more of them. That nobody gives one is believed
 * after a moment: one may have been on its way to somebody else who asked. */
static void tries_note_full(
	const struct exchange *exchange, const struct member *member, struct tries_full *full)
{
	uint64_t begun_ms = exchange->room_end_ms != 0 ? exchange->room_end_ms - exchange->service->queue_ms
						       : clock_coarse_ms();
	full->count++;
	full->is_asked_for |= pool_ask(member->pool, begun_ms + TRIES_ASK_MS);
}

/* All are full. False: nobody gives a place, or that took too long. */
static bool tries_wait_for_place(struct exchange *exchange, const struct tries_full *full)
{
	if (!full->is_asked_for || !tries_wait_for_room(exchange))
		return false;
	if (exchange->tried_count == full->before + full->count)
		exchange->tried_count = full->before; /* to find a backend full is no try of it */
	return true;
}

/* Pick and lease until a connection is there or on its way, or there is a pause. False: the exchange has
 * failed and ended. */
static bool tries_begin(struct exchange *exchange)
{
	enum problem problem = PROBLEM_NONE;
	struct tries_full full = {.before = exchange->tried_count};
	do {
		struct member *member = attempt_pick(exchange);
		if (UNLIKELY(member == NULL)) {
			problem = attempt_lack(exchange);
			if (problem == PROBLEM_QUEUE_TIMEOUT && tries_wait_for_room(exchange))
				return true;
			break;
		}
		if (UNLIKELY(exchange->tried_count > 0)) {
			bool is_again = exchange_has_tried(exchange, member);
			if (is_again && problem == PROBLEM_ENDPOINTS_FULL)
				break;
			if (is_again && !exchange->is_rested) {
				tries_pause(exchange);
				return true;
			}
			exchange->is_rested = false;
			counter_add(exchange->shared->counters, retries, 1);
		}
		problem = attempt_start(&exchange->attempt, member);
		if (LIKELY(problem == PROBLEM_NONE)) {
			exchange_enter(exchange, upstream_is_connected(exchange->attempt.upstream)
							 ? EXCHANGE_WAITING
							 : EXCHANGE_CONNECTING);
			return true;
		}
		if (problem == PROBLEM_ENDPOINTS_FULL)
			tries_note_full(exchange, member, &full);
	} while (tries_may_go_on(exchange, problem, false));
	if (problem == PROBLEM_ENDPOINTS_FULL && tries_wait_for_place(exchange, &full))
		return true;
	exchange_fail(exchange, problem);
	return false;
}

/* What the client has sent so far is held. */
static void tries_go_on(struct exchange *exchange)
{
	exchange_enter(exchange, EXCHANGE_PICKING);
	if (tries_begin(exchange) && exchange->state == EXCHANGE_WAITING)
		attempt_send_held(&exchange->attempt);
}

static void tries_on_pause_over(struct wheel_timer *timer)
{
	struct exchange *exchange = CONTAINER_OF(timer, struct exchange, deadline);
	assert(exchange->magic == EXCHANGE_MAGIC);
	if (exchange->deadline_ms != 0 && clock_coarse_ms() >= exchange->deadline_ms) {
		exchange_expire(exchange);
		return;
	}
	exchange->is_rested = true;
	exchange_set_deadline(exchange, NULL, exchange->deadline_ms);
	tries_go_on(exchange);
}

/* One after the other has died with the request. Of backends that die together there may be more, and in a
 * moment it is known who they are: that is worth more than to be quick. */
static bool tries_are_dying(struct exchange *exchange, enum problem problem)
{
	if (problem == PROBLEM_UPSTREAM_CLOSED || problem == PROBLEM_UPSTREAM_RESET)
		exchange->died_count++;
	return exchange->died_count > 1;
}

static void tries_end_attempt(
	struct exchange *exchange, enum problem problem, enum evidence evidence, bool was_sent)
{
	exchange_release(&exchange->attempt, evidence);
	if (!tries_may_go_on(exchange, problem, was_sent)) {
		exchange_fail(exchange, problem);
	} else if (tries_are_dying(exchange, problem)) {
		exchange_enter(exchange, EXCHANGE_PICKING);
		tries_pause(exchange);
	} else {
		tries_go_on(exchange);
	}
}

void tries_lost(struct exchange *exchange, enum problem problem)
{
	bool was_sent = upstream_is_sent(exchange->attempt.upstream);
	bool was_pooled = exchange->attempt.upstream->is_reused;
	exchange->attempt.upstream = NULL;
	tries_end_attempt(exchange, problem, exchange_evidence(problem, was_pooled), was_sent);
}

void tries_give_up(struct exchange *exchange, enum problem problem, enum evidence evidence)
{
	tries_end_attempt(exchange, problem, evidence, upstream_is_sent(exchange->attempt.upstream));
}

struct member *tries_other(const struct exchange *exchange)
{
	return tries_are_left(exchange) ? tries_untried(exchange) : NULL;
}

bool tries_move(struct exchange *exchange, enum evidence evidence)
{
	if (exchange->shared->tries_max == 1 || exchange->tried_count >= EXCHANGE_TRIES_MAX ||
		tries_untried(exchange) == NULL || !tries_take_budget(exchange))
		return false;
	exchange->vain_count++;
	exchange_release(&exchange->attempt, evidence);
	tries_go_on(exchange);
	return true;
}

bool tries_refuse_status(struct exchange *exchange, int status)
{
	bool is_meant = status == 500 || (status >= 502 && status <= 504);
	if (!is_meant || !exchange->shared->is_status_retried || exchange->was_status_refused ||
		!exchange->is_repeatable || !exchange->is_request_done || !exchange->is_held_whole ||
		tries_other(exchange) == NULL || !tries_take_budget(exchange))
		return false;
	exchange->was_status_refused = true;
	exchange_release(&exchange->attempt, EVIDENCE_STATUS_5XX);
	tries_go_on(exchange);
	return true;
}

/* ---- A place in the service ------------------------------------------------------------------ */

/* A place has come free for it. */
static void tries_on_admitted(struct waiter *waiter)
{
	struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);
	assert(exchange->magic == EXCHANGE_MAGIC);
	counter_subtract(exchange->shared->counters, requests_waiting, 1);
	exchange->is_admitted = true;
	exchange_set_deadline(exchange, NULL, exchange->deadline_ms);
	tries_go_on(exchange);
}

static void tries_wait(struct exchange *exchange)
{
	uint64_t until_ms = clock_coarse_ms() + exchange->service->queue_ms;
	if (exchange->deadline_ms != 0 && exchange->deadline_ms < until_ms)
		until_ms = exchange->deadline_ms;
	if (UNLIKELY(exchange->trace != NULL))
		trace_note(exchange->trace, ACCESS_NOTE_QUEUED);
	tries_count_queued(exchange);
	counter_add(exchange->shared->counters, requests_waiting, 1);
	exchange_enter(exchange, EXCHANGE_QUEUED);
	exchange_set_deadline(exchange, NULL, until_ms);
}

bool tries_enter(struct exchange *exchange)
{
	struct admission *admission = &exchange->service->admission;
	if (UNLIKELY(budget_count(&exchange->service->budget)))
		budget_sort(&exchange->service->budget, clock_coarse_ms());
	if (LIKELY(admission->places->limit == 0))
		return tries_begin(exchange);
	exchange->waiter.on_admitted = tries_on_admitted;
	switch (admission_enter(admission, &exchange->waiter)) {
	case ADMISSION_TAKEN:
		exchange->is_admitted = true;
		return tries_begin(exchange);
	case ADMISSION_WAITS:
		tries_wait(exchange);
		return true;
	case ADMISSION_REFUSED:
		break;
	}
	exchange_fail(exchange, PROBLEM_OVERLOADED);
	return false;
}
