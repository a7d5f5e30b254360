/* least_requests - the policy "least_requests": the member with the fewest attempts in flight for its weight;
 * of several, each with the chance that its weight gives it. Of up to LEAST_ALL members it is the least
 * of all; of more, the least of LEAST_SOME neighbours from a random place on: to find the least of thousands
 * would cost more than it is better (of d random ones the least is already close to it: Mitzenmacher, 2001),
 * and keeping them in order would cost every attempt. */
#include "balance/policy.h"

#define LEAST_ALL  64
#define LEAST_SOME 48

/* Those looked at, in a ring from `start` on. */
struct least_window {
	size_t start, count;
};

static struct member *window_at(const struct policy_view *view, const struct least_window *window, size_t i)
{
	size_t index = window->start + i;
	return view->members[index < view->count ? index : index - view->count];
}

/* The least load, of a member of which all of its kind have the sum of weights `*tied`. */
static struct member *least_find(
	const struct policy_view *view, const struct least_window *window, uint64_t *load, uint64_t *tied)
{
	struct member *least = NULL;
	for (size_t i = 0; i < window->count; i++) {
		struct member *member = window_at(view, window, i);
		if (member->weight == 0 || policy_is_excluded(view, member))
			continue;
		uint64_t its_load = policy_load(view, member);
		uint64_t ours = least != NULL ? its_load * least->weight : 0, best = *load * member->weight;
		if (least == NULL || ours < best) {
			least = member;
			*load = its_load;
			*tied = member->weight;
		} else if (ours == best) {
			*tied += member->weight;
		}
	}
	return least;
}

/* The one at which the weights of those that are as little loaded add up to more than `at`. */
static struct member *least_at(const struct policy_view *view, const struct least_window *window,
	const struct member *least, uint64_t load, uint64_t at)
{
	for (size_t i = 0; i < window->count; i++) {
		struct member *member = window_at(view, window, i);
		if (member->weight == 0 || policy_is_excluded(view, member) ||
			policy_load(view, member) * least->weight != load * member->weight)
			continue;
		if (at < member->weight)
			return member;
		at -= member->weight;
	}
	return NULL; /* not reached: they add up to the sum */
}

static struct member *least_pick(const struct policy_view *view)
{
	struct least_window window = {.count = view->count};
	uint64_t load = 0, tied = 0;
	if (UNLIKELY(view->count > LEAST_ALL)) {
		window.start = random_below(view->random, (uint32_t)view->count);
		window.count = LEAST_SOME;
	}
	struct member *least = least_find(view, &window, &load, &tied);
	if (UNLIKELY(least == NULL)) /* none with a weight that is not excluded */
		return policy_random.pick(view);
	if (tied == least->weight)
		return least;
	uint64_t at = (uint64_t)(((unsigned __int128)random_next(view->random) * tied) >> 64);
	return least_at(view, &window, least, load, at);
}

const struct policy policy_least_requests = {.name = "least_requests", .pick = least_pick};
