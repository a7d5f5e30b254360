/* attempt - gets a request to a backend (see attempt.h). */
#include "exchange/attempt.h"

#include "base/clock.h"
#include "exchange/explain.h"
#include "exchange/trace.h"
#include "relay.h"
#include "upstream/pool.h"

/* Body bytes, framed, that are held for another attempt. For a connection that is not made yet the client is
 * read until there are so many: by what its last receive brought there may be more. */
#define EXCHANGE_HELD_MAX (64 * 1024)

struct member *attempt_pick(const struct exchange *exchange)
{
	return roster_pick_for(&exchange->service->roster, &exchange->shared->loop->random, exchange->key,
		exchange->tried, exchange->tried_count);
}

enum problem attempt_lack(const struct exchange *exchange)
{
	static const enum problem problems[] = {
		[ROSTER_UNKNOWN] = PROBLEM_SET_UNKNOWN,
		[ROSTER_EMPTY] = PROBLEM_SET_EMPTY,
		[ROSTER_EJECTED] = PROBLEM_ALL_EJECTED,
		[ROSTER_BUSY] = PROBLEM_QUEUE_TIMEOUT,
	};
	return problems[roster_lack(&exchange->service->roster)];
}

/* A connection to the member. Where only descriptors or memory are missing, idle connections make room, once.
 */
static enum problem attempt_lease(struct attempt *attempt)
{
	const struct exchange_shared *shared = attempt->exchange->shared;
	/* Where one backend has just died others may have, and each connection that died in the pool would
	 * cost a try. */
	bool is_careful = !attempt->exchange->is_repeatable || attempt->exchange->tried_count > 1;
	struct pool *pool = attempt->member->pool;
	enum problem problem = PROBLEM_NONE;
	attempt->upstream = pool_lease(pool, attempt, is_careful, &problem);
	if (UNLIKELY(problem == PROBLEM_NO_MEMORY) && attempt->upstream == NULL &&
		shared->make_room != NULL && shared->make_room(shared->make_room_arg))
		attempt->upstream = pool_lease(pool, attempt, is_careful, &problem);
	return problem;
}

static void attempt_note(const struct attempt *attempt)
{
	trace_try_begins(attempt);
	if (attempt->exchange->trace->explanation != NULL)
		explain_choice(attempt->exchange, attempt->member);
}

enum problem attempt_start(struct attempt *attempt, struct member *member)
{
	struct exchange *exchange = attempt->exchange;
	attempt->member = member;
	attempt->begun_us = loop_now_us(exchange->shared->loop);
	if (exchange->tried_count < EXCHANGE_TRIES_MAX)
		exchange->tried[exchange->tried_count++] = member;
	roster_begin(&exchange->service->roster, member);
	if (UNLIKELY(exchange->trace != NULL))
		attempt_note(attempt);
	counter_add(exchange->shared->counters, attempts, 1);
	enum problem problem = attempt_lease(attempt);
	if (UNLIKELY(attempt->upstream == NULL)) {
		exchange_release(attempt, exchange_evidence(problem, false));
		return problem;
	}
	upstream_begin(attempt->upstream, exchange->method, exchange->upgrade_bytes > 0);
	return PROBLEM_NONE;
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
static void attempt_balance(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;
	if (UNLIKELY(exchange->is_continue_owed))
		attempt_say_continue(exchange);
	if (exchange->is_request_done)
		upstream_request_done(attempt->upstream);
	else if (upstream_is_congested(attempt->upstream))
		downstream_pause(exchange->client);
	else
		downstream_resume(exchange->client);
}

/* May it still be needed for another attempt? */
static bool attempt_is_worth_holding(const struct attempt *attempt)
{
	return attempt->exchange->is_repeatable || !upstream_is_sent(attempt->upstream);
}

void attempt_send_held(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;
	attempt->begun_us = loop_now_us(exchange->shared->loop); /* it was connected to until now */
	struct iovec parts[2] = {{(void *)(uintptr_t)exchange->head.at, exchange->head.bytes},
		{(void *)(uintptr_t)bytes_at(&exchange->held_body), bytes_count(&exchange->held_body)}};
	upstream_send(attempt->upstream, parts, exchange->held_body.memory != NULL ? 2 : 1);
	if (!attempt_is_worth_holding(attempt) || bytes_count(&exchange->held_body) > EXCHANGE_HELD_MAX) {
		exchange->is_held_whole = false;
		bytes_free(&exchange->held_body);
	}
	attempt_balance(attempt);
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
	exchange->is_held_whole = attempt_is_worth_holding(&exchange->attempt) && held <= EXCHANGE_HELD_MAX &&
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
	if (UNLIKELY(exchange->state != EXCHANGE_WAITING && exchange->state != EXCHANGE_RELAYING)) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		if (!attempt_hold(exchange, &run))
			exchange_fail(exchange, PROBLEM_NO_MEMORY);
		/* Who waits for a 100 is not late: it is we who have not said it. */
		else if (exchange->is_continue_owed || bytes_count(&exchange->held_body) > EXCHANGE_HELD_MAX)
			downstream_pause(exchange->client);
		return;
	}
	relay_frame(&run, head, exchange->request_body, parts, count, is_last);
	if (is_last) /* its time runs from when it was asked all */
		exchange->attempt.begun_us = loop_now_us(exchange->shared->loop);
	upstream_send(exchange->attempt.upstream, run.parts, run.count);
	if (exchange->is_held_whole && exchange->request_body != HTTP_BODY_NONE) {
		relay_frame(&run, STR(""), exchange->request_body, parts, count, is_last);
		attempt_hold_for_repeat(exchange, &run);
	}
	if (!exchange->is_held_whole && exchange->request_body == HTTP_BODY_LENGTH)
		downstream_allow_pipe(exchange->client);
	attempt_balance(&exchange->attempt);
}

void attempt_pipe_body(struct exchange *exchange, bool is_last)
{
	assert(exchange->state == EXCHANGE_WAITING || exchange->state == EXCHANGE_RELAYING);
	exchange->is_request_done = is_last;
	if (is_last)
		exchange->attempt.begun_us = loop_now_us(exchange->shared->loop);
	upstream_send_piped(exchange->attempt.upstream);
	attempt_balance(&exchange->attempt);
}
