/* framing - how long a message's body is, and whether its connection lives on. RFC 9112 sections 6 and 9.3.
 */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "base/check.h"
#include "http/head.h"
#include "http/problem.h"

enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

struct http_framing {
	enum http_body_kind kind;
	uint64_t bytes;	    /* with HTTP_BODY_LENGTH (may be 0), or where has_length is true */
	bool has_length;    /* a Content-Length was given and is to be passed on, be it with HTTP_BODY_NONE */
	bool is_persistent; /* may the connection carry another message after this one? */
	bool expects_continue; /* requests: Expect: 100-continue, HTTP/1.1 and a body to come */
};

/* Decide for a request: one interpretation or a problem: BAD_FRAMING, UNKNOWN_CODING, TRACE_CONTENT,
 * EXPECTATION. */
MUST_CHECK enum problem http_request_framing(const struct http_head *head, struct http_framing *out);

/* Decide for a final response to a request of `method`. Any fault is PROBLEM_BAD_RESPONSE. HEAD, 204 and 304
 * have no body whatever their fields say (304 and HEAD may still carry a Content-Length, to be passed on).
 * A Content-Length that is doubled or no number is a fault of any of them. */
MUST_CHECK enum problem http_response_framing(
	const struct http_head *head, enum http_method method, struct http_framing *out);

#endif
