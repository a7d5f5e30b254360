/* rounds - who is looked at next (see rounds.h). */
#include "checker/rounds.h"

#include "base/clock.h"

static void rounds_on_again(struct wheel_timer *timer)
{
	rounds_run(CONTAINER_OF(timer, struct rounds, again));
}

void rounds_init(struct rounds *rounds, struct loop *loop, const struct rounds_events *events, void *owner)
{
	*rounds = (struct rounds){.loop = loop, .events = events, .owner = owner};
	prober_init(&rounds->prober, loop);
	pacing_init(&rounds->pacing, clock_coarse_ms());
	for (int kind = 0; kind < PACING_KIND_COUNT; kind++)
		TAILQ_INIT(&rounds->lines[kind]);
	wheel_timer_init(&rounds->again, rounds_on_again);
}

void rounds_finish(struct rounds *rounds)
{
	for (int kind = 0; kind < PACING_KIND_COUNT; kind++)
		assert(TAILQ_EMPTY(&rounds->lines[kind]) && rounds->pacing.in_flight[kind] == 0);
	prober_finish(&rounds->prober);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void rounds_on_time(struct wheel_timer *timer)
{
	struct ward *ward = CONTAINER_OF(timer, struct ward, timer);
	rounds_look(ward, PACING_REGULAR);
	rounds_run(ward->rounds);
}

void rounds_add(struct rounds *rounds, struct ward *ward)
{
	ward->rounds = rounds;
	wheel_timer_init(&ward->timer, rounds_on_time);
}

static void rounds_leave_line(struct ward *ward)
{
	if (ward->is_in_line)
		TAILQ_REMOVE(&ward->rounds->lines[ward->kind], ward, line);
	ward->is_in_line = false;
}

void rounds_look(struct ward *ward, enum pacing_kind kind)
{
	wheel_disarm(&ward->timer);
	if (ward->probe != NULL) {
		ward->is_wanted_again = true;
		return;
	}
	if (ward->is_in_line && (ward->kind == PACING_URGENT || kind == PACING_REGULAR))
		return;
	rounds_leave_line(ward);
	ward->kind = kind;
	ward->is_in_line = true;
	TAILQ_INSERT_TAIL(&ward->rounds->lines[kind], ward, line);
}

void rounds_look_at(struct ward *ward, uint64_t time_ms)
{
	if (!ward->is_in_line)
		wheel_arm(&ward->rounds->loop->wheel, &ward->timer, time_ms);
}

void rounds_leave(struct ward *ward)
{
	if (ward->rounds == NULL)
		return;
	rounds_leave_line(ward);
	wheel_forget(&ward->timer);
	ward->is_wanted_again = false;
	if (ward->probe == NULL)
		return;
	probe_cancel(&ward->probe);
	pacing_end(&ward->rounds->pacing, ward->kind);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* Tell of it, and see to it that it is looked at again where that was wished meanwhile. The ward may be gone
 * then. */
static void rounds_end(struct rounds *rounds, struct ward *ward, enum evidence evidence)
{
	ward->probe = NULL;
	pacing_end(&rounds->pacing, ward->kind);
	if (ward->is_wanted_again) {
		ward->is_wanted_again = false;
		rounds_look(ward, PACING_URGENT);
	}
	rounds->events->on_probed(rounds->owner, ward, evidence);
}

static void rounds_on_done(void *owner, enum evidence evidence)
{
	struct ward *ward = owner;
	struct rounds *rounds = ward->rounds;
	rounds_end(rounds, ward, evidence);
	rounds_run(rounds);
}

static void rounds_begin(struct rounds *rounds, struct ward *ward)
{
	struct probe_plan plan = {.backend = ward->backend};
	rounds_leave_line(ward);
	if (!rounds->events->on_turn(rounds->owner, ward, &plan))
		return;
	pacing_begin(&rounds->pacing, ward->kind);
	ward->begun_ms = clock_coarse_ms();
	enum evidence evidence = probe_begin(&rounds->prober, &plan, rounds_on_done, ward, &ward->probe);
	if (ward->probe == NULL)
		rounds_end(rounds, ward, evidence);
}

/* The first of a line, if it may be looked at now. */
static struct ward *rounds_first(struct rounds *rounds, enum pacing_kind kind)
{
	struct ward *first = TAILQ_FIRST(&rounds->lines[kind]);
	return first != NULL && pacing_may_begin(&rounds->pacing, kind, clock_coarse_ms()) ? first : NULL;
}

/* Neither line is kept waiting by the other, however long that is. */
static struct ward *rounds_next(struct rounds *rounds)
{
	struct ward *urgent = rounds_first(rounds, PACING_URGENT);
	struct ward *regular = rounds_first(rounds, PACING_REGULAR);
	if (urgent == NULL || regular == NULL)
		return urgent != NULL ? urgent : regular;
	return ++rounds->turn % ROUNDS_URGENT_SHARE != 0 ? urgent : regular;
}

/* Who still stands in line is looked at when a probe ends, or when time allows it. */
static void rounds_wait(struct rounds *rounds)
{
	uint64_t soonest_ms = 0;
	for (int kind = 0; kind < PACING_KIND_COUNT; kind++) {
		uint64_t wait_ms = TAILQ_EMPTY(&rounds->lines[kind])
					   ? 0
					   : pacing_wait_ms(&rounds->pacing, (enum pacing_kind)kind);
		if (wait_ms > 0 && (soonest_ms == 0 || wait_ms < soonest_ms))
			soonest_ms = wait_ms;
	}
	if (soonest_ms > 0)
		wheel_arm(&rounds->loop->wheel, &rounds->again, clock_coarse_ms() + soonest_ms);
}

void rounds_run(struct rounds *rounds)
{
	struct ward *ward;
	if (rounds->is_running)
		return;
	rounds->is_running = true;
	while ((ward = rounds_next(rounds)) != NULL)
		rounds_begin(rounds, ward);
	rounds->is_running = false;
	rounds_wait(rounds);
}
