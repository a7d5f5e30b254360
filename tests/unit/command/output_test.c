/* output_test - whatever the bytes, a line of JSON is one line of JSON. */
#include "srsd/command/output.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* The line that holds `value` as its one member. The caller frees it. */
static char *line_of(const char *value)
{
	char *line = NULL;
	size_t bytes;
	struct json json;
	FILE *out = open_memstream(&line, &bytes);

	cr_assert_not_null(out);
	json_begin(&json, out);
	json_text(&json, "v", value);
	json_end(&json);
	cr_assert_eq(fclose(out), 0);
	return line;
}

static void expect(const char *value, const char *expected)
{
	char *line = line_of(value);

	cr_assert_str_eq(line, expected);
	free(line);
}

Test(output, json_escapes_what_it_must)
{
	expect("plain", "{\"v\":\"plain\"}\n");
	expect("", "{\"v\":\"\"}\n");
	expect("say \"hi\" \\ bye", "{\"v\":\"say \\\"hi\\\" \\\\ bye\"}\n");
	expect("a\nb\tc\x1b\x7f", "{\"v\":\"a\\u000ab\\u0009c\\u001b\\u007f\"}\n");
}

Test(output, json_keeps_utf8)
{
	expect("\xC3\xA9", "{\"v\":\"\xC3\xA9\"}\n");
	expect("\xE2\x82\xAC", "{\"v\":\"\xE2\x82\xAC\"}\n");
	expect("\xF0\x9F\x98\x80", "{\"v\":\"\xF0\x9F\x98\x80\"}\n");
	expect("\xF4\x8F\xBF\xBF", "{\"v\":\"\xF4\x8F\xBF\xBF\"}\n");
}

Test(output, json_replaces_what_is_no_utf8)
{
	expect("\xFF", "{\"v\":\"\\ufffd\"}\n");
	expect("a\x80z", "{\"v\":\"a\\ufffdz\"}\n");
	expect("\xC3", "{\"v\":\"\\ufffd\"}\n");
	expect("\xE2\x82", "{\"v\":\"\\ufffd\\ufffd\"}\n");
	expect("\xC0\xAF", "{\"v\":\"\\ufffd\\ufffd\"}\n");
	expect("\xE0\x80\xAF", "{\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n");
	expect("\xED\xA0\x80", "{\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n");
	expect("\xF4\x90\x80\x80", "{\"v\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n");
	expect("\xF0\x9F\x98", "{\"v\":\"\\ufffd\\ufffd\\ufffd\"}\n");
}

Test(output, json_separates_members)
{
	struct srsd_address address = {.kind = SRSD_HOST_IPV6, .port = 65535, .host = "2001:db8::1"};
	char *line = NULL;
	size_t bytes;
	struct json json;
	FILE *out = open_memstream(&line, &bytes);

	cr_assert_not_null(out);
	json_begin(&json, out);
	json_address(&json, "shop", &address);
	json_whole(&json, "least", INT64_MIN);
	json_end(&json);
	cr_assert_eq(fclose(out), 0);
	cr_assert_str_eq(line,
		"{\"label\":\"shop\",\"address\":\"[2001:db8::1]:65535\",\"host\":\"2001:db8::1\","
		"\"port\":65535,\"least\":-9223372036854775808}\n");
	free(line);
}

Test(output, times_are_utc)
{
	char text[TIME_TEXT_MAX];

	cr_assert_str_eq(time_write(0, text), "1970-01-01T00:00:00.000Z");
	cr_assert_str_eq(time_write(1767323045678, text), "2026-01-02T03:04:05.678Z");
	cr_assert_geq(time_now_ms(), 1767323045678);
}

Test(output, sessions_keep_all_their_bits)
{
	char *line = NULL;
	size_t bytes;
	struct json json;
	FILE *out = open_memstream(&line, &bytes);

	json_begin(&json, out);
	json_session(&json, "a", 0x100016446170000);
	json_session(&json, "b", INT64_MIN);
	json_end(&json);
	fclose(out);
	cr_assert_str_eq(line, "{\"a\":\"0x100016446170000\",\"b\":\"0x8000000000000000\"}\n");
	free(line);
}
