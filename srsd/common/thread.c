/* thread - starts threads that take no signal. Owns nothing. */
#include "common/thread.h"

#include <signal.h>

int srsd_thread_start(void *(*body)(void *arg), void *arg, pthread_t *out)
{
	sigset_t all;
	sigset_t before;
	pthread_t thread;
	int fault;

	sigfillset(&all);
	fault = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (fault != 0)
		return fault;
	fault = pthread_create(&thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (fault != 0)
		return fault;
	if (out != NULL)
		*out = thread;
	else
		pthread_detach(thread);
	return 0;
}
