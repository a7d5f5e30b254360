/* check.h - looks at a service again and again, and says when it becomes healthy or unhealthy. */
#ifndef COMMAND_CHECK_H
#define COMMAND_CHECK_H

#include "srsd/command/options.h"
#include "srsd/command/probe.h"

/* What is believed has changed; or, once, a service that starts has failed as often as an unhealthy one:
 * `why` says what it lacks. */
typedef void check_fn(void *owner, bool is_healthy, const char *why);

struct check {
	const struct register_options *options;
	check_fn *on_change;
	void *owner;
	struct probe probe;
	struct health health;
	struct event *timer;
	uint32_t start_pause_ms;
	uint64_t start_ms; /* of it all, on the monotonic clock */
	uint64_t began_ms; /* the probe under way */
	bool has_said_overdue;
	bool is_running;
};

/* Begin to check `address`, at once. Returns false when memory is short. check_close() is due in any case. */
bool check_begin(struct check *check, struct event_base *base, const struct register_options *options,
	const struct srsd_address *address, check_fn *on_change, void *owner);

/* No event comes any more. One that was never begun (all zero) may be ended, too. */
void check_end(struct check *check);

/* Free it, after the loop has ended. It may run for another turn, with events of others. */
void check_close(struct check *check);

#endif
