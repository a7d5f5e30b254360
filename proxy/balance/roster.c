/* roster - a worker's members of one service (see roster.h). */
#include "balance/roster.h"

#include "balance/draw.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* A roster with one of its members taken out is drawn from at most this often before any member will do. */
#define ROSTER_REDRAWS 16

void roster_init(struct roster *roster, const struct policy *policy, const struct policy_settings *settings,
	struct verdicts *verdicts, uint32_t worker, const struct roster_events *events, void *owner)
{
	*roster = (struct roster){.policy = policy,
		.settings = *settings,
		.verdicts = verdicts,
		.has_panic = true,
		.worker = worker,
		.events = events,
		.owner = owner};
}

static void roster_free_member(struct roster *roster, struct member *member)
{
	roster->events->on_gone(roster->owner, member);
	backend_unref(&member->backend);
	free(member);
}

void roster_finish(struct roster *roster)
{
	for (size_t i = 0; i < roster->count; i++)
		roster_free_member(roster, roster->members[i]);
	assert(roster->leaving_count == 0);
	free(roster->members);
	free(roster->candidates);
	free(roster->draw);
	roster->members = roster->candidates = NULL;
	roster->draw = NULL;
	roster->count = roster->candidate_count = 0;
}

static struct member *roster_make_member(struct roster *roster, struct backend *backend)
{
	struct member *member = calloc(1, sizeof(*member));
	if (member == NULL)
		return NULL;
	member->backend = backend_ref(backend);
	member->share = &backend->shares[roster->worker];
	member->state = (uint8_t)belief_state(&backend->belief);
	if (!roster->events->on_added(roster->owner, member)) {
		backend_unref(&member->backend);
		free(member);
		return NULL;
	}
	return member;
}

static void roster_leave(struct roster *roster, struct member *member)
{
	member->is_leaving = true;
	roster->events->on_leaving(roster->owner, member);
	if (member->in_flight == 0) {
		roster_free_member(roster, member);
		return;
	}
	roster->leaving_count++;
}

/* ---- Who may be chosen ----------------------------------------------------------------------- */

/* The lower the better; those of one tier are chosen from. */
enum {
	ROSTER_TIER_GOOD,
	ROSTER_TIER_NEW,
	ROSTER_TIER_SUSPECT,
	ROSTER_TIER_EJECTED, /* and on, by the rank of the evidence */
	ROSTER_TIER_NONE = 255
};

static unsigned roster_tier(const struct roster *roster, const struct member *member)
{
	if (member->weight == 0)
		return ROSTER_TIER_NONE;
	switch (member->state) {
	case BELIEF_LIVE:
	case BELIEF_UNLISTED:
		return ROSTER_TIER_GOOD;
	case BELIEF_NEW:
		return ROSTER_TIER_NEW;
	case BELIEF_SUSPECT:
		return ROSTER_TIER_SUSPECT;
	case BELIEF_EJECTED:
	case BELIEF_PROBING:
		return roster->has_panic ? ROSTER_TIER_EJECTED +
						   evidence_row(belief_reason(&member->backend->belief))->rank
					 : ROSTER_TIER_NONE;
	default:
		return ROSTER_TIER_NONE;
	}
}

/* Note what is believed of each now, and return the best tier that there is. */
static unsigned roster_look(struct roster *roster)
{
	unsigned best = ROSTER_TIER_NONE;
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[i];
		enum belief_state state = belief_state(&member->backend->belief);
		if (state == BELIEF_EJECTED && member->state != BELIEF_EJECTED)
			roster->events->on_ejected(roster->owner, member);
		member->state = (uint8_t)state;
		member->tier = (uint8_t)roster_tier(roster, member);
		if (member->tier < best)
			best = member->tier;
	}
	return best;
}

/* Choose the candidates anew. Their array and the draw have room for all members. */
static void roster_refresh(struct roster *roster)
{
	if (roster->verdicts != NULL)
		roster->generation =
			atomic_load_explicit(&roster->verdicts->generation, memory_order_acquire);
	unsigned best = roster_look(roster);
	roster->candidate_count = 0;
	for (size_t i = 0; best != ROSTER_TIER_NONE && i < roster->count; i++)
		if (roster->members[i]->tier == best)
			roster->candidates[roster->candidate_count++] = roster->members[i];
	roster->is_panicking = best >= ROSTER_TIER_EJECTED && best != ROSTER_TIER_NONE;
	if (roster->draw != NULL)
		draw_fill(roster->draw, roster->candidates, roster->candidate_count);
}

/* ---- A newer set ----------------------------------------------------------------------------- */

/* Both lists are sorted by name: one walk over both. The same object means the same endpoint; one that
 * was gone for a while, or whose host name leads elsewhere now, is another object, and starts clean. */
bool roster_update(struct roster *roster, const struct fleet *fleet)
{
	struct member **members = malloc((fleet->count + 1) * sizeof(struct member *));
	struct member **candidates = malloc((fleet->count + 1) * sizeof(struct member *));
	struct draw *draw = fleet->is_weighted ? draw_new(fleet->count) : NULL;
	if (members == NULL || candidates == NULL || (draw == NULL && fleet->is_weighted)) {
		free(members);
		free(candidates);
		free(draw);
		return false;
	}
	struct member **old = roster->members;
	size_t old_count = roster->count, at = 0, count = 0;
	for (size_t i = 0; i < fleet->count; i++) {
		struct backend *backend = fleet->entries[i].backend;
		while (at < old_count && old[at]->backend != backend &&
			strcmp(old[at]->backend->name, backend->name) <= 0)
			roster_leave(roster, old[at++]);
		struct member *member = at < old_count && old[at]->backend == backend
						? old[at++]
						: roster_make_member(roster, backend);
		if (member == NULL)
			continue;
		member->weight = fleet->entries[i].weight;
		members[count++] = member;
	}
	while (at < old_count)
		roster_leave(roster, old[at++]);
	free(old);
	free(roster->draw);
	free(roster->candidates);
	roster->draw = draw;
	roster->candidates = candidates;
	roster->members = members;
	roster->count = count;
	roster->is_known = true;
	roster_refresh(roster);
	return count == fleet->count;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

static bool is_excluded(const struct member *member, struct member *const *excluded, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (excluded[i] == member)
			return true;
	return false;
}

/* Every candidate left, in turn, when drawing did not find one: rare, and bounded by the size of the set. */
static struct member *roster_first_other(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count)
{
	size_t start = random_below(random, (uint32_t)roster->candidate_count);
	for (size_t i = 0; i < roster->candidate_count; i++) {
		struct member *member = roster->candidates[(start + i) % roster->candidate_count];
		if (!is_excluded(member, excluded, excluded_count))
			return member;
	}
	return NULL;
}

/* Has a verdict come since the candidates were chosen? */
static bool roster_is_behind(const struct roster *roster)
{
	return roster->verdicts != NULL && atomic_load_explicit(&roster->verdicts->generation,
						   memory_order_relaxed) != roster->generation;
}

struct member *roster_pick(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count)
{
	if (UNLIKELY(roster_is_behind(roster)))
		roster_refresh(roster);
	if (roster->candidate_count == 0)
		return NULL;
	const struct policy_view view = {.members = roster->candidates,
		.count = roster->candidate_count,
		.draw = roster->draw,
		.settings = &roster->settings,
		.random = random};
	if (excluded_count == 0)
		return roster->policy->pick(&view);
	struct member *member = NULL;
	for (int draw = 0; draw < ROSTER_REDRAWS; draw++) {
		member = roster->policy->pick(&view);
		if (!is_excluded(member, excluded, excluded_count))
			return member;
	}
	struct member *other = roster_first_other(roster, random, excluded, excluded_count);
	return other != NULL ? other : member;
}

enum roster_lack roster_lack(const struct roster *roster)
{
	if (!roster->is_known)
		return ROSTER_UNKNOWN;
	for (size_t i = 0; i < roster->count; i++)
		if (roster->members[i]->weight > 0)
			return ROSTER_EJECTED;
	return ROSTER_EMPTY;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

void roster_begin(struct roster *roster, struct member *member)
{
	(void)roster;
	member->in_flight++;
	atomic_store_explicit(&member->share->in_flight, member->in_flight, memory_order_relaxed);
	share_add(&member->share->requests, 1);
}

/* Did it bring no response? */
static bool is_failure(enum evidence evidence)
{
	enum evidence_kind kind = evidence_row(evidence)->kind;
	return kind != EVIDENCE_KIND_GOOD && kind != EVIDENCE_KIND_NOTHING && evidence != EVIDENCE_STATUS_5XX;
}

static void roster_learn(struct member *member, enum evidence evidence, uint64_t begun_ms)
{
	if (is_failure(evidence))
		share_add(&member->share->failures, 1);
	belief_weigh(&member->backend->belief, evidence, begun_ms, clock_coarse_ms());
}

void roster_done(struct roster *roster, struct member *member, enum evidence evidence, uint64_t begun_ms)
{
	assert(member->in_flight > 0);
	member->in_flight--;
	atomic_store_explicit(&member->share->in_flight, member->in_flight, memory_order_relaxed);
	if (UNLIKELY(evidence != EVIDENCE_ANSWERED) || belief_wants_answers(&member->backend->belief))
		roster_learn(member, evidence, begun_ms);
	if (roster->policy->done != NULL)
		roster->policy->done(member, evidence);
	if (member->is_leaving && member->in_flight == 0) {
		roster->leaving_count--;
		roster_free_member(roster, member);
	}
}
