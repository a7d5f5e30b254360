/* tries - the attempts of an exchange, one after the other: begin as soon as the service has a place, try
 * another backend when one fails, wait a moment before one is tried again, within the number of tries, the
 * budget of the service, and the deadlines. Step (a) of the picture in exchange.c. */
#ifndef EXCHANGE_TRIES_H
#define EXCHANGE_TRIES_H

#include "exchange/internal.h"

/* Begin as soon as the service has a place for the request; while it has not, what comes is held. False: the
 * exchange has failed and ended. */
MUST_CHECK bool tries_enter(struct exchange *exchange);

/* The main attempt failed for `problem`, as on_broken tells, and its connection is gone. Make another one, or
 * end the exchange with an answer for the problem. */
void tries_lost(struct exchange *exchange, enum problem problem);

/* The main attempt is given up for `problem`, which says `evidence` of its member, though its connection
 * lives. As above. */
void tries_give_up(struct exchange *exchange, enum problem problem, enum evidence evidence);

/* Nothing of the main attempt was sent, and its backend may be of no use, which says `evidence` of it: ask
 * another one instead. False: there is no other, or no budget. */
MUST_CHECK bool tries_move(struct exchange *exchange, enum evidence evidence);

/* A backend has answered with `status`. True: the answer is not passed on, the request is sent to another one
 * instead. */
MUST_CHECK bool tries_refuse_status(struct exchange *exchange, int status);

/* A member that was not tried yet, for one attempt more than those that were made. NULL: there is none, or
 * there were as many as there may be. */
struct member *tries_other(const struct exchange *exchange);

/* Take one repeat out of the service's budget. False: it is used up. */
MUST_CHECK bool tries_take_budget(struct exchange *exchange);

#endif
