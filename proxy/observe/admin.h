/* admin - the endpoint for operators: /healthz, /ready, /metrics, /backends. On the main thread, on evhttp,
 * off the data path: it reads what workers count and the sets that are in use, and never asks them. */
#ifndef OBSERVE_ADMIN_H
#define OBSERVE_ADMIN_H

#include "balance/shelf.h"
#include "base/check.h"
#include "config/settings.h"
#include "exit_code.h"
#include "observe/counters.h"
#include "observe/standing.h"

struct admin;
struct event_base;

struct admin_context {
	const struct settings *settings;	/* outlive the admin endpoint */
	const struct counters *const *counters; /* one per worker; the array is copied */
	size_t worker_count;
	const struct standing *standings;	  /* one per service; outlive the admin endpoint */
	const struct verdicts *verdicts;	  /* the same */
	const struct latencies *const *latencies; /* see report_set_latencies(); NULL: none */
	struct shelf *shelf;			  /* the newest sets; outlives the admin endpoint */
};

/* Listen on admin.address, or nowhere when it is off (then `*out` still takes what it is told). What is wrong
 * is logged and told by the code. */
MUST_CHECK enum exit_code admin_new(
	struct event_base *base, const struct admin_context *context, struct admin **out);

/* The registry's session is in this state, an enum srsd_state. */
void admin_set_registry_state(struct admin *admin, uint32_t state);

/* From now on /ready says no. */
void admin_set_draining(struct admin *admin);

/* Close and free it. Sets the pointer to NULL. */
void admin_free(struct admin **admin);

#endif
