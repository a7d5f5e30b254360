/* Who is listed, who serves on unlisted, who has departed. */
#include "checker/census.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define NAMES 8

static struct verdicts verdicts;
static struct census census;
static struct backend *backends[NAMES]; /* a:1 to h:1 */
static char told[512];			/* what the events said since expect() was asked last */

static void note(const char *what, const struct ward *ward)
{
	size_t end = strlen(told);
	snprintf(
		told + end, sizeof(told) - end, "%s%s %c", end > 0 ? ", " : "", what, ward->backend->name[0]);
}

static void weigh(struct backend *backend, enum evidence evidence)
{
	belief_weigh(&backend->belief, evidence, UINT64_C(1) << 40, 0);
}

static void on_added(void *owner, struct ward *ward)
{
	(void)owner;
	note(ward->wait_ms > 0 ? "waits" : "added", ward);
}

static void on_departed(void *owner, struct ward *ward)
{
	(void)owner;
	note("departed", ward);
	weigh(ward->backend, EVIDENCE_REMOVED);
}

static void on_vanished(void *owner, struct ward *ward)
{
	(void)owner;
	note("vanished", ward);
	weigh(ward->backend, EVIDENCE_VANISHED);
}

static void on_missed(void *owner, struct ward *ward)
{
	(void)owner;
	note("missed", ward);
}

static void on_freed(void *owner, struct ward *ward, bool is_ousted)
{
	(void)owner;
	note(is_ousted ? "ousted" : "freed", ward);
}

static const struct census_events events = {.on_added = on_added,
	.on_departed = on_departed,
	.on_vanished = on_vanished,
	.on_missed = on_missed,
	.on_freed = on_freed};

static void on_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static struct backend *make_backend(char name)
{
	const union address address = {.ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)}};
	const char text[] = {name, ':', '1', '\0'};
	struct backend *backend = backend_new(text, &address, 1, 1, &verdicts);
	cr_assert_not_null(backend);
	return backend;
}

static void setup(void)
{
	const struct belief_rules rules = {
		.errors_max = 3, .ejected_share = 100, .ejection_ms = 1000, .ejection_max_ms = 1000};
	verdicts_init(&verdicts, "service", &rules);
	verdicts.on_doubt = on_doubt;
	verdicts_set_count(&verdicts, NAMES);
	for (int i = 0; i < NAMES; i++)
		backends[i] = make_backend((char)('a' + i));
	census_init(&census, "service", 50, &events, NULL);
}

static void teardown(void)
{
	census_finish(&census);
	for (int i = 0; i < NAMES; i++)
		backend_unref(&backends[i]);
	for (int state = 0; state < BELIEF_STATE_COUNT; state++)
		cr_expect_eq(verdicts.in_state[state], 0, "a backend is leaked");
}

TestSuite(census, .init = setup, .fini = teardown);

/* The registry lists these now: "ac" is a:1 and c:1; and others that are passed over. */
static void take_subset(const char *names, size_t passed_count, uint64_t now_ms)
{
	struct fleet *fleet = fleet_new(0, 1, 0, strlen(names));
	cr_assert_not_null(fleet);
	fleet->passed_count = passed_count;
	for (; *names != '\0'; names++)
		fleet_append(fleet, backends[*names - 'a'], 1, NULL);
	cr_assert(census_take(&census, fleet, now_ms));
	fleet_unref(&fleet);
}

static void take(const char *names, uint64_t now_ms)
{
	take_subset(names, 0, now_ms);
}

static void expect(const char *what)
{
	cr_expect_str_eq(told, what);
	told[0] = '\0';
}

/* These are listed, and work. */
static void begin(const char *names)
{
	take(names, 0);
	for (; *names != '\0'; names++)
		weigh(backends[*names - 'a'], EVIDENCE_PROBE_PASSED);
	told[0] = '\0';
}

/* The set to be used. */
static void expect_fleet(const char *names)
{
	char used[NAMES + 1] = "";
	struct fleet *fleet = census_fleet(&census);
	cr_assert_not_null(fleet);
	for (size_t i = 0; i < fleet->count; i++)
		used[i] = fleet->entries[i].backend->name[0];
	cr_expect_str_eq(used, names);
	fleet_unref(&fleet);
}

static struct ward *find(char name)
{
	struct ward *ward = census_find(&census, backends[name - 'a']);
	cr_assert_not_null(ward);
	return ward;
}

/* The same name, registered anew. */
static void renew(char name)
{
	backend_unref(&backends[name - 'a']);
	backends[name - 'a'] = make_backend(name);
}

Test(census, what_comes_is_added)
{
	take("bd", 0);
	expect("added b, added d");
	take("abcd", 0);
	expect("added a, added c");
	take("abcd", 0);
	expect("");
	expect_fleet("abcd");
}

Test(census, one_that_goes_is_gone)
{
	begin("abcde");
	take("abde", 1000);
	expect("departed c");
	expect_fleet("abde");
	census_age(&census, 999 + CENSUS_WINDOW_MS);
	expect("");
	census_age(&census, 1000 + CENSUS_WINDOW_MS);
	expect("freed c");
}

Test(census, half_of_them_may_go)
{
	begin("abcd");
	take("cd", 1000);
	expect("departed a, departed b");
	expect_fleet("cd");
}

Test(census, more_than_half_at_once_are_not_believed_to_be_gone)
{
	begin("abcde");
	take("ab", 1000);
	expect("vanished c, vanished d, vanished e");
	expect_fleet("abcde");
	cr_expect(census_is_distrusting(&census));
	cr_expect_eq(belief_state(&backends[2]->belief), BELIEF_UNLISTED);
}

/* A subset that had grown for others that did not work is its usual size again. */
Test(census, who_is_not_in_the_subset_any_more_has_not_vanished)
{
	begin("abcde");
	take_subset("ab", 3, 1000);
	expect("departed c, departed d, departed e");
	expect_fleet("ab");
	cr_expect_not(census_is_distrusting(&census));
}

Test(census, of_a_subset_they_vanish_where_no_others_are_left)
{
	begin("abcde");
	take_subset("a", 1, 1000);
	expect("vanished b, vanished c, vanished d, vanished e");
}

/* As many are left as the subset has, and all proxies would meet there. */
Test(census, of_a_subset_they_vanish_where_most_of_all_do)
{
	begin("");
	take_subset("abc", 97, 1000);
	expect("added a, added b, added c");
	for (int i = 0; i < 6; i++)
		weigh(backends[i], EVIDENCE_PROBE_PASSED);
	take_subset("acd", 47, 2000);
	expect("departed b, added d");
	take_subset("def", 46, 3000);
	expect("vanished a, vanished c, added e, added f, missed b");
	expect_fleet("acdef");
	cr_expect_not(census_is_replaced(&census));
	take_subset("def", 97, 4000);
	cr_expect(census_is_replaced(&census));
}

Test(census, all_at_once)
{
	begin("abcde");
	take("", 1000);
	expect("vanished a, vanished b, vanished c, vanished d, vanished e");
	expect_fleet("abcde");
}

/* As sessions expire, one after the other. */
Test(census, one_by_one)
{
	begin("abcde");
	take("bcde", 1000);
	expect("departed a");
	take("cde", 2000);
	expect("departed b");
	take("de", 3000);
	expect("vanished c, missed a, missed b");
	expect_fleet("cde");
	cr_expect(census_recall(&census, find('a')));
	expect("vanished a");
	expect_fleet("acde");
	cr_expect_eq(belief_state(&backends[0]->belief), BELIEF_UNLISTED);
	census_drop(&census, find('b'));
	expect("freed b");
	take("e", 4000);
	expect("vanished d");
	take("", 60000);
	expect("vanished e");
	expect_fleet("acde");
}

Test(census, slowly_enough_they_may_all_go)
{
	begin("abc");
	take("bc", 1000);
	census_age(&census, 1000 + CENSUS_WINDOW_MS);
	take("c", 1000 + CENSUS_WINDOW_MS);
	expect("departed a, freed a, departed b");
	expect_fleet("c");
}

Test(census, a_lone_one_that_goes_is_not_believed_to_be_gone)
{
	begin("a");
	take("", 1000);
	expect("vanished a");
	expect_fleet("a");
	census_drop(&census, find('a'));
	expect("freed a");
	expect_fleet("");
	cr_expect_not(census_is_distrusting(&census));
}

Test(census, a_rolling_restart_is_believed)
{
	begin("abc");
	for (uint64_t now_ms = 1000; now_ms < 4000; now_ms += 1000) {
		char name = (char)('a' + now_ms / 1000 - 1);
		char left[4] = "abc";
		memmove(&left[name - 'a'], &left[name - 'a' + 1], strlen(&left[name - 'a']));
		take(left, now_ms);
		renew(name);
		take("abc", now_ms + 500);
		weigh(backends[name - 'a'], EVIDENCE_PROBE_PASSED);
	}
	expect("departed a, ousted a, added a, departed b, ousted b, added b, departed c, ousted c, "
	       "added c");
	expect_fleet("abc");
}

/* New ones under new names come first, one by one, and the old ones go. */
Test(census, a_rolling_replacement_is_believed)
{
	begin("abcd");
	take("bcde", 1000);
	take("cdef", 2000);
	take("defg", 3000);
	take("efgh", 4000);
	expect("departed a, added e, departed b, added f, departed c, added g, departed d, added h");
	expect_fleet("efgh");
}

/* One after the other comes for a moment, beside those that stay: the set is never much smaller than it was.
 */
Test(census, coming_and_going_beside_others_is_believed)
{
	begin("abc");
	for (uint64_t i = 0; i < 20; i++) {
		char name = (char)('d' + i % 5);
		const char more[] = {'a', 'b', 'c', name, '\0'};
		renew(name);
		take(more, 1000 + 200 * i);
		weigh(backends[name - 'a'], EVIDENCE_PROBE_PASSED);
		take("abc", 1100 + 200 * i);
		cr_expect_not(census_is_distrusting(&census));
	}
	expect_fleet("abc");
}

/* Two sets at a time, and one of them goes. */
Test(census, the_other_set_may_go)
{
	begin("abcdefgh");
	take("abcd", 1000);
	expect("departed e, departed f, departed g, departed h");
}

Test(census, who_did_not_work_does_not_count)
{
	begin("abcde");
	take("abcde", 500); /* all of them work */
	for (int i = 0; i < 3; i++)
		weigh(backends[i], EVIDENCE_CONNECT_REFUSED);
	take("de", 1000);
	expect("departed a, departed b, departed c");
	take("e", 1500);
	expect("departed d");
	expect_fleet("e");
}

/* They departed while out of use, and come back only if they answer. */
Test(census, who_did_not_work_is_looked_at_where_the_others_vanish)
{
	begin("abcde");
	weigh(backends[0], EVIDENCE_SILENT);
	cr_assert_eq(belief_state(&backends[0]->belief), BELIEF_SUSPECT);
	take("", 1000);
	expect("departed a, vanished b, vanished c, vanished d, vanished e, missed a");
	expect_fleet("bcde");
	cr_expect(census_recall(&census, find('a')));
	expect("vanished a");
	expect_fleet("abcde");
}

Test(census, being_listed_again_ends_it)
{
	begin("abc");
	take("", 1000);
	expect("vanished a, vanished b, vanished c");
	renew('b');
	take("b", 2000);
	expect("ousted b, added b");
	expect_fleet("abc");
	renew('a');
	renew('c');
	take("abc", 3000);
	expect("ousted a, added a, ousted c, added c");
	cr_expect_not(census_is_distrusting(&census));
	expect_fleet("abc");
}

/* By as many that work, under other names. */
Test(census, being_replaced_ends_it)
{
	begin("abc");
	take("", 1000);
	expect("vanished a, vanished b, vanished c");
	take("de", 2000);
	expect("added d, added e");
	weigh(backends[3], EVIDENCE_PROBE_PASSED);
	weigh(backends[4], EVIDENCE_PROBE_PASSED);
	cr_expect_not(census_is_replaced(&census), "two for three");
	take("def", 3000);
	expect("added f");
	cr_expect_not(census_is_replaced(&census), "f is not known to work");
	weigh(backends[5], EVIDENCE_PROBE_PASSED);
	cr_expect(census_is_replaced(&census));
}

Test(census, none_is_recalled_when_the_registry_is_believed)
{
	begin("abcde");
	take("abcd", 1000);
	cr_expect_not(census_recall(&census, find('e')));
	expect("departed e");
	expect_fleet("abcd");
}

Test(census, with_100_percent_the_registry_is_always_believed)
{
	census_finish(&census);
	census_init(&census, "service", 100, &events, NULL);
	begin("abc");
	take("", 1000);
	expect("departed a, departed b, departed c");
	expect_fleet("");
}

Test(census, with_0_percent_it_never_is)
{
	census_finish(&census);
	census_init(&census, "service", 0, &events, NULL);
	begin("abcde");
	take("abcd", 1000);
	expect("vanished e");
	expect_fleet("abcde");
}

/* The registry's word on that stands, however many these are. */
Test(census, who_must_not_be_connected_to_is_not_used_on)
{
	begin("abc");
	struct fleet *fleet = fleet_new(0, 1, 0, 0);
	cr_assert(fleet_refuse(fleet, "a:1") && fleet_refuse(fleet, "b:1") && fleet_refuse(fleet, "c:1"));
	cr_assert(census_take(&census, fleet, 1000));
	fleet_unref(&fleet);
	expect("ousted a, ousted b, ousted c");
	expect_fleet("");
}

Test(census, who_comes_and_goes_has_to_wait)
{
	begin("ab");
	for (uint64_t i = 0; i < FLAPPING_GOINGS; i++) {
		take("a", 1000 + 200 * i);
		renew('b');
		take("ab", 1100 + 200 * i);
	}
	expect("departed b, ousted b, added b, departed b, ousted b, added b, departed b, ousted b, "
	       "added b");
	take("a", 2000);
	renew('b');
	take("ab", 2100);
	expect("departed b, ousted b, waits b");
}
