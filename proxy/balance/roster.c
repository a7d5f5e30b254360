/* roster - a worker's members of one service (see roster.h). */
#include "balance/roster.h"

#include "balance/candidates.h"
#include "balance/draw.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* A set that differs in so many members from the one before is taken on member by member. */
#define ROSTER_FEW 16

/* Room for more than there are: an eighth, and this. */
#define ROSTER_SPARE 8

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
	free(roster->weights);
	free(roster->draw);
	free(roster->view.state);
	fleet_unref(&roster->fleet);
	roster->members = roster->candidates = NULL;
	roster->weights = NULL;
	roster->draw = NULL;
	roster->view.state = NULL;
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
	if (member->state == BELIEF_LIVE)
		member->live_ms = belief_since_ms(&backend->belief);
	if (!roster->events->on_added(roster->owner, member)) {
		backend_unref(&member->backend);
		free(member);
		return NULL;
	}
	if (member->state == BELIEF_LIVE)
		candidates_welcome(roster, member);
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

/* ---- A newer set ----------------------------------------------------------------------------- */

/* What the policy keeps of the new set. Without memory for that members are chosen at random. */
static bool roster_make_state(struct roster *roster)
{
	roster->is_state_stale = false;
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

/* Both are sorted by name: where the set differs from the one before. Each step says what is to be done at
 * `place` among the members, which are as they shall be up to there. */
enum roster_step_kind { ROSTER_REMOVED, ROSTER_ADDED, ROSTER_WEIGHED };

struct roster_step {
	enum roster_step_kind kind;
	size_t place;
};

struct roster_steps {
	size_t count;
	struct roster_step list[ROSTER_FEW];
};

static bool roster_note_step(struct roster_steps *steps, enum roster_step_kind kind, size_t place)
{
	if (steps->count == ROSTER_FEW)
		return false;
	steps->list[steps->count].kind = kind;
	steps->list[steps->count++].place = place;
	return true;
}

/* False: there are too many. The same object means the same endpoint, and names are only looked at where the
 * sets differ: of most backends nothing is touched. */
static bool roster_compare(const struct fleet *old, const struct fleet *new, struct roster_steps *steps)
{
	const struct fleet_entry *before = old->entries, *end = old->entries + old->count;
	steps->count = 0;
	for (size_t i = 0; i < new->count; i++) {
		const struct fleet_entry *entry = &new->entries[i];
		for (; before < end && before->backend != entry->backend &&
			strcmp(before->backend->name, entry->backend->name) <= 0;
			before++)
			if (!roster_note_step(steps, ROSTER_REMOVED, i))
				return false;
		bool is_known = before < end && before->backend == entry->backend;
		bool is_weighed = is_known && before->weight != entry->weight;
		if ((!is_known && !roster_note_step(steps, ROSTER_ADDED, i)) ||
			(is_weighed && !roster_note_step(steps, ROSTER_WEIGHED, i)))
			return false;
		before += is_known;
	}
	for (; before < end; before++)
		if (!roster_note_step(steps, ROSTER_REMOVED, new->count))
			return false;
	return true;
}

/* The policy follows, or is to begin anew. */
static void roster_tell_policy(struct roster *roster, struct member *member, bool is_coming)
{
	const struct policy *policy = roster->policy;
	if (policy->make == NULL || roster->is_state_stale)
		return;
	bool (*tell)(void *, struct member *) = is_coming ? policy->admit : policy->dismiss;
	roster->is_state_stale =
		roster->view.state == NULL || tell == NULL || !tell(roster->view.state, member);
}

static void roster_take_out(struct roster *roster, size_t place)
{
	struct member *member = roster->members[place];
	candidates_remove(roster, member);
	roster_tell_policy(roster, member, false);
	memmove(&roster->members[place], &roster->members[place + 1],
		(--roster->count - place) * sizeof(roster->members[0]));
	roster_leave(roster, member);
}

static bool roster_put_in(struct roster *roster, const struct fleet_entry *entry, size_t place)
{
	struct member *member = roster_make_member(roster, entry->backend);
	if (member == NULL)
		return false;
	member->set_weight = entry->weight;
	memmove(&roster->members[place + 1], &roster->members[place],
		(roster->count++ - place) * sizeof(roster->members[0]));
	roster->members[place] = member;
	roster_tell_policy(roster, member, true);
	candidates_add(roster, member);
	return true;
}

static void roster_weigh(struct roster *roster, uint32_t weight, size_t place)
{
	struct member *member = roster->members[place];
	roster_tell_policy(roster, member, false);
	candidates_set_weight(roster, member, weight);
	roster_tell_policy(roster, member, true);
}

/* False: no memory for one. */
static bool roster_take_steps(
	struct roster *roster, const struct fleet *fleet, const struct roster_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++) {
		size_t place = steps->list[i].place;
		if (steps->list[i].kind == ROSTER_REMOVED)
			roster_take_out(roster, place);
		else if (steps->list[i].kind == ROSTER_WEIGHED)
			roster_weigh(roster, fleet->entries[place].weight, place);
		else if (!roster_put_in(roster, &fleet->entries[place], place))
			return false;
	}
	return true;
}

/* One member after the other. False: this is not the way, or the way ended before its end. */
static bool roster_follow(struct roster *roster, const struct fleet *fleet)
{
	struct roster_steps steps;
	bool may_be_weighted = fleet->is_weighted || roster->slow_start_ms > 0;
	if (!roster->is_whole || fleet->count + ROSTER_FEW > roster->capacity ||
		may_be_weighted != (roster->draw != NULL) || !roster_compare(roster->fleet, fleet, &steps))
		return false;
	return roster_take_steps(roster, fleet, &steps);
}

static size_t roster_capacity(const struct fleet *fleet)
{
	return fleet->count + fleet->count / 8 + ROSTER_FEW + ROSTER_SPARE;
}

/* Arrays of the size that the set needs. False: no memory, and nothing was changed but that some are larger.
 */
static bool roster_make_room(struct roster *roster, const struct fleet *fleet)
{
	size_t capacity = roster_capacity(fleet);
	bool may_be_weighted = fleet->is_weighted || roster->slow_start_ms > 0;
	struct member **candidates = malloc(capacity * sizeof(struct member *));
	uint32_t *weights = malloc(capacity * sizeof(uint32_t));
	struct draw *draw = may_be_weighted ? draw_new(capacity) : NULL;
	if (candidates == NULL || weights == NULL || (draw == NULL && may_be_weighted)) {
		free(candidates);
		free(weights);
		free(draw);
		return false;
	}
	free(roster->candidates);
	free(roster->weights);
	free(roster->draw);
	roster->candidates = candidates;
	roster->weights = weights;
	roster->draw = draw;
	roster->capacity = capacity;
	return true;
}

/* Both lists are sorted by name: one walk over both. One that was gone for a while, or whose host name leads
 * elsewhere now, is another object, and starts clean. */
static void roster_merge(struct roster *roster, const struct fleet *fleet, struct member **members)
{
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
	roster->members = members;
	roster->count = count;
}

static bool roster_replace(struct roster *roster, const struct fleet *fleet)
{
	struct member **members = malloc(roster_capacity(fleet) * sizeof(struct member *));
	if (members == NULL || !roster_make_room(roster, fleet)) {
		free(members);
		return false;
	}
	roster_merge(roster, fleet, members);
	roster->is_state_stale = true;
	return true;
}

bool roster_update(struct roster *roster, struct fleet *fleet)
{
	bool is_followed = roster_follow(roster, fleet), has_state = true;
	if (!is_followed && !roster_replace(roster, fleet)) {
		roster->is_whole = false; /* some steps may have been taken */
		if (roster->is_state_stale)
			(void)!roster_make_state(roster);
		candidates_settle(roster);
		return false;
	}
	struct fleet *before = roster->fleet;
	roster->fleet = fleet_ref(fleet);
	fleet_unref(&before);
	roster->is_known = true;
	roster->version = fleet->version;
	roster->taken_ms = fleet->taken_ms;
	roster->is_whole = roster->count == fleet->count;
	if (roster->is_state_stale || (roster->policy->make != NULL && roster->view.state == NULL))
		has_state = roster_make_state(roster);
	if (is_followed) {
		candidates_settle(roster);
		candidates_follow(roster);
	} else {
		candidates_refresh(roster);
	}
	return has_state && roster->is_whole;
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
		candidates_weigh(roster);
	}
	if (now_ms >= roster->timed_until_ms && roster->weigh_ms == 0)
		roster->timed_until_ms = 0;
	return now_ms;
}

static bool roster_has_room(const struct member *member)
{
	return member->window == 0 || member->in_flight < member->window;
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
		candidates_follow(roster);
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
