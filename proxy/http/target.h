/* target - what a request is for: the four forms of a request target, and the grammar of a host.
 * Pure; owns nothing. RFC 9112 section 3.2, RFC 3986 sections 3.2.2 and 3.3. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/check.h"
#include "http/head.h"
#include "http/problem.h"

/* No name in the DNS is longer than 253 bytes; a bound keeps a rewritten head within its own. */
#define HTTP_HOST_BYTES_MAX 300

/* Is `text` a host that an http URI can have: uri-host [ ":" port ], the host not empty, the port at most
 * 65535? */
bool http_host_is_valid(struct str text);

/* Take head->target apart (head->method is known): fills target_form, path, query and, for an absolute-form,
 * authority, which is empty otherwise. An absolute-form "OPTIONS http://host" becomes HTTP_TARGET_ASTERISK
 * (RFC 9112 section 3.2.4). One byte after the target there stands the version, "HTTP/", which lends its '/'
 * to targets without a path. Returns PROBLEM_NONE, PROBLEM_BAD_TARGET, PROBLEM_METHOD_REFUSED for a
 * well-formed CONNECT, or PROBLEM_MISDIRECTED for a well-formed https URI, which must not be answered on a
 * connection that is not secured (RFC 9110 section 7.4). */
MUST_CHECK enum problem http_target_parse(struct http_head *head);

#endif
