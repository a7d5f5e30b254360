/* snapshot_test - immutable sets: order, sharing, difference, references, random choice. */
#include "srsd/node/snapshot.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "srsd/node/node_sort.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The same draws in each run -------------------------------------------------------------- */

/* The linker sends the library's calls here (--wrap). What is judged by statistics is not to fail by chance.
 */
static bool is_fixed;
static uint64_t fixed_state;

uint32_t __real_arc4random_uniform(uint32_t below);
uint32_t __wrap_arc4random_uniform(uint32_t below);
void __real_arc4random_buf(void *at, size_t bytes);
void __wrap_arc4random_buf(void *at, size_t bytes);

/* SplitMix64 (Steele, Lea and Flood). */
static uint64_t next_fixed(void)
{
	uint64_t z = fixed_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t __wrap_arc4random_uniform(uint32_t below)
{
	return is_fixed ? (uint32_t)((next_fixed() >> 32) * below >> 32) : __real_arc4random_uniform(below);
}

void __wrap_arc4random_buf(void *at, size_t bytes)
{
	if (!is_fixed) {
		__real_arc4random_buf(at, bytes);
		return;
	}
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)at)[i] = (unsigned char)(next_fixed() >> 56);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

static struct srsd_snapshot *set_of(const char *const *names, size_t count)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error;

	cr_assert_eq(srsd_snapshot_from_names(names, count, &snapshot, &error), SRSD_OK, "%s", error.text);
	cr_assert_str_eq(error.text, "");
	return snapshot;
}

Test(snapshot, is_sorted_bytewise)
{
	static const char *const names[] = {"b:1", "192.0.2.9:80", "192.0.2.10:80", "B:1", "[::1]:80"};
	static const char *const sorted[] = {"192.0.2.10:80", "192.0.2.9:80", "B:1", "[::1]:80", "b:1"};
	uint64_t before_ms = srsd_now_ms();
	struct srsd_snapshot *snapshot = set_of(names, COUNT(names));
	struct srsd_address address;

	cr_assert_eq(srsd_snapshot_count(snapshot), COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++)
		cr_assert_str_eq(srsd_endpoint_name(srsd_snapshot_at(snapshot, i)), sorted[i]);
	srsd_endpoint_address(srsd_snapshot_at(snapshot, 3), &address);
	cr_assert_eq(address.kind, SRSD_HOST_IPV6);
	cr_assert_str_eq(address.host, "::1");
	cr_assert_eq(srsd_snapshot_version(snapshot), 1);
	cr_assert_eq(srsd_snapshot_skipped(snapshot), 0);
	cr_assert_geq(srsd_snapshot_taken_ms(snapshot), before_ms);
	cr_assert_leq(srsd_snapshot_taken_ms(snapshot), srsd_now_ms());
	srsd_snapshot_unref(&snapshot);
	cr_assert_null(snapshot);
	srsd_snapshot_unref(&snapshot);
}

Test(snapshot, refuses_bad_and_double_names)
{
	static const char *const bad[] = {"a:1", "b", "c:0"};
	static const char *const twice[] = {"a:1", "b:1", "a:1"};
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error;

	cr_assert_eq(srsd_snapshot_from_names(bad, COUNT(bad), &snapshot, &error), SRSD_BAD_ARGUMENT);
	cr_assert(strstr(error.text, "\"b\": the port is missing") != NULL, "%s", error.text);
	cr_assert_eq(srsd_snapshot_from_names(twice, COUNT(twice), &snapshot, &error), SRSD_BAD_ARGUMENT);
	cr_assert(strstr(error.text, "\"a:1\" stands twice") != NULL, "%s", error.text);
	cr_assert_eq(srsd_snapshot_from_names(twice, COUNT(twice), &snapshot, NULL), SRSD_BAD_ARGUMENT);
	cr_assert_null(snapshot);
}

Test(snapshot, may_be_empty)
{
	struct srsd_snapshot *snapshot = set_of(NULL, 0);

	cr_assert_eq(srsd_snapshot_count(snapshot), 0);
	cr_assert_null(srsd_snapshot_pick(snapshot));
	srsd_snapshot_unref(&snapshot);
}

static const struct srsd_read_options names_only = {.format = SRSD_FORMAT_NAME};
static const struct srsd_read_options with_data = {.format = SRSD_FORMAT_JSON};

Test(snapshot, shares_what_stays_and_keeps_what_is_no_member)
{
	static const char *const first[] = {"a:1", "b:1", "d:1"};
	struct srsd_node second[] = {{.name = "zzz"}, {.name = "d:1"}, {.name = "c:1"}, {.name = "a:1"},
		{.name = "e:1"}, {.name = "nonsense"}};
	struct srsd_snapshot *before = set_of(first, COUNT(first));
	struct srsd_snapshot *after = srsd_snapshot_build(second, COUNT(second), &names_only, before, 7);
	const struct srsd_endpoint *stays = srsd_snapshot_at(before, 2);

	cr_assert_not_null(after);
	cr_assert_eq(srsd_snapshot_version(after), 7);
	cr_assert_eq(srsd_snapshot_skipped(after), 2);
	cr_assert_eq(srsd_snapshot_count(after), 4);
	cr_assert_eq(srsd_snapshot_at(after, 0), srsd_snapshot_at(before, 0));
	cr_assert_eq(srsd_snapshot_at(after, 2), stays);
	cr_assert_eq(srsd_snapshot_outsider_count(after), 2);
	cr_assert_str_eq(srsd_snapshot_outsider_at(after, 0)->name, "nonsense");
	cr_assert_str_eq(srsd_snapshot_outsider_at(after, 1)->fault, "the port is missing");
	cr_assert_not_null(srsd_snapshot_find_outsider(after, "zzz"));
	cr_assert_null(srsd_snapshot_find_outsider(after, "a:1"));
	cr_assert_null(srsd_snapshot_find_outsider(before, "a:1"));
	cr_assert_null(srsd_snapshot_find_outsider(NULL, "a:1"));
	cr_assert_not(srsd_snapshot_is_same_set(before, after));
	cr_assert(srsd_snapshot_is_same_set(before, before));
	cr_assert_not(srsd_snapshot_is_same_set(NULL, after));
	srsd_snapshot_unref(&before);
	cr_assert_str_eq(srsd_endpoint_name(stays), "d:1");
	srsd_snapshot_unref(&after);
}

static struct srsd_node read_node(const char *name, const char *data)
{
	return (struct srsd_node){.name = name,
		.data = data,
		.data_bytes = strlen(data),
		.owner = 7,
		.created_ms = 1000,
		.is_read = true};
}

Test(snapshot, holds_what_nodes_say)
{
	struct srsd_node nodes[] = {read_node("[2001:db8::1]:80", "{\"weight\":3,\"zone\":\"east\"}")};
	struct srsd_snapshot *snapshot = srsd_snapshot_build(nodes, 1, &with_data, NULL, 1);
	const struct srsd_endpoint *endpoint = srsd_snapshot_at(snapshot, 0);
	struct srsd_address address;

	srsd_endpoint_address(endpoint, &address);
	cr_assert_eq(address.kind, SRSD_HOST_IPV6);
	cr_assert_str_eq(address.host, "2001:db8::1");
	cr_assert_eq(address.port, 80);
	cr_assert_eq(srsd_endpoint_weight(endpoint), 3);
	cr_assert_str_eq(srsd_endpoint_zone(endpoint), "east");
	cr_assert_eq(srsd_endpoint_owner(endpoint), 7);
	cr_assert_eq(srsd_endpoint_created_ms(endpoint), 1000);
	cr_assert_eq(srsd_endpoint_label_count(endpoint), 0);
	cr_assert_null(srsd_endpoint_label(endpoint, "rack"));
	srsd_snapshot_unref(&snapshot);
}

Test(snapshot, is_the_same_set_only_when_nodes_say_the_same)
{
	struct srsd_node first[] = {read_node("a:1", "{\"weight\":3}"), read_node("b:1", "")};
	struct srsd_node same[] = {{.name = "b:1"}, read_node("a:1", "{ \"weight\": 3 }")};
	struct srsd_node other[] = {read_node("b:1", "{\"weight\":2}"), {.name = "a:1"}};
	struct srsd_snapshot *before = srsd_snapshot_build(first, 2, &with_data, NULL, 1);
	struct srsd_snapshot *equal = srsd_snapshot_build(same, 2, &with_data, before, 2);
	struct srsd_snapshot *changed = srsd_snapshot_build(other, 2, &with_data, before, 2);

	cr_assert(srsd_snapshot_is_same_set(before, equal));
	cr_assert_not(srsd_snapshot_is_same_set(before, changed));
	cr_assert_eq(srsd_snapshot_at(changed, 0), srsd_snapshot_at(before, 0));
	cr_assert_eq(srsd_endpoint_weight(srsd_snapshot_at(changed, 1)), 2);
	srsd_snapshot_unref(&before);
	srsd_snapshot_unref(&equal);
	srsd_snapshot_unref(&changed);
}

Test(snapshot, lets_a_member_stand_whose_data_breaks)
{
	struct srsd_node first[] = {read_node("a:1", "{\"weight\":3}")};
	struct srsd_node broken[] = {read_node("a:1", "{\"weight"), read_node("b:1", "{")};
	struct srsd_node unread[] = {{.name = "a:1"}, {.name = "b:1"}};
	struct srsd_snapshot *before = srsd_snapshot_build(first, 1, &with_data, NULL, 1);
	struct srsd_snapshot *after = srsd_snapshot_build(broken, 2, &with_data, before, 2);
	struct srsd_snapshot *later = srsd_snapshot_build(unread, 2, &with_data, after, 3);

	cr_assert(srsd_snapshot_is_same_set(before, after));
	cr_assert(srsd_snapshot_is_same_set(before, later));
	cr_assert_eq(srsd_snapshot_skipped(after), 2);
	cr_assert_eq(srsd_snapshot_skipped(later), 2);
	cr_assert_eq(srsd_nodes_bring_new_forward(unread, 2, later), 0);
	srsd_snapshot_unref(&before);
	srsd_snapshot_unref(&after);
	srsd_snapshot_unref(&later);
}

Test(snapshot, brings_the_nodes_forward_that_it_does_not_know)
{
	static const char *const names[] = {"b:1", "d:1"};
	struct srsd_node nodes[] = {
		{.name = "e:1"}, {.name = "a:1"}, {.name = "c:1"}, {.name = "b:1"}, {.name = "d:1"}};
	struct srsd_snapshot *known = set_of(names, COUNT(names));

	srsd_nodes_sort(nodes, COUNT(nodes));
	cr_assert_eq(srsd_nodes_bring_new_forward(nodes, COUNT(nodes), known), 3);
	cr_assert_str_eq(nodes[0].name, "a:1");
	cr_assert_str_eq(nodes[1].name, "c:1");
	cr_assert_str_eq(nodes[2].name, "e:1");
	cr_assert_eq(srsd_nodes_bring_new_forward(nodes, 0, known), 0);
	srsd_snapshot_unref(&known);
}

struct story {
	char text[256];
};

static void on_added(void *arg, const struct srsd_endpoint *endpoint)
{
	struct story *story = arg;

	strcat(strcat(story->text, "+"), srsd_endpoint_name(endpoint));
}

static void on_removed(void *arg, const struct srsd_endpoint *endpoint)
{
	struct story *story = arg;

	strcat(strcat(story->text, "-"), srsd_endpoint_name(endpoint));
}

Test(snapshot, tells_the_difference_in_order)
{
	static const char *const first[] = {"a:1", "b:1", "d:1", "x:1"};
	static const char *const second[] = {"b:1", "c:1", "e:1", "x:1", "y:1"};
	struct srsd_snapshot *before = set_of(first, COUNT(first));
	struct srsd_snapshot *after = set_of(second, COUNT(second));
	struct story story = {0};

	srsd_snapshot_difference(before, after, on_added, on_removed, &story);
	cr_assert_str_eq(story.text, "-a:1+c:1-d:1+e:1+y:1");
	story.text[0] = '\0';
	srsd_snapshot_difference(NULL, before, on_added, on_removed, &story);
	cr_assert_str_eq(story.text, "+a:1+b:1+d:1+x:1");
	story.text[0] = '\0';
	srsd_snapshot_difference(before, NULL, on_added, on_removed, &story);
	cr_assert_str_eq(story.text, "-a:1-b:1-d:1-x:1");
	story.text[0] = '\0';
	srsd_snapshot_difference(before, after, NULL, on_removed, &story);
	srsd_snapshot_difference(before, after, on_added, NULL, &story);
	srsd_snapshot_difference(NULL, NULL, on_added, on_removed, &story);
	cr_assert_str_eq(story.text, "-a:1-d:1+c:1+e:1+y:1");
	srsd_snapshot_unref(&before);
	srsd_snapshot_unref(&after);
}

/* Chi-square with 4 degrees of freedom stays below 27.9 but for one seed in 80,000. */
Test(snapshot, picks_each_member_equally_often)
{
	static const char *const names[] = {"a:1", "b:1", "c:1", "d:1", "e:1"};
	struct srsd_snapshot *snapshot = set_of(names, COUNT(names));
	const double expected = 20000;
	double seen[COUNT(names)] = {0};
	double chi_square = 0;

	is_fixed = true;
	for (int i = 0; i < 100000; i++)
		seen[srsd_endpoint_name(srsd_snapshot_pick(snapshot))[0] - 'a']++;
	for (size_t i = 0; i < COUNT(names); i++)
		chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
	cr_assert_lt(chi_square, 27.9);
	srsd_snapshot_unref(&snapshot);
}

static struct srsd_snapshot *weighted_set(const uint32_t *weights, size_t count)
{
	static const struct srsd_read_options options = {.format = SRSD_FORMAT_JSON};
	static struct srsd_node nodes[8];
	static char names[8][4];
	static char data[8][32];
	struct srsd_snapshot *snapshot;

	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "%c:1", (char)('a' + i));
		snprintf(data[i], sizeof(data[i]), "{\"weight\":%u}", weights[i]);
		nodes[i] = (struct srsd_node){
			.name = names[i], .data = data[i], .data_bytes = strlen(data[i]), .is_read = true};
	}
	snapshot = srsd_snapshot_build(nodes, count, &options, NULL, 1);
	cr_assert_not_null(snapshot);
	return snapshot;
}

/* Chi-square with 3 degrees of freedom stays below 25.9 but for one seed in 100,000. */
Test(snapshot, picks_each_member_by_its_weight)
{
	static const uint32_t weights[] = {0, 1, 2, 0, 3, 4, 0};
	static const uint32_t none[] = {0, 0};
	struct srsd_snapshot *snapshot = weighted_set(weights, COUNT(weights));
	double seen[COUNT(weights)] = {0};
	double chi_square = 0;

	is_fixed = true;
	for (int i = 0; i < 100000; i++)
		seen[srsd_endpoint_name(srsd_snapshot_pick(snapshot))[0] - 'a']++;
	for (size_t i = 0; i < COUNT(weights); i++) {
		double expected = 10000.0 * weights[i];

		if (weights[i] == 0)
			cr_assert_eq(seen[i], 0);
		else
			chi_square += (seen[i] - expected) * (seen[i] - expected) / expected;
	}
	cr_assert_lt(chi_square, 25.9);
	srsd_snapshot_unref(&snapshot);
	snapshot = weighted_set(none, COUNT(none));
	cr_assert_eq(srsd_snapshot_count(snapshot), 2);
	cr_assert_null(srsd_snapshot_pick(snapshot));
	srsd_snapshot_unref(&snapshot);
}

static void *take_and_give(void *arg)
{
	struct srsd_snapshot *mine = arg;

	for (int i = 0; i < 20000; i++) {
		struct srsd_snapshot *again = srsd_snapshot_ref(mine);

		if (srsd_snapshot_pick(again) == NULL)
			return mine;
		srsd_snapshot_unref(&again);
	}
	srsd_snapshot_unref(&mine);
	return NULL;
}

Test(snapshot, is_counted_across_threads)
{
	static const char *const names[] = {"a:1", "b:1"};
	struct srsd_snapshot *snapshot = set_of(names, COUNT(names));
	pthread_t threads[4];

	for (size_t i = 0; i < COUNT(threads); i++)
		cr_assert_eq(
			pthread_create(&threads[i], NULL, take_and_give, srsd_snapshot_ref(snapshot)), 0);
	srsd_snapshot_unref(&snapshot);
	for (size_t i = 0; i < COUNT(threads); i++) {
		void *fault;

		pthread_join(threads[i], &fault);
		cr_assert_null(fault);
	}
}
