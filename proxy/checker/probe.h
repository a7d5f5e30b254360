/* probe - one look at one endpoint: is somebody there, and does it answer? A connection to its addresses, one
 * after the other, and over it a request, if one is wanted. Owns its connection; holds the backend.
 *
 *   CONNECTING -> SENDING -> RECEIVING -> READING -> OVER       a mere connect: CONNECTING -> OVER
 */
#ifndef CHECKER_PROBE_H
#define CHECKER_PROBE_H

#include "balance/backend.h"
#include "base/blocks.h"
#include "base/check.h"
#include "base/loop.h"
#include "health/evidence.h"

struct probe;

/* How it ended: EVIDENCE_PROBE_*, or EVIDENCE_NONE when we lacked what it takes. The probe is gone with it.
 */
typedef void probe_done_fn(void *owner, enum evidence evidence);

/* What all probes of a thread share. */
struct prober {
	struct loop *loop;
	struct blocks probes;
};

void prober_init(struct prober *prober, struct loop *loop);

/* Free what it keeps; all probes must be over. */
void prober_finish(struct prober *prober);

/* What to do. Borrowed until the probe is over. */
struct probe_plan {
	struct backend *backend;
	const char *path; /* to be asked for with GET: a response below 500 that does not end early passes.
			     NULL: to be connected to is enough */
	uint64_t timeout_ms;
};

/* Begin. Returns EVIDENCE_NONE and sets `*probe` when it is under way: `on_done` will tell. Else it is over
 * already: returns what on_done would have said, and `*probe` is NULL; then nothing is called. */
enum evidence probe_begin(struct prober *prober, const struct probe_plan *plan, probe_done_fn *on_done,
	void *owner, struct probe **probe);

/* Forget it: on_done does not come. Sets the pointer to NULL; NULL in it is fine. */
void probe_cancel(struct probe **probe);

#endif
