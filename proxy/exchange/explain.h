/* explain - why a request went where it went, for those who may ask: fields Srsd-Explain of the response, a
 * List of RFC 8941: the service, its backends with what is believed of each, and the tries. Owned by the
 * trace. */
#ifndef EXCHANGE_EXPLAIN_H
#define EXCHANGE_EXPLAIN_H

#include "exchange/internal.h"
#include "exchange/trace.h"

/* May whoever sent this request know? */
MUST_CHECK bool explain_is_allowed(const struct exchange *exchange, const struct http_head *head);

/* Have it explained: what follows is noted. Without memory it is not. */
void explain_begin(struct exchange *exchange);

/* A member was chosen, or none (NULL): note how the others stand. For an exchange that is explained. */
void explain_choice(const struct exchange *exchange, const struct member *chosen);

/* The field lines, each with its end, for a response that goes out now. Empty: it is not explained. Valid as
 * long as the exchange. */
struct str explain_fields(struct exchange *exchange);

#endif
