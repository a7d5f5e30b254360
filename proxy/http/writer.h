/* writer - puts text into memory of the caller's, and notes when it does not fit. For the heads that are made
 * here. Owns nothing. */
#ifndef HTTP_WRITER_H
#define HTTP_WRITER_H

#include "base/check.h"
#include "base/str.h"

#include <stdint.h>

#define INTEGER_DIGITS_MAX 20

struct writer {
	char *at;
	char *end;
	bool is_full; /* something did not fit: the result is void */
};

static inline void put(struct writer *out, const char *at, size_t bytes)
{
	if (UNLIKELY((size_t)(out->end - out->at) < bytes)) {
		out->is_full = true;
		return;
	}
	memcpy(out->at, at, bytes);
	out->at += bytes;
}

#define PUT_LITERAL(out, literal) put((out), (literal), sizeof(literal) - 1)

static inline void put_text(struct writer *out, struct str text)
{
	if (text.bytes > 0)
		put(out, text.at, text.bytes);
}

static inline void put_integer(struct writer *out, uint64_t value)
{
	char digits[INTEGER_DIGITS_MAX];
	char *at = digits + sizeof(digits);
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	put(out, at, (size_t)(digits + sizeof(digits) - at));
}

/* A String of RFC 8941 section 3.3.3: what is not printable ASCII cannot stand in one. */
static inline void put_string(struct writer *out, struct str text)
{
	PUT_LITERAL(out, "\"");
	for (size_t i = 0; i < text.bytes; i++) {
		char c = text.at[i];
		if (c == '"' || c == '\\')
			PUT_LITERAL(out, "\\");
		put(out, c >= ' ' && c <= '~' ? &c : "?", 1);
	}
	PUT_LITERAL(out, "\"");
}

static inline void put_field(struct writer *out, struct str name_with_colon, struct str value)
{
	put_text(out, name_with_colon);
	put_text(out, value);
	PUT_LITERAL(out, "\r\n");
}

#endif
