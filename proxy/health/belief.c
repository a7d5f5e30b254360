/* belief - what is believed of an endpoint (see belief.h). */
#include "health/belief.h"

#include "base/log.h"

static const uint8_t belief_edges[] = {
	[BELIEF_NEW] = BIT(BELIEF_LIVE) | BIT(BELIEF_EJECTED) | BIT(BELIEF_UNLISTED) | BIT(BELIEF_LEAVING),
	[BELIEF_LIVE] =
		BIT(BELIEF_SUSPECT) | BIT(BELIEF_EJECTED) | BIT(BELIEF_UNLISTED) | BIT(BELIEF_LEAVING),
	[BELIEF_SUSPECT] =
		BIT(BELIEF_LIVE) | BIT(BELIEF_EJECTED) | BIT(BELIEF_UNLISTED) | BIT(BELIEF_LEAVING),
	[BELIEF_EJECTED] = BIT(BELIEF_PROBING) | BIT(BELIEF_LIVE) | BIT(BELIEF_LEAVING),
	[BELIEF_PROBING] = BIT(BELIEF_LIVE) | BIT(BELIEF_EJECTED) | BIT(BELIEF_LEAVING),
	[BELIEF_UNLISTED] = BIT(BELIEF_LEAVING),
	[BELIEF_LEAVING] = BIT(BELIEF_UNLISTED),
};

#define BELIEF_STATE_TEXT(name, text) [BELIEF_##name] = (text),
static const char *const belief_state_texts[] = {BELIEF_STATES(BELIEF_STATE_TEXT)};

const char *belief_state_text(enum belief_state state)
{
	return belief_state_texts[state];
}

/* ---- The service ----------------------------------------------------------------------------- */

void verdicts_init(struct verdicts *verdicts, const char *service, const struct belief_rules *rules)
{
	*verdicts = (struct verdicts){.service = service, .rules = *rules};
	atomic_init(&verdicts->generation, 1);
}

void verdicts_set_count(struct verdicts *verdicts, uint32_t count)
{
	atomic_store_explicit(&verdicts->count, count, memory_order_relaxed);
}

/* May one more be out for errors or silence? Then it is counted. */
static bool verdicts_take_out(struct verdicts *verdicts)
{
	uint32_t count = atomic_load_explicit(&verdicts->count, memory_order_relaxed);
	uint64_t allowed = (uint64_t)count * verdicts->rules.ejected_share / 100;
	if (allowed == 0 && verdicts->rules.ejected_share > 0)
		allowed = count >= 2;
	if (atomic_fetch_add_explicit(&verdicts->softly_out, 1, memory_order_relaxed) < allowed)
		return true;
	atomic_fetch_sub_explicit(&verdicts->softly_out, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&verdicts->denied, 1, memory_order_relaxed);
	return false;
}

/* Rosters look again, and at whom. */
static void verdicts_tell(struct verdicts *verdicts, const struct belief *belief)
{
	uint32_t generation = atomic_fetch_add_explicit(&verdicts->generation, 1, memory_order_release) + 1;
	atomic_store_explicit(&verdicts->changed[generation % VERDICTS_REMEMBERED],
		((uint64_t)generation << 32) | belief_key(belief), memory_order_release);
}

static void verdicts_let_in(struct verdicts *verdicts)
{
	atomic_fetch_sub_explicit(&verdicts->softly_out, 1, memory_order_relaxed);
}

/* ---- One door for the state ------------------------------------------------------------------ */

static uint64_t belief_word(enum belief_state state, enum evidence reason, bool is_soft, uint64_t since_ms)
{
	return (since_ms << BELIEF_WORD_SINCE) | (is_soft ? BELIEF_WORD_SOFT : 0) |
	       ((uint64_t)reason << BELIEF_WORD_REASON) | (uint64_t)state;
}

void belief_init(struct belief *belief, const char *name, struct verdicts *verdicts, uint64_t now_ms)
{
	enum belief_state state = verdicts != NULL ? BELIEF_NEW : BELIEF_LIVE;
	*belief = (struct belief){.name = name, .verdicts = verdicts};
	atomic_init(&belief->word, belief_word(state, EVIDENCE_NONE, false, now_ms));
	if (verdicts != NULL)
		atomic_fetch_add_explicit(&verdicts->in_state[state], 1, memory_order_relaxed);
}

void belief_finish(struct belief *belief)
{
	uint64_t word = atomic_load_explicit(&belief->word, memory_order_relaxed);
	if (belief->verdicts == NULL)
		return;
	atomic_fetch_sub_explicit(
		&belief->verdicts->in_state[belief_word_state(word)], 1, memory_order_relaxed);
	if ((word & BELIEF_WORD_SOFT) != 0)
		verdicts_let_in(belief->verdicts);
}

static void belief_log(
	const struct belief *belief, uint64_t from, enum belief_state to, enum evidence why, uint64_t now_ms)
{
	enum belief_state state = belief_word_state(from);
	bool is_bad = to == BELIEF_SUSPECT || (to == BELIEF_EJECTED && state != BELIEF_PROBING);
	bool is_usual = (to == BELIEF_LEAVING && state != BELIEF_UNLISTED) || to == BELIEF_PROBING ||
			state == BELIEF_NEW || state == BELIEF_PROBING;
	if (to == BELIEF_LIVE && state == BELIEF_PROBING)
		is_usual = false;
	log_event(is_bad     ? LOG_WARNING
		  : is_usual ? LOG_DEBUG
			     : LOG_INFO,
		"backend state", LOG_TEXT("service", belief->verdicts->service),
		LOG_TEXT("endpoint", belief->name), LOG_TEXT("state", belief_state_text(to)),
		LOG_TEXT("before", belief_state_text(state)), LOG_TEXT("evidence", evidence_row(why)->code),
		LOG_INT("after_ms", now_ms - (from >> BELIEF_WORD_SINCE)));
}

/* Who is out for errors or silence is counted as such until it is let in or leaves. */
static bool belief_becomes_soft(uint64_t from, enum belief_state to, enum evidence evidence)
{
	enum evidence_kind kind = evidence_row(evidence)->kind;
	bool was_soft = (from & BELIEF_WORD_SOFT) != 0;
	if (to == BELIEF_SUSPECT || to == BELIEF_PROBING)
		return was_soft || to == BELIEF_SUSPECT;
	if (to != BELIEF_EJECTED)
		return false;
	if (belief_word_state(from) == BELIEF_NEW)
		return false; /* it never was in: nothing is lost by leaving it out */
	if (belief_word_state(from) == BELIEF_LIVE)
		return kind == EVIDENCE_KIND_ERROR || kind == EVIDENCE_KIND_SILENCE;
	return was_soft && kind != EVIDENCE_KIND_GONE;
}

/* How long the next look is put off where nobody was, the nth time in a row. */
static uint64_t belief_gone_ms(uint32_t nth)
{
	uint64_t wait_ms = BELIEF_GONE_MS;
	for (; nth >= BELIEF_GONE_SOON && wait_ms < BELIEF_GONE_MAX_MS; nth--)
		wait_ms *= 2;
	return wait_ms < BELIEF_GONE_MAX_MS ? wait_ms : BELIEF_GONE_MAX_MS;
}

/* How long an ejection for errors or silence lasts. Each is twice as long, the longest only for those that
 * failed requests again and again. */
static uint64_t belief_ejection_ms(const struct belief_rules *rules, uint64_t from, uint32_t nth)
{
	uint64_t wait_ms = rules->ejection_ms, longest_ms = rules->ejection_max_ms;
	if (belief_word_state(from) == BELIEF_PROBING && longest_ms > BELIEF_PROBED_MAX * wait_ms)
		longest_ms = BELIEF_PROBED_MAX * wait_ms;
	for (; nth > 0 && wait_ms < longest_ms; nth--)
		wait_ms *= 2;
	return wait_ms < longest_ms ? wait_ms : longest_ms;
}

/* What was live for long enough since the last time begins anew. */
static void belief_set_until(struct belief *belief, uint64_t from, enum evidence evidence, uint64_t now_ms)
{
	const struct belief_rules *rules = &belief->verdicts->rules;
	bool is_gone = evidence_row(evidence)->kind == EVIDENCE_KIND_GONE;
	uint64_t lasted_ms = now_ms - (from >> BELIEF_WORD_SINCE);
	if (belief_word_state(from) == BELIEF_LIVE && (is_gone || lasted_ms >= rules->ejection_max_ms))
		atomic_store_explicit(&belief->ejections, 0, memory_order_relaxed);
	uint32_t nth = atomic_fetch_add_explicit(&belief->ejections, 1, memory_order_relaxed);
	uint64_t wait_ms = is_gone ? belief_gone_ms(nth) : belief_ejection_ms(rules, from, nth);
	atomic_store_explicit(&belief->until_ms, now_ms + wait_ms, memory_order_release);
}

/* What was ejected for its errors is put out again by the first one. */
static void belief_set_errors(struct belief *belief, uint64_t from, enum belief_state to)
{
	uint32_t errors_max = belief->verdicts->rules.errors_max;
	bool was_erring = evidence_row(belief_word_reason(from))->kind == EVIDENCE_KIND_ERROR;
	uint32_t errors = to == BELIEF_LIVE && was_erring && errors_max > 0 ? errors_max - 1 : 0;
	atomic_store_explicit(&belief->errors, errors, memory_order_relaxed);
}

/* Out before and after, for something as bad: nobody need choose anew for that, each time that a dead
 * endpoint is tried. */
static bool belief_is_as_bad(uint64_t from, enum belief_state to, enum evidence reason)
{
	enum belief_state state = belief_word_state(from);
	return (state == BELIEF_EJECTED || state == BELIEF_PROBING) &&
	       (to == BELIEF_EJECTED || to == BELIEF_PROBING) &&
	       evidence_row(belief_word_reason(from))->rank == evidence_row(reason)->rank;
}

/* The only door to the state: false when another thread was faster. */
static bool belief_enter(
	struct belief *belief, uint64_t from, enum belief_state to, enum evidence evidence, uint64_t now_ms)
{
	struct verdicts *verdicts = belief->verdicts;
	enum belief_state state = belief_word_state(from);
	bool was_soft = (from & BELIEF_WORD_SOFT) != 0, is_soft = belief_becomes_soft(from, to, evidence);
	enum evidence reason = to == BELIEF_PROBING ? belief_word_reason(from) : evidence;
	CHECK_EDGE(belief_edges, state, to);
	if (is_soft && !was_soft && !verdicts_take_out(verdicts))
		return true;
	if (!atomic_compare_exchange_strong_explicit(&belief->word, &from,
		    belief_word(to, reason, is_soft, now_ms), memory_order_acq_rel, memory_order_acquire)) {
		if (is_soft && !was_soft)
			verdicts_let_in(verdicts);
		return false;
	}
	if (was_soft && !is_soft)
		verdicts_let_in(verdicts);
	if (to == BELIEF_EJECTED)
		belief_set_until(belief, from, evidence, now_ms);
	belief_set_errors(belief, from, to);
	atomic_fetch_sub_explicit(&verdicts->in_state[state], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&verdicts->in_state[to], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&verdicts->entered[to][evidence], 1, memory_order_relaxed);
	if (!belief_is_as_bad(from, to, reason))
		verdicts_tell(verdicts, belief);
	belief_log(belief, from, to, evidence, now_ms);
	if (to == BELIEF_SUSPECT || to == BELIEF_EJECTED ||
		(to == BELIEF_LEAVING && evidence != EVIDENCE_REMOVED))
		verdicts->on_doubt(verdicts->arg, belief);
	return true;
}

/* ---- Weighing -------------------------------------------------------------------------------- */

/* It works. An answer to a request proves less than a probe: it may have been due for long. */
static enum belief_state belief_after_good(struct belief *belief, enum belief_state state, bool is_probe)
{
	if (state == BELIEF_LIVE && !is_probe)
		atomic_store_explicit(&belief->errors, 0, memory_order_relaxed);
	if (state == BELIEF_NEW)
		return BELIEF_LIVE;
	if (is_probe && (state == BELIEF_SUSPECT || state == BELIEF_EJECTED || state == BELIEF_PROBING))
		return BELIEF_LIVE;
	return state;
}

/* It fails, in the way that `kind` says: where that puts it out at once. */
static enum belief_state belief_after_bad(enum belief_state state, enum evidence_kind kind, bool is_probe)
{
	bool is_gone = kind == EVIDENCE_KIND_GONE;
	switch (state) {
	case BELIEF_NEW:
	case BELIEF_PROBING:
	case BELIEF_SUSPECT:
		return is_gone || is_probe ? BELIEF_EJECTED : state;
	case BELIEF_LIVE:
		return is_gone ? BELIEF_EJECTED : kind == EVIDENCE_KIND_SILENCE ? BELIEF_SUSPECT : state;
	case BELIEF_UNLISTED:
		return is_gone || is_probe ? BELIEF_LEAVING : state;
	default:
		return state;
	}
}

static enum belief_state belief_after_error(struct belief *belief, enum belief_state state, bool is_probe)
{
	uint32_t errors_max = belief->verdicts->rules.errors_max;
	if (state == BELIEF_LIVE || (state == BELIEF_NEW && !is_probe)) {
		uint32_t errors = atomic_fetch_add_explicit(&belief->errors, 1, memory_order_relaxed) + 1;
		return errors_max > 0 && errors >= errors_max ? BELIEF_EJECTED : state;
	}
	return belief_after_bad(state, EVIDENCE_KIND_ERROR, is_probe);
}

static enum belief_state belief_after_other(enum belief_state state, enum evidence evidence)
{
	switch (evidence) {
	case EVIDENCE_REMOVED:
		return BELIEF_LEAVING;
	case EVIDENCE_VANISHED:
		return state == BELIEF_EJECTED || state == BELIEF_PROBING ? BELIEF_LEAVING : BELIEF_UNLISTED;
	case EVIDENCE_UNLISTED_TOO_LONG:
		return state == BELIEF_UNLISTED ? BELIEF_LEAVING : state;
	case EVIDENCE_EJECTION_OVER:
		return state == BELIEF_EJECTED ? BELIEF_PROBING : state;
	default:
		return state;
	}
}

static enum belief_state belief_after(struct belief *belief, enum belief_state state, enum evidence evidence)
{
	enum evidence_kind kind = evidence_row(evidence)->kind;
	bool is_probe = evidence_is_probe(evidence);
	switch (kind) {
	case EVIDENCE_KIND_GOOD:
		return belief_after_good(belief, state, is_probe);
	case EVIDENCE_KIND_ERROR:
		return belief_after_error(belief, state, is_probe);
	case EVIDENCE_KIND_SILENCE:
	case EVIDENCE_KIND_GONE:
		return belief_after_bad(state, kind, is_probe);
	default:
		return belief_after_other(state, evidence);
	}
}

/* It is not put out for this, or not yet, but should be looked at: soon, and not too often. */
static void belief_doubt(struct belief *belief, uint64_t now_ms)
{
	uint64_t last_ms = atomic_load_explicit(&belief->doubted_ms, memory_order_relaxed);
	if (now_ms - last_ms < BELIEF_DOUBT_MS ||
		!atomic_compare_exchange_strong_explicit(
			&belief->doubted_ms, &last_ms, now_ms, memory_order_relaxed, memory_order_relaxed))
		return;
	belief->verdicts->on_doubt(belief->verdicts->arg, belief);
}

/* Is it about the endpoint as it is now? That nobody is there was seen just now, whenever it was begun. */
static bool belief_is_current(uint64_t word, enum evidence evidence, uint64_t begun_ms)
{
	enum evidence_kind kind = evidence_row(evidence)->kind;
	return kind == EVIDENCE_KIND_GONE || kind == EVIDENCE_KIND_HINT || kind == EVIDENCE_KIND_NOTHING ||
	       begun_ms >= word >> BELIEF_WORD_SINCE;
}

void belief_weigh(struct belief *belief, enum evidence evidence, uint64_t begun_ms, uint64_t now_ms)
{
	uint64_t word;
	enum belief_state state, next;
	if (belief->verdicts == NULL || belief->verdicts->on_doubt == NULL)
		return;
	do {
		word = atomic_load_explicit(&belief->word, memory_order_acquire);
		state = belief_word_state(word);
		if (!belief_is_current(word, evidence, begun_ms))
			return;
		next = belief_after(belief, state, evidence);
	} while (next != state && !belief_enter(belief, word, next, evidence, now_ms));
	bool is_unsure = state == BELIEF_UNLISTED && evidence_row(evidence)->kind != EVIDENCE_KIND_GOOD &&
			 evidence_row(evidence)->kind != EVIDENCE_KIND_NOTHING;
	if (next == state && (evidence_row(evidence)->kind == EVIDENCE_KIND_HINT || is_unsure))
		belief_doubt(belief, now_ms);
}
