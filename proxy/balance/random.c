/* random - the policy "random": of `choices` members drawn at random, the one with the fewest attempts in
 * flight. One choice is purely random; two already keep load off a member that is slow (Mitzenmacher, 2001).
 */
#include "balance/policy.h"

static struct member *random_pick(const struct policy_view *view)
{
	uint32_t count = (uint32_t)view->count;
	uint32_t best = random_below(view->random, count);
	for (uint32_t draw = 1; draw < view->settings->choices && count > 1; draw++) {
		uint32_t other = random_below(view->random, count - 1);
		other += other >= best; /* never the best one again */
		if (view->members[other]->in_flight < view->members[best]->in_flight)
			best = other;
	}
	return view->members[best];
}

const struct policy policy_random = {.name = "random", .pick = random_pick};
