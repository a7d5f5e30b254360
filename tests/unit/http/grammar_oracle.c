/* grammar_oracle - matches each line of a head against its grammar. Keeps the compiled expressions. */
#include "grammar_oracle.h"

#include <regex.h>
#include <stdlib.h>

#define TOKEN "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
#define TEXT  "[\t\x20-\x7e\x80-\xff]*"

enum line_kind { LINE_REQUEST, LINE_STATUS, LINE_FIELD, LINE_KINDS };

static const char *const grammar[LINE_KINDS] = {
	[LINE_REQUEST] = "^" TOKEN " [!-~]+ HTTP/1[.][0-9]$",
	[LINE_STATUS] = "^HTTP/1[.][0-9] [1-9][0-9][0-9] " TEXT "$",
	[LINE_FIELD] = "^" TOKEN ":" TEXT "$",
};

static bool line_matches(enum line_kind kind, const char *at, size_t bytes)
{
	static regex_t expressions[LINE_KINDS];
	static bool is_compiled;
	static char line[HTTP_HEAD_BYTES_MAX + 1];
	for (int i = 0; !is_compiled && i < LINE_KINDS; i++)
		if (regcomp(&expressions[i], grammar[i], REG_EXTENDED | REG_NOSUB) != 0)
			abort();
	is_compiled = true;
	if (bytes >= sizeof(line) || memchr(at, '\0', bytes) != NULL)
		return false;
	memcpy(line, at, bytes);
	line[bytes] = '\0';
	return regexec(&expressions[kind], line, 0, NULL, 0) == 0;
}

/* The bytes of the line at `at` without its CR LF; false when there is none. */
static bool next_line(const char *at, const char *end, size_t *bytes)
{
	const char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
	if (line_end == NULL)
		return false;
	*bytes = (size_t)(line_end - at);
	return true;
}

const char *grammar_differs(
	const struct http_parser *parser, enum http_kind kind, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	const char *at = text;
	size_t line_bytes;
	size_t field_count = 0;

	while (kind == HTTP_KIND_REQUEST && end - at >= 2 && memcmp(at, "\r\n", 2) == 0)
		at += 2;
	if (!next_line(at, end, &line_bytes))
		return "no start line";
	if (!line_matches(kind == HTTP_KIND_REQUEST ? LINE_REQUEST : LINE_STATUS, at, line_bytes))
		return "start line";
	for (at += line_bytes + 2; next_line(at, end, &line_bytes) && line_bytes > 0; at += line_bytes + 2) {
		if (!line_matches(LINE_FIELD, at, line_bytes))
			return "field line";
		field_count++;
	}
	if (end - at < 2 || line_bytes != 0)
		return "no empty line";
	if (at + 2 != text + parser->head.bytes)
		return "length of the head";
	return field_count == parser->head.field_count ? NULL : "number of fields";
}
