/* belief - what is believed of one endpoint, by all threads: a state machine that evidence moves. A few
 * atomics inside of the backend; nobody waits for anybody.
 *
 *   NEW       listed, and not connected to yet: takes requests where no other can
 *   LIVE      takes requests
 *   SUSPECT   does not answer while others do, and is being probed: only a probe leads back
 *   EJECTED   takes none until its time is over
 *   PROBING   its time is over: a probe decides
 *   UNLISTED  gone from the registry with most of its service, but it works: takes requests
 *   LEAVING   gone from the registry: takes none, where there is another
 *
 *      +--------------- probe passed -----------------+
 *      v                                              |
 *   NEW -> LIVE <-- passed -- SUSPECT -- failed --> EJECTED --- time ---> PROBING -- passed --> LIVE
 *            | \-- silent ------^                    ^   ^------ failed -----/
 *            +---- errors in a row, nobody there ----+
 *   any -> LEAVING,  NEW, LIVE, SUSPECT, LEAVING -> UNLISTED -> LEAVING when a probe fails or nobody is there
 */
#ifndef HEALTH_BELIEF_H
#define HEALTH_BELIEF_H

#include "base/check.h"
#include "health/evidence.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BELIEF_STATES(X)                                                                                     \
	X(NEW, "new")                                                                                        \
	X(LIVE, "live")                                                                                      \
	X(SUSPECT, "suspect")                                                                                \
	X(EJECTED, "ejected")                                                                                \
	X(PROBING, "probing")                                                                                \
	X(UNLISTED, "unlisted")                                                                              \
	X(LEAVING, "leaving")

#define BELIEF_STATE_ENUM(name, text) BELIEF_##name,
enum belief_state { BELIEF_STATES(BELIEF_STATE_ENUM) BELIEF_STATE_COUNT };
#undef BELIEF_STATE_ENUM

/* "live". Static. */
const char *belief_state_text(enum belief_state state);

/* Hints about one endpoint are passed on at most so often. */
#define BELIEF_DOUBT_MS 50

/* An endpoint where nobody was is looked at again after this long, the first times: a process that is
 * restarted is back soon. Then after twice as long each time, up to: */
#define BELIEF_GONE_MS	   50
#define BELIEF_GONE_SOON   20
#define BELIEF_GONE_MAX_MS 500

/* While probes fail an ejection is at most so many times as long as the first one: they cost nobody a
 * request. */
#define BELIEF_PROBED_MAX 8

struct belief_rules {
	uint32_t errors_max;	  /* in a row, that eject; 0: never */
	uint32_t ejected_share;	  /* percent of a set that may be out for errors and silence; of two or more,
				     one always may */
	uint64_t ejection_ms;	  /* for errors and silence: the first one, */
	uint64_t ejection_max_ms; /* and the longest: each is twice as long as the one before */
};

struct belief;

/* So many changes are remembered by whom they were of. */
#define VERDICTS_REMEMBERED 32

/* What the endpoints of one service have in common. Shared by all threads; outlives them all. */
struct verdicts {
	const char *service;
	struct belief_rules rules;
	_Atomic uint32_t generation;		       /* another one after each change of a belief */
	_Atomic uint64_t changed[VERDICTS_REMEMBERED]; /* a generation above the key of whom it was of */
	_Atomic uint32_t count;			       /* endpoints in the set */
	_Atomic uint32_t softly_out; /* of these: suspect, or ejected, for errors or silence */
	_Atomic uint32_t in_state[BELIEF_STATE_COUNT];
	_Atomic uint64_t entered[BELIEF_STATE_COUNT][EVIDENCE_COUNT]; /* changes, by where to and why */
	_Atomic uint64_t probes[EVIDENCE_COUNT]; /* by what came of them; written by who probes */
	_Atomic uint64_t
		flapped; /* had to wait before they were believed in: they had come and gone too often */
	_Atomic uint64_t late_us; /* an answer that takes longer is late, by the latest word; 0: not known */
	_Atomic uint64_t denied;  /* ejections that ejected_share did not allow */
	/* An endpoint wants to be looked at. From any thread. NULL: nobody looks, so nobody would be let in
	 * again, so nobody is put out. Set before any evidence comes. */
	void (*on_doubt)(void *arg, struct belief *belief);
	void *arg;
};

struct belief {
	_Atomic uint64_t word; /* state, its reason, since when: belief_state() and the like take it apart */
	_Atomic uint64_t until_ms; /* an ejection's end */
	_Atomic uint64_t doubted_ms;
	_Atomic uint32_t errors;    /* in a row */
	_Atomic uint32_t ejections; /* in a row: each is longer than the one before */
	const char *name;
	struct verdicts *verdicts;
};

void verdicts_init(struct verdicts *verdicts, const char *service, const struct belief_rules *rules);

/* How many endpoints the set has: shares are of that. */
void verdicts_set_count(struct verdicts *verdicts, uint32_t count);

/* Whose belief it is, as good as certain: two may have the same key. */
static inline uint32_t belief_key(const struct belief *belief)
{
	return (uint32_t)((uintptr_t)belief >> 6);
}

/* The key of the endpoint whose change made this generation. False: that is not known any more, or not yet.
 */
static inline bool verdicts_changed(const struct verdicts *verdicts, uint32_t generation, uint32_t *key)
{
	uint64_t changed = atomic_load_explicit(
		&verdicts->changed[generation % VERDICTS_REMEMBERED], memory_order_acquire);
	*key = (uint32_t)changed;
	return changed >> 32 == generation;
}

/* That of an endpoint that has just come: NEW. `name` and `verdicts` are borrowed, and outlive it; with NULL
 * for the verdicts it is LIVE for ever. */
void belief_init(struct belief *belief, const char *name, struct verdicts *verdicts, uint64_t now_ms);

/* Count it no more. */
void belief_finish(struct belief *belief);

/* The parts of belief->word: since when in ms, softly out, its reason, its state. */
#define BELIEF_WORD_SINCE  16
#define BELIEF_WORD_SOFT   BIT(15)
#define BELIEF_WORD_REASON 4
#define BELIEF_WORD_STATE  UINT64_C(15)

static inline enum belief_state belief_word_state(uint64_t word)
{
	return (enum belief_state)(word & BELIEF_WORD_STATE);
}

static inline enum evidence belief_word_reason(uint64_t word)
{
	return (enum evidence)((word >> BELIEF_WORD_REASON) & 0xff);
}

static inline enum belief_state belief_state(const struct belief *belief)
{
	return belief_word_state(atomic_load_explicit(&belief->word, memory_order_acquire));
}

/* The evidence that led to its state; of PROBING, that which it was ejected for. */
static inline enum evidence belief_reason(const struct belief *belief)
{
	return belief_word_reason(atomic_load_explicit(&belief->word, memory_order_acquire));
}

/* When it entered its state, on the clock of clock_coarse_ms(). */
static inline uint64_t belief_since_ms(const struct belief *belief)
{
	return atomic_load_explicit(&belief->word, memory_order_acquire) >> BELIEF_WORD_SINCE;
}

/* Weigh evidence that came at `now_ms` of an attempt or a probe that began at `begun_ms`: what began before
 * the endpoint entered its state says nothing of it now, unless that nobody is there. Changes the state if
 * that follows; then the change is logged and counted, rosters look again, and on_doubt is called for who is
 * put out. Any thread. */
void belief_weigh(struct belief *belief, enum evidence evidence, uint64_t begun_ms, uint64_t now_ms);

/* Would belief_weigh() do anything with an answer? Seldom: the path of a request asks this first. */
static inline bool belief_wants_answers(const struct belief *belief)
{
	return atomic_load_explicit(&belief->errors, memory_order_relaxed) != 0 ||
	       belief_word_state(atomic_load_explicit(&belief->word, memory_order_relaxed)) != BELIEF_LIVE;
}

#endif
