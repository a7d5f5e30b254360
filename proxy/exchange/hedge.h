/* hedge - what is done about a backend that is late. Where nothing was sent yet the request goes to another
 * one. Else, if the request may be repeated, another one is asked as well (the hedge), and the first answer
 * counts: the other attempt is dropped. Who sees only the main attempt of an exchange need not know: a hedge
 * that wins becomes the main one. */
#ifndef EXCHANGE_HEDGE_H
#define EXCHANGE_HEDGE_H

#include "exchange/internal.h"

/* The attempt's backend is late. Returns after how many ms to look again; 0: not any more. The exchange may
 * have ended. */
uint64_t hedge_on_late(struct attempt *attempt);

/* Two are asked, and one has answered with `status`. True: its answer is to be passed on, as that of the main
 * attempt. False: it is an error, and the other one may do better, of
 * which nothing bad is known. */
MUST_CHECK bool hedge_take_status(struct attempt *attempt, int status);

/* Two were asked, and the attempt failed for `problem`, as on_broken tells: the other one goes on alone. */
void hedge_lost(struct attempt *attempt, enum problem problem);

#endif
