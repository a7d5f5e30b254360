/* thread.h - a thread of the library's own. */
#ifndef SRSD_THREAD_H
#define SRSD_THREAD_H

#include <pthread.h>

/* Start `body` in a thread that takes no signal: those are the program's business. `out` gets the thread,
 * which has to be joined; NULL: nobody will. Returns 0 or an errno. */
int srsd_thread_start(void *(*body)(void *arg), void *arg, pthread_t *out)
	__attribute__((warn_unused_result));

#endif
