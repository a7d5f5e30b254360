/* characters_test - the classes of bytes, against the grammars spelled out; the search for control bytes and
 * colons; plain names. */
#include "http/characters.h"
#include "support.h"

#include <ctype.h>

#define SUB_DELIMITERS "!$&'()*+,;="

static bool is_one_of(int byte, const char *set)
{
	return byte != '\0' && strchr(set, byte) != NULL;
}

Test(characters, classes)
{
	for (int byte = 0; byte < 256; byte++) {
		char c = (char)byte;
		bool is_alnum = byte < 128 && isalnum(byte);
		bool is_unreserved = is_alnum || is_one_of(byte, "-._~");
		bool is_pchar = is_unreserved || is_one_of(byte, SUB_DELIMITERS ":@");
		bool is_vchar = byte > ' ' && byte < 0x7f;
		bool is_text = is_vchar || byte == ' ' || byte == '\t' || byte >= 0x80;
		cr_expect_eq(
			http_is(c, HTTP_TOKEN), is_alnum || is_one_of(byte, "!#$%&'*+-.^_`|~"), "%d", byte);
		cr_expect_eq(http_is(c, HTTP_PATH), is_pchar || byte == '/', "%d", byte);
		cr_expect_eq(http_is(c, HTTP_QUERY), is_pchar || is_one_of(byte, "/?[]{}|^`"), "%d", byte);
		cr_expect_eq(http_is(c, HTTP_REG_NAME), is_unreserved || is_one_of(byte, SUB_DELIMITERS),
			"%d", byte);
		cr_expect_eq(http_is(c, HTTP_HEX), byte < 128 && isxdigit(byte), "%d", byte);
		cr_expect_eq(http_is(c, HTTP_QUOTED), is_text && byte != '"' && byte != '\\', "%d", byte);
		cr_expect_eq(http_is(c, HTTP_VALUE), is_text, "%d", byte);
		cr_expect_eq(
			http_is(c, HTTP_REQUEST_ID), is_alnum || is_one_of(byte, "-._~+/=:@"), "%d", byte);
	}
}

Test(characters, control_bytes_are_found_wherever_they_stand)
{
	char text[80];
	for (size_t bytes = 0; bytes <= sizeof(text); bytes++) {
		memset(text, 0xff, sizeof(text));
		cr_assert_eq(http_find_control(text, text + bytes), text + bytes);
		memset(text, '\t', sizeof(text));
		cr_assert_eq(http_find_control(text, text + bytes), text + bytes);
		for (size_t at = 0; at < bytes; at++) {
			for (int byte = 0; byte < 256; byte++) {
				text[at] = (char)byte;
				bool is_control = (byte < ' ' && byte != '\t') || byte == 0x7f;
				cr_assert_eq(http_find_control(text, text + bytes),
					text + (is_control ? at : bytes), "byte %d at %zu of %zu", byte, at,
					bytes);
			}
			text[at] = '\t';
		}
	}
}

Test(characters, the_first_colon_is_found_wherever_it_stands)
{
	char text[80];
	memset(text, ':' + 1, sizeof(text));
	for (size_t bytes = 0; bytes <= sizeof(text); bytes++) {
		cr_assert_eq(http_find_colon(text, text + bytes), text + bytes);
		for (size_t at = 0; at < sizeof(text); at++) {
			text[at] = text[sizeof(text) - 1] = ':';
			cr_assert_eq(http_find_colon(text, text + bytes), text + (at < bytes ? at : bytes),
				"%zu of %zu", at, bytes);
			text[at] = text[sizeof(text) - 1] = ':' + 1;
		}
	}
}

/* Every byte, at every place of a name of each length: all but one of them plain. */
Test(characters, plain_names)
{
	char name[40];
	for (size_t bytes = 1; bytes <= sizeof(name); bytes++) {
		for (size_t i = 0; i < bytes; i++)
			name[i] = "aZ-09zA"[i % 7];
		cr_assert(http_is_plain(name, bytes), "%zu bytes", bytes);
		for (size_t at = 0; at < bytes; at++) {
			char before = name[at];
			for (int byte = 0; byte < 256; byte++) {
				bool is_plain = byte == '-' || (byte < 128 && isalnum(byte));
				name[at] = (char)byte;
				cr_assert_eq(http_is_plain(name, bytes), is_plain, "byte %d at %zu of %zu",
					byte, at, bytes);
			}
			name[at] = before;
		}
	}
}

/* No byte hides another one from the sum of all eight. */
Test(characters, plain_pairs)
{
	char name[8] = "abcdefgh";
	for (int first = 0; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			name[3] = (char)first;
			name[4] = (char)second;
			bool is_plain = (first == '-' || (first < 128 && isalnum(first))) &&
					(second == '-' || (second < 128 && isalnum(second)));
			cr_assert_eq(http_is_plain(name, sizeof(name)), is_plain, "%d %d", first, second);
		}
	}
}
