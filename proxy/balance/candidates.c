/* candidates - who may be chosen (see candidates.h). */
#include "balance/candidates.h"

#include "balance/draw.h"
#include "base/clock.h"

#include <string.h>

/* What a member that starts slowly begins with, of ROSTER_WHOLE. */
#define ROSTER_FIRST 10

/* So often is a slow start weighed anew, in its time. */
#define ROSTER_STEPS 20

/* A suspicion that a probe has ended so soon was wrong; in a longer one something was. */
#define ROSTER_CLEARED_MS 1000

/* ---- Weights --------------------------------------------------------------------------------- */

/* What a member weighs at `now_ms`, as long as it starts slowly. */
static uint32_t member_warm_weight(struct roster *roster, const struct member *member, uint64_t now_ms)
{
	uint64_t end_ms = member->live_ms + roster->slow_start_ms, percent = ROSTER_WHOLE;
	if (member->live_ms != 0 && now_ms < end_ms) {
		uint64_t age_ms = now_ms > member->live_ms ? now_ms - member->live_ms : 0;
		percent = age_ms * ROSTER_WHOLE / roster->slow_start_ms;
		percent = percent > ROSTER_FIRST ? percent : ROSTER_FIRST;
		if (roster->weigh_ms == 0)
			roster->weigh_ms = now_ms + 1 + roster->slow_start_ms / ROSTER_STEPS;
		if (roster->timed_until_ms < end_ms)
			roster->timed_until_ms = end_ms;
	}
	return (uint32_t)(member->set_weight * percent);
}

static void member_weigh(struct roster *roster, struct member *member)
{
	member->weight = roster->slow_start_ms > 0 ? member_warm_weight(roster, member, clock_coarse_ms())
						   : member->set_weight;
}

/* The sum of all weights; whether they are the same. One walk over numbers that stand together. Where memory
 * ended amid the steps to another weight of all, the set is of two weights and there is no table to draw by:
 * then they count as the same, until the set is taken on whole. */
static void candidates_sum(struct roster *roster)
{
	uint64_t sum = 0;
	uint32_t differing = 0, first = roster->candidate_count > 0 ? roster->weights[0] : 0;
	for (size_t i = 0; i < roster->candidate_count; i++) {
		sum += roster->weights[i];
		differing |= roster->weights[i] ^ first;
	}
	roster->view.weight = sum;
	roster->is_weighted = differing != 0 && roster->draw != NULL;
}

/* The policy sees the candidates as they are now. */
static void candidates_show(struct roster *roster)
{
	struct policy_view *view = &roster->view;
	candidates_sum(roster);
	if (roster->is_weighted)
		draw_fill(roster->draw, roster->weights, roster->candidate_count);
	view->members = roster->candidates;
	view->count = roster->candidate_count;
	view->draw = roster->is_weighted ? roster->draw : NULL;
	roster->is_unsettled = false;
}

static void candidates_show_all(struct roster *roster)
{
	candidates_show(roster);
	if (roster->chooser->change != NULL)
		roster->chooser->change(&roster->view);
}

void candidates_weigh(struct roster *roster)
{
	roster->weigh_ms = 0;
	for (size_t i = 0; i < roster->candidate_count; i++) {
		member_weigh(roster, roster->candidates[i]);
		roster->weights[i] = roster->candidates[i]->weight;
	}
	candidates_show_all(roster);
}

/* ---- Who may be chosen ----------------------------------------------------------------------- */

/* The lower the better; those of one tier are chosen from. */
enum {
	ROSTER_TIER_GOOD,
	ROSTER_TIER_NEW,
	ROSTER_TIER_SUSPECT,
	ROSTER_TIER_LEAVING, /* the checker knows that it is gone, but the set without it has yet to come */
	ROSTER_TIER_EJECTED, /* and on, by the rank of the evidence */
	ROSTER_TIER_NONE = ROSTER_TIERS - 1
};

/* Gone from the registry, and nothing more is known of it: where a whole set is replaced at a time, it has
 * the requests that come until the new set does. */
static bool member_may_still_serve(const struct member *member)
{
	return belief_reason(&member->backend->belief) == EVIDENCE_REMOVED;
}

static unsigned member_tier(const struct roster *roster, const struct member *member)
{
	if (member->set_weight == 0)
		return ROSTER_TIER_NONE;
	switch (member->state) {
	case BELIEF_LIVE:
	case BELIEF_UNLISTED:
		return ROSTER_TIER_GOOD;
	case BELIEF_NEW:
		return ROSTER_TIER_NEW;
	case BELIEF_SUSPECT:
		return ROSTER_TIER_SUSPECT;
	case BELIEF_LEAVING:
		return member_may_still_serve(member) ? ROSTER_TIER_LEAVING : ROSTER_TIER_NONE;
	case BELIEF_EJECTED:
	case BELIEF_PROBING:
		return roster->has_panic ? ROSTER_TIER_EJECTED +
						   evidence_row(belief_reason(&member->backend->belief))->rank
					 : ROSTER_TIER_NONE;
	default:
		return ROSTER_TIER_NONE;
	}
}

static unsigned candidates_best_tier(const struct roster *roster)
{
	unsigned tier = 0;
	while (tier < ROSTER_TIER_NONE && roster->tiers[tier] == 0)
		tier++;
	return tier;
}

static bool candidates_fit(const struct roster *roster, const struct member *member)
{
	return roster->best != ROSTER_TIER_NONE && member->tier == roster->best;
}

/* Choose all of the best tier. */
static void candidates_select(struct roster *roster)
{
	roster->best = (uint8_t)candidates_best_tier(roster);
	roster->candidate_count = 0;
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[i];
		member->is_candidate = candidates_fit(roster, member);
		if (member->is_candidate)
			roster->candidates[roster->candidate_count++] = member;
	}
	roster->has_good = roster->best == ROSTER_TIER_GOOD;
	roster->is_panicking = roster->best >= ROSTER_TIER_EJECTED && roster->best != ROSTER_TIER_NONE;
	candidates_weigh(roster);
}

/* ---- One at a time --------------------------------------------------------------------------- */

/* Where it stands among the candidates, or would. */
static size_t candidates_place(const struct roster *roster, const struct member *member)
{
	size_t low = 0, high = roster->candidate_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(roster->candidates[middle]->backend->name, member->backend->name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void candidates_join(struct roster *roster, struct member *member)
{
	size_t place = candidates_place(roster, member), behind = roster->candidate_count - place;
	member_weigh(roster, member);
	member->is_candidate = true;
	memmove(&roster->candidates[place + 1], &roster->candidates[place],
		behind * sizeof(roster->candidates[0]));
	memmove(&roster->weights[place + 1], &roster->weights[place], behind * sizeof(roster->weights[0]));
	roster->candidates[place] = member;
	roster->weights[place] = member->weight;
	roster->candidate_count++;
	roster->is_unsettled = true;
	if (roster->chooser->joined != NULL)
		roster->chooser->joined(&roster->view, member, place);
}

static void candidates_part(struct roster *roster, struct member *member)
{
	size_t place = candidates_place(roster, member);
	if (place >= roster->candidate_count || roster->candidates[place] != member)
		for (place = 0; roster->candidates[place] != member;) /* the set was not sorted */
			place++;
	size_t behind = --roster->candidate_count - place;
	member->is_candidate = false;
	memmove(&roster->candidates[place], &roster->candidates[place + 1],
		behind * sizeof(roster->candidates[0]));
	memmove(&roster->weights[place], &roster->weights[place + 1], behind * sizeof(roster->weights[0]));
	roster->is_unsettled = true;
	if (roster->chooser->parted != NULL)
		roster->chooser->parted(&roster->view, member, place);
}

/* It is of this tier now. */
static void candidates_rank(struct roster *roster, struct member *member)
{
	unsigned tier = member_tier(roster, member);
	roster->tiers[member->tier]--;
	roster->tiers[tier]++;
	member->tier = (uint8_t)tier;
	if (member->is_candidate && !candidates_fit(roster, member))
		candidates_part(roster, member);
	else if (!member->is_candidate && candidates_fit(roster, member))
		candidates_join(roster, member);
}

void candidates_settle(struct roster *roster)
{
	bool was_weighted = roster->view.draw != NULL;
	if (candidates_best_tier(roster) != roster->best) {
		candidates_select(roster);
		return;
	}
	if (!roster->is_unsettled)
		return;
	candidates_show(roster);
	if (roster->is_weighted != was_weighted && roster->chooser->change != NULL)
		roster->chooser->change(&roster->view);
}

void candidates_add(struct roster *roster, struct member *member)
{
	member->tier = (uint8_t)member_tier(roster, member);
	roster->tiers[member->tier]++;
	if (candidates_fit(roster, member))
		candidates_join(roster, member);
}

void candidates_remove(struct roster *roster, struct member *member)
{
	if (member->is_candidate)
		candidates_part(roster, member);
	roster->tiers[member->tier]--;
}

void candidates_set_weight(struct roster *roster, struct member *member, uint32_t set_weight)
{
	if (member->is_candidate)
		candidates_part(roster, member);
	member->set_weight = set_weight;
	candidates_rank(roster, member);
}

/* ---- Recovery -------------------------------------------------------------------------------- */

/* Where nobody was left, all requests wait for the first one that is back, and would put it out again at
 * once. It is given a few at a time, one more for each that it begins to answer (some answers have no end),
 * until there are so many that it can bear what comes. */
#define ROSTER_WINDOW_FIRST 8
#define ROSTER_WINDOW_LAST  1024

static void roster_set_window(struct roster *roster, struct member *member, uint32_t window)
{
	if (member->window != 0)
		roster->window_count--;
	if (window != 0)
		roster->window_count++;
	member->window = window;
}

void roster_widen(struct roster *roster, struct member *member)
{
	roster_set_window(roster, member, member->window < ROSTER_WINDOW_LAST ? member->window + 1 : 0);
}

/* It takes requests now, and has not had any: chance might leave it without one for a while. */
void candidates_welcome(struct roster *roster, struct member *member)
{
	if (roster->policy->welcomes && roster->has_good &&
		atomic_load_explicit(&member->share->requests, memory_order_relaxed) == 0)
		roster->newcomer = member;
}

/* ---- What is believed ------------------------------------------------------------------------ */

/* What is believed of a member is another thing now. */
static void candidates_note_state(struct roster *roster, struct member *member, enum belief_state state)
{
	uint64_t since_ms = belief_since_ms(&member->backend->belief);
	if (state == BELIEF_EJECTED)
		roster->events->on_ejected(roster->owner, member);
	if (state == BELIEF_SUSPECT)
		member->suspected_ms = since_ms;
	bool is_back =
		state == BELIEF_LIVE && (member->state == BELIEF_EJECTED || member->state == BELIEF_PROBING);
	roster_set_window(roster, member, is_back && !roster->has_good ? ROSTER_WINDOW_FIRST : 0);
	if (state == BELIEF_LIVE && member->state != BELIEF_SUSPECT)
		member->live_ms = since_ms;
	if (state == BELIEF_LIVE)
		candidates_welcome(roster, member);
	if (state == BELIEF_LIVE && member->state == BELIEF_SUSPECT && roster->events->on_cleared != NULL &&
		since_ms - member->suspected_ms < ROSTER_CLEARED_MS)
		roster->events->on_cleared(roster->owner, member);
	member->state = (uint8_t)state;
}

static void candidates_look(struct roster *roster, struct member *member)
{
	enum belief_state state = belief_state(&member->backend->belief);
	if (state != member->state)
		candidates_note_state(roster, member, state);
}

void candidates_refresh(struct roster *roster)
{
	if (roster->verdicts != NULL)
		roster->generation =
			atomic_load_explicit(&roster->verdicts->generation, memory_order_acquire);
	memset(roster->tiers, 0, sizeof(roster->tiers));
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[i];
		candidates_look(roster, member);
		member->tier = (uint8_t)member_tier(roster, member);
		roster->tiers[member->tier]++;
	}
	candidates_select(roster);
}

/* The verdict of this generation is of one of the members that have this key, or of none. Their backends'
 * places are compared as they stand together in the fleet. */
static void candidates_follow_key(struct roster *roster, uint32_t key)
{
	const struct fleet_entry *entries = roster->fleet->entries;
	for (size_t i = 0; i < roster->count; i++) {
		if (belief_key(&entries[i].backend->belief) != key)
			continue;
		candidates_look(roster, roster->members[i]);
		candidates_rank(roster, roster->members[i]);
	}
}

void candidates_follow(struct roster *roster)
{
	if (roster->verdicts == NULL)
		return;
	uint32_t newest = atomic_load_explicit(&roster->verdicts->generation, memory_order_acquire);
	bool is_one_by_one = roster->is_whole && newest - roster->generation <= CANDIDATES_FEW;
	while (is_one_by_one && roster->generation != newest) {
		uint32_t key;
		is_one_by_one = verdicts_changed(roster->verdicts, ++roster->generation, &key);
		if (is_one_by_one)
			candidates_follow_key(roster, key);
	}
	if (is_one_by_one)
		candidates_settle(roster);
	else
		candidates_refresh(roster);
}
