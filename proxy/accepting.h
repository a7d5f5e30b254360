/* accepting - a worker's listening sockets: takes connections from them and has them served; stops for a
 * moment while there is no room. Owns the sockets, and counts the connections.
 *
 * They are opened by the main thread and belong to the worker's, which may have a table of descriptors of its
 * own: then each is in both tables until accepting_let_go(). */
#ifndef ACCEPTING_H
#define ACCEPTING_H

#include "base/loop.h"
#include "config/settings.h"
#include "downstream/downstream.h"

struct accepting_listener {
	struct accepting *accepting;
	struct event *event; /* NULL: closed, or not open yet */
	bool has_proxy_header;
	int fd;	      /* the worker's; -1: closed */
	int given_fd; /* the same in the main thread's table, if that is another one; else -1 */
};

struct accepting {
	struct loop *loop;
	struct downstream_shared *downstream;
	bool (*make_room)(
		void *arg); /* descriptors or memory are short, as errno says. True: something was freed */
	void *make_room_arg;
	struct wheel_timer pause;
	uint64_t connections; /* that are open; whoever closes one counts it off */
	size_t listener_count;
	struct accepting_listener *listeners;
};

/* Make it. `fds`: one socket per listener of the settings, its own from here on, also when this fails. False
 * without memory. */
MUST_CHECK bool accepting_init(struct accepting *accepting, const struct settings *settings, const int *fds);

/* Begin to take connections, on the worker's thread, which may have a table of descriptors of its own. False
 * without memory or descriptors. */
MUST_CHECK bool accepting_open(struct accepting *accepting, struct loop *loop,
	struct downstream_shared *downstream, bool has_own_table);

/* It is open on a thread that has: close the sockets in the calling thread's table. */
void accepting_let_go(struct accepting *accepting);

/* Take no more, on the worker's thread. Closing a listener resets what waits in its queue: with
 * `is_emptied_first` that is taken before. Fine when closed already. */
void accepting_close(struct accepting *accepting, bool is_emptied_first);

/* Free it, on the thread that made it, after it was closed on the worker's. */
void accepting_finish(struct accepting *accepting);

#endif
