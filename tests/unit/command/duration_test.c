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

Test(duration, writes_two_units_at_most)
{
	static const struct {
		int64_t ms;
		const char *text;
	} lengths[] = {{0, "0ms"}, {-5, "0ms"}, {35, "35ms"}, {999, "999ms"}, {1000, "1s"}, {12999, "12s"},
		{60000, "1m"}, {310000, "5m10s"}, {7999999, "2h13m"}, {86400000LL * 3 + 3600000 * 4, "3d4h"},
		{86400000LL * 4000, "4000d"}};
	char text[DURATION_TEXT_MAX];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		cr_assert_str_eq(duration_write(lengths[i].ms, text), lengths[i].text);
}
