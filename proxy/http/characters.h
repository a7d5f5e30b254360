/* characters.h - what each byte may be in HTTP's grammars: one table of classes, and the search for a line's
 * end. Owns nothing. RFC 9110 section 5.6.2 (token), RFC 3986 (targets and hosts), RFC 9112 section 2.2 (line
 * ends). */
#ifndef HTTP_CHARACTERS_H
#define HTTP_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum http_character_class {
	HTTP_TOKEN = 1,	      /* tchar */
	HTTP_PATH = 2,	      /* pchar without '%', and '/' */
	HTTP_QUERY = 4,	      /* pchar without '%', '/', '?', and what browsers leave unescaped in a query */
	HTTP_REG_NAME = 8,    /* unreserved and sub-delims */
	HTTP_HEX = 16,	      /* HEXDIG in either case */
	HTTP_QUOTED = 32,     /* qdtext */
	HTTP_VALUE = 64,      /* field-content: no control byte but the tab */
	HTTP_REQUEST_ID = 128 /* what a request id may be made of to be passed on */
};

extern const uint8_t http_character_classes[256];

/* Is `c` of one of `classes`? */
static inline bool http_is(char c, unsigned classes)
{
	return (http_character_classes[(unsigned char)c] & classes) != 0;
}

static inline bool http_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool http_is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* The first byte in [at, end) that no field value may hold: a control byte other than the tab, or DEL. `end`
 * if there is none. A line ends where this finds a CR that an LF follows; whatever else it finds is an error.
 */
static inline const char *http_find_control(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i space = _mm_set1_epi8(0x20);
	const __m128i tab = _mm_set1_epi8('\t');
	const __m128i del = _mm_set1_epi8(0x7f);
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i is_text = _mm_cmpeq_epi8(_mm_max_epu8(bytes, space), bytes);
		__m128i is_fine = _mm_andnot_si128(
			_mm_cmpeq_epi8(bytes, del), _mm_or_si128(is_text, _mm_cmpeq_epi8(bytes, tab)));
		unsigned control = ~(unsigned)_mm_movemask_epi8(is_fine) & 0xffffU;
		if (control != 0)
			return at + __builtin_ctz(control);
	}
#endif
	while (at < end && http_is(*at, HTTP_VALUE))
		at++;
	return at;
}

#endif
