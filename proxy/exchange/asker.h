/* asker - who asks, as far as that can be believed: the peer, or the client that trusted proxies in front say
 * they ask for. Owns nothing. */
#ifndef EXCHANGE_ASKER_H
#define EXCHANGE_ASKER_H

#include "downstream/downstream.h"

/* The address that the request comes from. Where forwarded.trusted names the peer, the last address in
 * X-Forwarded-For that is none of these proxies. False: it was forwarded by one whose word is not asked for,
 * or who does not say. */
MUST_CHECK bool asker_find(
	const struct downstream *client, const struct http_head *head, struct network *asker);

#endif
