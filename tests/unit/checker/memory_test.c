/* Sets that come while there is no memory: nothing is lost, and what there is serves on. Every allocation of
 * a change fails once. */
#include "checker/census.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>

#define BACKENDS 6

/* The linker puts these before the C library's. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);

static int allocations_left = -1; /* until one fails; negative: none does */

static bool is_refused(void)
{
	return allocations_left >= 0 && allocations_left-- == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return is_refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return is_refused() ? NULL : __real_calloc(count, bytes);
}

static struct verdicts verdicts;
static struct census census;
static struct backend *backends[BACKENDS]; /* a:1 and on */
static int event_count;

static void count_event(void *owner, struct ward *ward)
{
	(void)owner;
	(void)ward;
	event_count++;
}

static void vanish(void *owner, struct ward *ward)
{
	count_event(owner, ward);
	belief_weigh(&ward->backend->belief, EVIDENCE_VANISHED, 0, 0);
}

static void ignore_freed(void *owner, struct ward *ward, bool is_ousted)
{
	(void)owner;
	(void)ward;
	(void)is_ousted;
}

static const struct census_events events = {.on_added = count_event,
	.on_departed = count_event,
	.on_vanished = vanish,
	.on_missed = count_event,
	.on_freed = ignore_freed};

static void ignore_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

static struct fleet *make_fleet(size_t first, size_t count)
{
	struct fleet *fleet = fleet_new(0, 1, 0, count);
	cr_assert_not_null(fleet);
	for (size_t i = first; i < first + count; i++)
		fleet_append(fleet, backends[i], 1, NULL);
	return fleet;
}

static void setup(void)
{
	const struct belief_rules rules = {.errors_max = 3, .ejected_share = 50};
	const union address address = {.ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)}};
	verdicts_init(&verdicts, "service", &rules);
	verdicts.on_doubt = ignore_doubt;
	for (size_t i = 0; i < BACKENDS; i++) {
		const char name[] = {(char)('a' + i), ':', '1', '\0'};
		backends[i] = backend_new(name, &address, 1, 1, &verdicts);
		cr_assert_not_null(backends[i]);
		belief_weigh(&backends[i]->belief, EVIDENCE_PROBE_PASSED, UINT64_C(1) << 40, 0);
	}
}

static void teardown(void)
{
	allocations_left = -1;
	census_finish(&census);
	for (size_t i = 0; i < BACKENDS; i++)
		backend_unref(&backends[i]);
}

TestSuite(memory, .init = setup, .fini = teardown);

Test(memory, a_set_is_taken_on_as_a_whole_or_not_at_all)
{
	census_init(&census, "service", 50, &events, NULL);
	struct fleet *before = make_fleet(0, 4), *after = make_fleet(3, 3);
	cr_assert(census_take(&census, before, 1000));
	int failures = 0;
	for (bool was_taken = false; !was_taken; failures++) {
		event_count = 0;
		allocations_left = failures;
		was_taken = census_take(&census, after, 2000);
		allocations_left = -1;
		if (was_taken)
			break;
		cr_expect_eq(event_count, 0);
		cr_expect_eq(census.listed, before);
		cr_expect_eq(census.count, 4);
		cr_expect_not_null(census_find(&census, backends[0]));
	}
	cr_expect_eq(failures, 4, "two lists and two new ones, each of which failed once");
	cr_expect_eq(census.places[WARD_LISTED], 3);
	fleet_unref(&before);
	fleet_unref(&after);
}

Test(memory, the_set_to_be_used_is_asked_for_again)
{
	census_init(&census, "service", 50, &events, NULL);
	struct fleet *before = make_fleet(0, 4), *after = make_fleet(0, 1);
	cr_assert(census_take(&census, before, 1000));
	cr_assert(census_take(&census, after, 2000));
	cr_assert(census_is_distrusting(&census));
	allocations_left = 0;
	cr_expect_null(census_fleet(&census));
	allocations_left = -1;
	struct fleet *used = census_fleet(&census);
	cr_assert_not_null(used);
	cr_expect_eq(used->count, 4);
	fleet_unref(&used);
	fleet_unref(&before);
	fleet_unref(&after);
}

/* What is not remembered for want of memory makes nobody wait. */
Test(memory, who_goes_meanwhile_is_believed_when_it_is_back)
{
	struct flapping flapping = {0};
	uint32_t goings = 1;
	allocations_left = 0;
	flapping_went(&flapping, "a:1", 1000);
	allocations_left = -1;
	cr_expect_null(flapping.rows);
	cr_expect_eq(flapping_wait_ms(&flapping, "a:1", 1001, &goings), 0);
	cr_expect_eq(goings, 0);
	flapping_went(&flapping, "a:1", 1002);
	cr_expect_eq(flapping_wait_ms(&flapping, "a:1", 1003, &goings), 0);
	cr_expect_eq(goings, 1, "the next one is remembered");
	flapping_finish(&flapping);
}
