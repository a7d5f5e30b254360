/* attempt - gets a request to a backend: pick a member, lease a connection, hand over what there is, and hold
 * what another attempt would need. Steps (a) to (c) of the picture in exchange.c. */
#ifndef EXCHANGE_ATTEMPT_H
#define EXCHANGE_ATTEMPT_H

#include "exchange/internal.h"

/* Begin as soon as the service has a place for the request; while it has not, what comes is held. False: the
 * exchange has failed and ended. */
MUST_CHECK bool attempt_enter(struct exchange *exchange);

/* Pick and lease until a connection is there or on its way. False: the exchange has failed and ended. */
MUST_CHECK bool attempt_begin(struct exchange *exchange);

/* The attempt under way failed for `problem`, and its connection is closed. `was_sent`: a backend may have
 * seen some of the request. Make another one, or end the exchange with an answer for the problem. */
void attempt_lost(struct exchange *exchange, enum problem problem, bool was_sent);

/* The connection of the attempt is there: hand over what is held, the whole request so far. */
void attempt_send_held(struct exchange *exchange);

/* A run of the request's body, the first one with the head before it. */
void attempt_take_body(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last);

#endif
