/* care - the endpoints of one service: what is asked of them, and what follows from their answers and from
 * what the registry lists. Evidence goes to the beliefs; what they say decides on who is looked at when. Owns
 * the census. */
#ifndef CHECKER_CARE_H
#define CHECKER_CARE_H

#include "checker/census.h"
#include "checker/rounds.h"
#include "config/settings.h"
#include "health/belief.h"

/* While the registry is not believed, who is unlisted is looked at so often, */
#define CARE_UNLISTED_MS 1000
/* and dropped when so many of these looks in a row brought no good answer; at once where nobody is there. */
#define CARE_UNLISTED_FAILURES 3
/* Where it is known how long answers take, a probe has so many times what is late, but no less than this. */
#define CARE_TIMEOUT_OF_LATE  4
#define CARE_TIMEOUT_LEAST_MS 250

/* Who still answers so long after its registration vanished was not stopped on purpose: that is an alarm. */
#define CARE_ALARM_MS 1000
/* Sets that were sent are held so many back, until nobody else does: to let go of thousands of backends is
 * not work for a worker. */
#define CARE_SENT 8

/* What we lacked descriptors or memory for is tried again after this long. */
#define CARE_SHORTAGE_MS 500

struct care {
	const char *service;
	const struct health_settings *settings;
	struct verdicts *verdicts;
	struct rounds *rounds;
	struct census census;
	struct fleet *behind;	       /* of the registry, not taken on yet: no memory */
	struct fleet *sent[CARE_SENT]; /* the newest last */
	size_t sent_count;
	bool is_changed;	 /* another set is to be used: send it */
	bool is_distrusting;	 /* as it was told of */
	bool is_alarmed;	 /* the same */
	uint64_t distrusting_ms; /* since then */
};

/* The rounds' owner must be whoever calls care_on_turn() and care_on_probed(). */
void care_init(struct care *care, const char *service, const struct health_settings *settings,
	struct verdicts *verdicts, struct rounds *rounds);

void care_finish(struct care *care);

/* The service that a ward is of. */
static inline struct care *care_of(const struct ward *ward)
{
	return CONTAINER_OF(ward->census, struct care, census);
}

/* The registry lists this now; takes the reference over. What there is no memory for is tried again at each
 * tick. */
void care_take(struct care *care, struct fleet *fleet, uint64_t now_ms);

/* This set has been sent; takes the reference over. */
void care_hold_sent(struct care *care, struct fleet *fleet);

/* Evidence came of this one, and it was put out for it or should be looked at. */
void care_doubt(struct care *care, const struct backend *backend, uint64_t now_ms);

/* The same for all: such a message was lost. */
void care_doubt_all(struct care *care, uint64_t now_ms);

/* From time to time. */
void care_tick(struct care *care, uint64_t now_ms);

/* See struct rounds_events. */
bool care_on_turn(struct ward *ward, struct probe_plan *plan, uint64_t now_ms);
void care_on_probed(struct ward *ward, enum evidence evidence, uint64_t now_ms);

#endif
