/* exchange - one request and its response: route, pick, lease, attempt, retry, relay, finish. Owns nothing
 * but the forwarded request's bytes; holds a client, a member and a lease for its time. The path is drawn in
 * exchange.c. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "access/log.h"
#include "downstream/downstream.h"
#include "service.h"
#include "upstream/upstream.h"

/* What all exchanges of a worker share. Owned by the worker. */
struct exchange_shared {
	struct loop *loop;
	struct access_log *access;		/* of the worker */
	const struct network *explain_networks; /* who may ask why */
	size_t explain_count;
	bool is_traced; /* the access log or Proxy-Status wants to know how each one went */
	struct counters *counters;
	struct blocks exchanges;
	const struct route *routes; /* longest prefix first */
	size_t route_count;
	uint32_t tries_max;
	bool is_status_retried;	  /* a 5xx is not passed on where another backend may do better */
	bool has_received_status; /* a backend's 5xx is passed on with it in Proxy-Status */
	uint8_t forwarded_kinds;  /* enum http_forwarded_kind, together: what backends are told of clients */
	/* Descriptors or memory are short: true if some could be freed, and one more try is worth it. NULL:
	 * no. */
	bool (*make_room)(void *arg);
	void *make_room_arg;
	char *scratch; /* a response's head is rewritten here, on its way out */
};

/* False without memory. */
MUST_CHECK bool exchange_shared_init(
	struct exchange_shared *shared, struct loop *loop, struct counters *counters);
void exchange_shared_finish(struct exchange_shared *shared);

#define EXCHANGE_TRIES_MAX 10

/* The events of both sides; `owner` of downstream_events is a struct exchange_shared. */
extern const struct downstream_events exchange_downstream_events;
extern const struct upstream_events exchange_upstream_events;

#endif
