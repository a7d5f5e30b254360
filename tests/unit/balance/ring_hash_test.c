/* ring_hash_test - the policy "ring_hash": keys stay where they are when others leave, and no member gets far
 * more than the mean. */
#include "policy_lab.h"

#include "base/hash.h"
#include <stdio.h>

static void name_members(size_t count)
{
	char name[32];
	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "10.0.%zu.%zu:80", i / 250, i % 250);
		lab_members[i].backend = make_backend(name);
	}
}

static void free_members(void)
{
	lab_close();
	for (size_t i = 0; i < LAB_MEMBERS_MAX; i++)
		backend_unref(&lab_members[i].backend);
}

TestSuite(policy_ring_hash, .fini = free_members);

static uint64_t key_of(unsigned number)
{
	char text[32];
	snprintf(text, sizeof(text), "/path/%u", number);
	return hash_bytes(str_of(text));
}

static size_t pick_for(unsigned number)
{
	lab_view.key = key_of(number);
	return lab_pick();
}

#define KEYS 20000

static size_t before[KEYS];

static void note_all(void)
{
	for (unsigned key = 0; key < KEYS; key++)
		before[key] = pick_for(key);
}

Test(policy_ring_hash, a_key_has_its_member)
{
	name_members(10);
	lab_open(&policy_ring_hash, NULL, 10);
	note_all();
	for (unsigned key = 0; key < KEYS; key++)
		cr_assert_eq(pick_for(key), before[key]);
	lab_open(&policy_ring_hash, NULL, 10); /* another worker, another proxy */
	for (unsigned key = 0; key < KEYS; key++)
		cr_assert_eq(pick_for(key), before[key]);
}

/* A member's points are so many that its part of the keys is what its weight says, but for some percent: the
 * counts' chi-square would be too large, so each is looked at. */
Test(policy_ring_hash, members_have_their_part_of_the_keys)
{
	static const uint32_t sets[][6] = {{1, 1, 1, 1, 1, 1}, {1, 2, 3, 4, 5, 6}, {10, 0, 10, 20, 0, 40}};
	name_members(6);
	for (size_t set = 0; set < ARRAY_SIZE(sets); set++) {
		double counts[6] = {0}, total = 0;
		lab_open(&policy_ring_hash, sets[set], 6);
		for (unsigned key = 0; key < KEYS; key++)
			counts[pick_for(key)]++;
		for (size_t i = 0; i < 6; i++)
			total += sets[set][i];
		for (size_t i = 0; i < 6; i++) {
			double wanted = KEYS * sets[set][i] / total;
			cr_expect(counts[i] >= 0.7 * wanted && counts[i] <= 1.3 * wanted,
				"set %zu, member %zu: %g, not %g", set, i, counts[i], wanted);
		}
	}
}

/* Only its own keys go elsewhere, to more than one, and come back with it. */
Test(policy_ring_hash, keys_of_the_others_stay_when_one_is_ejected)
{
	unsigned counts[10] = {0};
	name_members(10);
	lab_open(&policy_ring_hash, NULL, 10);
	note_all();
	lab_members[4].is_candidate = false;
	lab_refresh(10);
	for (unsigned key = 0; key < KEYS; key++) {
		size_t now = pick_for(key);
		cr_assert(before[key] == 4 ? now != 4 : now == before[key]);
		counts[now] += before[key] == 4;
	}
	for (size_t i = 0; i < 10; i++)
		cr_expect(i == 4 || counts[i] > 20, "member %zu took over %u", i, counts[i]);
	lab_members[4].is_candidate = true;
	lab_refresh(10);
	for (unsigned key = 0; key < KEYS; key++)
		cr_assert_eq(pick_for(key), before[key]);
}

/* The set itself is another one: the ring is made anew, and leads to the same members. */
Test(policy_ring_hash, keys_of_the_others_stay_when_one_leaves_the_set)
{
	name_members(10);
	lab_open(&policy_ring_hash, NULL, 10);
	note_all();
	lab_open(&policy_ring_hash, NULL, 9);
	for (unsigned key = 0; key < KEYS; key++)
		if (before[key] != 9)
			cr_assert_eq(pick_for(key), before[key]);
}

Test(policy_ring_hash, who_was_tried_is_walked_past)
{
	struct member *excluded[2];
	name_members(5);
	lab_open(&policy_ring_hash, NULL, 5);
	note_all();
	for (unsigned key = 0; key < 1000; key++) {
		excluded[0] = &lab_members[before[key]];
		lab_view.excluded = excluded;
		lab_view.excluded_count = 1;
		size_t second = pick_for(key);
		cr_assert_neq(second, before[key]);
		cr_assert_eq(pick_for(key), second);
		excluded[1] = &lab_members[second];
		lab_view.excluded_count = 2;
		size_t third = pick_for(key);
		cr_assert(third != second && third != before[key]);
	}
}

/* ---- Bounded loads --------------------------------------------------------------------------- */

static void begin(size_t member)
{
	lab_members[member].in_flight++;
	lab_view.in_flight++;
}

/* All requests have the same key, and none ends. */
Test(policy_ring_hash, one_hot_key_loads_no_member_by_more_than_a_quarter_above_the_mean)
{
	name_members(8);
	lab_open(&policy_ring_hash, NULL, 8);
	for (unsigned count = 1; count <= 4000; count++) {
		begin(pick_for(7));
		double most = 1.25 * count / 8 + 1;
		for (size_t i = 0; i < 8; i++)
			cr_assert_leq(lab_members[i].in_flight, most > 2 ? most : 2, "after %u", count);
	}
}

Test(policy_ring_hash, the_bound_goes_by_weight)
{
	static const uint32_t weights[] = {1, 2, 5};
	name_members(3);
	lab_open(&policy_ring_hash, weights, 3);
	for (unsigned count = 1; count <= 4000; count++)
		begin(pick_for(7));
	for (size_t i = 0; i < 3; i++)
		cr_expect_leq(lab_members[i].in_flight, 1.25 * 4000 * weights[i] / 8 + 1);
}

Test(policy_ring_hash, keys_stay_where_there_is_room)
{
	name_members(10);
	lab_open(&policy_ring_hash, NULL, 10);
	note_all();
	for (size_t i = 0; i < 10; i++)
		for (int n = 0; n < 20; n++)
			begin(i);
	for (unsigned key = 0; key < KEYS; key++)
		cr_assert_eq(pick_for(key), before[key]);
}

/* ---- Size ------------------------------------------------------------------------------------ */

Test(policy_ring_hash, thousands_of_members_with_all_but_one_ejected)
{
	name_members(LAB_MEMBERS_MAX);
	lab_open(&policy_ring_hash, NULL, LAB_MEMBERS_MAX);
	for (unsigned key = 0; key < 1000; key++)
		(void)pick_for(key);
	for (size_t i = 0; i < LAB_MEMBERS_MAX; i++)
		lab_members[i].is_candidate = i == 1234;
	lab_refresh(LAB_MEMBERS_MAX);
	for (unsigned key = 0; key < 1000; key++)
		cr_assert_eq(pick_for(key), 1234);
}

Test(policy_ring_hash, weights_that_differ_as_much_as_can_be)
{
	static const uint32_t weights[] = {65535, 1, 1, 0};
	unsigned counts[4] = {0};
	name_members(4);
	lab_open(&policy_ring_hash, weights, 4);
	for (unsigned key = 0; key < KEYS; key++)
		counts[pick_for(key)]++;
	cr_expect_eq(counts[3], 0);
	cr_expect_gt(counts[0], KEYS * 95 / 100);
}
