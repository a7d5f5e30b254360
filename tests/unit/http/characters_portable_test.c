/* characters_portable_test - the searches for control bytes and colons, as machines without SSE2 compile it.
 */
#undef __SSE2__
#include "http/characters.h"
#include "support.h"

Test(characters_portable, control_bytes_are_found)
{
	char text[40];
	memset(text, 'a', sizeof(text));
	cr_assert_eq(http_find_control(text, text + sizeof(text)), text + sizeof(text));
	for (size_t at = 0; at < sizeof(text); at++) {
		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			bool is_control = (byte < ' ' && byte != '\t') || byte == 0x7f;
			cr_assert_eq(http_find_control(text, text + sizeof(text)),
				text + (is_control ? at : sizeof(text)));
		}
		text[at] = 'a';
	}
}

Test(characters_portable, the_colon_is_found)
{
	static const char line[] = "User-Agent: a:b";
	cr_expect_eq(http_find_colon(line, line + sizeof(line) - 1), line + 10);
	cr_expect_eq(http_find_colon(line, line + 10), line + 10);
}
