/* characters_test - the classes of bytes, against the grammars spelled out; the search for control bytes. */
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
