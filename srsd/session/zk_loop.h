/* zk_loop.h - one handle of the ZooKeeper client, driven by an event_base.
 *
 * The client is a machine without a loop of its own: it says what it waits for (zookeeper_interest), and is
 * told when that came (zookeeper_process). This is the only place that knows these two calls, and when a
 * handle may try to connect again. */
#ifndef SRSD_ZK_LOOP_H
#define SRSD_ZK_LOOP_H

#include <event2/event_struct.h>
#include <zookeeper/zookeeper.h>

#include "common/backoff.h"
#include "common/internal.h"

#define SRSD_CLIENT_TEXT_MAX 200

/* Events that rise from it. They come from the loop, never inside a call of this header. Each may close the
 * handle (srsd_zk_loop_close), but only on_turn may free the owner: it is the last thing of a turn. */
struct srsd_zk_loop_ops {
	/* The session came up (true) or its connection broke (false). */
	void (*on_attached)(void *owner, bool is_attached);
	/* A server took the connection and closed it before there was a session. */
	void (*on_refused)(void *owner);
	/* An attempt to connect failed; `attempts` since the connection was lost or the handle made. */
	void (*on_failed)(void *owner, unsigned attempts);
	/* The handle is of no use any more: its session expired. */
	void (*on_dead)(void *owner);
	/* A turn begins (true), a turn ends (false). */
	void (*on_turn)(void *owner, bool begins);
};

struct srsd_zk_loop {
	struct event event; /* one-shot; carries the descriptor and the timeout */
	zhandle_t *handle;  /* owned; NULL: closed */
	const struct srsd_zk_loop_ops *ops;
	void *owner;
	const struct srsd_logger *logger;
	const char *auth; /* given to each handle; NULL: none */
	struct srsd_backoff backoff;
	char *list;			 /* owned; the servers that the client tries */
	char *next_list;		 /* owned; those that it gets before the next attempt; NULL: none */
	unsigned servers;		 /* attempts that reach them all: so many come in quick succession */
	unsigned next_servers;		 /* in the next list */
	unsigned silences;		 /* attempts in a row that a server took, and never answered */
	unsigned attempts;		 /* to connect, since the connection was lost or the handle made */
	unsigned brief_count;		 /* connections in a row that were lost soon */
	struct srsd_backoff brief_pause; /* before the next one, when there were many */
	bool is_attached;		 /* there is a session, and a server that answers for it */
	bool is_greeting;		 /* connected, the server's word on the session is awaited */
	bool is_processing;		 /* zookeeper_process() is on the stack */
	bool is_asked;		  /* attached, and no answer to anything has come yet that was asked since */
	uint64_t attached_bytes;  /* received on this connection when it attached; 0: an answer came since */
	bool is_abandoned;	  /* the attempt took too long: its connection was shut down */
	uint64_t attached_ms;	  /* since when */
	uint64_t next_attempt_ms; /* not before that */
	uint64_t phase_ms;	  /* when the attempt, or its greeting, began */
	uint32_t connect_took_ms; /* the last time; 0: never yet */
	uint32_t greeting_took_ms;
	char trouble[SRSD_CLIENT_TEXT_MAX]; /* the client's last complaint */
};

/* Prepare it; nothing is opened. `logger` and `owner` must outlive it. Returns false when the system fails.
 */
bool srsd_zk_loop_init(struct srsd_zk_loop *loop, struct event_base *base, const struct srsd_zk_loop_ops *ops,
	void *owner, const struct srsd_logger *logger) SRSD_MUST_CHECK;

/* Make the handle and let it start on the next turn. `list` has `count` servers by their addresses, without a
 * chroot: nothing is looked up then. False: memory is short; loop->trouble says more. */
bool srsd_zk_loop_open(struct srsd_zk_loop *loop, const char *list, unsigned count,
	uint32_t session_timeout_ms) SRSD_MUST_CHECK;

/* The servers have other addresses now: take these from the next attempt to connect on. A connection that is
 * up stays, one that is being made to an address that is gone is given up; the session is kept. False: memory
 * is short, nothing changed. Only while there is a handle. */
bool srsd_zk_loop_point(struct srsd_zk_loop *loop, const char *list, unsigned count) SRSD_MUST_CHECK;

/* Close the handle, and with it the session. Not inside zookeeper_process(). May block, see srsd_close(). */
void srsd_zk_loop_close(struct srsd_zk_loop *loop);

/* There is reason to believe that a server answers now: try all of them at once, one after the other. */
void srsd_zk_loop_hurry(struct srsd_zk_loop *loop);

/* Requests were made outside the client's callbacks: ask it soon what it waits for now. */
void srsd_zk_loop_kick(struct srsd_zk_loop *loop);

/* A request was sent. If it is the first one of a connection, an answer is expected soon. */
void srsd_zk_loop_asked(struct srsd_zk_loop *loop);

/* Between these two calls, what the client logs goes to `loop`. They nest; hand `before` back. Every call
 * into the client stands between them, because its log callback has no argument. */
struct srsd_zk_loop *srsd_zk_loop_speak(struct srsd_zk_loop *loop) SRSD_MUST_CHECK;
void srsd_zk_loop_hush(struct srsd_zk_loop *before);

#endif
