/* above.h - what stands above a registration: the label's node, and those that lead to it. */
#ifndef SRSD_ABOVE_H
#define SRSD_ABOVE_H

#include "session/request.h"

/* Embedded in a registration. The first four are set by it; the rest is zero. */
struct srsd_above {
	struct srsd *srsd;
	const char *path; /* of the registration */
	srsd_done_fn *on_made;
	void *owner;
	size_t label_end; /* of the label's path in it */
	size_t end;	  /* of that of the node which is being made */
	unsigned steps;
	struct srsd_request **slot;
	struct srsd_request *question; /* whom the label's node belongs to */
	bool is_known;		       /* that was said */
};

/* Make the label's node, and first what is missing above it. Returns ZOK, after which `on_made` comes with
 * the client's code, unless the request in `slot` is cancelled; or an error, after which nothing comes. */
int srsd_above_make(struct srsd_above *above, struct srsd_request **slot) SRSD_MUST_CHECK;

/* With a user and password: say once in the log if everyone else may register under this label too. */
void srsd_above_check(struct srsd_above *above);

/* Nothing is asked any more. */
void srsd_above_cancel(struct srsd_above *above);

#endif
