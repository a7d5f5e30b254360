/* attempt - gets a request to a backend (see attempt.h). */
#include "exchange/attempt.h"

#include "base/clock.h"
#include "relay.h"
#include "upstream/pool.h"

/* Body bytes, framed, that are held for another attempt. For a connection that is not made yet the client is
 * read until there are so many: by what its last receive brought there may be more. */
#define EXCHANGE_HELD_MAX (64 * 1024)

static void attempt_note_tried(struct exchange *exchange)
{
	if (exchange->tried_count < EXCHANGE_TRIES_MAX)
		exchange->tried[exchange->tried_count++] = exchange->attempt.member;
}

/* After `problem` ended an attempt. `was_sent`: a backend may have seen some of the request. */
static bool attempt_may_retry(const struct exchange *exchange, enum problem problem, bool was_sent)
{
	/* To find a backend full is no try of it. */
	uint32_t tries_max =
		problem == PROBLEM_ENDPOINTS_FULL ? EXCHANGE_TRIES_MAX : exchange->shared->tries_max;
	if (exchange->tried_count >= tries_max || !problem_row(problem)->may_retry)
		return false;
	if (!exchange->is_held_whole)
		return false;
	return !was_sent || exchange->is_repeatable;
}

/* A connection to the member. Where only descriptors or memory are missing, idle connections make room, once.
 */
static enum problem attempt_lease(struct exchange *exchange, bool is_careful)
{
	const struct exchange_shared *shared = exchange->shared;
	struct pool *pool = exchange->attempt.member->pool;
	enum problem problem = PROBLEM_NONE;
	exchange->attempt.upstream = pool_lease(pool, &exchange->attempt, is_careful, &problem);
	if (UNLIKELY(problem == PROBLEM_NO_MEMORY) && exchange->attempt.upstream == NULL &&
		shared->make_room != NULL && shared->make_room(shared->make_room_arg))
		exchange->attempt.upstream = pool_lease(pool, &exchange->attempt, is_careful, &problem);
	return problem;
}

static enum problem attempt_lack(const struct roster *roster)
{
	static const enum problem problems[] = {
		[ROSTER_UNKNOWN] = PROBLEM_SET_UNKNOWN,
		[ROSTER_EMPTY] = PROBLEM_SET_EMPTY,
		[ROSTER_EJECTED] = PROBLEM_ALL_EJECTED,
	};
	return problems[roster_lack(roster)];
}

/* Pick and lease until a connection is there or on its way. False: the exchange has failed and ended. */
bool attempt_begin(struct exchange *exchange)
{
	struct exchange_shared *shared = exchange->shared;
	struct roster *roster = &exchange->service->roster;
	bool is_careful = !exchange->is_repeatable;
	for (;;) {
		struct member *member =
			roster_pick(roster, &shared->loop->random, exchange->tried, exchange->tried_count);
		if (member == NULL) {
			exchange_fail(exchange, attempt_lack(roster));
			return false;
		}
		exchange->attempt.member = member;
		roster_begin(roster, member);
		exchange->attempt.begun_ms = clock_coarse_ms();
		counter_add(shared->counters, attempts, 1);
		if (exchange->tried_count > 0)
			counter_add(shared->counters, retries, 1);
		enum problem problem = attempt_lease(exchange, is_careful);
		if (exchange->attempt.upstream != NULL)
			break;
		attempt_note_tried(exchange);
		exchange_end_attempt(exchange, exchange_evidence(problem, false));
		if (!attempt_may_retry(exchange, problem, false)) {
			exchange_fail(exchange, problem);
			return false;
		}
	}
	upstream_begin(exchange->attempt.upstream, exchange->method, exchange->upgrade_bytes > 0);
	exchange_enter(exchange,
		upstream_is_connected(exchange->attempt.upstream) ? EXCHANGE_WAITING : EXCHANGE_CONNECTING);
	return true;
}

/* RFC 9110 section 10.1.1, in the backend's place. */
static void attempt_say_continue(struct exchange *exchange)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = sizeof(text) - 1};
	exchange->is_continue_owed = false;
	counter_add(exchange->shared->counters, responses_1xx, 1);
	downstream_send(exchange->client, &part, 1);
}

/* Everything that came was handed over: let more come, unless the backend is slower than the client. */
static void attempt_balance(struct exchange *exchange)
{
	if (UNLIKELY(exchange->is_continue_owed))
		attempt_say_continue(exchange);
	if (exchange->is_request_done)
		upstream_request_done(exchange->attempt.upstream);
	else if (upstream_is_congested(exchange->attempt.upstream))
		downstream_pause(exchange->client);
	else
		downstream_resume(exchange->client);
}

/* May it still be needed for another attempt? */
static bool attempt_is_worth_holding(const struct exchange *exchange)
{
	return exchange->is_repeatable || !upstream_is_sent(exchange->attempt.upstream);
}

/* Hand over what is held: the whole request so far. It stays held where it might be needed again,
 * within a bound. */
void attempt_send_held(struct exchange *exchange)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)exchange->head.at, exchange->head.bytes},
		{(void *)(uintptr_t)bytes_at(&exchange->held_body), bytes_count(&exchange->held_body)}};
	upstream_send(exchange->attempt.upstream, parts, exchange->held_body.memory != NULL ? 2 : 1);
	if (!attempt_is_worth_holding(exchange) || bytes_count(&exchange->held_body) > EXCHANGE_HELD_MAX) {
		exchange->is_held_whole = false;
		bytes_free(&exchange->held_body);
	}
	attempt_balance(exchange);
}

/* Hold body bytes for later. False without memory. */
static bool attempt_hold(struct exchange *exchange, const struct relay_run *run)
{
	return bytes_append_parts(&exchange->held_body, run->parts, run->count, 0);
}

/* Body bytes that are handed over now are held as well only for a request that may be repeated, within a
 * bound. */
static void attempt_hold_for_repeat(struct exchange *exchange, const struct relay_run *run)
{
	size_t held = bytes_count(&exchange->held_body) + parts_bytes(run->parts, run->count);
	exchange->is_held_whole = attempt_is_worth_holding(exchange) && held <= EXCHANGE_HELD_MAX &&
				  attempt_hold(exchange, run);
	if (!exchange->is_held_whole)
		bytes_free(&exchange->held_body);
}

/* A run of the request's body, the first one with the head before it. */
void attempt_take_body(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last)
{
	struct relay_run run;
	exchange->is_request_done = is_last;
	if (count > 0 || is_last)
		exchange->is_continue_owed = false; /* it did not wait */
	if (exchange->state == EXCHANGE_CONNECTING || exchange->state == EXCHANGE_QUEUED) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		if (!attempt_hold(exchange, &run))
			exchange_fail(exchange, PROBLEM_NO_MEMORY);
		else if (bytes_count(&exchange->held_body) > EXCHANGE_HELD_MAX)
			downstream_pause(exchange->client);
		return;
	}
	relay_frame(&run, head, exchange->request_body, parts, count, is_last);
	upstream_send(exchange->attempt.upstream, run.parts, run.count);
	if (exchange->is_held_whole && exchange->request_body != HTTP_BODY_NONE) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		attempt_hold_for_repeat(exchange, &run);
	}
	attempt_balance(exchange);
}

/* A place has come free for it: everything that the client has sent so far is held. */
static void attempt_on_admitted(struct waiter *waiter)
{
	struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);
	assert(exchange->magic == EXCHANGE_MAGIC);
	counter_subtract(exchange->shared->counters, requests_waiting, 1);
	exchange->is_admitted = true;
	exchange_enter(exchange, EXCHANGE_PICKING);
	exchange_set_deadline(exchange, NULL, exchange->deadline_ms);
	if (attempt_begin(exchange) && exchange->state == EXCHANGE_WAITING)
		attempt_send_held(exchange);
}

static void attempt_wait(struct exchange *exchange)
{
	uint64_t until_ms = clock_coarse_ms() + exchange->service->queue_ms;
	if (exchange->deadline_ms != 0 && exchange->deadline_ms < until_ms)
		until_ms = exchange->deadline_ms;
	counter_add(exchange->shared->counters, requests_queued, 1);
	counter_add(exchange->shared->counters, requests_waiting, 1);
	exchange_enter(exchange, EXCHANGE_QUEUED);
	exchange_set_deadline(exchange, NULL, until_ms);
}

bool attempt_enter(struct exchange *exchange)
{
	struct admission *admission = &exchange->service->admission;
	if (LIKELY(admission->places->limit == 0))
		return attempt_begin(exchange);
	exchange->waiter.on_admitted = attempt_on_admitted;
	switch (admission_enter(admission, &exchange->waiter)) {
	case ADMISSION_TAKEN:
		exchange->is_admitted = true;
		return attempt_begin(exchange);
	case ADMISSION_WAITS:
		attempt_wait(exchange);
		return true;
	case ADMISSION_REFUSED:
		break;
	}
	exchange_fail(exchange, PROBLEM_OVERLOADED);
	return false;
}

void attempt_lost(struct exchange *exchange, enum problem problem, bool was_sent)
{
	bool was_pooled = exchange->attempt.upstream != NULL && exchange->attempt.upstream->is_reused;
	exchange->attempt.upstream = NULL;
	attempt_note_tried(exchange);
	exchange_end_attempt(exchange, exchange_evidence(problem, was_pooled));
	if (!attempt_may_retry(exchange, problem, was_sent)) {
		exchange_fail(exchange, problem);
		return;
	}
	exchange_enter(exchange, EXCHANGE_PICKING);
	if (attempt_begin(exchange) && exchange->state == EXCHANGE_WAITING)
		attempt_send_held(exchange);
}
