/* worker - one thread that serves clients: its loop, its listeners, its roster of each service. Shares
 * nothing that is locked with anyone.
 *
 *   worker --owns--> its table of descriptors, loop, accepting --> listeners
 *          --owns--> downstream_shared --> connections from clients --> exchanges
 *          --owns--> services --> roster --> members --> pool --> connections to the backend
 *   mailbox: newer fleets, drain, stop come in; "ended" goes out to the server's mailbox
 */
#ifndef WORKER_H
#define WORKER_H

#include "access/sink.h"
#include "admission.h"
#include "config/settings.h"
#include "downstream/crowd.h"
#include "mailbox.h"
#include "observe/counters.h"

struct accepting_company;
struct worker;

struct worker_settings {
	const struct settings *settings; /* outlive the worker */
	uint32_t index;
	const int *listeners; /* listening sockets, one per listener of the settings; the worker owns them */
	struct accepting_company *company; /* of all workers; outlives them. NULL: there is one */
	struct mailbox *reports;	   /* gets MESSAGE_WORKER_ENDED */
	struct crowd *crowd;		   /* of all workers; outlives them */
	struct access_sink *access_sink;   /* of all workers; outlives them. NULL: no access log */
	struct admission_places *places;   /* one per service, over all workers */
	struct verdicts *verdicts;	   /* the same: what is believed of its endpoints */
};

/* Make it, with a mailbox and no loop yet. The listeners are its own from here on, also when this fails.
 * NULL: no memory or descriptors. */
MUST_CHECK struct worker *worker_new(const struct worker_settings *settings);

/* Start its thread, and wait until it serves. It has a table of descriptors of its own then, in which there
 * are of those that are open the `kept_count` ones of `kept`, which is sorted here: the listening sockets of
 * all workers, and the mailboxes that it receives from and posts to. The system may refuse that: then it
 * shares the process's table, which is said in the log. Returns 0 or an errno value. */
MUST_CHECK int worker_start(struct worker *worker, int *kept, size_t kept_count);

/* All workers serve, or will not: close its listeners in the table of the thread that made it. */
void worker_let_listeners_go(struct worker *worker);

/* What its thread does before it serves; for whoever drives it without one. False: no memory, descriptors or
 * entropy. */
MUST_CHECK bool worker_open(struct worker *worker);

/* Where to send it fleets. */
struct mailbox *worker_mailbox(struct worker *worker);

/* Tell it, from the thread that made it, to take no more connections and to end when the last one has; or to
 * end now. Neither can fail, nor do harm when it is said again. */
void worker_drain(struct worker *worker);
void worker_stop(struct worker *worker);

/* Does it have a table of descriptors of its own? Once it serves. */
bool worker_has_own_table(const struct worker *worker);

/* What it counts. Any thread, as long as the worker lives. */
const struct counters *worker_counters(const struct worker *worker);

/* The durations that it counts of a service, to be read by any thread. */
const struct latencies *worker_latencies(const struct worker *worker, size_t service);

/* Wait for its thread to end (after MESSAGE_WORKER_ENDED it has), and free it. Sets the pointer to NULL. */
void worker_free(struct worker **worker);

#endif
