/* state_write.h - writes one file of the state directory without waiting for the disk: a sick one may take
 * minutes, and discovery must go on meanwhile. */
#ifndef SRSD_STATE_WRITE_H
#define SRSD_STATE_WRITE_H

#include "common/internal.h"

struct event_base;
struct srsd_state_write;

/* `fault` is 0, or an errno value, and `step` the call that failed. The write is over when this is called,
 * its pointer must not be used any more. */
typedef void srsd_state_write_fn(void *owner, int fault, const char *step);

/* Begin. `on_done` comes once, from the loop of `base`, never inside this call; or not at all after
 * srsd_state_write_let_go(). `path` is copied, `text` taken over, also on failure. NULL: no memory, no
 * descriptor or no thread. */
struct srsd_state_write *srsd_state_write_begin(struct event_base *base, const char *path, char *text,
	size_t bytes, srsd_state_write_fn *on_done, void *owner) SRSD_MUST_CHECK;

/* No callback any more; sets the pointer to NULL, which it may be already. Waits for its end, `timeout_ms` at
 * most; the write itself goes on in any case. Is it over? */
bool srsd_state_write_let_go(struct srsd_state_write **write, uint32_t timeout_ms);

#endif
