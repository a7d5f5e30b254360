/* characters - the table of character classes. Owns nothing. */
#include "http/characters.h"

/* unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"; every one of them is a tchar as well. */
#define UNRESERVED                                                                                           \
	(HTTP_TOKEN | HTTP_PATH | HTTP_QUERY | HTTP_REG_NAME | HTTP_QUOTED | HTTP_VALUE | HTTP_REQUEST_ID)
/* sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "=" */
#define SUB_DELIMITER (HTTP_PATH | HTTP_QUERY | HTTP_REG_NAME | HTTP_QUOTED | HTTP_VALUE)
#define TEXT	      (HTTP_QUOTED | HTTP_VALUE)

const uint8_t http_character_classes[256] = {
	['\t'] = TEXT,
	[' '] = TEXT,
	['!'] = SUB_DELIMITER | HTTP_TOKEN,
	['"'] = HTTP_VALUE,
	['#'] = TEXT | HTTP_TOKEN,
	['$'] = SUB_DELIMITER | HTTP_TOKEN,
	['%'] = TEXT | HTTP_TOKEN,
	['&'] = SUB_DELIMITER | HTTP_TOKEN,
	['\''] = SUB_DELIMITER | HTTP_TOKEN,
	['('] = SUB_DELIMITER,
	[')'] = SUB_DELIMITER,
	['*'] = SUB_DELIMITER | HTTP_TOKEN,
	['+'] = SUB_DELIMITER | HTTP_TOKEN | HTTP_REQUEST_ID,
	[','] = SUB_DELIMITER,
	['-'] = UNRESERVED,
	['.'] = UNRESERVED,
	['/'] = TEXT | HTTP_PATH | HTTP_QUERY | HTTP_REQUEST_ID,
	['0' ... '9'] = UNRESERVED | HTTP_HEX,
	[':'] = TEXT | HTTP_PATH | HTTP_QUERY | HTTP_REQUEST_ID,
	[';'] = SUB_DELIMITER,
	['<'] = TEXT,
	['='] = SUB_DELIMITER | HTTP_REQUEST_ID,
	['>'] = TEXT,
	['?'] = TEXT | HTTP_QUERY,
	['@'] = TEXT | HTTP_PATH | HTTP_QUERY | HTTP_REQUEST_ID,
	['A' ... 'F'] = UNRESERVED | HTTP_HEX,
	['G' ... 'Z'] = UNRESERVED,
	/* RFC 3986 wants [ ] ^ ` { | } escaped. Browsers (the WHATWG URL standard) and everyday APIs
	 * ("?filter[name]=x") send them bare in queries, which no hop interprets: passed on there, refused in
	 * paths. */
	['['] = TEXT | HTTP_QUERY,
	['\\'] = HTTP_VALUE,
	[']'] = TEXT | HTTP_QUERY,
	['^'] = TEXT | HTTP_TOKEN | HTTP_QUERY,
	['_'] = UNRESERVED,
	['`'] = TEXT | HTTP_TOKEN | HTTP_QUERY,
	['a' ... 'f'] = UNRESERVED | HTTP_HEX,
	['g' ... 'z'] = UNRESERVED,
	['{'] = TEXT | HTTP_QUERY,
	['|'] = TEXT | HTTP_TOKEN | HTTP_QUERY,
	['}'] = TEXT | HTTP_QUERY,
	['~'] = UNRESERVED,
	[0x80 ... 0xff] = TEXT, /* obs-text */
};
