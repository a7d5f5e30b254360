/* ring_hash - the policy "ring_hash": requests of the same key go to the same member, as long as it takes
 * requests and is not far busier than the others: consistent hashing with bounded loads (Mirrokni, Thorup and
 * Zadimoghaddam, 2016).
 *
 * Each member has points on a ring, as many as its weight says, where the hashes of its name fall; a request
 * goes to the member whose point is the next one from the hash of its key on. The ring has all members of the
 * set: those that are no candidates now, or have their share of the load already, are walked past. So one
 * that leaves, or is ejected, leaves the others' keys where they are; its own spread over all. The ring is
 * the same in every worker and every proxy.
 *
 * The points are kept in order in a table with room in between, each as near as can be behind the place that
 * its hash points at (linear probing, in order): a point is found there without searching, and one more, or
 * one less, moves a few neighbours. */
#include "balance/policy.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

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

/* Of the table's places, points may take so many percent; when it is made they take fewer. */
#define RING_FULL_PERCENT 85
#define RING_MADE_PERCENT 70

/* Places behind the last one that a hash points at. */
#define RING_TAIL 64

/* Room for members beside those that there are, and an eighth. */
#define RING_SPARE 8

struct ring {
	size_t each;			 /* points of a member of usual weight, */
	uint64_t usual;			 /* which is this */
	uint64_t weight;		 /* of all members, */
	size_t weighty_count;		 /* of so many, who have any, */
	size_t member_count, member_max; /* of so many in all */
	size_t point_count;		 /* theirs */
	size_t home_count, place_count;	 /* where hashes point at; and where points are */
	uint64_t *places;	  /* a point: the hash's upper half, and 1 + the member's number; or 0 */
	struct member *members[]; /* by number, NULL where there is none; behind them the places */
};

static size_t min_of(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* ---- How many points ------------------------------------------------------------------------- */

static size_t ring_points_each(size_t member_count)
{
	size_t each = RING_POINTS_EACH;
	while (each > RING_POINTS_LEAST && each * member_count > RING_POINTS_TOTAL)
		each /= 2;
	return each;
}

/* Weights count as parts of a usual one. That is a power of two, so that it seldom changes with the set: when
 * it does, all members' points do. */
static uint64_t ring_usual_weight(uint64_t weight, size_t weighty_count)
{
	uint64_t usual = 1;
	while (weighty_count > 0 && usual * 2 <= weight / weighty_count)
		usual *= 2;
	return usual;
}

static size_t ring_points_of(const struct ring *ring, const struct member *member)
{
	size_t points = (size_t)(member->set_weight * (uint64_t)ring->each / ring->usual);
	return member->set_weight > 0 && points == 0 ? 1 : points;
}

/* ---- Points ---------------------------------------------------------------------------------- */

static struct member *ring_member(const struct ring *ring, uint64_t point)
{
	return ring->members[(uint32_t)point - 1];
}

static size_t ring_home(const struct ring *ring, uint64_t point)
{
	return (size_t)(((point >> 32) * ring->home_count) >> 32);
}

/* By hash; of the same hash by name, as numbers are not the same everywhere. */
static bool ring_is_before(const struct ring *ring, uint64_t one, uint64_t other)
{
	if (one >> 32 != other >> 32)
		return one < other;
	return strcmp(ring_member(ring, one)->backend->name, ring_member(ring, other)->backend->name) < 0;
}

/* False: the table is too full there. */
static bool ring_put(struct ring *ring, uint64_t point)
{
	size_t place = ring_home(ring, point), end;
	while (place < ring->place_count && ring->places[place] != 0 &&
		ring_is_before(ring, ring->places[place], point))
		place++;
	for (end = place; end < ring->place_count && ring->places[end] != 0;)
		end++;
	if (end >= ring->place_count)
		return false;
	memmove(&ring->places[place + 1], &ring->places[place], (end - place) * sizeof(ring->places[0]));
	ring->places[place] = point;
	ring->point_count++;
	return true;
}

/* Those behind it move up as far as their homes let them. */
static void ring_take(struct ring *ring, uint64_t point)
{
	size_t place = ring_home(ring, point);
	while (ring->places[place] != point)
		place++;
	for (; place + 1 < ring->place_count && ring->places[place + 1] != 0 &&
		ring_home(ring, ring->places[place + 1]) <= place;
		place++)
		ring->places[place] = ring->places[place + 1];
	ring->places[place] = 0;
	ring->point_count--;
}

/* The points of a member fall where the hashes of its name do. */
static uint64_t ring_point(uint64_t *hash, size_t number)
{
	*hash += UINT64_C(0x9e3779b97f4a7c15);
	return (hash_mix(*hash) & ~(uint64_t)UINT32_MAX) | (uint64_t)(number + 1);
}

static bool ring_put_all(struct ring *ring, struct member *member, size_t number)
{
	uint64_t hash = hash_bytes(str_of(member->backend->name));
	size_t points = ring_points_of(ring, member);
	ring->members[number] = member;
	for (size_t i = 0; i < points; i++)
		if (!ring_put(ring, ring_point(&hash, number)))
			return false;
	return true;
}

static void ring_take_all(struct ring *ring, struct member *member, size_t number)
{
	uint64_t hash = hash_bytes(str_of(member->backend->name));
	size_t points = ring_points_of(ring, member);
	for (size_t i = 0; i < points; i++)
		ring_take(ring, ring_point(&hash, number));
	ring->members[number] = NULL;
}

/* ---- The set --------------------------------------------------------------------------------- */

static void ring_count(struct ring *ring, const struct member *member)
{
	ring->member_count++;
	ring->weight += member->set_weight;
	ring->weighty_count += member->set_weight > 0;
}

static size_t ring_count_points(const struct ring *ring, const struct policy_view *all)
{
	size_t point_count = 0;
	for (size_t i = 0; i < all->count; i++)
		point_count += ring_points_of(ring, all->members[i]);
	return point_count;
}

static void *ring_make(const struct policy_view *all)
{
	struct ring like = {.member_max = all->count + all->count / 8 + RING_SPARE};
	for (size_t i = 0; i < all->count; i++)
		ring_count(&like, all->members[i]);
	like.each = ring_points_each(all->count);
	like.usual = ring_usual_weight(like.weight, like.weighty_count);
	size_t point_count = ring_count_points(&like, all);
	like.home_count = point_count * 100 / RING_MADE_PERCENT + 1;
	/* Points that crowd together have room for all of them behind the last home. */
	like.place_count = like.home_count + RING_TAIL + min_of(point_count, RING_TAIL * RING_TAIL);
	size_t bytes = sizeof(struct ring) + like.member_max * sizeof(struct member *);
	struct ring *ring = calloc(1, bytes + like.place_count * sizeof(ring->places[0]));
	if (ring == NULL)
		return NULL;
	*ring = like;
	ring->places = (uint64_t *)(void *)&ring->members[ring->member_max];
	for (size_t i = 0; i < all->count; i++)
		if (!ring_put_all(ring, all->members[i], i)) {
			free(ring);
			return NULL;
		}
	return ring;
}

/* Has every member as many points as it would have if the ring were made anew, and the table room? */
static bool ring_is_right(const struct ring *ring)
{
	return ring->each == ring_points_each(ring->member_count) &&
	       ring->usual == ring_usual_weight(ring->weight, ring->weighty_count) &&
	       ring->point_count * 100 <= ring->home_count * RING_FULL_PERCENT;
}

/* The number of a member, or the first one that is free with NULL. */
static size_t ring_number(const struct ring *ring, const struct member *member)
{
	size_t number = 0;
	while (number < ring->member_max && ring->members[number] != member)
		number++;
	return number;
}

static bool ring_admit(void *state, struct member *member)
{
	struct ring *ring = state;
	size_t number = ring_number(ring, NULL);
	ring_count(ring, member);
	return number < ring->member_max && ring_is_right(ring) && ring_put_all(ring, member, number);
}

static bool ring_dismiss(void *state, struct member *member)
{
	struct ring *ring = state;
	ring_take_all(ring, member, ring_number(ring, member));
	ring->member_count--;
	ring->weight -= member->set_weight;
	ring->weighty_count -= member->set_weight > 0;
	return ring_is_right(ring);
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The place of the first point that is not before `key`'s, if there are any. */
static size_t ring_find(const struct ring *ring, uint64_t key)
{
	size_t place = ring_home(ring, key);
	while (place < ring->place_count && ring->places[place] >> 32 < key >> 32)
		place++; /* over places without a point, too */
	return place;
}

/* The first place with a point from this one on. There must be one. */
static size_t ring_next(const struct ring *ring, size_t place)
{
	for (;; place++) {
		if (place >= ring->place_count)
			place = 0;
		if (ring->places[place] != 0)
			return place;
	}
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
	size_t place = ring_find(ring, view->key);
	for (size_t step = 0; step < steps; step++, place++) {
		place = ring_next(ring, place);
		struct member *member = ring_member(ring, ring->places[place]);
		if (member->is_candidate && has_room(view, member) && !policy_is_excluded(view, member))
			return member;
	}
	for (size_t i = 0; i < view->count; i++) {
		struct member *member = view->members[(view->key + i) % view->count];
		if (member->weight > 0 && !policy_is_excluded(view, member))
			return member;
	}
	return view->members[view->key % view->count];
}

const struct policy policy_ring_hash = {.name = "ring_hash",
	.is_keyed = true,
	.pick = ring_pick,
	.make = ring_make,
	.admit = ring_admit,
	.dismiss = ring_dismiss};
