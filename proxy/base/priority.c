/* priority - has a thread stand behind the others (see priority.h). */
#include "base/priority.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

void priority_step_back(int steps)
{
	id_t thread = (id_t)gettid(); /* on Linux a thread has one of its own */
	errno = 0;
	int nice = getpriority(PRIO_PROCESS, thread);
	if (errno == 0 && steps > 0)
		(void)setpriority(PRIO_PROCESS, thread, nice + steps);
}
