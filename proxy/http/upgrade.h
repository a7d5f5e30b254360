/* upgrade - which protocols a client may switch to, and whether a 101 response is one that was asked for.
 * RFC 9110 sections 7.8 and 15.2.2. Pure. */
#ifndef HTTP_UPGRADE_H
#define HTTP_UPGRADE_H

#include "base/check.h"
#include "http/head.h"

/* Of the protocols that a request offers in Upgrade, write those that `allowed` names, in the client's order,
 * as a list into `out` of `size` bytes. `allowed` is NULL-terminated: "websocket", "name/version"; compared
 * in any case. Returns the bytes written; 0: none is to be offered, because the request offers none that is
 * allowed, or it is HTTP/1.0, or Connection does not name Upgrade, or they do not fit. */
MUST_CHECK size_t http_upgrade_offer(
	const struct http_head *head, const char *const *allowed, char *out, size_t size);

/* Does a 101 response switch to what was offered: Connection names Upgrade, which names nothing but protocols
 * of the list `offered`, and at least one? */
MUST_CHECK bool http_upgrade_is_answered(const struct http_head *head, struct str offered);

#endif
