/* internal - what the files of this folder share of a client's connection. Calls go down only:
 *
 *   downstream.c (taken on, readiness, timers) --> requests.c (what clients send) --> connection.c (all else)
 *   together.c (all connections of a worker) ---------------------------------------> connection.c
 */
#ifndef DOWNSTREAM_INTERNAL_H
#define DOWNSTREAM_INTERNAL_H

#include "downstream/downstream.h"

/* ---- connection.c ---------------------------------------------------------------------------- */

/* Clients that are being told that there are too many, per worker. More of them are closed without a word: a
 * flood of connections costs no more than that. */
#define DOWNSTREAM_REFUSED_MAX 256

/* What clients share that have no request under way. It is constant: writing to it is a fault that shows. */
extern const struct downstream_request downstream_no_request;
#define DOWNSTREAM_NO_REQUEST ((struct downstream_request *)(uintptr_t)&downstream_no_request)

/* Have memory for a request, which begins now unless one is under way. False: there is none. */
MUST_CHECK bool downstream_begin_request(struct downstream *client);

/* Give it back where the client is idle, and nothing of what it sent or is to be sent is held. */
void downstream_rest(struct downstream *client);

/* The only door to client->state. */
void downstream_enter(struct downstream *client, enum downstream_state next);

/* Is nothing expected of the client, nor its socket to take anything, until its answer is there? */
static inline bool downstream_awaits_answer_only(const struct downstream *client)
{
	return client->state == DOWNSTREAM_BUSY && client->request->is_body_done &&
	       client->request->output.memory == NULL;
}

/* Arm its one timer for what it waits for in its state. */
void downstream_arm(struct downstream *client);

/* Give the parser back, if it has one. */
void downstream_give_parser(struct downstream *client);

/* The client is at `peer`, and has connected to `own`: what is passed on of it, and whether it is believed.
 * False: no memory to keep that. */
MUST_CHECK bool downstream_set_client(
	struct downstream *client, const struct sockaddr *peer, const struct sockaddr *own);

/* The same of a connection that has come from `peer` directly. */
MUST_CHECK bool downstream_set_ends(struct downstream *client, const struct sockaddr *peer);

/* It is not served, for `problem`. The answer waits for the request: some clients take one that comes before
 * it for an error. It may be closed when this returns. */
void downstream_turn_away(struct downstream *client, enum problem problem);

/* Its client is known now. False: that one has as many connections as it may, and this one is turned away. */
MUST_CHECK bool downstream_admit(struct downstream *client);

/* Send what is held. False: the client is lost. */
MUST_CHECK bool downstream_flush(struct downstream *client);

/* Close it; its exchange, if there was one, has ended. It stays in memory until the end of the turn. */
void downstream_close(struct downstream *client);

/* The client is lost: tell the exchange, if there is one, and close. */
void downstream_lose(struct downstream *client);

/* It may linger so long from now on: for a short time when its worker drains. */
void downstream_limit_linger(struct downstream *client);

/* ---- requests.c ------------------------------------------------------------------------------ */

/* Answer for `problem` what did not become an exchange, and close. */
void downstream_refuse(struct downstream *client, enum problem problem);

/* There is no good PROXY header, for the reason `fault`: close without an answer. */
void downstream_refuse_header(struct downstream *client, const char *fault);

/* Has a request begun that is not complete? */
MUST_CHECK bool downstream_is_within_head(const struct downstream *client);

/* Use what was received as far as the state allows. Returns the bytes used; the rest is to be held. */
MUST_CHECK size_t downstream_consume(struct downstream *client, const char *at, size_t bytes);

#endif
