/* last_hop - answers to OPTIONS and TRACE that went as far as they should: this proxy is their final
 * recipient (Max-Forwards: 0). RFC 9110 sections 7.6.2, 9.3.7 and 9.3.8. Pure. */
#ifndef HTTP_LAST_HOP_H
#define HTTP_LAST_HOP_H

#include "base/check.h"
#include "http/head.h"

/* No answer is longer than the request's head and this. */
#define HTTP_LAST_HOP_EXTRA 640

struct http_last_hop {
	struct str request_id; /* may be empty */
	struct str date;       /* IMF-fixdate */
	bool is_persistent;    /* will the client's connection live on? */
};

/* Write a whole response: to OPTIONS, 200 with Allow and no content; to TRACE, 200 with the request's head as
 * it was received, but for the fields that are likely to hold a secret. Returns the bytes written, or 0 when
 * `size` does not hold them. */
MUST_CHECK size_t http_write_last_hop(
	const struct http_head *head, const struct http_last_hop *answer, char *out, size_t size);

/* Is a field of this name likely to hold a secret: credentials, cookies, tokens, keys? */
bool http_is_likely_secret(struct str field_name);

#endif
