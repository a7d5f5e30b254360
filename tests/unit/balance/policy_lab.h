/* policy_lab.h - members and a view of them, as a roster would show them to a policy. */
#ifndef UNIT_BALANCE_POLICY_LAB_H
#define UNIT_BALANCE_POLICY_LAB_H

#include "balance/draw.h"
#include "balance/policy.h"

#include "chi_square.h"
#include "fixed_random.h"
#include "support.h"
#include <stdlib.h>
#include <string.h>

#define LAB_MEMBERS_MAX 2000

static struct member lab_members[LAB_MEMBERS_MAX];
static struct member *lab_list[LAB_MEMBERS_MAX];
static struct member *lab_candidates[LAB_MEMBERS_MAX];
static uint32_t lab_weights[LAB_MEMBERS_MAX];
static struct random lab_random = FIXED_RANDOM;
static const struct policy_settings lab_settings = {.choices = 2};
static struct policy_view lab_view;
static const struct policy *lab_policy;

static inline void lab_close(void)
{
	free(lab_view.state);
	free((void *)(uintptr_t)lab_view.draw);
	lab_view = (struct policy_view){0};
}

/* Those that are candidates now, by their weights. */
static inline void lab_refresh(size_t count)
{
	bool is_weighted = false;
	free((void *)(uintptr_t)lab_view.draw);
	lab_view.draw = NULL;
	lab_view.count = lab_view.weight = 0;
	for (size_t i = 0; i < count; i++) {
		if (!lab_members[i].is_candidate)
			continue;
		lab_candidates[lab_view.count++] = &lab_members[i];
		lab_view.weight += lab_members[i].weight;
		is_weighted |= lab_members[i].weight != lab_candidates[0]->weight;
	}
	lab_view.members = lab_candidates;
	if (is_weighted) {
		struct draw *draw = draw_new(lab_view.count);
		cr_assert_not_null(draw);
		for (size_t i = 0; i < lab_view.count; i++)
			lab_weights[i] = lab_candidates[i]->weight;
		draw_fill(draw, lab_weights, lab_view.count);
		lab_view.draw = draw;
	}
	if (lab_policy->change != NULL)
		lab_policy->change(&lab_view);
}

/* So many members, with these weights (NULL: 1 each); their names are needed by ring_hash alone. */
static inline void lab_open(const struct policy *policy, const uint32_t *weights, size_t count)
{
	lab_close();
	lab_policy = policy;
	for (size_t i = 0; i < count; i++) {
		struct backend *backend = lab_members[i].backend;
		uint32_t weight = weights != NULL ? weights[i] : 1;
		lab_members[i] = (struct member){
			.backend = backend, .weight = weight, .set_weight = weight, .is_candidate = true};
		lab_list[i] = &lab_members[i];
	}
	lab_view.settings = &lab_settings;
	lab_view.random = &lab_random;
	const struct policy_view all = {.members = lab_list, .count = count, .settings = &lab_settings};
	lab_view.state = policy->make != NULL ? policy->make(&all) : NULL;
	cr_assert(policy->make == NULL || lab_view.state != NULL);
	lab_refresh(count);
}

static inline size_t lab_pick(void)
{
	struct member *member = lab_policy->pick(&lab_view);
	cr_assert(member >= lab_members && member < lab_members + LAB_MEMBERS_MAX);
	return (size_t)(member - lab_members);
}

/* How often each is picked. */
static inline void lab_spread(unsigned *counts, size_t count, unsigned picks)
{
	memset(counts, 0, count * sizeof(*counts));
	for (unsigned i = 0; i < picks; i++)
		counts[lab_pick()]++;
}

#endif
