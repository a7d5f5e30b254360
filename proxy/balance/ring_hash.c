/* ring_hash - the policy "ring_hash": requests of the same key go to the same member, as long as it takes
 * requests and is not far busier than the others: consistent hashing with bounded loads (Mirrokni, Thorup and
 * Zadimoghaddam, 2016).
 *
 * Each member has points on a ring, as many as its weight says, where the hashes of its name fall; a request
 * goes to the member whose point is the next one from the hash of its key on. The ring has all members of the
 * set: those that are no candidates now, or have their share of the load already, are walked past. So one
 * that leaves, or is ejected, leaves the others' keys where they are; its own spread over all. The ring is
 * the same in every worker and every proxy. */
#include "balance/policy.h"
#include "base/hash.h"

#include <stdlib.h>

/* Points of a member of usual weight; of many members fewer, so that the ring stays small, but so many at
 * least. With 160 points the shares of the keys differ by about 8 % (standard deviation); the bound on loads
 * evens that out where it matters. */
#define RING_POINTS_EACH  160
#define RING_POINTS_TOTAL 65536
#define RING_POINTS_LEAST 16

/* A member has its share when it would have more than this part of the mean load, in percent. */
#define RING_LOAD_PERCENT 125

/* Two at a time are no load, however little there is on the others. */
#define RING_LOAD_LEAST 2

/* A walk that finds nobody in so many steps ends; then the key itself says which candidate. */
#define RING_STEPS_MAX 4096

struct ring {
	size_t member_count, point_count;
	uint64_t *points;	  /* sorted: the hash's upper half, and the member's index */
	struct member *members[]; /* and behind them the points */
};

static size_t min_of(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* Weights count as parts of a usual one. That is a power of two, so that it seldom changes with the set: when
 * it does, all members' points do. */
static uint64_t ring_usual_weight(const struct policy_view *all)
{
	uint64_t total = 0, weighty = 0, usual = 1;
	for (size_t i = 0; i < all->count; i++) {
		total += all->members[i]->set_weight;
		weighty += all->members[i]->set_weight > 0;
	}
	while (weighty > 0 && usual * 2 <= total / weighty)
		usual *= 2;
	return usual;
}

static size_t ring_points_of(const struct member *member, size_t each, uint64_t usual)
{
	size_t points = (size_t)(member->set_weight * (uint64_t)each / usual);
	return member->set_weight > 0 && points == 0 ? 1 : points;
}

static int compare_points(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return left < right ? -1 : left > right;
}

static void ring_fill(struct ring *ring, const struct policy_view *all, size_t each, uint64_t usual)
{
	for (size_t i = 0; i < all->count; i++) {
		struct member *member = all->members[i];
		uint64_t hash = hash_bytes(str_of(member->backend->name));
		size_t points = ring_points_of(member, each, usual);
		ring->members[i] = member;
		for (size_t point = 0; point < points; point++) {
			hash += UINT64_C(0x9e3779b97f4a7c15);
			ring->points[ring->point_count++] =
				(hash_mix(hash) & ~(uint64_t)UINT32_MAX) | (uint64_t)i;
		}
	}
	qsort(ring->points, ring->point_count, sizeof(ring->points[0]), compare_points);
}

static void *ring_make(const struct policy_view *all)
{
	size_t each = RING_POINTS_EACH, point_count = 0;
	uint64_t usual = ring_usual_weight(all);
	while (each > RING_POINTS_LEAST && each * all->count > RING_POINTS_TOTAL)
		each /= 2;
	for (size_t i = 0; i < all->count; i++)
		point_count += ring_points_of(all->members[i], each, usual);
	size_t bytes = sizeof(struct ring) + all->count * sizeof(struct member *);
	struct ring *ring = malloc(bytes + point_count * sizeof(ring->points[0]));
	if (ring == NULL)
		return NULL;
	*ring = (struct ring){.member_count = all->count};
	ring->points = (uint64_t *)(void *)&ring->members[all->count];
	ring_fill(ring, all, each, usual);
	return ring;
}

/* The first point that is not before `key`'s. */
static size_t ring_find(const struct ring *ring, uint64_t key)
{
	size_t low = 0, high = ring->point_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (ring->points[middle] < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ring->point_count ? low : 0;
}

/* May it have one more attempt in flight? Failures are no load here: a member keeps its keys. */
static bool has_room(const struct policy_view *view, const struct member *member)
{
	if (member->in_flight < RING_LOAD_LEAST)
		return true;
	return (unsigned __int128)member->in_flight * view->weight * 100 <
	       (unsigned __int128)RING_LOAD_PERCENT * (view->in_flight + 1) * member->weight;
}

static struct member *ring_pick(const struct policy_view *view)
{
	const struct ring *ring = view->state;
	size_t steps = min_of(ring->point_count, RING_STEPS_MAX);
	size_t at = ring_find(ring, view->key);
	for (size_t step = 0; step < steps; step++) {
		struct member *member = ring->members[(uint32_t)ring->points[at]];
		if (member->is_candidate && has_room(view, member) && !policy_is_excluded(view, member))
			return member;
		at = at + 1 < ring->point_count ? at + 1 : 0;
	}
	for (size_t i = 0; i < view->count; i++) {
		struct member *member = view->members[(view->key + i) % view->count];
		if (member->weight > 0 && !policy_is_excluded(view, member))
			return member;
	}
	return view->members[view->key % view->count];
}

const struct policy policy_ring_hash = {
	.name = "ring_hash", .is_keyed = true, .pick = ring_pick, .make = ring_make};
