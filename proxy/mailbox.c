/* mailbox - messages between threads (see mailbox.h). */
#include "mailbox.h"

#include "balance/fleet.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Senders push to the front; read backwards it is the order in which they did. */
static struct message *mailbox_take_all(struct mailbox *mailbox)
{
	struct message *list = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct message *in_order = NULL;
	while (list != NULL) {
		struct message *next = list->next;
		list->next = in_order;
		in_order = list;
		list = next;
	}
	return in_order;
}

static void mailbox_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct mailbox *mailbox = arg;
	eventfd_t count;
	(void)what;
	(void)!eventfd_read(fd, &count); /* before taking: a message posted after this wakes us again */
	struct message *message = mailbox_take_all(mailbox);
	while (message != NULL) {
		struct message *next = message->next;
		mailbox->on_message(mailbox->arg, message);
		free(message);
		message = next;
	}
}

bool mailbox_make(struct mailbox *mailbox, mailbox_fn *on_message, void *arg)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mailbox->on_message = on_message;
	mailbox->arg = arg;
	mailbox->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return mailbox->wake_fd >= 0;
}

bool mailbox_receive(struct mailbox *mailbox, struct event_base *base)
{
	mailbox->event = event_new(base, mailbox->wake_fd, EV_READ | EV_PERSIST, mailbox_on_wake, mailbox);
	return mailbox->event != NULL && event_add(mailbox->event, NULL) == 0;
}

bool mailbox_open(struct mailbox *mailbox, struct event_base *base, mailbox_fn *on_message, void *arg)
{
	if (!mailbox_make(mailbox, on_message, arg))
		return false;
	if (mailbox_receive(mailbox, base))
		return true;
	mailbox_close(mailbox);
	return false;
}

void mailbox_leave(struct mailbox *mailbox)
{
	if (mailbox->event != NULL)
		event_free(mailbox->event);
	mailbox->event = NULL;
}

void mailbox_close(struct mailbox *mailbox)
{
	mailbox_leave(mailbox);
	if (mailbox->wake_fd >= 0)
		close(mailbox->wake_fd);
	mailbox->wake_fd = -1;
	struct message *message = mailbox_take_all(mailbox);
	while (message != NULL) {
		struct message *next = message->next;
		fleet_unref(&message->fleet);
		backend_unref(&message->backend);
		free(message);
		message = next;
	}
}

static void mailbox_push(struct mailbox *mailbox, struct message *message)
{
	struct message *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	do {
		message->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&mailbox->newest, &newest, message, memory_order_release, memory_order_relaxed));
	/* Only a counter at its maximum could refuse, and then the receiver is awake already. */
	(void)!eventfd_write(mailbox->wake_fd, 1);
}

struct message *message_new(enum message_kind kind, uint32_t number)
{
	struct message *message = malloc(sizeof(*message));
	if (message != NULL)
		*message = (struct message){.kind = kind, .number = number};
	return message;
}

bool mailbox_post(struct mailbox *mailbox, enum message_kind kind, uint32_t number, struct fleet *fleet)
{
	struct message *message = message_new(kind, number);
	if (message == NULL) {
		fleet_unref(&fleet);
		return false;
	}
	message->fleet = fleet;
	mailbox_push(mailbox, message);
	return true;
}

bool mailbox_post_backend(
	struct mailbox *mailbox, enum message_kind kind, uint32_t number, struct backend *backend)
{
	struct message *message = message_new(kind, number);
	if (message == NULL) {
		backend_unref(&backend);
		return false;
	}
	message->backend = backend;
	mailbox_push(mailbox, message);
	return true;
}

void mailbox_send(struct mailbox *mailbox, struct message **message)
{
	struct message *sent = *message;
	*message = NULL;
	if (sent != NULL)
		mailbox_push(mailbox, sent);
}
