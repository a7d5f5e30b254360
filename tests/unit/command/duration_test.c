/* duration_test - lengths of time as people write them, and what is none. */
#include "srsd/command/duration.h"

#include <criterion/criterion.h>
#include <string.h>

Test(duration, reads_every_unit)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} good[] = {{"250ms", 250}, {"10s", 10000}, {"5m", 300000}, {"1h", 3600000}, {"0s", 0},
		{"007s", 7000}, {"4294967295ms", UINT32_MAX}, {"1193h", 4294800000U}};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint32_t ms = 1;
		const char *why;
		cr_assert(duration_parse(good[i].text, &ms, &why), "%s: %s", good[i].text, why);
		cr_assert_eq(ms, good[i].ms, "%s: %u", good[i].text, ms);
	}
}

Test(duration, refuses_the_rest_and_says_why)
{
	static const struct {
		const char *text, *why;
	} bad[] = {{"", "does not start with a number"}, {"s", "does not start with a number"},
		{"-1s", "does not start with a number"}, {" 1s", "does not start with a number"},
		{"5", "has no unit"}, {"5 s", "has an unknown unit"}, {"5sec", "has an unknown unit"},
		{"5S", "has an unknown unit"}, {"1.5s", "has an unknown unit"},
		{"4294967296ms", "is too long"}, {"1194h", "is too long"},
		{"99999999999999999999999s", "is too long"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint32_t ms = 42;
		const char *why = "";
		cr_assert_not(duration_parse(bad[i].text, &ms, &why), "%s", bad[i].text);
		cr_assert_str_eq(why, bad[i].why, "%s: %s", bad[i].text, why);
		cr_assert_eq(ms, 42);
	}
}
