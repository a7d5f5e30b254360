/* characters.h - what each byte may be in HTTP's grammars: one table of classes, the search for a line's
 * end, and a short way with names. Owns nothing. RFC 9110 section 5.6.2 (token), RFC 3986 (targets and
 * hosts), RFC 9112 section 2.2 (line ends). */
#ifndef HTTP_CHARACTERS_H
#define HTTP_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The colon that ends the name at `at`; `end` if there is none before it. As memchr(), in place: names are
 * short. */
static inline const char *http_find_colon(const char *at, const char *end)
{
#ifdef __SSE2__
	const __m128i colon = _mm_set1_epi8(':');
	for (; end - at >= 16; at += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
		unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, colon));
		if (found != 0)
			return at + __builtin_ctz(found);
	}
#endif
	while (at < end && *at != ':')
		at++;
	return at;
}

/* Is each of eight bytes a letter, a digit or a hyphen? All at once: a bound is passed where its addition
 * sets the byte's upper bit, which must be clear before so that nothing is carried. */
static inline bool http_are_plain(uint64_t eight)
{
	const uint64_t ones = 0x0101010101010101U;
	uint64_t lower = eight | ones * 0x20;
	uint64_t is_letter = (lower + ones * (0x80 - 'a')) & ~(lower + ones * (0x7f - 'z'));
	uint64_t is_digit = (eight + ones * (0x80 - '0')) & ~(eight + ones * (0x7f - '9'));
	uint64_t is_hyphen = ~((eight ^ ones * '-') + ones * 0x7f);
	return ((eight | ~(is_letter | is_digit | is_hyphen)) & ones * 0x80) == 0;
}

/* Is the name at `at`, of at least one byte, of letters, digits and hyphens alone? Nearly every one is, and a
 * token by that. */
static inline bool http_is_plain(const char *at, size_t bytes)
{
	uint64_t eight = 0;
	uint32_t four[2];
	if (bytes < 4) {
		const char few[sizeof(eight)] = {
			at[0], at[bytes / 2], at[bytes - 1], '-', '-', '-', '-', '-'};
		memcpy(&eight, few, sizeof(eight));
		return http_are_plain(eight);
	}
	if (bytes < sizeof(eight)) { /* the last bytes overlap those before */
		memcpy(&four[0], at, sizeof(four[0]));
		memcpy(&four[1], at + bytes - sizeof(four[1]), sizeof(four[1]));
		memcpy(&eight, four, sizeof(eight));
		return http_are_plain(eight);
	}
	for (size_t i = 0; i < bytes - sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, at + i, sizeof(eight));
		if (!http_are_plain(eight))
			return false;
	}
	memcpy(&eight, at + bytes - sizeof(eight), sizeof(eight));
	return http_are_plain(eight);
}

#endif
