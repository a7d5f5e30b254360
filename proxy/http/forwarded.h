/* forwarded - the fields that tell a backend of the client: X-Forwarded-For, -Host, -Proto, and Forwarded
 * (RFC 7239). Either kind is continued, begun anew, or left out; what came of it is never passed on without
 * us in it. Pure. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "http/head.h"
#include "http/writer.h"

enum http_forwarded_kind {
	HTTP_FORWARDED_X = 1,	   /* X-Forwarded-*, and what backends read in their place */
	HTTP_FORWARDED_RFC7239 = 2 /* Forwarded */
};

/* A Forwarded field of ours takes no more than this, beside those that it continues. */
#define HTTP_FORWARDED_BYTES_MAX 512

struct http_forwarding {
	uint8_t kinds;		   /* enum http_forwarded_kind, together: those that are written */
	bool is_peer_trusted;	   /* what the peer sent is continued; if not, it is begun anew */
	struct str client_address; /* of the peer, without port or brackets; empty: unknown */
	struct str own_address;	   /* the one that the peer connected to, likewise; for Forwarded alone */
};

/* The known fields of a request that do not go as they came: BIT(id) of each. */
uint32_t http_forwarded_left_out(const struct http_forwarding *forwarding);

/* Are the X-Forwarded-* fields that have no id left out as well? */
static inline bool http_forwarded_drops_x(const struct http_forwarding *forwarding)
{
	return (forwarding->kinds & HTTP_FORWARDED_X) == 0 || !forwarding->is_peer_trusted;
}

/* Is this the name of an X-Forwarded-* field, or of X-Real-IP or X-Scheme? Those stand in for
 * X-Forwarded-For and -Proto, and backends that read both believe them more. */
bool http_is_x_forwarded(struct str name);

/* Write the fields, each with the values of the same name before it where those are continued. A Forwarded
 * that is no list of elements (RFC 7239 section 4) is not: behind a quoted string without an end, ours would
 * be a part of it. */
void http_put_forwarded(
	struct writer *out, const struct http_head *head, const struct http_forwarding *forwarding);

#endif
