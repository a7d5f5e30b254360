/* peak_ewma - the policy "peak_ewma": of two members drawn at random, by their weights, the one that costs
 * less: its recent peak of latency, times the attempts that it would have in flight, for its weight. A member
 * that becomes slow is spared from its first slow answer on, before requests pile up there (as Finagle's
 * balancer of that name does). */
#include "balance/draw.h"
#include "balance/policy.h"

/* A member of most of the weight is drawn again at most this often in search of another. */
#define PEAK_REDRAWS 4

static uint32_t peak_draw(const struct policy_view *view)
{
	return view->draw != NULL ? draw_index(view->draw, view->random)
				  : random_below(view->random, (uint32_t)view->count);
}

/* Where one of the two has not answered yet, it is taken to be as fast as the other. */
static bool is_cheaper(const struct policy_view *view, const struct member *one, const struct member *other)
{
	uint64_t one_us = one->latency.peak_us, other_us = other->latency.peak_us;
	uint64_t one_cost = (policy_load(view, one) + 1) * other->weight;
	uint64_t other_cost = (policy_load(view, other) + 1) * one->weight;
	if (one_us == 0 || other_us == 0)
		return one_cost < other_cost;
	return (unsigned __int128)one_cost * one_us < (unsigned __int128)other_cost * other_us;
}

static struct member *peak_pick(const struct policy_view *view)
{
	uint32_t first = peak_draw(view), second = first;
	for (int draw = 0; draw < PEAK_REDRAWS && second == first && view->count > 1; draw++)
		second = peak_draw(view);
	struct member *one = view->members[first], *other = view->members[second];
	return is_cheaper(view, other, one) ? other : one;
}

const struct policy policy_peak_ewma = {.name = "peak_ewma", .pick = peak_pick};
