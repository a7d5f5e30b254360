/* encoding - checks that a text is UTF-8 and made of characters that YAML allows. */
#include "config/encoding.h"

#include <stdbool.h>

size_t encoding_decode(const char *text, size_t bytes, uint32_t *out)
{
	if (bytes == 0)
		return 0;
	unsigned char first = (unsigned char)text[0];
	if (first < 0x80) {
		*out = first;
		return 1;
	}
	size_t width = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	if (first < 0xC2 || first > 0xF4 || width > bytes)
		return 0;
	uint32_t character = first & (0x7FU >> width);
	for (size_t i = 1; i < width; i++) {
		unsigned char next = (unsigned char)text[i];
		if ((next & 0xC0) != 0x80)
			return 0;
		character = character << 6 | (next & 0x3FU);
	}
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (character < least[width] || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
		return 0;
	*out = character;
	return width;
}

static bool is_allowed(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0x7E) || c == 0x85 ||
	       (c >= 0xA0 && c <= 0xD7FF) || (c >= 0xE000 && c <= 0xFFFD && c != 0xFEFF) || c >= 0x10000;
}

size_t encoding_check(const char *text, size_t bytes, const char **why)
{
	size_t at = 0;
	while (at < bytes) {
		uint32_t character;
		size_t width = encoding_decode(text + at, bytes - at, &character);
		if (width == 0) {
			*why = "not UTF-8";
			break;
		}
		if (!is_allowed(character)) {
			*why = "a control character";
			break;
		}
		at += width;
	}
	return at;
}

void encoding_place(const char *text, size_t offset, size_t *line, size_t *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < offset; i++) {
		bool is_break =
			text[i] == '\n' || (text[i] == '\r' && !(i + 1 < offset && text[i + 1] == '\n'));
		if (is_break) {
			++*line;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xC0) != 0x80 && text[i] != '\r') {
			++*column;
		}
	}
}
