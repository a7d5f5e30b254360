/* internal - one exchange as the files of this folder share it: its states, its one object, its ends.
 * exchange.c owns it; nobody outside of this folder looks into it. */
#ifndef EXCHANGE_INTERNAL_H
#define EXCHANGE_INTERNAL_H

#include "exchange/exchange.h"
#include "http/rewrite.h"

/* A forwarded head of this size or less needs no allocation of its own. */
#define EXCHANGE_HEAD_INLINE 4096

/* The protocols that a client may offer at once; with more, none is offered. */
#define EXCHANGE_UPGRADE_BYTES 64

enum exchange_state {
	EXCHANGE_PICKING,    /* no lease: before the first attempt, or between two */
	EXCHANGE_QUEUED,     /* waits for a place in its service; what comes of it is held */
	EXCHANGE_PAUSING,    /* waits a moment before a backend is tried again; the same */
	EXCHANGE_CONNECTING, /* leased, not connected yet; nothing was handed over */
	EXCHANGE_WAITING,    /* the request is on its way; no final response yet */
	EXCHANGE_RELAYING,   /* the response's head went to the client */
	EXCHANGE_TUNNELLING, /* the response was 101: tunnel.c */
	EXCHANGE_ENDED
};

#define EXCHANGE_MAGIC UINT32_C(0x65786368)
#define ATTEMPT_MAGIC  UINT32_C(0x61747470)

/* One backend that is asked. */
struct attempt {
	uint32_t magic;
	struct exchange *exchange;
	struct member *member;	   /* NULL: there is none */
	struct upstream *upstream; /* the lease; NULL: none */
	uint64_t begun_us;	   /* loop_now_us(), when it was asked */
};

struct exchange {
	uint32_t magic;
	uint8_t state; /* enum exchange_state; exchange_enter() is its only door */
	uint8_t method;
	uint8_t request_body;  /* enum http_body_kind, as forwarded */
	uint8_t response_body; /* the same, towards the client */
	bool is_client_http10;
	bool is_persistent;	   /* the client's connection may live on */
	bool is_request_done;	   /* all of the request has come from the client */
	bool is_held_whole;	   /* head and held_body are all of the request so far */
	bool is_repeatable;	   /* may go to another backend though one may have seen it */
	bool is_admitted;	   /* has a place in its service */
	bool has_deadline;	   /* then `deadline` is in use */
	bool is_continue_answered; /* by the proxy: a 100 of the backend is not for the client */
	bool is_continue_owed;	   /* the client waits for it, and has not got it */
	bool is_response_done;	   /* tunnels: the backend has ended its side */
	bool is_bad_status;	   /* the response says 500 or above */
	bool is_rested;		   /* after a pause: what was tried may be tried again */
	bool is_retry_denied;	   /* the budget of its service was used up */
	bool was_status_refused;   /* a 5xx was not passed on */
	bool was_queued;	   /* it had to wait for a place, in whatever */
	uint8_t tried_count;	   /* attempts, those under way included */
	uint8_t vain_count;	   /* of these: there was no connection, so they do not count */
	uint8_t pause_count;
	uint8_t died_count; /* attempts whose connection ended without an answer */
	struct exchange_shared *shared;
	struct downstream *client;
	struct service *service;
	struct trace *trace;	/* NULL: nobody asks how it went, or no memory */
	struct attempt attempt; /* the main one */
	struct attempt hedge;	/* beside it, if it has a member: hedge.c */
	uint64_t key;		/* where the policy is keyed: what keeps it with others */
	uint64_t begun_us;	/* loop_now_us(), when its head had come */
	uint64_t deadline_ms;	/* of the whole request; 0: none */
	uint64_t room_end_ms;	/* of the wait for backends that recover; 0: it did not wait for any */
	struct bytes held_body; /* framed as forwarded */
	struct str head;	/* of the forwarded request: in head_inline or allocated */
	uint8_t upgrade_bytes;
	uint8_t request_id_bytes;

	/* From here on nothing is set before it is used. */
	struct wheel_timer deadline; /* of the whole, of the wait for a place, of a tunnel's idle time */
	struct waiter waiter;
	struct doomed doomed;
	struct member *tried[EXCHANGE_TRIES_MAX]; /* compared, never looked into: they may be gone */
	char upgrade[EXCHANGE_UPGRADE_BYTES];	  /* the protocols that were offered to the backend */
	char request_id[HTTP_REQUEST_ID_BYTES_MAX];
	char head_inline[EXCHANGE_HEAD_INLINE];
};

/* Does this status speak against the backend? A client can have 501 and 505 at will. */
static inline bool exchange_is_bad_status(int status)
{
	return status >= 500 && status != 501 && status != 505;
}

/* Are two backends asked? */
static inline bool exchange_is_hedged(const struct exchange *exchange)
{
	return exchange->hedge.member != NULL;
}

/* Was this member asked before, or is it now? */
static inline bool exchange_has_tried(const struct exchange *exchange, const struct member *member)
{
	for (uint8_t i = 0; i < exchange->tried_count; i++)
		if (exchange->tried[i] == member)
			return true;
	return false;
}

/* The only door to exchange->state. */
void exchange_enter(struct exchange *exchange, enum exchange_state next);

/* A request has come from `client`: make its exchange, and tell the client's connection of it. NULL without
 * memory. */
MUST_CHECK struct exchange *exchange_new(
	struct exchange_shared *shared, struct downstream *client, const struct http_head *head);

/* It is for `service` by `route`, whose rules apply from here on. */
void exchange_set_route(struct exchange *exchange, const struct route *route);

/* Put field lines behind the others of the head of so many bytes that is in the scratch memory. Returns its
 * size then: the same where there is no room. */
MUST_CHECK size_t exchange_add_fields(
	const struct exchange_shared *shared, size_t head_bytes, struct str lines);

/* Have `fire` called at `deadline_ms`, instead of at what was said before: with NULL, to end the exchange for
 * taking too long. 0: never. */
void exchange_set_deadline(struct exchange *exchange, wheel_fire_fn *fire, uint64_t deadline_ms);

/* What a problem of an attempt says of its member. `was_pooled`: its connection had served others before. */
enum evidence exchange_evidence(enum problem problem, bool was_pooled);

/* An attempt is over, with what it says of its member: give back its lease and its member, if there are. */
void exchange_release(struct attempt *attempt, enum evidence evidence);

/* The same for the one under way. */
void exchange_end_attempt(struct exchange *exchange, enum evidence evidence);

/* It has taken too long: end it. */
void exchange_expire(struct exchange *exchange);

/* Four ways to end; the exchange is not to be touched after any of them. Without a word to the client: */
void exchange_end(struct exchange *exchange, enum evidence evidence);

/* The response is complete. */
void exchange_finish(struct exchange *exchange);

/* No response of a backend goes to the client: answer for `problem` in its place. */
void exchange_fail(struct exchange *exchange, enum problem problem);

/* The response cannot be completed, for `problem`: let the client see that. */
void exchange_cut(struct exchange *exchange, enum problem problem);

#endif
