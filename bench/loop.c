/* loop - one epoll loop (see loop.h). Owns its epoll descriptor. */
#include "loop.h"

#include "net.h"

#include <errno.h>
#include <time.h>

#define EVENTS_MAX 256

struct loop loop_open(void)
{
	struct loop loop = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	if (loop.epoll < 0)
		net_fail("epoll_create1");
	return loop;
}

void loop_watch(struct loop *loop, int operation, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	if (epoll_ctl(loop->epoll, operation, source->fd, &event) != 0)
		net_fail("epoll_ctl");
}

/* It was looked, and there was nothing to do: the time since the last look, if that was in vain as well, is
 * time to spare. */
static void loop_count_vain_look(struct loop *loop)
{
	uint64_t now_ns = net_now_ns();
	if (loop->looked_ns != 0)
		loop->vain_ns += now_ns - loop->looked_ns;
	loop->looked_ns = now_ns;
}

void loop_turn(struct loop *loop, uint64_t wait_ns)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait = {.tv_sec = (time_t)(wait_ns / NANOSECONDS_PER_SECOND),
		.tv_nsec = (long)(wait_ns % NANOSECONDS_PER_SECOND)};
	int count =
		epoll_pwait2(loop->epoll, events, EVENTS_MAX, wait_ns == LOOP_FOR_EVER ? NULL : &wait, NULL);
	if (count < 0 && errno != EINTR)
		net_fail("epoll_pwait2");
	if (count == 0 && wait_ns == 0)
		loop_count_vain_look(loop);
	else
		loop->looked_ns = 0;
	for (int i = 0; i < count; i++) {
		struct loop_source *source = events[i].data.ptr;
		source->handle(source, events[i].events);
	}
}
