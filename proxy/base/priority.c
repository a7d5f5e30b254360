/* priority - has a thread stand behind the others (see priority.h). */
#include "base/priority.h"

#include "base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

static _Thread_local bool is_back;
static _Thread_local uint64_t next_way_ns; /* not before that */

void priority_step_back(int steps)
{
	id_t thread = (id_t)gettid(); /* on Linux a thread has one of its own */
	is_back = steps > 0;
	errno = 0;
	int nice = getpriority(PRIO_PROCESS, thread);
	if (errno == 0 && steps > 0)
		(void)setpriority(PRIO_PROCESS, thread, nice + steps);
}

void priority_give_way(void)
{
	if (!is_back)
		return;
	uint64_t begun_ns = clock_ns();
	if (begun_ns < next_way_ns)
		return;
	(void)sched_yield(); /* always succeeds on Linux */
	uint64_t ended_ns = clock_ns();
	next_way_ns = ended_ns + (ended_ns - begun_ns);
}
