/* roster - a worker's members of one service (see roster.h). */
#include "balance/roster.h"

#include "balance/draw.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* What a member that starts slowly begins with, of ROSTER_WHOLE. */
#define ROSTER_FIRST 10

/* So often is a slow start weighed anew, in its time. */
#define ROSTER_STEPS 20

/* A suspicion that a probe has ended so soon was wrong; in a longer one something was. */
#define ROSTER_CLEARED_MS 1000

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
	roster->chooser = policy;
	roster->view.settings = &roster->settings;
	roster->view.penalty_half_ms = PENALTY_HALF_MS;
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
	free(roster->view.state);
	roster->members = roster->candidates = NULL;
	roster->draw = NULL;
	roster->view.state = NULL;
	roster->count = roster->candidate_count = 0;
}

/* It takes requests now, and has not had any: chance might leave it without one for a while. */
static void roster_welcome(struct roster *roster, struct member *member)
{
	if (roster->policy->welcomes && roster->has_good &&
		atomic_load_explicit(&member->share->requests, memory_order_relaxed) == 0)
		roster->newcomer = member;
}

static struct member *roster_make_member(struct roster *roster, struct backend *backend)
{
	struct member *member = calloc(1, sizeof(*member));
	if (member == NULL)
		return NULL;
	member->backend = backend_ref(backend);
	member->share = &backend->shares[roster->worker];
	member->state = (uint8_t)belief_state(&backend->belief);
	if (member->state == BELIEF_LIVE)
		member->live_ms = belief_since_ms(&backend->belief);
	if (!roster->events->on_added(roster->owner, member)) {
		backend_unref(&member->backend);
		free(member);
		return NULL;
	}
	if (member->state == BELIEF_LIVE)
		roster_welcome(roster, member);
	return member;
}

static void roster_leave(struct roster *roster, struct member *member)
{
	member->is_leaving = true;
	if (roster->newcomer == member)
		roster->newcomer = NULL;
	if (member->window != 0)
		roster->window_count--;
	member->window = 0;
	roster->events->on_leaving(roster->owner, member);
	if (member->in_flight == 0) {
		roster_free_member(roster, member);
		return;
	}
	roster->leaving_count++;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* What a member weighs at `now_ms`, as long as it starts slowly. */
static uint32_t roster_weigh(struct roster *roster, const struct member *member, uint64_t now_ms)
{
	uint64_t end_ms = member->live_ms + roster->slow_start_ms, percent = ROSTER_WHOLE;
	if (member->live_ms != 0 && now_ms < end_ms) {
		uint64_t age_ms = now_ms > member->live_ms ? now_ms - member->live_ms : 0;
		percent = age_ms * ROSTER_WHOLE / roster->slow_start_ms;
		percent = percent > ROSTER_FIRST ? percent : ROSTER_FIRST;
		roster->weigh_ms = now_ms + 1 + roster->slow_start_ms / ROSTER_STEPS;
		if (roster->timed_until_ms < end_ms)
			roster->timed_until_ms = end_ms;
	}
	return (uint32_t)(member->set_weight * percent);
}

/* The weights of the candidates, which the draw and the policy go by. */
static void roster_weigh_all(struct roster *roster)
{
	uint64_t now_ms = roster->slow_start_ms > 0 ? clock_coarse_ms() : 0;
	roster->view.weight = roster->weigh_ms = 0;
	roster->is_weighted = false;
	for (size_t i = 0; i < roster->candidate_count; i++) {
		struct member *member = roster->candidates[i];
		member->weight =
			roster->slow_start_ms > 0 ? roster_weigh(roster, member, now_ms) : member->set_weight;
		roster->view.weight += member->weight;
		if (member->weight != roster->candidates[0]->weight)
			roster->is_weighted = true;
	}
	if (roster->is_weighted)
		draw_fill(roster->draw, roster->candidates, roster->candidate_count);
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
	case BELIEF_EJECTED:
	case BELIEF_PROBING:
		return roster->has_panic ? ROSTER_TIER_EJECTED +
						   evidence_row(belief_reason(&member->backend->belief))->rank
					 : ROSTER_TIER_NONE;
	default:
		return ROSTER_TIER_NONE;
	}
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

static bool roster_has_room(const struct member *member)
{
	return member->window == 0 || member->in_flight < member->window;
}

void roster_widen(struct roster *roster, struct member *member)
{
	roster_set_window(roster, member, member->window < ROSTER_WINDOW_LAST ? member->window + 1 : 0);
}

/* What is believed of a member is another thing now. */
static void roster_note_state(struct roster *roster, struct member *member, enum belief_state state)
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
		roster_welcome(roster, member);
	if (state == BELIEF_LIVE && member->state == BELIEF_SUSPECT && roster->events->on_cleared != NULL &&
		since_ms - member->suspected_ms < ROSTER_CLEARED_MS)
		roster->events->on_cleared(roster->owner, member);
	member->state = (uint8_t)state;
}

/* Note what is believed of each now, and return the best tier that there is. */
static unsigned roster_look(struct roster *roster)
{
	unsigned best = ROSTER_TIER_NONE;
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[i];
		enum belief_state state = belief_state(&member->backend->belief);
		if (state != member->state)
			roster_note_state(roster, member, state);
		member->tier = (uint8_t)roster_tier(roster, member);
		if (member->tier < best)
			best = member->tier;
	}
	return best;
}

/* The policy sees the candidates as they are now. */
static void roster_show(struct roster *roster)
{
	struct policy_view *view = &roster->view;
	view->members = roster->candidates;
	view->count = roster->candidate_count;
	view->draw = roster->is_weighted ? roster->draw : NULL;
	if (roster->chooser->change != NULL)
		roster->chooser->change(view);
}

/* Choose the candidates anew. Their array and the draw have room for all members. */
static void roster_refresh(struct roster *roster)
{
	if (roster->verdicts != NULL)
		roster->generation =
			atomic_load_explicit(&roster->verdicts->generation, memory_order_acquire);
	unsigned best = roster_look(roster);
	roster->candidate_count = 0;
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[i];
		member->is_candidate = best != ROSTER_TIER_NONE && member->tier == best;
		if (member->is_candidate)
			roster->candidates[roster->candidate_count++] = member;
	}
	roster->has_good = best == ROSTER_TIER_GOOD;
	roster->is_panicking = best >= ROSTER_TIER_EJECTED && best != ROSTER_TIER_NONE;
	roster_weigh_all(roster);
	roster_show(roster);
}

/* ---- A newer set ----------------------------------------------------------------------------- */

/* What the policy keeps of the new set. Without memory for that members are chosen at random. */
static bool roster_make_state(struct roster *roster)
{
	const struct policy_view all = {
		.members = roster->members, .count = roster->count, .settings = &roster->settings};
	free(roster->view.state);
	roster->view.state = NULL;
	roster->chooser = roster->policy;
	if (roster->policy->make == NULL)
		return true;
	roster->view.state = roster->policy->make(&all);
	if (roster->view.state == NULL)
		roster->chooser = &policy_random;
	return roster->view.state != NULL;
}

/* Both lists are sorted by name: one walk over both. The same object means the same endpoint; one that
 * was gone for a while, or whose host name leads elsewhere now, is another object, and starts clean. */
bool roster_update(struct roster *roster, const struct fleet *fleet)
{
	struct member **members = malloc((fleet->count + 1) * sizeof(struct member *));
	struct member **candidates = malloc((fleet->count + 1) * sizeof(struct member *));
	bool may_be_weighted = fleet->is_weighted || roster->slow_start_ms > 0;
	struct draw *draw = may_be_weighted ? draw_new(fleet->count) : NULL;
	if (members == NULL || candidates == NULL || (draw == NULL && may_be_weighted)) {
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
		member->set_weight = fleet->entries[i].weight;
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
	roster->version = fleet->version;
	roster->taken_ms = fleet->taken_ms;
	bool has_state = roster_make_state(roster);
	roster_refresh(roster);
	return has_state && count == fleet->count;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* Every candidate left, in turn, when drawing did not find one: rare, and bounded by the size of the set. */
static struct member *roster_first_other(const struct policy_view *view)
{
	size_t start = random_below(view->random, (uint32_t)view->count);
	for (size_t i = 0; i < view->count; i++) {
		struct member *member = view->members[(start + i) % view->count];
		if (!policy_is_excluded(view, member))
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

/* While failures count as load, or members start slowly: the time. */
static uint64_t roster_time(struct roster *roster)
{
	uint64_t now_ms = clock_coarse_ms();
	if (roster->weigh_ms != 0 && now_ms >= roster->weigh_ms) {
		roster_weigh_all(roster);
		roster_show(roster);
	}
	if (now_ms >= roster->timed_until_ms && roster->weigh_ms == 0)
		roster->timed_until_ms = 0;
	return now_ms;
}

/* The one that is new, if it will do. */
static struct member *roster_pick_newcomer(struct roster *roster)
{
	struct member *member = roster->newcomer;
	roster->newcomer = NULL;
	return member->is_candidate && roster_has_room(member) && !policy_is_excluded(&roster->view, member)
		       ? member
		       : NULL;
}

/* A candidate with room in its window, rather one that is not excluded. NULL: there is none. */
static struct member *roster_with_room(const struct roster *roster)
{
	const struct policy_view *view = &roster->view;
	struct member *found = NULL;
	size_t start = random_below(view->random, (uint32_t)view->count);
	for (size_t i = 0; i < view->count; i++) {
		struct member *member = view->members[(start + i) % view->count];
		if (roster_has_room(member) && (found == NULL || !policy_is_excluded(view, member)))
			found = member;
	}
	return found;
}

static struct member *roster_pick_other(const struct roster *roster)
{
	const struct policy_view *view = &roster->view;
	struct member *member = NULL;
	for (int draw = 0; draw < ROSTER_REDRAWS; draw++) {
		member = roster->chooser->pick(view);
		if (!policy_is_excluded(view, member))
			return member;
	}
	struct member *other = roster_first_other(view);
	return other != NULL ? other : member;
}

/* Where there is more to it than to have the policy choose. */
static struct member *roster_pick_carefully(struct roster *roster)
{
	struct policy_view *view = &roster->view;
	struct member *member = NULL;
	if (roster_is_behind(roster))
		roster_refresh(roster);
	if (roster->timed_until_ms != 0)
		view->now_ms = roster_time(roster);
	if (roster->newcomer != NULL)
		member = roster_pick_newcomer(roster);
	if (member == NULL && view->count > 0)
		member = view->excluded_count == 0 ? roster->chooser->pick(view) : roster_pick_other(roster);
	view->now_ms = 0;
	return member == NULL || roster->window_count == 0 || roster_has_room(member)
		       ? member
		       : roster_with_room(roster);
}

struct member *roster_pick_for(struct roster *roster, struct random *random, uint64_t key,
	struct member *const *excluded, size_t excluded_count)
{
	struct policy_view *view = &roster->view;
	view->random = random;
	view->key = key;
	view->excluded = excluded;
	view->excluded_count = excluded_count;
	if (UNLIKELY(roster_is_behind(roster) || roster->timed_until_ms != 0 || excluded_count > 0 ||
		     roster->window_count > 0 || roster->newcomer != NULL || view->count == 0))
		return roster_pick_carefully(roster);
	return roster->chooser->pick(view);
}

struct member *roster_pick(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count)
{
	return roster_pick_for(roster, random, random_next(random), excluded, excluded_count);
}

enum roster_lack roster_lack(const struct roster *roster)
{
	if (!roster->is_known)
		return ROSTER_UNKNOWN;
	if (roster->candidate_count > 0)
		return ROSTER_BUSY;
	for (size_t i = 0; i < roster->count; i++)
		if (roster->members[i]->set_weight > 0)
			return ROSTER_EJECTED;
	return ROSTER_EMPTY;
}

/* ---- Attempts -------------------------------------------------------------------------------- */

void roster_begin(struct roster *roster, struct member *member)
{
	roster->view.in_flight++;
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

/* A failure counts as load from now on: what fails at once is not idle. */
static void roster_punish(struct roster *roster, struct member *member, uint64_t now_ms)
{
	uint64_t half_ms = roster->view.penalty_half_ms;
	penalty_add(&member->penalty, now_ms, half_ms);
	uint64_t end_ms = penalty_end_ms(&member->penalty, half_ms);
	if (roster->timed_until_ms < end_ms)
		roster->timed_until_ms = end_ms;
}

static void roster_learn(
	struct roster *roster, struct member *member, enum evidence evidence, uint64_t begun_ms)
{
	enum evidence_kind kind = evidence_row(evidence)->kind;
	uint64_t now_ms = clock_coarse_ms();
	if (is_failure(evidence))
		share_add(&member->share->failures, 1);
	if (kind == EVIDENCE_KIND_ERROR || kind == EVIDENCE_KIND_SILENCE || kind == EVIDENCE_KIND_GONE)
		roster_punish(roster, member, now_ms);
	belief_weigh(&member->backend->belief, evidence, begun_ms, now_ms);
}

void roster_done(struct roster *roster, struct member *member, enum evidence evidence, uint64_t begun_ms)
{
	assert(member->in_flight > 0);
	member->in_flight--;
	roster->view.in_flight--;
	atomic_store_explicit(&member->share->in_flight, member->in_flight, memory_order_relaxed);
	if (UNLIKELY(evidence != EVIDENCE_ANSWERED) || belief_wants_answers(&member->backend->belief))
		roster_learn(roster, member, evidence, begun_ms);
	if (roster->policy->done != NULL)
		roster->policy->done(member, evidence);
	if (member->is_leaving && member->in_flight == 0) {
		roster->leaving_count--;
		roster_free_member(roster, member);
	}
}
