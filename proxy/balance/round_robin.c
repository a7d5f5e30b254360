/* round_robin - the policy "round_robin": one member after the other; where they have weights, each as often
 * as its weight says and as evenly spread as can be (earliest deadline first: a member is due again after a
 * time that is the inverse of its weight). Each worker begins anywhere, and so it does when the candidates
 * change: else all would begin with the same member. */
#include "balance/draw.h"
#include "balance/policy.h"

#include <stdlib.h>

/* From one turn of a member of weight 1 to its next. */
#define ROBIN_TURN (UINT64_C(1) << 32)

struct robin_seat {
	uint64_t due; /* modulo 2^64: compared by difference */
	uint32_t index;
	uint32_t step; /* from one turn to the next */
};

struct robin {
	bool is_stale;	   /* the candidates are others now */
	size_t next;	   /* while all weights are the same */
	size_t seat_count; /* else: those with a weight, as a heap, the one that is due next at its top */
	struct robin_seat seats[];
};

static void *robin_make(const struct policy_view *all)
{
	struct robin *robin = malloc(sizeof(*robin) + all->count * sizeof(robin->seats[0]));
	if (robin != NULL)
		*robin = (struct robin){.is_stale = true};
	return robin;
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

/* Each somewhere in its turn. */
static void robin_seat_all(struct robin *robin, const struct policy_view *view)
{
	robin->is_stale = false;
	robin->next = random_below(view->random, (uint32_t)view->count);
	robin->seat_count = 0;
	for (size_t i = 0; i < view->count && view->draw != NULL; i++) {
		uint32_t weight = view->members[i]->weight;
		if (weight == 0)
			continue;
		uint32_t step = (uint32_t)((ROBIN_TURN - 1) / weight);
		robin->seats[robin->seat_count++] = (struct robin_seat){
			.due = random_below(view->random, step), .index = (uint32_t)i, .step = step};
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
		uint32_t index = robin->seats[0].index;
		robin->seats[0].due += robin->seats[0].step;
		robin_sink(robin, 0);
		return view->members[index];
	}
	size_t index = robin->next;
	robin->next = index + 1 < view->count ? index + 1 : 0;
	return view->members[index];
}

const struct policy policy_round_robin = {
	.name = "round_robin", .pick = robin_pick, .make = robin_make, .change = robin_change};
