/* peers - what clients and backends of the exchange target say: well-formed requests that can be told apart,
 * responses that can be told apart, and what a broken backend does with them. */
#ifndef FUZZ_EXCHANGE_PEERS_H
#define FUZZ_EXCHANGE_PEERS_H

#include "message.h"

/* Three bytes of a script make a message. */
struct shape {
	uint8_t kind;
	uint8_t flags;
	uint8_t size;
};

/* Put a request, at a target of its own, behind all that the client means to send. */
void peer_request(struct wire *client, struct shape shape);

/* Put a response, with an X-Tag and a body of its own, behind all that the backend means to send: to the
 * first request that it has not answered, if there is one. */
void peer_response(struct wire *backend, struct shape shape);

#endif
