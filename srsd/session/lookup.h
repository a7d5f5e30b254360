/* lookup.h - one host name to its addresses, without waiting for it.
 *
 * getaddrinfo() is the only call that knows all of /etc/hosts, nsswitch.conf, search domains and name
 * servers. It blocks, perhaps for minutes, and nothing can interrupt it. So it runs in a thread of its own,
 * which shares a counted reference with the asker: whoever lets go last frees the look-up. A look-up that
 * hangs costs its thread and these few hundred bytes for as long as it hangs, and nothing else. */
#ifndef SRSD_LOOKUP_H
#define SRSD_LOOKUP_H

#include <netdb.h>

#include "common/internal.h"

struct event_base;
struct srsd_lookup;

/* The result, from the loop: `found` is borrowed and not empty; or NULL, and `fault` says why. The look-up is
 * over when this is called, its pointer must not be used any more. */
typedef void srsd_lookup_fn(void *owner, const struct addrinfo *found, const char *fault);

/* Begin. `on_done` comes once, from the loop of `base`, never inside this call; or not at all after a cancel.
 * `host` is copied. NULL: no memory, no descriptor or no thread. */
struct srsd_lookup *srsd_lookup_begin(struct event_base *base, const char *host, uint16_t port,
	srsd_lookup_fn *on_done, void *owner) SRSD_MUST_CHECK;

/* No callback any more; sets the pointer to NULL, which it may be already. Does not wait. */
void srsd_lookup_cancel(struct srsd_lookup **lookup);

#endif
