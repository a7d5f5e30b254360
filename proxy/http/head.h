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
#define HTTP_FIELDS(X)                                                                                       \
	X(CLOSE, "close") /* reserved: it would be what "Connection: close" names */                         \
	X(CONNECTION, "connection")                                                                          \
	X(CONTENT_LENGTH, "content-length")                                                                  \
	X(DATE, "date")                                                                                      \
	X(EXPECT, "expect")                                                                                  \
	X(FORWARDED, "forwarded")                                                                            \
	X(HOST, "host")                                                                                      \
	X(HTTP2_SETTINGS, "http2-settings")                                                                  \
	X(KEEP_ALIVE, "keep-alive")                                                                          \
	X(MAX_FORWARDS, "max-forwards")                                                                      \
	X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                          \
	X(PROXY_AUTHORIZATION, "proxy-authorization")                                                        \
	X(PROXY_CONNECTION, "proxy-connection")                                                              \
	X(SRSD_EXPLAIN, "srsd-explain")                                                                      \
	X(TE, "te")                                                                                          \
	X(TRAILER, "trailer")                                                                                \
	X(TRANSFER_ENCODING, "transfer-encoding")                                                            \
	X(UPGRADE, "upgrade")                                                                                \
	X(VIA, "via")                                                                                        \
	X(X_FORWARDED_FOR, "x-forwarded-for")                                                                \
	X(X_FORWARDED_HOST, "x-forwarded-host")                                                              \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")                                                            \
	X(X_REQUEST_ID, "x-request-id")

#define HTTP_FIELD_ENUM(id, name) HTTP_FIELD_##id,
enum http_field_id {
	HTTP_FIELD_OTHER,
	HTTP_FIELDS(HTTP_FIELD_ENUM) HTTP_FIELD_COUNT,
	HTTP_FIELD_DISGUISED =
		HTTP_FIELD_COUNT /* see http_field_lookup(); no field of a parsed head has it */
};
#undef HTTP_FIELD_ENUM

/* The id of a field name (a token) in any case, HTTP_FIELD_OTHER for the rest. HTTP_FIELD_DISGUISED for
 * Content-Length or Transfer-Encoding with '_' in place of '-': an unknown name by the letter, but a backend
 * that makes variables of field names (RFC 3875 section 4.1.18) cannot tell it from the real one. */
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

/* The id of a method token (case-sensitive), HTTP_METHOD_OTHER for the rest. */
enum http_method http_method_lookup(struct str name);

/* May a request of this method be sent again when its outcome is unknown? RFC 9110 section 9.2.2. */
bool http_method_is_idempotent(enum http_method method);

/* RFC 9112 section 3.2. */
enum http_target_form {
	HTTP_TARGET_ORIGIN,
	HTTP_TARGET_ABSOLUTE,
	HTTP_TARGET_AUTHORITY,
	HTTP_TARGET_ASTERISK
};

/* What the Connection field says, over all its occurrences. */
enum http_connection_option {
	HTTP_CONNECTION_CLOSE = 1,
	HTTP_CONNECTION_KEEP_ALIVE = 2,
	HTTP_CONNECTION_UPGRADE = 4,
	HTTP_CONNECTION_NAMES = 8 /* names fields that are only to be left out because it says so */
};

struct http_head {
	const char *base;
	uint16_t bytes; /* length of the head with its empty line */
	uint16_t field_count;
	uint8_t version_minor; /* HTTP/1.0 or HTTP/1.1; nothing else gets here */

	/* requests */
	uint8_t method; /* enum http_method; OTHER until it is read */
	uint8_t target_form;
	struct http_slice method_name;
	struct http_slice target;
	struct http_slice path;	 /* of the target, without its query; "/" for an empty path and for "*" */
	struct http_slice query; /* with its '?'; empty when there is none */
	struct http_slice
		authority; /* of an absolute-form target, else the Host field's value; may be empty */

	/* responses */
	uint16_t status; /* 100 to 599 */
	struct http_slice reason;

	uint8_t connection;  /* enum http_connection_option, together */
	bool has_tab_around; /* a tab is among the white space around some field's value */

	/* Which ids occur, and which of them more than once, BIT(id): most look-ups end here. */
	uint32_t present;
	uint32_t repeated;
	uint8_t first[HTTP_FIELD_COUNT]; /* index of the first field with an id that is present */
	struct http_field fields[HTTP_HEAD_FIELDS_MAX];
};

_Static_assert(HTTP_FIELD_COUNT <= 32, "http_head.present has a bit for each known field");
_Static_assert(HTTP_HEAD_FIELDS_MAX <= 256, "http_head.first holds an index in a byte");

static inline struct str http_text(const struct http_head *head, struct http_slice slice)
{
	return (struct str){head->base + slice.at, slice.bytes};
}

static inline bool http_has(const struct http_head *head, enum http_field_id id)
{
	return (head->present >> id) & 1U;
}

static inline bool http_is_repeated(const struct http_head *head, enum http_field_id id)
{
	return (head->repeated >> id) & 1U;
}

/* The first field with this id, or NULL. Not for HTTP_FIELD_OTHER. */
static inline const struct http_field *http_find(const struct http_head *head, enum http_field_id id)
{
	return http_has(head, id) ? &head->fields[head->first[id]] : NULL;
}

/* The value of the first field with this id; empty when there is none. */
static inline struct str http_value(const struct http_head *head, enum http_field_id id)
{
	const struct http_field *field = http_find(head, id);
	return field == NULL ? (struct str){head->base, 0} : http_text(head, field->value);
}

/* Take the next element off the front of `*list`, a list field's value (RFC 9110 section 5.6.1): false when
 * there is none left. Empty elements are skipped; white space around an element is not part of it. Quoted
 * strings are not looked into: for lists of tokens. */
bool http_list_next(struct str *list, struct str *element);

/* Does a list field (RFC 9110 section 5.6.1), over all its occurrences, hold `token`, in any case? */
bool http_list_has(const struct http_head *head, enum http_field_id id, struct str token);

#endif
