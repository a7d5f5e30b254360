/* mailbox - messages from any thread to the thread of one event_base: an eventfd and a list. A message
 * carries a reference that the receiver then owns. No lock: senders push, the receiver takes the whole list.
 */
#ifndef MAILBOX_H
#define MAILBOX_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct backend;
struct event;
struct event_base;
struct fleet;

enum message_kind {
	MESSAGE_FLEET,	   /* carries a fleet */
	MESSAGE_DOUBT,	   /* carries a backend that wants to be looked at; `number` is its service's index */
	MESSAGE_DRAIN,	   /* no new connections; end when the last one has */
	MESSAGE_STOP,	   /* end now */
	MESSAGE_PLACE,	   /* a place for a waiting request; `number` is the service's index: admission.h */
	MESSAGE_WANTED,	   /* a place for a connection to the backend, by worker `number`: lending.h */
	MESSAGE_HANDED_ON, /* a place for a connection to the backend, which is the receiver's now */
	MESSAGE_SHORTAGE,  /* of descriptors: let idle connections go; to the server, from worker `number` */
	MESSAGE_TAKE,	   /* accept a connection from socket `number` of all workers': accepting.h */
	MESSAGE_TAKEN,	   /* the same to whose listener it is: `number` is that of its listener */
	MESSAGE_STATE,	   /* the registry's session changed its state; `number` is an enum srsd_state */
	MESSAGE_WORKER_ENDED /* `number` is the worker's index; its thread can be joined */
};

struct message {
	struct message *next;
	enum message_kind kind;
	uint32_t number;
	struct fleet *fleet;
	struct backend *backend;
};

typedef void mailbox_fn(void *arg, struct message *message);

struct mailbox {
	_Atomic(struct message *) newest;
	int wake_fd;
	struct event *event;
	mailbox_fn *on_message;
	void *arg;
};

/* Open it on `base`. `on_message` owns what the message carries, not the message. False without memory or
 * descriptors. */
MUST_CHECK bool mailbox_open(
	struct mailbox *mailbox, struct event_base *base, mailbox_fn *on_message, void *arg);

/* The same in two steps: whoever posts needs the first one only, the receiver comes later, with its loop. */
MUST_CHECK bool mailbox_make(struct mailbox *mailbox, mailbox_fn *on_message, void *arg);
MUST_CHECK bool mailbox_receive(struct mailbox *mailbox, struct event_base *base);

/* The receiver's loop ends, on its thread: what is posted from now on is never received. */
void mailbox_leave(struct mailbox *mailbox);

/* Close it, letting go of what was never received. No thread may post any more. */
void mailbox_close(struct mailbox *mailbox);

/* Send. Takes over the reference in `fleet` (NULL for most kinds), also on failure. False without memory: it
 * is not delivered. Any thread. */
MUST_CHECK bool mailbox_post(
	struct mailbox *mailbox, enum message_kind kind, uint32_t number, struct fleet *fleet);

/* The same with a backend. */
MUST_CHECK bool mailbox_post_backend(
	struct mailbox *mailbox, enum message_kind kind, uint32_t number, struct backend *backend);

/* Make a message ahead, for what must be said even when memory has run out. Give it to mailbox_send(), or
 * free() it. NULL without memory. */
MUST_CHECK struct message *message_new(enum message_kind kind, uint32_t number);

/* Send a message that was made ahead; it cannot fail. Takes it over and sets the pointer to NULL; with NULL
 * there already nothing is sent: it was, once. Any thread. */
void mailbox_send(struct mailbox *mailbox, struct message **message);

#endif
