/* attempt - one backend is asked: lease a connection to it, hand over what there is, and hold what another
 * attempt would need. Steps (b) and (c) of the picture in exchange.c. */
#ifndef EXCHANGE_ATTEMPT_H
#define EXCHANGE_ATTEMPT_H

#include "exchange/internal.h"

/* A member that was not tried yet; one that was, where there is no other; NULL: there is none at all. */
struct member *attempt_pick(const struct exchange *exchange);

/* Why there is none. PROBLEM_QUEUE_TIMEOUT: there will be one in a moment. */
enum problem attempt_lack(const struct exchange *exchange);

/* Ask `member`: lease a connection, which is there or on its way then. Nothing is sent yet. Returns
 * PROBLEM_NONE, or why there is none: the attempt is over then. */
MUST_CHECK enum problem attempt_start(struct attempt *attempt, struct member *member);

/* The connection of the attempt is there: hand over what is held, the whole request so far. It stays held
 * where it might be needed again, within a bound. */
void attempt_send_held(struct attempt *attempt);

/* A run of the request's body, the first one with the head before it: for the connection of the main attempt,
 * or to be held until that is there. */
void attempt_take_body(
	struct exchange *exchange, struct str head, const struct iovec *parts, int count, bool is_last);

/* More of the body is in the loop's pipe: for the connection of the main attempt. */
void attempt_pipe_body(struct exchange *exchange, bool is_last);

#endif
