/* roster - this worker's members of one service, and the choice among them. Owns the members.
 * A member that left serves its attempts to their end, and goes with the last one.
 *
 * Of its members, those are candidates of which the best is believed: those that take requests; where there
 * is none, those that are new or suspect; where there is none of these either, the ejected ones that are the
 * least bad (panic). */
#ifndef BALANCE_ROSTER_H
#define BALANCE_ROSTER_H

#include "balance/fleet.h"
#include "balance/member.h"
#include "balance/policy.h"

/* How good members are, by what is believed of them: few kinds. */
#define ROSTER_TIERS 16

/* How the holder learns of members: it gives them their pool. */
struct roster_events {
	bool (*on_added)(void *owner, struct member *member);	/* false: no memory; the member is left out */
	void (*on_ejected)(void *owner, struct member *member); /* its idle connections are of no use */
	void (*on_cleared)(
		void *owner, struct member *member); /* was taken for silent, wrongly. May be NULL */
	void (*on_leaving)(void *owner, struct member *member); /* no new attempt from here on */
	void (*on_gone)(void *owner, struct member *member);	/* about to be freed */
};

struct roster {
	const struct policy *policy;
	struct policy_settings settings;
	const struct roster_events *events;
	struct verdicts *verdicts; /* of the service; borrowed. NULL: all members are alike */
	void *owner;
	uint64_t version, taken_ms; /* of the set: see struct fleet */
	uint32_t worker;	    /* index of the shares that are ours */
	uint64_t slow_start_ms;	    /* a member that becomes live has its whole weight after this long */
	bool is_known;		    /* has there ever been a fleet? */
	bool has_panic;		    /* where all are ejected, the least bad ones will do */
	bool is_panicking;
	bool has_good;		 /* somebody takes requests who is believed to work */
	struct member *newcomer; /* has just become live beside others, and gets the next request; or NULL */
	uint32_t window_count;	 /* members with a window */
	uint32_t generation;	 /* of the verdicts that the candidates were chosen by */
	struct fleet *fleet;	 /* the set, as it was given last */
	bool is_whole;		 /* the members are those of the fleet, one for each */
	size_t count;
	size_t capacity; /* of the arrays below */
	size_t leaving_count;
	struct member **members; /* sorted by the backend's name */
	size_t candidate_count;
	struct member **candidates;   /* as sorted */
	uint32_t *weights;	      /* theirs */
	uint32_t tiers[ROSTER_TIERS]; /* how many members are of each: see candidates.c */
	uint8_t best;		      /* that of the candidates */
	bool is_state_stale;	      /* the policy's is to be made anew */
	bool is_unsettled;	      /* some have joined or parted, and the view is outdated */
	bool is_weighted;	      /* not all of these have the same weight */
	struct draw *draw;	      /* over these; NULL where no set of them can be weighted */
	struct policy_view view;      /* of these, as the policy sees them */
	const struct policy *chooser; /* the policy, or one that needs no memory where that had none */
	uint64_t timed_until_ms; /* up to here failures count as load, or members start slowly; 0: neither */
	uint64_t weigh_ms;	 /* when those that start slowly are weighed again; 0: none does */
};

void roster_init(struct roster *roster, const struct policy *policy, const struct policy_settings *settings,
	struct verdicts *verdicts, uint32_t worker, const struct roster_events *events, void *owner);

/* Free it; attempts that are under way must have ended. */
void roster_finish(struct roster *roster);

/* Take on a newer set: members that stay keep what is known of them. False without memory: the old set stays,
 * or members are left out; the same fleet given again mends that. Takes a reference of its own. A set that
 * differs in a few members from the one before costs little, however many there are. */
MUST_CHECK bool roster_update(struct roster *roster, struct fleet *fleet);

/* Choose a candidate for an attempt, not one of the `excluded_count` ones in `excluded` unless there is no
 * other one. `key` is a hash of what keeps requests together, where the policy is_keyed. NULL when there is
 * none at all. Count it with roster_begin() if it is used. */
struct member *roster_pick_for(struct roster *roster, struct random *random, uint64_t key,
	struct member *const *excluded, size_t excluded_count);

/* The same for a request that belongs to no others. */
struct member *roster_pick(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count);

/* What a weight counts with where members may start slowly. */
#define ROSTER_WHOLE 100

/* The percentage of its weight that a candidate has been given so far: 100 unless it starts slowly. */
static inline uint32_t roster_warmth(const struct roster *roster, const struct member *member)
{
	bool may_start_slowly = roster->slow_start_ms > 0 && member->is_candidate && member->set_weight > 0;
	return may_start_slowly ? member->weight / member->set_weight : ROSTER_WHOLE;
}

/* Why roster_pick() finds none. */
enum roster_lack { ROSTER_UNKNOWN, ROSTER_EMPTY, ROSTER_EJECTED, ROSTER_BUSY /* for a moment */ };
enum roster_lack roster_lack(const struct roster *roster);

/* The window of a member that recovers: one more. */
void roster_widen(struct roster *roster, struct member *member);

/* An attempt on `member` begins to be answered, below 500. */
static inline void roster_answers(struct roster *roster, struct member *member)
{
	if (UNLIKELY(member->window != 0))
		roster_widen(roster, member);
}

/* An attempt on `member` begins; roster_done() ends it, with what was learned: evidence of `begun_ms` on. */
void roster_begin(struct roster *roster, struct member *member);
void roster_done(struct roster *roster, struct member *member, enum evidence evidence, uint64_t begun_ms);

#endif
