/* roster_recorder.h - a roster under test, and what it tells of its members. */
#ifndef UNIT_BALANCE_ROSTER_RECORDER_H
#define UNIT_BALANCE_ROSTER_RECORDER_H

#include "balance/roster.h"

#include "fixed_random.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define WORKER 1 /* whose shares are counted */

static struct roster roster;
static struct random generator = FIXED_RANDOM;
static struct {
	int added, leaving, gone;
	bool is_refusing; /* no memory for a pool */
} seen;

/* Each member gets memory as its pool: the sanitizer sees what is not given back, or twice. */
static inline bool on_added(void *owner, struct member *member)
{
	cr_assert_eq(owner, &seen);
	seen.added++;
	if (seen.is_refusing)
		return false;
	member->pool = malloc(1);
	return member->pool != NULL;
}

static inline void on_leaving(void *owner, struct member *member)
{
	cr_assert_eq(owner, &seen);
	cr_assert(member->is_leaving);
	seen.leaving++;
}

static inline void on_gone(void *owner, struct member *member)
{
	cr_assert_eq(owner, &seen);
	cr_assert_eq(member->in_flight, 0);
	seen.gone++;
	free(member->pool);
}

static const struct roster_events events = {
	.on_added = on_added, .on_leaving = on_leaving, .on_gone = on_gone};

static inline void start(void)
{
	const struct policy_settings settings = {.choices = 1};
	memset(&seen, 0, sizeof(seen));
	roster_init(&roster, &policy_random, &settings, NULL, WORKER, &events, &seen);
}

static inline void finish(void)
{
	roster_finish(&roster);
	cr_expect_eq(seen.added, seen.gone, "every member that was added is gone");
}

/* Whose backend's name begins so. */
static inline struct member *member_of(char letter)
{
	for (size_t i = 0; i < roster.count; i++)
		if (roster.members[i]->backend->name[0] == letter)
			return roster.members[i];
	cr_assert_fail("no member %c", letter);
	return NULL;
}

#endif
