/* health_test - which checks can be asked for, and what their outcomes change. */
#include "srsd/command/health.h"

#include <criterion/criterion.h>

Test(check_way, is_read)
{
	struct check_way way;
	const char *why;

	cr_assert(check_way_parse("none", &way, &why));
	cr_assert_eq(way.kind, CHECK_NONE);
	cr_assert(check_way_parse("tcp", &way, &why));
	cr_assert_eq(way.kind, CHECK_TCP);
	cr_assert(check_way_parse("http:/", &way, &why));
	cr_assert_eq(way.kind, CHECK_HTTP);
	cr_assert_str_eq(way.path, "/");
	cr_assert(check_way_parse("http:/a%20b?c=d&e", &way, &why));
	cr_assert_str_eq(way.path, "/a%20b?c=d&e");
}

Test(check_way, is_refused)
{
	static const char *const wrong[] = {"", "TCP", "tcp ", "tcp:", "http", "http:", "http:info",
		"http://host/info", "https:/info", "http:/a b", "http:/a\r\nb", "http:/a#b", "http:/\xc3\xa4",
		"exec:/bin/true", " none"};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct check_way way = {.kind = CHECK_UNSAID};
		const char *why = NULL;

		cr_assert_not(check_way_parse(wrong[i], &way, &why), "%s", wrong[i]);
		cr_assert_not_null(why);
		cr_assert_eq(way.kind, CHECK_UNSAID, "%s", wrong[i]);
	}
}

/* Outcomes ('+', '-') and, after each, whether the belief changes ('!') or not ('.'). */
static void expect(struct health *health, const char *outcomes, const char *changes)
{
	for (size_t i = 0; outcomes[i] != '\0'; i++)
		cr_assert_eq(health_count(health, outcomes[i] == '+'), changes[i] == '!',
			"outcome %zu of %s: %s was expected", i, outcomes, changes);
}

Test(health, rises_and_falls_after_so_many_in_a_row)
{
	struct health health = {.rise = 2, .fall = 3};

	expect(&health, "-+-+", "....");
	cr_assert_not(health.is_healthy || health.was_healthy);
	expect(&health, "+", "!");
	cr_assert(health.is_healthy && health.was_healthy);
	expect(&health, "+--+--+---", ".........!");
	cr_assert_not(health.is_healthy);
	cr_assert(health.was_healthy);
	expect(&health, "---+-+-++", "........!");
}

Test(health, may_change_at_each_outcome)
{
	struct health health = {.rise = 1, .fall = 1};

	expect(&health, "-+-+", ".!!!");
}

Test(health, looks_often_while_the_service_starts)
{
	struct health health = {.rise = 1, .fall = 1};
	uint32_t state = 0, sum = 0;

	for (int i = 0; i < 5; i++) {
		uint32_t pause = health_pause_ms(&health, 1000, &state);

		cr_assert_lt(pause, 1000);
		sum += pause;
	}
	cr_assert_eq(sum, 50 + 100 + 200 + 400 + 800);
	cr_assert_eq(health_pause_ms(&health, 1000, &state), 1000, "not for ever");
	state = 0;
	cr_assert_eq(health_pause_ms(&health, 20, &state), 20, "never less often than it was asked for");
	health_count(&health, true);
	health_count(&health, false);
	cr_assert_eq(
		health_pause_ms(&health, 1000, &state), 1000, "what failed later is not asked more often");
}
