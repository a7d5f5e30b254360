/* head - looking things up in a parsed head: field names, methods, list elements. Owns nothing. */
#include "http/head.h"

#include "base/check.h"
#include "http/characters.h"

/* Names of known fields are told apart by their first letter and their length: one slot each, so that a
 * look-up is one load and at most one comparison. A collision is a compile error (an initializer given
 * twice). */
#define SLOT(letter, name) (((unsigned)(letter)*37 + (unsigned)sizeof(name) - 1) & 63)

static const uint8_t field_slots[64] = {
	[SLOT('c', "close")] = HTTP_FIELD_CLOSE,
	[SLOT('c', "connection")] = HTTP_FIELD_CONNECTION,
	[SLOT('c', "content-length")] = HTTP_FIELD_CONTENT_LENGTH,
	[SLOT('d', "date")] = HTTP_FIELD_DATE,
	[SLOT('e', "expect")] = HTTP_FIELD_EXPECT,
	[SLOT('f', "forwarded")] = HTTP_FIELD_FORWARDED,
	[SLOT('h', "host")] = HTTP_FIELD_HOST,
	[SLOT('h', "http2-settings")] = HTTP_FIELD_HTTP2_SETTINGS,
	[SLOT('k', "keep-alive")] = HTTP_FIELD_KEEP_ALIVE,
	[SLOT('m', "max-forwards")] = HTTP_FIELD_MAX_FORWARDS,
	[SLOT('p', "proxy-authenticate")] = HTTP_FIELD_PROXY_AUTHENTICATE,
	[SLOT('p', "proxy-authorization")] = HTTP_FIELD_PROXY_AUTHORIZATION,
	[SLOT('p', "proxy-connection")] = HTTP_FIELD_PROXY_CONNECTION,
	[SLOT('s', "srsd-explain")] = HTTP_FIELD_SRSD_EXPLAIN,
	[SLOT('t', "te")] = HTTP_FIELD_TE,
	[SLOT('t', "trailer")] = HTTP_FIELD_TRAILER,
	[SLOT('t', "transfer-encoding")] = HTTP_FIELD_TRANSFER_ENCODING,
	[SLOT('u', "upgrade")] = HTTP_FIELD_UPGRADE,
	[SLOT('v', "via")] = HTTP_FIELD_VIA,
	[SLOT('x', "x-forwarded-for")] = HTTP_FIELD_X_FORWARDED_FOR,
	[SLOT('x', "x-forwarded-host")] = HTTP_FIELD_X_FORWARDED_HOST,
	[SLOT('x', "x-forwarded-proto")] = HTTP_FIELD_X_FORWARDED_PROTO,
	[SLOT('x', "x-request-id")] = HTTP_FIELD_X_REQUEST_ID,
};

#define FIELD_NAME(id, name) [HTTP_FIELD_##id] = {(name), sizeof(name) - 1},
static const struct str field_names[HTTP_FIELD_COUNT] = {HTTP_FIELDS(FIELD_NAME)};

/* Setting bit 5 makes a letter lower-case; the other bytes that it would confuse are control bytes and '@' to
 * '_' without the letters, none of which two tokens can differ in and be known names. */
#define FOLD 0x2020202020202020U

static bool eight_equal(const char *at, const char *lower)
{
	uint64_t a;
	uint64_t b;
	memcpy(&a, at, sizeof(a));
	memcpy(&b, lower, sizeof(b));
	return (a | FOLD) == b;
}

static bool four_equal(const char *at, const char *lower)
{
	uint32_t a;
	uint32_t b;
	memcpy(&a, at, sizeof(a));
	memcpy(&b, lower, sizeof(b));
	return (a | (uint32_t)FOLD) == b;
}

/* Compare as many bytes at a time as there are: the last of them overlap those before. */
static bool name_equals(const char *at, const char *lower, size_t bytes)
{
	if (bytes >= 8) {
		for (size_t i = 0; i < bytes - 8; i += 8)
			if (!eight_equal(at + i, lower + i))
				return false;
		return eight_equal(at + bytes - 8, lower + bytes - 8);
	}
	if (bytes >= 4)
		return four_equal(at, lower) && four_equal(at + bytes - 4, lower + bytes - 4);
	for (size_t i = 0; i < bytes; i++)
		if ((at[i] | 0x20) != lower[i])
			return false;
	return true;
}

static enum http_field_id disguise(struct str name, enum http_field_id id)
{
	if (id != HTTP_FIELD_CONTENT_LENGTH && id != HTTP_FIELD_TRANSFER_ENCODING)
		return HTTP_FIELD_OTHER;
	for (size_t i = 0; i < name.bytes; i++) {
		char c = name.at[i] == '_' ? '-' : name.at[i];
		if ((c | 0x20) != field_names[id].at[i])
			return HTTP_FIELD_OTHER;
	}
	return HTTP_FIELD_DISGUISED;
}

enum http_field_id http_field_lookup(struct str name)
{
	if (name.bytes == 0)
		return HTTP_FIELD_OTHER;
	unsigned slot = (((unsigned char)name.at[0] | 0x20U) * 37 + (unsigned)name.bytes) & 63;
	enum http_field_id id = field_slots[slot];
	if (id == HTTP_FIELD_OTHER || field_names[id].bytes != name.bytes)
		return HTTP_FIELD_OTHER;
	return LIKELY(name_equals(name.at, field_names[id].at, name.bytes)) ? id : disguise(name, id);
}

enum http_method http_method_lookup(struct str name)
{
	switch (name.bytes) {
	case 3:
		return memcmp(name.at, "GET", 3) == 0	? HTTP_METHOD_GET
		       : memcmp(name.at, "PUT", 3) == 0 ? HTTP_METHOD_PUT
							: HTTP_METHOD_OTHER;
	case 4:
		return memcmp(name.at, "POST", 4) == 0	 ? HTTP_METHOD_POST
		       : memcmp(name.at, "HEAD", 4) == 0 ? HTTP_METHOD_HEAD
							 : HTTP_METHOD_OTHER;
	case 5:
		return memcmp(name.at, "PATCH", 5) == 0	  ? HTTP_METHOD_PATCH
		       : memcmp(name.at, "TRACE", 5) == 0 ? HTTP_METHOD_TRACE
							  : HTTP_METHOD_OTHER;
	case 6:
		return memcmp(name.at, "DELETE", 6) == 0 ? HTTP_METHOD_DELETE : HTTP_METHOD_OTHER;
	case 7:
		return memcmp(name.at, "OPTIONS", 7) == 0   ? HTTP_METHOD_OPTIONS
		       : memcmp(name.at, "CONNECT", 7) == 0 ? HTTP_METHOD_CONNECT
							    : HTTP_METHOD_OTHER;
	default:
		return HTTP_METHOD_OTHER;
	}
}

bool http_method_is_idempotent(enum http_method method)
{
	switch (method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
		return true;
	case HTTP_METHOD_OTHER: /* PROPFIND and its like: nothing is known of them here */
	case HTTP_METHOD_POST:
	case HTTP_METHOD_PATCH:
	case HTTP_METHOD_CONNECT:
		return false;
	}
	return false;
}

bool http_list_next(struct str *list, struct str *element)
{
	const char *at = list->at;
	const char *end = list->at + list->bytes;

	while (at < end && (*at == ',' || http_is_space(*at)))
		at++;
	const char *start = at;
	while (at < end && *at != ',')
		at++;
	*list = (struct str){at, (size_t)(end - at)};
	while (at > start && http_is_space(at[-1]))
		at--;
	*element = (struct str){start, (size_t)(at - start)};
	return element->bytes > 0;
}

bool http_list_has(const struct http_head *head, enum http_field_id id, struct str token)
{
	if (!http_has(head, id))
		return false;
	for (size_t i = head->first[id]; i < head->field_count; i++) {
		if (head->fields[i].id != id)
			continue;
		struct str list = http_text(head, head->fields[i].value);
		struct str element;
		while (http_list_next(&list, &element))
			if (str_equal_nocase(element, token))
				return true;
	}
	return false;
}
