/* hedge - backends that are late (see hedge.h). */
#include "exchange/hedge.h"

#include "base/clock.h"
#include "exchange/attempt.h"
#include "exchange/trace.h"
#include "exchange/tries.h"

/* A request that waits is looked at again after as long as it has waited, and at most this long: what is
 * believed of its backend may have changed. */
#define HEDGE_LOOK_MS 250

/* Where nobody else is asked, a backend is taken for silent after so long: others might be as slow. */
#define HEDGE_ALONE_MS 1000

/* A backend that has just become suspect is probed at once. One that works has answered after this long, and
 * is waited for. */
#define HEDGE_PROBE_MS 32

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t waited_us(const struct attempt *attempt)
{
	return loop_now_us(attempt->exchange->shared->loop) - attempt->begun_us;
}

/* Is it believed that its backend does not answer? */
static bool is_doubted(const struct attempt *attempt)
{
	enum belief_state state = belief_state(&attempt->member->backend->belief);
	return state == BELIEF_SUSPECT || state == BELIEF_EJECTED || state == BELIEF_PROBING;
}

/* Nothing came of the member since it was asked, and others were asked later and have answered: well later,
 * as what makes all slow does not come to all at the same moment. Or nobody else was asked. */
static bool is_silent(const struct attempt *attempt)
{
	const struct member *member = attempt->member;
	const struct service *service = attempt->exchange->service;
	uint64_t waited = waited_us(attempt);
	if (member->answered_us > attempt->begun_us)
		return false;
	if (service->newest_answered_us > attempt->begun_us + waited / 2)
		return true;
	return service->roster.view.in_flight == member->in_flight && waited / 1000 >= HEDGE_ALONE_MS;
}

/* ---- Two attempts, and one again ------------------------------------------------------------- */

static struct attempt *other_of(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;
	return attempt == &exchange->hedge ? &exchange->attempt : &exchange->hedge;
}

/* The main attempt is over, and the hedge takes its place. */
static void hedge_promote(struct exchange *exchange)
{
	if (UNLIKELY(exchange->trace != NULL))
		trace_try_passes(&exchange->hedge, &exchange->attempt);
	exchange->attempt = exchange->hedge;
	exchange->hedge.member = NULL;
	exchange->hedge.upstream = NULL;
	upstream_pass_on(exchange->attempt.upstream, &exchange->attempt);
	if (upstream_is_connected(exchange->attempt.upstream))
		return;
	exchange_enter(exchange, EXCHANGE_PICKING);
	exchange_enter(exchange, EXCHANGE_CONNECTING);
}

/* One of two attempts is over; the other one is the main one then. */
static void hedge_drop(struct attempt *attempt, enum evidence evidence)
{
	struct exchange *exchange = attempt->exchange;
	exchange_release(attempt, evidence);
	if (attempt == &exchange->attempt)
		hedge_promote(exchange);
}

bool hedge_take_status(struct attempt *attempt, int status)
{
	/* An error is better than nothing: from the other one nothing is expected any more. */
	if (exchange_is_bad_status(status) && !is_doubted(other_of(attempt))) {
		hedge_drop(attempt, EVIDENCE_STATUS_5XX);
		return false;
	}
	if (attempt == &attempt->exchange->hedge)
		counter_add(attempt->exchange->shared->counters, hedges_won, 1);
	struct attempt *other = other_of(attempt);
	if (!is_doubted(other))
		latency_learn_at_least(&other->member->latency, waited_us(other));
	hedge_drop(other, EVIDENCE_CANCELLED);
	return true;
}

void hedge_lost(struct attempt *attempt, enum problem problem)
{
	bool was_pooled = attempt->upstream->is_reused;
	attempt->upstream = NULL;
	hedge_drop(attempt, exchange_evidence(problem, was_pooled));
}

/* ---- Late ------------------------------------------------------------------------------------ */

static bool may_hedge(const struct exchange *exchange)
{
	return exchange->state == EXCHANGE_WAITING && exchange->is_repeatable && exchange->is_request_done &&
	       exchange->is_held_whole && exchange->upgrade_bytes == 0;
}

/* Another one that may be asked as well; the budget has been charged for it. NULL: there is none. */
static struct member *hedge_pick(struct exchange *exchange)
{
	struct member *member = tries_other(exchange);
	return member != NULL && tries_take_budget(exchange) ? member : NULL;
}

static void hedge_ask(struct exchange *exchange, struct member *member)
{
	struct attempt *hedge = &exchange->hedge;
	*hedge = (struct attempt){.magic = ATTEMPT_MAGIC, .exchange = exchange};
	counter_add(exchange->shared->counters, hedges, 1);
	if (attempt_start(hedge, member) == PROBLEM_NONE && upstream_is_connected(hedge->upstream))
		attempt_send_held(hedge);
}

static void hedge_begin(struct exchange *exchange)
{
	struct member *member = hedge_pick(exchange);
	if (member != NULL)
		hedge_ask(exchange, member);
}

/* Both that were asked are silent: let the one go that was asked first, for a third one. */
static void hedge_again(struct exchange *exchange)
{
	if (!is_doubted(&exchange->attempt) || !is_doubted(&exchange->hedge) ||
		!upstream_is_connected(exchange->hedge.upstream))
		return;
	struct member *member = hedge_pick(exchange);
	if (member == NULL)
		return;
	hedge_drop(&exchange->attempt, EVIDENCE_CANCELLED);
	hedge_ask(exchange, member);
}

/* It cannot be connected to, or takes far longer than others: nothing was sent, so the request can go
 * elsewhere. */
static bool leave_connecting(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;
	uint64_t late_ms = exchange->service->latencies.connect_late_ms;
	bool is_late = late_ms != 0 && waited_us(attempt) / 1000 >= late_ms;
	if (!is_late && !is_doubted(attempt))
		return false;
	enum evidence evidence = is_late ? EVIDENCE_CONNECT_LATE : EVIDENCE_CANCELLED;
	if (!exchange_is_hedged(exchange))
		return tries_move(exchange, evidence);
	hedge_drop(attempt, evidence);
	return true;
}

/* The time that one attempt may take is over. */
static void end_late(struct attempt *attempt)
{
	if (exchange_is_hedged(attempt->exchange))
		hedge_drop(attempt, EVIDENCE_RESPONSE_TIMEOUT);
	else
		tries_give_up(attempt->exchange, PROBLEM_ATTEMPT_TIMEOUT, EVIDENCE_RESPONSE_TIMEOUT);
}

/* When to look again. */
static uint64_t next_look_ms(const struct attempt *attempt)
{
	const struct service *service = attempt->exchange->service;
	uint64_t waited_ms = waited_us(attempt) / 1000, hedge_ms = service->latencies.hedge_us / 1000;
	uint64_t next_ms = min_of(waited_ms + 1, HEDGE_LOOK_MS);
	if (attempt->member->late_ms > waited_ms)
		next_ms = min_of(next_ms, attempt->member->late_ms - waited_ms);
	if (hedge_ms > waited_ms)
		next_ms = min_of(next_ms, hedge_ms - waited_ms);
	if (service->attempt_ms > waited_ms)
		next_ms = min_of(next_ms, service->attempt_ms - waited_ms);
	return next_ms;
}

/* Returns after how many ms to look again at the latest. */
static uint64_t look_at(struct attempt *attempt)
{
	struct exchange *exchange = attempt->exchange;
	const struct service *service = exchange->service;
	uint64_t late_ms = attempt->member->late_ms, waited = waited_us(attempt);
	bool is_percentile = service->latencies.hedge_us != 0 && waited >= service->latencies.hedge_us;
	bool was_doubted = is_doubted(attempt);
	if (!upstream_is_silent(attempt->upstream))
		return HEDGE_LOOK_MS;
	if (!was_doubted && late_ms != 0 && waited / 1000 >= late_ms && is_silent(attempt))
		belief_weigh(&attempt->member->backend->belief, EVIDENCE_SILENT, attempt->begun_us / 1000,
			clock_coarse_ms());
	if (!may_hedge(exchange))
		return HEDGE_LOOK_MS;
	if (exchange_is_hedged(exchange))
		hedge_again(exchange);
	else if (was_doubted || is_percentile)
		hedge_begin(exchange);
	else if (is_doubted(attempt))
		return HEDGE_PROBE_MS;
	return HEDGE_LOOK_MS;
}

uint64_t hedge_on_late(struct attempt *attempt)
{
	uint64_t attempt_ms = attempt->exchange->service->attempt_ms;
	if (attempt_ms != 0 && waited_us(attempt) / 1000 >= attempt_ms) {
		end_late(attempt);
		return 0;
	}
	if (!upstream_is_connected(attempt->upstream))
		return leave_connecting(attempt) ? 0 : next_look_ms(attempt);
	uint64_t next_ms = next_look_ms(attempt);
	return min_of(next_ms, look_at(attempt));
}
