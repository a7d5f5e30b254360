/* session.h - the manager from inside: one session with ZooKeeper, kept up for ever, and who hangs on it.
 *
 *   struct srsd --owns--> zk_loop (the client's handle, made anew when its session is over)
 *               --owns--> zk_loop (a scout, for as long as servers refuse the session)
 *               --owns--> locator (the addresses of the servers)
 *               --owns--> listeners: watches, readings, registrations, told when the session is up or lost
 *               --owns--> requests:  what was asked of the present handle; none outlives it
 *               --owns--> watchers:  contexts of the client's node watches
 *
 * Whatever ends inside a callback is freed when the outermost callback has returned (srsd_leave). */
#ifndef SRSD_SESSION_H
#define SRSD_SESSION_H

#include <sys/queue.h>

#include "session/locator.h"
#include "session/zk_loop.h"

#define SRSD_MAGIC	     0x73727364U
#define SRSD_FORMER_SESSIONS 8

/* Something that lives on the session: embedded in a watch, a reading, a registration. */
struct srsd_listener {
	TAILQ_ENTRY(srsd_listener) link;
	const struct srsd_listener_ops *ops;
	bool is_ended; /* no event any more; freed at the next srsd_leave() */
};

struct srsd_listener_ops {
	void (*on_connected)(struct srsd_listener *listener); /* the session is up, once more or anew */
	void (*on_lost)(struct srsd_listener *listener); /* suspended or expired; what was asked has failed */
	void (*release)(struct srsd_listener *listener); /* free it; it is on no list any more */
};

TAILQ_HEAD(srsd_listener_list, srsd_listener);
TAILQ_HEAD(srsd_request_list, srsd_request);
TAILQ_HEAD(srsd_watcher_list, srsd_watcher);

struct srsd {
	uint32_t magic;
	struct event_base *base;
	struct srsd_logger logger;
	srsd_state_fn *on_state;
	void *arg;
	char *servers; /* without the chroot */
	char *root;    /* chroot and registry in one: the path above the labels; "" for "/" */
	char *auth;    /* "user:password"; NULL: none */
	unsigned server_count;
	uint32_t session_timeout_ms;
	uint32_t children_max;
	uint32_t data_max;
	uint32_t recheck_ms;
	char *state_directory; /* NULL: none */
	uint32_t state_wait_ms;
	uint64_t max_stale_ms;
	uint64_t last_writes_ms; /* when the last writes of a manager that is closed have to be over; 0: unset
				  */

	enum srsd_state state;
	struct srsd_zk_loop loop;
	struct srsd_zk_loop scout; /* asks for a session of its own while servers refuse ours */
	struct event reopen;	   /* makes the next handle */
	struct srsd_backoff retry; /* of making one */
	struct srsd_backoff brief; /* after a session that was over soon */
	struct srsd_locator locator;
	struct event look_again;	/* has names looked up while no server answers */
	struct srsd_backoff look_pause; /* between two times */
	bool wants_address;		/* a handle is to be made, and no address is known */
	uint64_t generation;		/* of the handle */
	uint32_t agreed_timeout_ms;
	bool has_said_unreachable;
	int64_t session_id; /* 0: none yet */
	uint64_t session_began_ms;
	int64_t former[SRSD_FORMER_SESSIONS]; /* sessions that we gave up, newest first */

	struct srsd_listener_list listeners;
	struct srsd_request_list requests;
	struct srsd_watcher_list watchers;
	unsigned depth; /* of calls into this library that may call back */
	bool is_closing;
	bool has_ended_listeners;
};

/* Start to connect. All fields of the configuration are set; the rest is zero. Errors: SRSD_NO_MEMORY,
 * SRSD_SYSTEM; nothing is owned then but what was handed in. */
enum srsd_status srsd_session_start(struct srsd *srsd) SRSD_MUST_CHECK;

/* End everything and free it: at once, or when the callback that runs has returned. */
void srsd_session_end(struct srsd *srsd);

/* Around everything that may call back. After srsd_leave() the session may be gone. */
void srsd_enter(struct srsd *srsd);
void srsd_leave(struct srsd *srsd);

static inline bool srsd_is_connected(const struct srsd *srsd)
{
	return srsd->state == SRSD_CONNECTED && !srsd->is_closing;
}

/* Was `id` a session of this manager that it gave up? */
bool srsd_is_former_session(const struct srsd *srsd, int64_t id);

void srsd_listener_add(
	struct srsd *srsd, struct srsd_listener *listener, const struct srsd_listener_ops *ops);
void srsd_listener_end(struct srsd *srsd, struct srsd_listener *listener);

/* <chroot><registry>/<label>[/<name>]; `name` may be NULL. NULL: memory is short. The caller frees it. */
char *srsd_path(const struct srsd *srsd, const char *label, const char *name) SRSD_MUST_CHECK;

#endif
