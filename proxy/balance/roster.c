/* roster - a worker's members of one service (see roster.h). */
#include "balance/roster.h"

#include "balance/draw.h"

#include <stdlib.h>
#include <string.h>

/* A roster with one of its members taken out is drawn from at most this often before any member will do. */
#define ROSTER_REDRAWS 16

void roster_init(struct roster *roster, const struct policy *policy, const struct policy_settings *settings,
	uint32_t worker, const struct roster_events *events, void *owner)
{
	*roster = (struct roster){
		.policy = policy, .settings = *settings, .worker = worker, .events = events, .owner = owner};
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
	free(roster->draw);
	roster->members = NULL;
	roster->draw = NULL;
	roster->count = 0;
}

static struct member *roster_make_member(struct roster *roster, struct backend *backend)
{
	struct member *member = calloc(1, sizeof(*member));
	if (member == NULL)
		return NULL;
	member->backend = backend_ref(backend);
	member->share = &backend->shares[roster->worker];
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

/* Both lists are sorted by name: one walk over both. The same object means the same endpoint; one that
 * was gone for a while, or whose host name leads elsewhere now, is another object, and starts clean. */
bool roster_update(struct roster *roster, const struct fleet *fleet)
{
	struct member **members = malloc((fleet->count + 1) * sizeof(struct member *));
	struct draw *draw = fleet->is_weighted ? draw_new(fleet->count) : NULL;
	if (members == NULL || (draw == NULL && fleet->is_weighted)) {
		free(members);
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
	if (draw != NULL)
		draw_fill(draw, members, count);
	free(old);
	free(roster->draw);
	roster->draw = draw;
	roster->members = members;
	roster->count = count;
	roster->is_known = true;
	return count == fleet->count;
}

static bool is_excluded(const struct member *member, struct member *const *excluded, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (excluded[i] == member)
			return true;
	return false;
}

/* Every member left, in turn, when drawing did not find one: rare, and bounded by the size of the set. */
static struct member *roster_first_other(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count)
{
	size_t start = random_below(random, (uint32_t)roster->count);
	for (size_t i = 0; i < roster->count; i++) {
		struct member *member = roster->members[(start + i) % roster->count];
		if (member->weight > 0 && !is_excluded(member, excluded, excluded_count))
			return member;
	}
	return NULL;
}

struct member *roster_pick(
	struct roster *roster, struct random *random, struct member *const *excluded, size_t excluded_count)
{
	if (roster->count == 0 || (roster->draw != NULL && roster->draw->total == 0))
		return NULL;
	const struct policy_view view = {.members = roster->members,
		.count = roster->count,
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

void roster_begin(struct roster *roster, struct member *member)
{
	(void)roster;
	member->in_flight++;
	atomic_store_explicit(&member->share->in_flight, member->in_flight, memory_order_relaxed);
	share_add(&member->share->requests, 1);
}

void roster_done(struct roster *roster, struct member *member, enum policy_outcome outcome)
{
	assert(member->in_flight > 0);
	member->in_flight--;
	atomic_store_explicit(&member->share->in_flight, member->in_flight, memory_order_relaxed);
	if (outcome == POLICY_FAILED)
		share_add(&member->share->failures, 1);
	if (roster->policy->done != NULL)
		roster->policy->done(member, outcome);
	if (member->is_leaving && member->in_flight == 0) {
		roster->leaving_count--;
		roster_free_member(roster, member);
	}
}
