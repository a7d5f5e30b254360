/* progress.h - what a long piece of work is at, on standard error, where that is a terminal. */
#ifndef COMMAND_PROGRESS_H
#define COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct event;
struct event_base;

struct progress {
	struct event *tick; /* owned; NULL: nobody looks */
	const char *what;
	size_t done;
	size_t count; /* 0: not known */
	bool is_shown;
};

/* Show it from half a second on, five times a second. Does nothing where standard error is no terminal. */
void progress_begin(struct progress *progress, struct event_base *base);

/* `what` is static: "connecting". */
void progress_set(struct progress *progress, const char *what, size_t done, size_t count);

/* Take it off the screen: before anything else is said there. */
void progress_hide(struct progress *progress);

void progress_end(struct progress *progress);

#endif
