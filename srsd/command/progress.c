/* progress - one line on the terminal that is written over and over. Owns its timer. */
#include "srsd/command/progress.h"

#include <event2/event.h>
#include <stdio.h>
#include <unistd.h>

enum { PROGRESS_FIRST_MS = 500, PROGRESS_EACH_MS = 200 };

static void on_tick(evutil_socket_t none, short what, void *arg)
{
	const struct timeval each = {.tv_usec = PROGRESS_EACH_MS * 1000};
	struct progress *progress = arg;

	(void)none;
	(void)what;
	if (progress->what != NULL) {
		fprintf(stderr, "\rsrsd: %s", progress->what);
		if (progress->count > 0)
			fprintf(stderr, " %zu of %zu", progress->done, progress->count);
		fputs("\033[K", stderr); /* what the last one was longer */
		fflush(stderr);
		progress->is_shown = true;
	}
	event_add(progress->tick, &each);
}

void progress_begin(struct progress *progress, struct event_base *base)
{
	const struct timeval first = {.tv_usec = PROGRESS_FIRST_MS * 1000};

	*progress = (struct progress){0};
	if (!isatty(STDERR_FILENO))
		return;
	/* Without memory for it nobody misses it. */
	progress->tick = evtimer_new(base, on_tick, progress);
	if (progress->tick != NULL)
		event_add(progress->tick, &first);
}

void progress_set(struct progress *progress, const char *what, size_t done, size_t count)
{
	progress->what = what;
	progress->done = done;
	progress->count = count;
}

void progress_hide(struct progress *progress)
{
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}

void progress_end(struct progress *progress)
{
	progress_hide(progress);
	if (progress->tick != NULL)
		event_free(progress->tick);
	progress->tick = NULL;
}
