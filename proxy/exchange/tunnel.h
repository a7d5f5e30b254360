/* tunnel - an exchange whose connections were switched to another protocol: bytes go both ways, as they are,
 * until both sides have ended or neither has sent anything for long. RFC 9110 section 7.8. */
#ifndef EXCHANGE_TUNNEL_H
#define EXCHANGE_TUNNEL_H

#include "exchange/internal.h"

/* The backend has answered `head`, a 101, with `parts` behind it: pass it on, and the tunnel is open. A 101
 * to what was not offered ends the exchange with 502. */
void tunnel_begin(
	struct exchange *exchange, const struct http_head *head, const struct iovec *parts, int count);

/* Bytes of one side for the other; `is_last`: it sends no more, and the other side will see that it is so. */
void tunnel_from_client(struct exchange *exchange, const struct iovec *parts, int count, bool is_last);
void tunnel_from_backend(struct exchange *exchange, const struct iovec *parts, int count, bool is_last);

/* The same of bytes that are in the loop's pipe. */
void tunnel_pipe_from_client(struct exchange *exchange);
void tunnel_pipe_from_backend(struct exchange *exchange);

#endif
