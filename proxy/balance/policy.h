/* policy - how a member is chosen. A policy is a row {name, pick, ...}; a new one is a new file and a row. */
#ifndef BALANCE_POLICY_H
#define BALANCE_POLICY_H

#include "balance/member.h"
#include "base/random.h"

struct draw;

struct policy_settings {
	uint32_t choices; /* of "random": of so many random members the one with the least load */
};

/* The members to choose from: those of a service that may be chosen, as things stand. */
struct policy_view {
	struct member *const *members;
	size_t count;		 /* at least 1 */
	const struct draw *draw; /* by weight; NULL: all weights are the same */
	const struct policy_settings *settings;
	struct random *random;
	void *state;		  /* of the policy, where it has one */
	uint64_t weight;	  /* the sum of all */
	uint64_t in_flight;	  /* attempts of this worker on this service */
	uint64_t key;		  /* what the request has in common with others: a hash. Of keyed policies */
	uint64_t now_ms;	  /* 0: no member has a penalty */
	uint64_t penalty_half_ms; /* see penalty.h */
	struct member *const *excluded; /* to be chosen only where there is no other */
	size_t excluded_count;
};

struct policy {
	const char *name;
	bool is_keyed; /* it wants to know the key */
	bool welcomes; /* it may take long to come upon one that is new: that is given the next request */
	struct member *(*pick)(const struct policy_view *view);
	/* May be NULL. Every pick that was used has its done. */
	void (*done)(struct member *member, enum evidence evidence);
	/* NULL: it keeps nothing. Make a state, one piece of memory that is free()d, for a set of which `all`
	 * are the members, candidates or not, in the order that `change` will have them. NULL: no memory. */
	void *(*make)(const struct policy_view *all);
	/* One comes into the set that the state was made for, leaves it, or weighs something else there: then
	 * it leaves and comes. False, or NULL: a new state is to be made. */
	bool (*admit)(void *state, struct member *member);
	bool (*dismiss)(void *state, struct member *member);
	/* May be NULL. The candidates are others now, of the set that the state was made for, or their
	 * weights are. Without randomness; `count` may be 0. */
	void (*change)(const struct policy_view *view);
	/* May be NULL. The same, of one that stands at `index` among the candidates now, or did until now.
	 * What `view` says of all of them may be outdated. */
	void (*joined)(const struct policy_view *view, struct member *member, size_t index);
	void (*parted)(const struct policy_view *view, struct member *member, size_t index);
};

/* Policies of this program. */
extern const struct policy policy_random, policy_least_requests, policy_round_robin, policy_peak_ewma,
	policy_ring_hash;

/* What a member has to do: attempts under way, and what its failures count as. */
static inline uint64_t policy_load(const struct policy_view *view, const struct member *member)
{
	uint64_t load = member->in_flight;
	if (UNLIKELY(view->now_ms != 0))
		load += penalty_at(&member->penalty, view->now_ms, view->penalty_half_ms);
	return load;
}

static inline bool policy_is_excluded(const struct policy_view *view, const struct member *member)
{
	for (size_t i = 0; i < view->excluded_count; i++)
		if (view->excluded[i] == member)
			return true;
	return false;
}

/* The policy of that name, or NULL. */
const struct policy *policy_find(const char *name);

#endif
