/* random - the policy "random": of `choices` members drawn at random, the one with the fewest attempts in
 * flight. One choice is purely random; two already keep load off a member that is slow (Mitzenmacher, 2001).
 * Where members have weights they are drawn by these, and compared by attempts per weight.
 */
#include "balance/draw.h"
#include "balance/policy.h"

/* A member of most of the weight is drawn again at most this often in search of another. */
#define RANDOM_REDRAWS 4

static uint32_t draw_other(const struct policy_view *view, uint32_t than)
{
	uint32_t other = than;
	for (int draw = 0; draw < RANDOM_REDRAWS && other == than; draw++)
		other = draw_index(view->draw, view->random);
	return other;
}

static bool is_less_busy(const struct policy_view *view, const struct member *one, const struct member *other)
{
	return policy_load(view, one) * other->weight < policy_load(view, other) * one->weight;
}

static struct member *random_pick_by_weight(const struct policy_view *view)
{
	uint32_t best = draw_index(view->draw, view->random);
	for (uint32_t draw = 1; draw < view->settings->choices; draw++) {
		uint32_t other = draw_other(view, best);
		if (is_less_busy(view, view->members[other], view->members[best]))
			best = other;
	}
	return view->members[best];
}

static struct member *random_pick(const struct policy_view *view)
{
	if (view->draw != NULL)
		return random_pick_by_weight(view);
	uint32_t count = (uint32_t)view->count;
	uint32_t best = random_below(view->random, count);
	for (uint32_t draw = 1; draw < view->settings->choices && count > 1; draw++) {
		uint32_t other = random_below(view->random, count - 1);
		other += other >= best; /* never the best one again */
		if (policy_load(view, view->members[other]) < policy_load(view, view->members[best]))
			best = other;
	}
	return view->members[best];
}

const struct policy policy_random = {.name = "random", .welcomes = true, .pick = random_pick};
