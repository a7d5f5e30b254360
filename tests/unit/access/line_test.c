/* line_test - lines of the access log: both formats, escapes, bounds. */
#include "access/line.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const struct access_try tries[] = {
	{.endpoint = {"10.0.0.1:80", 11}, .evidence = "connect_refused", .begun_us = 3, .ended_us = 155},
	{.endpoint = {"[::1]:80", 8},
		.evidence = "answered",
		.begun_us = 160,
		.ended_us = 5300,
		.is_hedge = true},
};

static struct access_record full_record(void)
{
	return (struct access_record){.time_ms = 1795339871662,
		.client = STR("192.0.2.7"),
		.method = STR("GET"),
		.host = STR("shop.example:8080"),
		.path = STR("/users/7?full=1"),
		.status = 200,
		.has_head = true,
		.head_us = 5120,
		.duration_us = 5321,
		.bytes_in = 120,
		.bytes_out = 18446744073709551615U,
		.service = STR("shop"),
		.route = STR("/users"),
		.endpoint = STR("[::1]:80"),
		.request_id = STR("0af7"),
		.notes = BIT(ACCESS_NOTE_PANIC) | BIT(ACCESS_NOTE_HEDGED),
		.try_count = 2,
		.tries = tries};
}

static const char *line_of(const struct access_record *record, bool is_json)
{
	static char text[ACCESS_LINE_BYTES + 1];
	struct access_calendar calendar = {0};
	size_t bytes = access_line_write(record, is_json, &calendar, text, sizeof(text) - 1);
	text[bytes] = '\0';
	return text;
}

Test(access_line, key_value)
{
	struct access_record record = full_record();
	cr_expect_str_eq(line_of(&record, false),
		"time=2026-11-22T09:31:11.662Z client=192.0.2.7 method=GET host=shop.example:8080 "
		"path=\"/users/7?full=1\" status=200 duration_us=5321 head_us=5120 bytes_in=120 "
		"bytes_out=18446744073709551615 service=shop route=/users endpoint=[::1]:80 "
		"request_id=0af7 tries=\"10.0.0.1:80 connect_refused 3..155, [::1]:80 answered 160..5300 "
		"hedge\" notes=hedged,panic\n");
}

Test(access_line, json)
{
	struct access_record record = full_record();
	cr_expect_str_eq(line_of(&record, true),
		"{\"time\":\"2026-11-22T09:31:11.662Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\","
		"\"host\":\"shop.example:8080\",\"path\":\"/users/7?full=1\",\"status\":200,"
		"\"duration_us\":5321,\"head_us\":5120,\"bytes_in\":120,"
		"\"bytes_out\":18446744073709551615,\"service\":\"shop\",\"route\":\"/users\","
		"\"endpoint\":\"[::1]:80\",\"request_id\":\"0af7\",\"tries\":["
		"{\"endpoint\":\"10.0.0.1:80\",\"evidence\":\"connect_refused\",\"begun_us\":3,"
		"\"ended_us\":155},{\"endpoint\":\"[::1]:80\",\"evidence\":\"answered\",\"begun_us\":160,"
		"\"ended_us\":5300,\"hedge\":true}],\"notes\":[\"hedged\",\"panic\"]}\n");
}

/* What is not known is left out. */
Test(access_line, the_least)
{
	const struct access_record record = {.problem = PROBLEM_BAD_HOST, .status = 400};
	cr_expect_str_eq(line_of(&record, false),
		"time=1970-01-01T00:00:00.000Z status=400 problem=bad_host duration_us=0 bytes_in=0 "
		"bytes_out=0\n");
	const struct access_record gone = {.problem = PROBLEM_CLIENT_GONE};
	cr_expect_str_eq(line_of(&gone, true),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"problem\":\"client_gone\",\"duration_us\":0,"
		"\"bytes_in\":0,\"bytes_out\":0}\n");
}

Test(access_line, values_cannot_break_out)
{
	const struct access_record record = {
		.method = STR("A\"B"), .host = STR("a b"), .path = STR("/\r\n\\\x00\x7f\xff")};
	cr_expect_str_eq(line_of(&record, false),
		"time=1970-01-01T00:00:00.000Z method=\"A\\\"B\" host=\"a b\" "
		"path=\"/\\u000d\\u000a\\\\\\u0000\\u007f\\u00ff\" duration_us=0 bytes_in=0 bytes_out=0\n");
}

/* The largest of everything, each byte of it to be escaped. */
Test(access_line, the_longest_line_fits)
{
	static char bytes[16384];
	memset(bytes, 1, sizeof(bytes));
	const struct str text = {bytes, sizeof(bytes)};
	struct access_try many[ACCESS_TRIES_MAX];
	for (size_t i = 0; i < ACCESS_TRIES_MAX; i++)
		many[i] = (struct access_try){.endpoint = text,
			.evidence = "connect_timeout",
			.begun_us = UINT32_MAX,
			.ended_us = UINT32_MAX,
			.is_hedge = true};
	const struct access_record record = {.time_ms = 253402300799999,
		.client = text,
		.method = text,
		.host = text,
		.path = text,
		.status = 599,
		.problem = PROBLEM_RESPONSE_TOO_LARGE,
		.has_head = true,
		.head_us = UINT64_MAX,
		.duration_us = UINT64_MAX,
		.bytes_in = UINT64_MAX,
		.bytes_out = UINT64_MAX,
		.service = text,
		.route = text,
		.endpoint = text,
		.request_id = text,
		.notes = BIT(ACCESS_NOTE_COUNT) - 1,
		.try_count = ACCESS_TRIES_MAX,
		.tries = many};
	for (int is_json = 0; is_json < 2; is_json++) {
		const char *line = line_of(&record, is_json != 0);
		cr_expect_gt(strlen(line), 50000U);
		cr_expect_not_null(strstr(line, "path_cut"));
		cr_expect_eq(line[strlen(line) - 1], '\n');
	}
}

Test(access_line, what_does_not_fit_is_not_written)
{
	struct access_record record = full_record();
	struct access_calendar calendar = {0};
	size_t whole = strlen(line_of(&record, true));
	for (size_t size = 0; size <= whole; size++) {
		char *out = malloc(size);
		cr_expect_eq(
			access_line_write(&record, true, &calendar, out, size), size == whole ? whole : 0);
		free(out);
	}
}

Test(access_line, the_date_turns)
{
	struct access_calendar calendar = {0};
	char text[200];
	static const struct {
		int64_t time_ms;
		const char *text;
	} cases[] = {{1795339871662, "time=2026-11-22T09:31:11.662Z"},
		{1795339871999, "time=2026-11-22T09:31:11.999Z"},
		{1795391999000, "time=2026-11-22T23:59:59.000Z"},
		{1795392000001, "time=2026-11-23T00:00:00.001Z"},
		{1709164800000, "time=2024-02-29T00:00:00.000Z"}};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct access_record record = {.time_ms = cases[i].time_ms};
		text[access_line_write(&record, false, &calendar, text, sizeof(text) - 1)] = '\0';
		cr_expect(strncmp(text, cases[i].text, strlen(cases[i].text)) == 0, "%s", text);
	}
}
