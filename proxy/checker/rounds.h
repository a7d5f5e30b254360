/* rounds - which endpoint is looked at next: two lines, and the bounds of pacing. Owns the probes; the wards
 * are their census's. */
#ifndef CHECKER_ROUNDS_H
#define CHECKER_ROUNDS_H

#include "base/loop.h"
#include "checker/pacing.h"
#include "checker/probe.h"
#include "checker/ward.h"

/* Of so many that are looked at while both lines are long, one is of the regular line. */
#define ROUNDS_URGENT_SHARE 4

struct rounds_events {
	/* It is this one's turn. False: it is not to be looked at any more. */
	bool (*on_turn)(void *owner, struct ward *ward, struct probe_plan *plan);
	/* How it went; EVIDENCE_NONE: we lacked what it takes. The ward may be let go in here. */
	void (*on_probed)(void *owner, struct ward *ward, enum evidence evidence);
};

struct rounds {
	struct loop *loop;
	const struct rounds_events *events;
	void *owner;
	struct prober prober;
	struct pacing pacing;
	struct ward_line lines[PACING_KIND_COUNT];
	uint32_t turn;
	bool is_running;
	struct wheel_timer again;
};

void rounds_init(struct rounds *rounds, struct loop *loop, const struct rounds_events *events, void *owner);

/* All wards have left, and the loop is finished, which frees the last probes. */
void rounds_finish(struct rounds *rounds);

/* Take a ward in, which is not looked at yet. */
void rounds_add(struct rounds *rounds, struct ward *ward);

/* Look at it as soon as that may be, instead of later; if it is being looked at, once more then. Takes effect
 * with the next rounds_run(). */
void rounds_look(struct ward *ward, enum pacing_kind kind);

/* Look at it at that time, instead of at any other time said; who stands in line is looked at sooner, anyway.
 */
void rounds_look_at(struct ward *ward, uint64_t time_ms);

/* Do not look at it, until one of the two above says otherwise; what is under way is broken off. */
void rounds_leave(struct ward *ward);

/* Begin what may begin. */
void rounds_run(struct rounds *rounds);

#endif
