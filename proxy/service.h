/* service - one service as a worker serves it, and the routes that lead to one. Owned by the worker. */
#ifndef SERVICE_H
#define SERVICE_H

#include "admission.h"
#include "balance/roster.h"
#include "base/str.h"
#include "downstream/downstream.h"
#include "health/budget.h"
#include "health/latency.h"
#include "http/affinity.h"
#include "upstream/upstream.h"

struct service {
	const char *name;
	const char *host; /* what a request that came without Host is forwarded with */
	struct roster roster;
	struct fleet *behind; /* the newest fleet, while there is no memory to take it on; else NULL */
	struct upstream_shared *upstream;	    /* of the worker */
	struct upstream_timeouts upstream_timeouts; /* of connections to its backends */
	struct downstream_timeouts client_timeouts; /* of clients whose request it serves */
	struct admission admission;
	struct http_affinity affinity; /* of a keyed policy: what keeps requests together */
	struct latencies latencies;    /* how long answers and requests take */
	struct budget budget;	       /* of requests sent once more */
	bool answers_continue;	       /* the proxy says 100 Continue, not the backend */
	uint64_t tunnel_idle_ms;
	uint64_t queue_ms;
	uint32_t connections_per_endpoint; /* POOL_UNLIMITED: no limit */
	uint64_t request_ms;		   /* a whole request; 0: no bound */
	uint64_t attempt_ms;		   /* one attempt, to the head of its response; 0: no bound */
	uint64_t newest_answered_us;	   /* of the attempts that were answered, when the latest began */
};

/* Which requests may be sent again when a backend may have seen some of them. */
enum route_repeat { ROUTE_REPEAT_IDEMPOTENT, ROUTE_REPEAT_NEVER, ROUTE_REPEAT_ALWAYS };

struct route {
	struct str path;       /* prefix */
	struct str forward_to; /* empty: the request's own path */
	struct service *service;
	enum route_repeat repeat;
	const char *const *upgrades; /* protocols, NULL-terminated; NULL: none. Borrowed */
};

/* Does a route of this prefix take a request for `path`? "/api" takes /api and what is below it, but not
 * /apis; "/api/" takes what starts with it. */
static inline bool route_takes(const struct route *route, struct str path)
{
	struct str prefix = route->path;
	if (path.bytes < prefix.bytes || memcmp(path.at, prefix.at, prefix.bytes) != 0)
		return false;
	return path.bytes == prefix.bytes || prefix.at[prefix.bytes - 1] == '/' ||
	       path.at[prefix.bytes] == '/';
}

#endif
