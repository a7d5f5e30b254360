/* loop.h - what a command that keeps running stands on: an event loop, its signals, its session. */
#ifndef COMMAND_LOOP_H
#define COMMAND_LOOP_H

#include "srsd/command/options.h"

#include <event2/event.h>

enum { STOP_SIGNALS = 3 };

/* Called when the command shall end: by a signal, or because nobody reads its output any more. It ends the
 * loop with command_loop_end(), now or later; asked a second time, at once. */
typedef void command_loop_stop_fn(void *arg);

struct command_loop {
	const struct options *options;
	struct event_base *base;
	struct srsd *srsd;
	struct event *signals[STOP_SIGNALS];
	struct event *reader; /* NULL: standard output is no pipe, or its reader is not needed */
	command_loop_stop_fn *on_stop;
	void (*on_connected)(void *arg); /* the session is up; NULL: nobody wants to know */
	void *arg;
	int stop_signal; /* which came last; 0: none, but the reader went away */
	int status;	 /* an enum exit_status, or that of a command that was run */
};

/* Make the loop, without a session: the first half of command_loop_open(). */
enum exit_status command_loop_make(struct command_loop *loop, const struct options *options,
	bool is_reader_needed, command_loop_stop_fn *on_stop, void *arg);

/* Open the session on it: the second half. */
enum exit_status command_loop_connect(struct command_loop *loop);

/* Make the loop and open the session. Says on standard error how that stands, then and at each change of
 * state. `is_reader_needed`: nobody reading the output any more is a reason to stop. Returns
 * EXIT_STATUS_DONE, or another status after a complaint. command_loop_close() is due in any case. */
enum exit_status command_loop_open(struct command_loop *loop, const struct options *options,
	bool is_reader_needed, command_loop_stop_fn *on_stop, void *arg);

/* Run until command_loop_end(). Returns what that was given. */
int command_loop_run(struct command_loop *loop);

void command_loop_end(struct command_loop *loop, int status);

/* End the session, with what was registered over it. */
void command_loop_close(struct command_loop *loop);

#endif
