/* accepting - a worker's listening sockets: takes connections from them and has them served; stops for a
 * moment while there is no room. Owns the sockets, and counts the connections.
 *
 * They are opened by the main thread and belong to the worker's, which may have a table of descriptors of its
 * own: then each is in both tables until accepting_let_go().
 *
 * A worker that has more connections than another one lends it the listener where the next one waits:
 *
 *   has more                                            has the fewest
 *   stops listening there       --- MESSAGE_TAKE --->   accepts one, from its own descriptor of that socket
 *   listens again               <-- MESSAGE_TAKEN ---
 *
 * Nothing is ever under way between the two: a connection is served by one of them, or waits in the kernel,
 * where whoever closes the socket last takes it. */
#ifndef ACCEPTING_H
#define ACCEPTING_H

#include "base/loop.h"
#include "config/settings.h"
#include "downstream/downstream.h"
#include "evenness.h"
#include "mailbox.h"

struct accepting_listener {
	struct accepting *accepting;
	struct event *event; /* NULL: closed, or not open yet */
	unsigned arrival;    /* enum downstream_arrival: DOWNSTREAM_WITH_BYTES where it is deferred */
	bool is_lent;	     /* another worker takes the next one */
	int fd;		     /* the worker's; -1: closed */
	int given_fd;	     /* the same in the main thread's table, if that is another one; else -1 */
};

/* What the workers' listeners have to do with each other. Of the server; outlives them. */
struct accepting_company {
	struct evenness evenness;
	const int *sockets; /* of all workers, those of each together, in the main thread's table */
	struct mailbox *const *mailboxes; /* one per worker */
};

struct accepting {
	struct loop *loop;
	struct downstream_shared *downstream;
	bool (*make_room)(
		void *arg); /* descriptors or memory are short, as errno says. True: something was freed */
	void (*on_closed)(void *arg); /* a drain is over: no more will be taken */
	void *arg;		      /* of both */
	struct wheel_timer pause;
	bool is_paused;
	bool is_waiting;	      /* for accepting_go_on(), paused or not begun yet */
	struct wheel_timer last_call; /* until then deferred listeners stay open while it drains */
	bool is_closed;
	struct wheel_timer recall; /* who was lent a listener has not given it back */
	size_t lent_count;
	uint64_t connections; /* that are open */
	size_t listener_count;
	struct accepting_listener *listeners;
	struct accepting_company *company; /* NULL: this worker is alone, and nothing below is used */
	size_t worker;			   /* its index */
	struct evenness_looks looks;
	int *shared; /* all workers' sockets as in company->sockets, in the worker's table; its own are -1 */
};

/* Make it. `fds`: one socket per listener of the settings, its own from here on, also when this fails.
 * `company`: NULL, or what worker number `worker` shares. False without memory. */
MUST_CHECK bool accepting_init(struct accepting *accepting, const struct settings *settings, const int *fds,
	struct accepting_company *company, size_t worker);

/* Begin to take connections, on the worker's thread, which may have a table of descriptors of its own, with
 * all workers' sockets in it. With a listener that is shared it waits for accepting_go_on() before, a second
 * at most: who connects meanwhile waits in the kernel. False without memory or descriptors. */
MUST_CHECK bool accepting_open(struct accepting *accepting, struct loop *loop,
	struct downstream_shared *downstream, bool has_own_table);

/* All is known that is needed to serve. On the worker's thread; fine when it does not wait. */
void accepting_go_on(struct accepting *accepting);

/* It is open on a thread that has: close the sockets in the calling thread's table. */
void accepting_let_go(struct accepting *accepting);

/* A connection was closed: count it off. */
void accepting_count_off(struct accepting *accepting);

/* MESSAGE_TAKE has come: take a connection from socket `number` of all workers', and give that back. */
void accepting_take_lent(struct accepting *accepting, uint32_t number);

/* MESSAGE_TAKEN has come: listener `number` is back. */
void accepting_get_back(struct accepting *accepting, uint32_t number);

/* Take no more, on the worker's thread, but what has connected already, and call on_closed. Of a deferred
 * listener the kernel has connections that nobody else knows of: it hands them over within about a second
 * when it need not keep them any more, so such a listener stays open for so long, and new ones are taken
 * meanwhile as well; for `most_ms` at most. on_closed may be called before this returns. */
void accepting_drain(struct accepting *accepting, uint64_t most_ms);

/* Take no more, on the worker's thread. Closing a listener resets what waits in its queue: with
 * `is_emptied_first` that is taken before. Fine when closed already. */
void accepting_close(struct accepting *accepting, bool is_emptied_first);

/* Free it, on the thread that made it, after it was closed on the worker's. */
void accepting_finish(struct accepting *accepting);

#endif
