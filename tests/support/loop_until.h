/* loop_until - turns a loop until something is true, or for a while: what tests of evented parts wait with.
 */
#ifndef SUPPORT_LOOP_UNTIL_H
#define SUPPORT_LOOP_UNTIL_H

#include "base/clock.h"
#include "base/loop.h"

#include <criterion/criterion.h>
#include <event2/event.h>

/* Generous: nothing that is waited for takes long, and a machine may be slow. */
#define LOOP_UNTIL_MS 60000

/* How often a story is told anew whose time the machine did not keep: its parts have to come within a time.
 */
#define STALLS_MAX 20

struct loop_until {
	struct loop *loop;
	bool (*is_done)(void *arg);
	void *arg;
	uint64_t end_ns;
	bool was_done;
};

static inline void loop_until_look(evutil_socket_t fd, short what, void *arg)
{
	struct loop_until *until = arg;
	(void)fd;
	(void)what;
	until->was_done = until->is_done != NULL && until->is_done(until->arg);
	if (until->was_done || clock_ns() >= until->end_ns)
		loop_stop(until->loop);
}

/* Turn until `is_done` says so, looked at each millisecond (NULL: never), or `limit_ms` have passed. Returns
 * what it said last. */
static inline bool loop_until(struct loop *loop, bool (*is_done)(void *arg), void *arg, uint64_t limit_ms)
{
	struct loop_until until = {.loop = loop, .is_done = is_done, .arg = arg};
	const struct timeval step = {.tv_usec = 1000};
	until.end_ns = clock_ns() + limit_ms * 1000000;
	struct event *timer = event_new(loop->base, -1, EV_PERSIST, loop_until_look, &until);
	cr_assert(timer != NULL && event_add(timer, &step) == 0);
	loop_run(loop);
	loop->is_stopped = false;
	event_free(timer);
	return until.was_done;
}

/* Turn for that long: for what must not happen, and for what must be over by then. */
static inline void loop_for(struct loop *loop, uint64_t ms)
{
	(void)loop_until(loop, NULL, NULL, ms);
}

#endif
