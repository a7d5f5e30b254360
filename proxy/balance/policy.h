/* policy - how a member is chosen. A policy is a row {name, pick, done}; a new one is a new file and a row.
 */
#ifndef BALANCE_POLICY_H
#define BALANCE_POLICY_H

#include "balance/member.h"
#include "base/random.h"

struct draw;

struct policy_settings {
	uint32_t choices; /* of so many random members the one with the fewest attempts in flight */
};

/* The members to choose from: those of a service that may be chosen, as things stand. */
struct policy_view {
	struct member *const *members;
	size_t count;		 /* at least 1 */
	const struct draw *draw; /* by weight; NULL: all weights are the same */
	const struct policy_settings *settings;
	struct random *random;
};

struct policy {
	const char *name;
	struct member *(*pick)(const struct policy_view *view);
	/* May be NULL. Every pick that was used has its done. */
	void (*done)(struct member *member, enum evidence evidence);
};

/* Policies of this program. */
extern const struct policy policy_random;

/* The policy of that name, or NULL. */
const struct policy *policy_find(const char *name);

#endif
