/* roster_test - members come, stay, leave and go as fleets change, with what is known of them. */
#include "balance/roster.h"

#include "base/clock.h"
#include "chi_square.h"
#include "roster_recorder.h"
#include "support.h"
#include <stdlib.h>
#include <string.h>

TestSuite(roster, .init = start, .fini = finish);

/* "a c" is a fleet of the first and the third of these. */
static struct backend *alphabet[26];

static struct backend *backend_of(char letter)
{
	struct backend **backend = &alphabet[letter - 'a'];
	char name[] = {letter, ':', '1', '\0'};
	if (*backend == NULL)
		*backend = make_backend(name);
	return *backend;
}

static bool try_update(const char *letters)
{
	struct backend *backends[64];
	size_t count = 0;
	for (; *letters != '\0'; letters++)
		backends[count++] = backend_of(*letters);
	struct fleet *fleet = make_fleet(backends, count);
	bool is_whole = roster_update(&roster, fleet);
	fleet_unref(&fleet);
	return is_whole;
}

static void update(const char *letters)
{
	cr_assert(try_update(letters));
}

static void forget_backends(void)
{
	for (size_t i = 0; i < 26; i++)
		backend_unref(&alphabet[i]);
}

static void expect_members(const char *letters)
{
	char held[64] = {0};
	for (size_t i = 0; i < roster.count; i++)
		held[i] = roster.members[i]->backend->name[0];
	cr_expect_str_eq(held, letters);
}

Test(roster, knows_nothing_until_the_first_fleet_and_an_empty_one_is_known)
{
	cr_expect_not(roster.is_known);
	cr_expect_null(roster_pick(&roster, &generator, NULL, 0));
	update("");
	cr_expect(roster.is_known);
	cr_expect_null(roster_pick(&roster, &generator, NULL, 0));
}

/* From each set to each other one. */
Test(roster, follows_every_change_of_the_set)
{
	static const char *const sets[] = {
		"", "a", "b", "c", "ab", "ac", "bc", "abc", "abcd", "bd", "acd", "d", "xyz", "axyz"};
	for (size_t from = 0; from < ARRAY_SIZE(sets); from++) {
		for (size_t to = 0; to < ARRAY_SIZE(sets); to++) {
			struct member *before[26] = {0};
			int stay = 0;
			update(sets[from]);
			for (const char *at = sets[from]; *at != '\0'; at++)
				before[*at - 'a'] = member_of(*at);
			memset(&seen, 0, sizeof(seen));
			update(sets[to]);
			expect_members(sets[to]);
			for (const char *at = sets[to]; *at != '\0'; at++) {
				stay += before[*at - 'a'] != NULL;
				if (before[*at - 'a'] != NULL)
					cr_expect_eq(before[*at - 'a'], member_of(*at));
			}
			cr_expect_eq(seen.added, (int)strlen(sets[to]) - stay);
			cr_expect_eq(seen.leaving, (int)strlen(sets[from]) - stay);
			cr_expect_eq(seen.gone, seen.leaving, "idle ones go at once");
		}
	}
	seen.added = (int)roster.count;
	seen.gone = 0;
	forget_backends();
}

Test(roster, a_member_that_stays_keeps_its_attempts)
{
	update("ab");
	struct member *member = member_of('b');
	roster_begin(&roster, member);
	roster_begin(&roster, member);
	update("abc");
	update("bc");
	cr_expect_eq(member_of('b'), member);
	cr_expect_eq(member->in_flight, 2);
	cr_expect_eq(backend_of('b')->shares[WORKER].in_flight, 2);
	roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
	roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
	forget_backends();
}

Test(roster, a_member_that_left_goes_with_its_last_attempt)
{
	update("ab");
	struct member *member = member_of('a');
	roster_begin(&roster, member);
	roster_begin(&roster, member);
	update("b");
	cr_expect_eq(seen.leaving, 1);
	cr_expect_eq(seen.gone, 0);
	cr_expect_eq(roster.leaving_count, 1);
	for (int draw = 0; draw < 1000; draw++)
		cr_assert_neq(roster_pick(&roster, &generator, NULL, 0), member);
	roster_done(&roster, member, EVIDENCE_RESET, 0);
	cr_expect_eq(seen.gone, 0);
	roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
	cr_expect_eq(seen.gone, 1);
	cr_expect_eq(roster.leaving_count, 0);
	cr_expect_eq(backend_of('a')->shares[WORKER].in_flight, 0);
	forget_backends();
}

Test(roster, the_last_reference_to_a_backend_is_the_members)
{
	update("a");
	struct member *member = member_of('a');
	roster_begin(&roster, member);
	forget_backends();
	update(""); /* the fleet is gone with its references */
	cr_expect_str_eq(member->backend->name, "a:1");
	roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
	cr_expect_eq(seen.gone, 1);
}

Test(roster, a_node_that_came_back_is_another_member)
{
	update("abc");
	struct member *old = member_of('b');
	roster_begin(&roster, old);
	backend_unref(&alphabet['b' - 'a']); /* the next "b" is another object of the same name */
	update("abc");
	struct member *new = member_of('b');
	expect_members("abc");
	cr_expect_neq(new, old);
	cr_expect_eq(new->in_flight, 0);
	cr_expect_eq(new->share->requests, 0, "it starts clean");
	cr_expect_eq(seen.leaving, 1);
	cr_expect_eq(seen.added, 4);
	cr_expect_eq(roster.leaving_count, 1);
	roster_done(&roster, old, EVIDENCE_ANSWERED, 0);
	cr_expect_eq(seen.gone, 1);
	forget_backends();
}

/* Nobody sends such a fleet; if one came, memory stays sound. */
Test(roster, a_fleet_out_of_order_or_with_doubles_is_taken_on_whole)
{
	static const char *const fleets[] = {"abc", "cba", "bac", "aab", "aaa", "abca", "zyx", "", "cab"};
	for (size_t i = 0; i < ARRAY_SIZE(fleets); i++) {
		update(fleets[i]);
		expect_members(fleets[i]);
		if (roster.count > 0) {
			struct member *member = roster_pick(&roster, &generator, NULL, 0);
			roster_begin(&roster, member);
			roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
		}
	}
	forget_backends();
}

Test(roster, a_member_without_memory_is_left_out_until_the_next_update)
{
	update("ac");
	seen.is_refusing = true;
	cr_expect_not(try_update("abc"), "the holder is told to try again");
	expect_members("ac");
	seen.is_refusing = false;
	seen.added--; /* the refused one */
	update("abc");
	expect_members("abc");
	forget_backends();
}

Test(roster, counts_what_became_of_attempts_in_its_own_share)
{
	static const enum evidence outcomes[] = {
		EVIDENCE_ANSWERED, EVIDENCE_RESET, EVIDENCE_CANCELLED, EVIDENCE_CLOSED};
	update("a");
	struct member *member = member_of('a');
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		roster_begin(&roster, member);
	cr_expect_eq(backend_totals(member->backend).in_flight, 4);
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		roster_done(&roster, member, outcomes[i], 0);
	const struct backend_share *shares = member->backend->shares;
	cr_expect_eq(shares[WORKER].requests, 4);
	cr_expect_eq(shares[WORKER].failures, 2);
	cr_expect_eq(shares[WORKER].in_flight, 0);
	cr_expect_eq(shares[0].requests + shares[2].requests, 0);
	forget_backends();
}

Test(roster, does_not_pick_an_excluded_member_while_there_is_another)
{
	update("abcdefghijklmnop");
	struct member *excluded[16];
	for (size_t count = 1; count <= 15; count++) {
		bool was_picked[26] = {0};
		size_t others = 0;
		for (size_t i = 0; i < count; i++)
			excluded[i] = roster.members[15 - i];
		for (int draw = 0; draw < 3000; draw++) {
			struct member *member = roster_pick(&roster, &generator, excluded, count);
			for (size_t i = 0; i < count; i++)
				cr_assert_neq(member, excluded[i], "%zu excluded", count);
			was_picked[member->backend->name[0] - 'a'] = true;
		}
		for (size_t i = 0; i < 26; i++)
			others += was_picked[i];
		cr_expect_eq(others, 16 - count, "each of the others is picked");
	}
	forget_backends();
}

Test(roster, picks_an_excluded_member_when_there_is_no_other)
{
	update("ab");
	struct member *excluded[] = {member_of('a'), member_of('b')};
	cr_expect_not_null(roster_pick(&roster, &generator, excluded, 2));
	update("a");
	cr_expect_eq(roster_pick(&roster, &generator, excluded, 2), member_of('a'));
	forget_backends();
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* "a2c0" is a fleet of the first, of weight 2, and of the third, of weight 0. */
Test(roster, who_has_just_come_is_given_the_next_request)
{
	update("abcdefghijklmnopqrst");
	for (int i = 0; i < 100; i++) {
		struct member *member = roster_pick(&roster, &generator, NULL, 0);
		cr_assert_not_null(member);
		roster_begin(&roster, member);
		roster_done(&roster, member, EVIDENCE_ANSWERED, 0);
	}
	update("abcdefghijklmnopqrstu");
	/* One that goes again at once is not looked for. */
	update("abcdefghijklmnopqrst");
	cr_assert_neq(roster_pick(&roster, &generator, NULL, 0)->backend->name[0], 'u');
	update("abcdefghijklmnopqrstuv");
	const struct member *newcomer = member_of('v');
	cr_assert_eq(roster_pick(&roster, &generator, NULL, 0), newcomer);
	unsigned again = 0;
	for (int i = 0; i < 1000; i++)
		again += roster_pick(&roster, &generator, NULL, 0) == newcomer;
	cr_assert_lt(again, 200, "once is enough");
	update("");
}

static bool try_weighted_update(const char *pairs)
{
	struct backend *backends[26];
	uint32_t weights[26];
	size_t count = 0;
	for (; *pairs != '\0'; pairs += 2) {
		backends[count] = backend_of(pairs[0]);
		weights[count++] = (uint32_t)(pairs[1] - '0');
	}
	struct fleet *fleet = make_weighted_fleet(backends, weights, count);
	bool is_whole = roster_update(&roster, fleet);
	fleet_unref(&fleet);
	return is_whole;
}

static void expect_picks(const char *letters, const uint32_t *weights)
{
	unsigned counts[26] = {0};
	size_t count = strlen(letters);
	for (int draw = 0; draw < 30000; draw++) {
		const struct member *member = roster_pick(&roster, &generator, NULL, 0);
		cr_assert_not_null(member);
		counts[strchr(letters, member->backend->name[0]) - letters]++;
	}
	cr_expect(count == 1 || is_weighted(counts, weights, count), "%s: %u %u", letters, counts[0],
		counts[1]);
}

Test(roster, picks_by_weight_and_a_changed_weight_keeps_the_member)
{
	cr_assert(try_weighted_update("a1b2c3"));
	expect_picks("abc", (const uint32_t[]){1, 2, 3});
	struct member *member = member_of('b');
	roster_begin(&roster, member);
	cr_assert(try_weighted_update("a1b9c0"));
	cr_expect_eq(member_of('b'), member);
	cr_expect_eq(member->in_flight, 1);
	cr_expect_eq(seen.leaving, 0);
	expect_picks("abc", (const uint32_t[]){1, 9, 0});
	roster_done(&roster, member, EVIDENCE_ANSWERED, 0);

	cr_assert(try_weighted_update("a4b4c4"));
	cr_expect_null(roster.draw, "nothing is weighed where all weigh the same");
	expect_picks("abc", (const uint32_t[]){1, 1, 1});
	cr_assert(try_weighted_update("c0d5"));
	expect_picks("cd", (const uint32_t[]){0, 1});
	forget_backends();
}

Test(roster, picks_nobody_where_nobody_takes_requests)
{
	cr_assert(try_weighted_update("a0b0"));
	cr_expect_null(roster_pick(&roster, &generator, NULL, 0));
	struct member *excluded[] = {member_of('a')};
	cr_expect_null(roster_pick(&roster, &generator, excluded, 1));
	cr_assert(try_weighted_update("a0b1"));
	cr_expect_eq(roster_pick(&roster, &generator, NULL, 0), member_of('b'));
	forget_backends();
}

Test(roster, does_not_fall_back_on_a_member_that_takes_no_requests)
{
	cr_assert(try_weighted_update("a0b9c0d1"));
	struct member *excluded[] = {member_of('b'), member_of('d')};
	for (int draw = 0; draw < 3000; draw++)
		cr_assert_eq(roster_pick(&roster, &generator, excluded, 1), member_of('d'));
	for (int draw = 0; draw < 3000; draw++)
		cr_assert_gt(roster_pick(&roster, &generator, excluded, 2)->weight, 0,
			"when there is no other, an excluded one that takes them");
	forget_backends();
}

Test(roster, leaves_out_members_of_a_weighted_fleet_without_memory)
{
	cr_assert(try_weighted_update("a1c2"));
	seen.is_refusing = true;
	cr_expect_not(try_weighted_update("a1b9c2"));
	expect_picks("ac", (const uint32_t[]){1, 2});
	seen.is_refusing = false;
	seen.added--; /* the refused one */
	cr_assert(try_weighted_update("a1b9c2"));
	expect_picks("abc", (const uint32_t[]){1, 9, 2});
	forget_backends();
}

/* ---- Failures, what a policy keeps ---------------------------------------------------------- */

Test(roster, a_failure_counts_as_load_for_a_while)
{
	roster.settings.choices = 2;
	update("ab");
	for (int n = 0; n < 1000; n++) {
		struct member *member = roster_pick(&roster, &generator, NULL, 0);
		roster_begin(&roster, member);
		roster_done(&roster, member, EVIDENCE_CANCELLED, 0);
	}
	cr_expect_eq(roster.timed_until_ms, 0, "nothing was anyone's fault");
	roster_begin(&roster, member_of('a'));
	roster_done(&roster, member_of('a'), EVIDENCE_STATUS_5XX, 0);
	cr_expect_gt(roster.timed_until_ms, clock_coarse_ms());
	for (int n = 0; n < 100; n++)
		cr_assert_eq(roster_pick(&roster, &generator, NULL, 0), member_of('b'));
	member_of('a')->penalty.since_ms -= 100 * PENALTY_HALF_MS; /* it was long ago */
	roster.timed_until_ms = 1;
	unsigned counts[2] = {0};
	for (int n = 0; n < 20000; n++)
		counts[roster_pick(&roster, &generator, NULL, 0) == member_of('a')]++;
	cr_expect(is_uniform(counts, 2));
	cr_expect_eq(roster.timed_until_ms, 0);
	forget_backends();
}

static bool is_without_memory;

static void *forgetful_make(const struct policy_view *all)
{
	(void)all;
	return is_without_memory ? NULL : malloc(1);
}

static struct member *forgetful_pick(const struct policy_view *view)
{
	cr_assert_not_null(view->state);
	return view->members[0];
}

Test(roster, without_memory_for_the_policy_members_are_chosen_at_random)
{
	static const struct policy forgetful = {
		.name = "forgetful", .pick = forgetful_pick, .make = forgetful_make};
	const struct policy_settings settings = {.choices = 1};
	unsigned counts[2] = {0};
	roster_init(&roster, &forgetful, &settings, NULL, WORKER, &events, &seen);
	is_without_memory = true;
	cr_expect_not(try_update("ab"));
	for (int n = 0; n < 20000; n++)
		counts[roster_pick(&roster, &generator, NULL, 0) == member_of('a')]++;
	cr_expect(is_uniform(counts, 2));
	is_without_memory = false;
	cr_expect(try_update("ab"));
	for (int n = 0; n < 100; n++)
		cr_assert_eq(roster_pick(&roster, &generator, NULL, 0), member_of('a'));
	forget_backends();
}
