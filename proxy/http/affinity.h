/* affinity - what requests have in common that are to go to the same backend: a part of their heads. Pure. */
#ifndef HTTP_AFFINITY_H
#define HTTP_AFFINITY_H

#include "base/check.h"
#include "http/head.h"

enum http_affinity_kind {
	HTTP_AFFINITY_PATH,
	HTTP_AFFINITY_CLIENT_ADDRESS,
	HTTP_AFFINITY_FIELD,
	HTTP_AFFINITY_COOKIE
};

struct http_affinity {
	enum http_affinity_kind kind;
	struct str name; /* of the field or the cookie; borrowed */
};

/* "path", "client_address", "header:NAME", "cookie:NAME"; `text` is borrowed by what comes of it. Anything
 * else is the path. */
struct http_affinity http_affinity_parse(const char *text);

/* The part of this request: the path without its query; the client's address, which the caller knows; the
 * value of the first field of that name, in any case; the value of the first cookie of that name (RFC 6265
 * section 4.2.1), as it is written. False: it has none, or an empty one. */
MUST_CHECK bool http_affinity_of(const struct http_affinity *affinity, const struct http_head *head,
	struct str client_address, struct str *out);

#endif
