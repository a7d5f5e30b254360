/* checker - one thread between the registry and the workers: it connects to endpoints before they are used,
 * looks at those that are in doubt, lets those in again that were put out, and does not believe the registry
 * when most of a service vanishes from it. It gets the sets that the registry lists and sends on those that
 * are to be used. Owns an event loop and the probes. */
#ifndef CHECKER_H
#define CHECKER_H

#include "balance/shelf.h"
#include "config/settings.h"
#include "health/belief.h"
#include "mailbox.h"

struct checker;

struct checker_settings {
	const struct settings *settings; /* outlive the checker, as all here */
	struct verdicts *verdicts; /* one per service: evidence of theirs that wants a look comes here */
	struct mailbox *const *receivers; /* each gets every set */
	size_t receiver_count;
	struct shelf *shelf; /* for who only looks at the newest ones */
};

/* Make it. NULL: no memory or descriptors. */
MUST_CHECK struct checker *checker_new(const struct checker_settings *settings);

/* Where the registry sends what is listed. */
struct mailbox *checker_mailbox(struct checker *checker);

/* Send on the sets that have come already, and start its thread. Returns 0 or an errno value. */
MUST_CHECK int checker_start(struct checker *checker);

/* End the thread and free it: nobody may post to it any more, nor weigh evidence. Sets the pointer to NULL.
 */
void checker_free(struct checker **checker);

#endif
