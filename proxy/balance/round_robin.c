/* round_robin - the policy "round_robin": one member after the other; where they have weights, each as often
 * as its weight says and as evenly spread as can be (earliest deadline first: a member is due again after a
 * time that is the inverse of its weight). Each worker begins anywhere: else all would begin with the same
 * member. */
#include "balance/draw.h"
#include "balance/policy.h"
#include "base/hash.h"

#include <stdlib.h>

/* From one turn of a member of weight 1 to its next. */
#define ROBIN_TURN (UINT64_C(1) << 32)

/* Seats beside those that the set needs, and an eighth. */
#define ROBIN_SPARE 8

struct robin_seat {
	uint64_t due; /* modulo 2^64: compared by difference */
	struct member *member;
};

struct robin {
	bool is_stale;		    /* the candidates are others now */
	size_t next;		    /* while all weights are the same */
	uint64_t joined;	    /* one by one, so many */
	size_t set_count, capacity; /* members of the set, and the room that there is for seats */
	size_t seat_count; /* else: those with a weight, as a heap, the one that is due next at its top */
	struct robin_seat seats[];
};

static void *robin_make(const struct policy_view *all)
{
	size_t capacity = all->count + all->count / 8 + ROBIN_SPARE;
	struct robin *robin = malloc(sizeof(*robin) + capacity * sizeof(robin->seats[0]));
	if (robin != NULL)
		*robin = (struct robin){.is_stale = true, .set_count = all->count, .capacity = capacity};
	return robin;
}

static bool robin_admit(void *state, struct member *member)
{
	struct robin *robin = state;
	(void)member;
	return robin->set_count++ < robin->capacity;
}

static bool robin_dismiss(void *state, struct member *member)
{
	struct robin *robin = state;
	(void)member;
	robin->set_count--;
	return true;
}

/* From one turn of it to the next. */
static uint32_t robin_step(const struct member *member)
{
	return (uint32_t)((ROBIN_TURN - 1) / member->weight);
}

static bool is_due_before(const struct robin_seat *one, const struct robin_seat *other)
{
	return (int64_t)(one->due - other->due) < 0;
}

static void robin_sink(struct robin *robin, size_t at)
{
	struct robin_seat seat = robin->seats[at];
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= robin->seat_count)
			break;
		if (child + 1 < robin->seat_count &&
			is_due_before(&robin->seats[child + 1], &robin->seats[child]))
			child++;
		if (!is_due_before(&robin->seats[child], &seat))
			break;
		robin->seats[at] = robin->seats[child];
		at = child;
	}
	robin->seats[at] = seat;
}

static void robin_change(const struct policy_view *view)
{
	struct robin *robin = view->state;
	robin->is_stale = true;
}

/* ---- One at a time --------------------------------------------------------------------------- */

static void robin_rise(struct robin *robin, size_t at)
{
	struct robin_seat seat = robin->seats[at];
	for (; at > 0 && is_due_before(&seat, &robin->seats[(at - 1) / 2]); at = (at - 1) / 2)
		robin->seats[at] = robin->seats[(at - 1) / 2];
	robin->seats[at] = seat;
}

/* A newcomer stands somewhere in its turn, and the others go on where they are: wherever the next one is
 * behind it, that is the next one still. Of equal weights nobody has a seat. */
static void robin_joined(const struct policy_view *view, struct member *member, size_t index)
{
	struct robin *robin = view->state;
	robin->next += index < robin->next;
	if (robin->is_stale || view->draw == NULL || member->weight == 0)
		return;
	if (robin->seat_count == robin->capacity) {
		robin->is_stale = true;
		return;
	}
	uint64_t due = hash_mix(++robin->joined) % robin_step(member);
	if (robin->seat_count > 0)
		due += robin->seats[0].due;
	robin->seats[robin->seat_count] = (struct robin_seat){.due = due, .member = member};
	robin_rise(robin, robin->seat_count++);
}

static void robin_parted(const struct policy_view *view, struct member *member, size_t index)
{
	struct robin *robin = view->state;
	size_t at = 0;
	robin->next -= index < robin->next;
	while (at < robin->seat_count && robin->seats[at].member != member)
		at++;
	if (at >= robin->seat_count)
		return;
	robin->seats[at] = robin->seats[--robin->seat_count];
	if (at == robin->seat_count)
		return;
	robin_rise(robin, at);
	robin_sink(robin, at);
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* Each somewhere in its turn. */
static void robin_seat_all(struct robin *robin, const struct policy_view *view)
{
	robin->is_stale = false;
	robin->next = random_below(view->random, (uint32_t)view->count);
	robin->seat_count = 0;
	for (size_t i = 0; i < view->count && view->draw != NULL; i++) {
		struct member *member = view->members[i];
		if (member->weight > 0)
			robin->seats[robin->seat_count++] = (struct robin_seat){
				.due = random_below(view->random, robin_step(member)), .member = member};
	}
	for (size_t at = robin->seat_count / 2; at-- > 0;)
		robin_sink(robin, at);
}

static struct member *robin_pick(const struct policy_view *view)
{
	struct robin *robin = view->state;
	if (UNLIKELY(robin->is_stale))
		robin_seat_all(robin, view);
	if (robin->seat_count > 0) {
		struct member *member = robin->seats[0].member;
		robin->seats[0].due += robin_step(member);
		robin_sink(robin, 0);
		return member;
	}
	size_t index = robin->next < view->count ? robin->next : 0;
	robin->next = index + 1;
	return view->members[index];
}

const struct policy policy_round_robin = {.name = "round_robin",
	.pick = robin_pick,
	.make = robin_make,
	.admit = robin_admit,
	.dismiss = robin_dismiss,
	.change = robin_change,
	.joined = robin_joined,
	.parted = robin_parted};
