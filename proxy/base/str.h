/* str.h - a borrowed run of bytes, and the few comparisons that HTTP needs. Owns nothing. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
	const char *at;
	size_t bytes;
};

/* A string literal as a str. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_of(const char *text)
{
	return (struct str){text, strlen(text)};
}

static inline bool str_equal(struct str a, struct str b)
{
	return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}

/* ASCII letters only: HTTP's names know no locale. */
static inline unsigned char ascii_lower(char c)
{
	unsigned char u = (unsigned char)c;
	return (u >= 'A' && u <= 'Z') ? (unsigned char)(u | 0x20) : u;
}

static inline bool str_equal_nocase(struct str a, struct str b)
{
	if (a.bytes != b.bytes)
		return false;
	for (size_t i = 0; i < a.bytes; i++)
		if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
			return false;
	return true;
}

#endif
