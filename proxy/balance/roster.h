/* roster - this worker's members of one service, and the choice among them. Owns the members.
 * A member that left serves its attempts to their end, and goes with the last one. */
#ifndef BALANCE_ROSTER_H
#define BALANCE_ROSTER_H

#include "balance/fleet.h"
#include "balance/member.h"
#include "balance/policy.h"

/* How the holder learns of members: it gives them their pool. */
struct roster_events {
	bool (*on_added)(void *owner, struct member *member);	/* false: no memory; the member is left out */
	void (*on_leaving)(void *owner, struct member *member); /* no new attempt from here on */
	void (*on_gone)(void *owner, struct member *member);	/* about to be freed */
};

struct roster {
	const struct policy *policy;
	struct policy_settings settings;
	const struct roster_events *events;
	void *owner;
	uint32_t worker; /* index of the shares that are ours */
	bool is_known;	 /* has there ever been a fleet? */
	size_t count;
	size_t leaving_count;
	struct member **members; /* sorted by the backend's name */
	struct draw *draw;	 /* where not all have the same weight; else NULL */
};

void roster_init(struct roster *roster, const struct policy *policy, const struct policy_settings *settings,
	uint32_t worker, const struct roster_events *events, void *owner);

/* Free it; attempts that are under way must have ended. */
void roster_finish(struct roster *roster);

/* Take on a newer set: members that stay keep what is known of them. False without memory: the old set stays,
 * or members are left out; the same fleet given again mends that. Borrows the fleet. */
MUST_CHECK bool roster_update(struct roster *roster, const struct fleet *fleet);

/* Choose a member for an attempt, not one of the `excluded_count` ones in `excluded` unless there is no other
 * one. NULL when there is none at all that takes requests. Count it with roster_begin() if it is used. */
struct member *roster_pick(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count);

/* An attempt on `member` begins; roster_done() ends it. */
void roster_begin(struct roster *roster, struct member *member);
void roster_done(struct roster *roster, struct member *member, enum policy_outcome outcome);

#endif
