/* report - what the proxy says of itself, as text: metrics for Prometheus, backends as JSON, readiness.
 * Owns a reference to the fleet of each service while it is told of; reads the workers' counters. Main
 * thread. */
#ifndef OBSERVE_REPORT_H
#define OBSERVE_REPORT_H

#include "balance/fleet.h"
#include "config/settings.h"
#include "health/belief.h"
#include "health/latency.h"
#include "observe/counters.h"
#include "observe/standing.h"

struct evbuffer;

struct report {
	const struct settings *settings;
	const struct counters **counters;
	size_t worker_count;
	uint32_t registry_state; /* enum srsd_state */
	bool is_draining;
	uint64_t started_ms;
	const struct standing *standings; /* one per service */
	const struct verdicts *verdicts;  /* the same */
	struct fleet **fleets;		  /* one per service; NULL: not known yet */
	/* What each worker learned of each service: a worker's stand together. NULL: nobody learns. */
	const struct latencies **latencies;
};

/* False without memory. */
MUST_CHECK bool report_init(struct report *report, const struct settings *settings,
	const struct counters *const *counters, size_t worker_count, const struct standing *standings,
	const struct verdicts *verdicts);
void report_finish(struct report *report);

/* The durations that the workers count: one for each service of the first worker, then of the next. The array
 * is copied. False without memory. */
MUST_CHECK bool report_set_latencies(struct report *report, const struct latencies *const *latencies);

/* Takes over the reference. */
void report_set_fleet(struct report *report, struct fleet *fleet);

/* NULL: ready, that is, every service has had a first set of backends, and the proxy does not drain. Else a
 * line that says why not, valid until the next call. */
const char *report_why_not_ready(const struct report *report);

/* Prometheus text format 0.0.4. Without memory the text is cut. */
void report_metrics(const struct report *report, struct evbuffer *out);

/* Times are in milliseconds; confirmed_age_ms is null where ZooKeeper has no part in it, or no set is known.
 * {"services":[{"name","source","version","age_ms","backends":[{"address","state","evidence","state_ms",
 * "requests","failures","in_flight"}],"refused":["address"]}]} */
void report_backends(const struct report *report, struct evbuffer *out);

#endif
