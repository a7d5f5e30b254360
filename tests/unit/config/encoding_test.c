/* encoding: UTF-8 in its shortest form, the characters of YAML, and places counted in characters. */
#include "config/encoding.h"

#include <criterion/criterion.h>
#include <string.h>

Test(encoding, decode)
{
	static const struct {
		const char *text;
		size_t bytes;
		uint32_t character;
	} rows[] = {
		{"a", 1, 'a'},
		{"\xC3\xA9", 2, 0xE9},
		{"\xE2\x82\xAC", 3, 0x20AC},
		{"\xF0\x9F\x98\x80", 4, 0x1F600},
		{"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t character = 0;
		cr_expect_eq(encoding_decode(rows[i].text, strlen(rows[i].text), &character), rows[i].bytes);
		cr_expect_eq(character, rows[i].character);
		for (size_t cut = 0; cut < rows[i].bytes; cut++)
			cr_expect_eq(encoding_decode(rows[i].text, cut, &character), 0, "row %zu cut to %zu",
				i, cut);
	}
}

Test(encoding, no_utf8)
{
	static const char *const rows[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3(", "\xE0\x80\x80",
		"\xE2\x82(", "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
		"\xFF", "\xFE"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t character;
		const char *why = NULL;
		cr_expect_eq(encoding_decode(rows[i], strlen(rows[i]), &character), 0, "row %zu", i);
		cr_expect_eq(encoding_check(rows[i], strlen(rows[i]), &why), 0, "row %zu", i);
		cr_expect_str_eq(why, "not UTF-8");
	}
}

Test(encoding, characters)
{
	const char *why = NULL;
	const char good[] = "a\tb\r\n\xC2\x85\xC2\xA0\xE2\x82\xAC\xF0\x9F\x98\x80";
	cr_expect_eq(encoding_check(good, strlen(good), &why), strlen(good));
	cr_expect(why == NULL);
	static const char *const rows[] = {
		"ab\x01", "ab\x1B", "ab\x7F", "ab\xC2\x80", "ab\xEF\xBF\xBE", "ab\xEF\xBB\xBF"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_expect_eq(encoding_check(rows[i], strlen(rows[i]), &why), 2, "row %zu", i);
		cr_expect_str_eq(why, "a control character");
	}
	cr_expect_eq(encoding_check("ab\0c", 4, &why), 2);
}

Test(encoding, place)
{
	const char text[] = "a\xC3\xA9z\r\nb\rc\n\nd";
	static const size_t rows[][3] = {
		{0, 1, 1}, {1, 1, 2}, {3, 1, 3}, {6, 2, 1}, {8, 3, 1}, {10, 4, 1}, {11, 5, 1}, {12, 5, 2}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t line, column;
		encoding_place(text, rows[i][0], &line, &column);
		cr_expect(line == rows[i][1] && column == rows[i][2], "offset %zu: %zu:%zu", rows[i][0], line,
			column);
	}
}
