/* head - a parsed message head: start line and fields as slices of the bytes it was parsed from.
 * Owns nothing: a slice is an offset from `base`, the first byte of the message, which the holder keeps. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_HEAD_BYTES_MAX  65535 /* what a slice can address; limits.head_bytes stays below it */
#define HTTP_HEAD_FIELDS_MAX 256   /* limits.fields stays below it */

/* Fields that this program acts on. One list makes the id and the name that is looked up. */
#define HTTP_FIELDS(X)                                                                                         \
	X(CONNECTION, "connection")                                                                            \
	X(CONTENT_LENGTH, "content-length")                                                                    \
	X(DATE, "date")                                                                                        \
	X(EXPECT, "expect")                                                                                    \
	X(HOST, "host")                                                                                        \
	X(HTTP2_SETTINGS, "http2-settings")                                                                    \
	X(KEEP_ALIVE, "keep-alive")                                                                            \
	X(MAX_FORWARDS, "max-forwards")                                                                        \
	X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                            \
	X(PROXY_AUTHORIZATION, "proxy-authorization")                                                          \
	X(PROXY_CONNECTION, "proxy-connection")                                                                \
	X(TE, "te")                                                                                            \
	X(TRAILER, "trailer")                                                                                  \
	X(TRANSFER_ENCODING, "transfer-encoding")                                                              \
	X(UPGRADE, "upgrade")                                                                                  \
	X(VIA, "via")                                                                                          \
	X(X_FORWARDED_FOR, "x-forwarded-for")                                                                  \
	X(X_FORWARDED_HOST, "x-forwarded-host")                                                                \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                              \
	X(X_REQUEST_ID, "x-request-id")

#define HTTP_FIELD_ENUM(id, name) HTTP_FIELD_##id,
enum http_field_id { HTTP_FIELD_OTHER, HTTP_FIELDS(HTTP_FIELD_ENUM) HTTP_FIELD_COUNT };
#undef HTTP_FIELD_ENUM

/* The id of a field name in any case, HTTP_FIELD_OTHER for the rest. */
enum http_field_id http_field_lookup(struct str name);

struct http_slice {
	uint16_t at; /* from the first byte of the message */
	uint16_t bytes;
};

struct http_field {
	struct http_slice name;
	struct http_slice value; /* without white space at either end; may be empty */
	uint8_t id;		 /* enum http_field_id */
};

enum http_method {
	HTTP_METHOD_OTHER, /* a well-formed token that is none of these */
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_CONNECT
};

/* May a request of this method be sent again when its outcome is unknown? RFC 9110 section 9.2.2. */
bool http_method_is_idempotent(enum http_method method);

/* RFC 9112 section 3.2. */
enum http_target_form { HTTP_TARGET_ORIGIN, HTTP_TARGET_ABSOLUTE, HTTP_TARGET_AUTHORITY, HTTP_TARGET_ASTERISK };

struct http_head {
	const char *base;
	uint16_t bytes;	      /* length of the head with its empty line */
	uint16_t field_count;
	uint8_t version_minor; /* HTTP/1.0 or HTTP/1.1; nothing else gets here */

	/* requests */
	uint8_t method; /* enum http_method */
	uint8_t target_form;
	struct http_slice method_name;
	struct http_slice target;
	struct http_slice path;	     /* of the target, with its query split off; "/" was made explicit by rewriting */
	struct http_slice query;     /* with its '?'; empty when there is none */
	struct http_slice authority; /* of an absolute-form target, else the Host field's value; may be empty */

	/* responses */
	uint16_t status; /* 100 to 999 */
	struct http_slice reason;

	/* Which ids occur, BIT(id): most look-ups end here. */
	uint32_t present;
	struct http_field fields[HTTP_HEAD_FIELDS_MAX];
};

_Static_assert(HTTP_FIELD_COUNT <= 32, "http_head.present has a bit for each known field");

static inline struct str http_text(const struct http_head *head, struct http_slice slice)
{
	return (struct str){head->base + slice.at, slice.bytes};
}

static inline bool http_has(const struct http_head *head, enum http_field_id id)
{
	return (head->present >> id) & 1U;
}

/* The first field with this id, or NULL. */
const struct http_field *http_find(const struct http_head *head, enum http_field_id id);

/* Does a list field (RFC 9110 section 5.6.1), over all its occurrences, hold `token`, in any case? */
bool http_list_has(const struct http_head *head, enum http_field_id id, struct str token);

#endif
