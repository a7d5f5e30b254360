/* child.h - a process of our own that is watched until it has ended, and what it leaves behind with it.
 *
 * It leads a process group of its own: what the terminal sends to ours (Ctrl-C) does not reach it. It is
 * killed when we die (PR_SET_PDEATHSIG), and whatever process loses its parent below us becomes our child and
 * is reaped. There is one at a time in a program. */
#ifndef COMMAND_CHILD_H
#define COMMAND_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <event2/event.h>

/* How a shell says that a command was not found, or could not be run. */
enum { CHILD_STATUS_NOT_RUN = 126, CHILD_STATUS_NOT_FOUND = 127 };

enum { CHILD_SIGNALS = 5 };

struct child_events {
	/* It has ended; see child->status. */
	void (*on_end)(void *owner);
	/* So has all that was left of its group; comes after on_end. */
	void (*on_gone)(void *owner);
};

struct child {
	const struct child_events *events;
	void *owner;
	struct event_base *base;
	const char *name; /* its first word */
	pid_t pid;	  /* of it, and of its group; 0: none was started */
	bool has_ended;
	bool is_gone;	    /* and nothing is left of its group */
	int status;	    /* its exit status, or 128 and the number of the signal that ended it */
	uint32_t linger_ms; /* what is left of its group is killed after that; 0: never */
	struct event *reaper, *killer, *signals[CHILD_SIGNALS];
};

/* Start `words` (NULL-terminated, the first is looked up in PATH) with our descriptors and our environment.
 * SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP and SIGCONT are passed on to it from now on. What it leaves in its
 * group when it ends is told to end (SIGTERM), and killed `linger_ms` later (0: never). Events come from the
 * loop. Returns 0, or the exit status for the program after a complaint. child_close() is due in any case. */
int child_start(struct child *child, struct event_base *base, char **words, uint32_t linger_ms,
	const struct child_events *events, void *owner);

/* Send it a signal, if it has not ended: SIGINT and SIGHUP to its whole group, as a terminal does, others to
 * it alone, as a supervisor does. */
void child_signal(struct child *child, int number);

/* Kill it and its group. */
void child_kill(struct child *child);

void child_close(struct child *child);

#endif
