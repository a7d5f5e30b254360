/* lookup - getaddrinfo() in a detached thread, its result taken by the event loop. A look-up is owned by its
 * asker and its thread together; who lets go last frees it.
 *
 * The thread writes what it found, then tells the eventfd, then lets go. The loop reads the eventfd before it
 * reads what was found. */
#include "session/lookup.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/thread.h"

struct srsd_lookup {
	atomic_uint references;
	int done_fd;
	struct event done; /* the loop's alone */
	srsd_lookup_fn *on_done;
	void *owner;
	char port[sizeof("65535")];
	/* Written by the thread before it tells done_fd. */
	struct addrinfo *found; /* owned */
	int fault;
	int system_fault;
	char host[];
};

static void let_go(struct srsd_lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->references, 1) != 1)
		return;
	if (lookup->found != NULL)
		freeaddrinfo(lookup->found);
	if (lookup->done_fd >= 0)
		close(lookup->done_fd);
	free(lookup);
}

static void *thread_main(void *arg)
{
	/* What the ZooKeeper client asks for itself: it must be able to take each address that is found. */
	const struct addrinfo hints = {.ai_flags = AI_ADDRCONFIG,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP};
	struct srsd_lookup *lookup = arg;
	const uint64_t one = 1;

	lookup->fault = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
	lookup->system_fault = errno;
	if (lookup->fault != 0)
		lookup->found = NULL;
	while (write(lookup->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	let_go(lookup);
	return NULL;
}

static void on_done(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_lookup *lookup = arg;
	const char *fault = NULL;
	uint64_t count;

	(void)what;
	if (read((int)descriptor, &count, sizeof(count)) < 0) {
		event_add(&lookup->done, NULL); /* woken for nothing */
		return;
	}
	if (lookup->fault == EAI_SYSTEM)
		fault = strerrordesc_np(lookup->system_fault);
	else if (lookup->fault != 0)
		fault = gai_strerror(lookup->fault);
	else if (lookup->found == NULL)
		fault = gai_strerror(EAI_NONAME);
	lookup->on_done(lookup->owner, lookup->found, fault);
	let_go(lookup);
}

struct srsd_lookup *srsd_lookup_begin(
	struct event_base *base, const char *host, uint16_t port, srsd_lookup_fn *on_done_fn, void *owner)
{
	size_t host_bytes = strlen(host) + 1;
	struct srsd_lookup *lookup = calloc(1, sizeof(*lookup) + host_bytes);

	if (lookup == NULL)
		return NULL;
	lookup->references = 1;
	lookup->on_done = on_done_fn;
	lookup->owner = owner;
	memcpy(lookup->host, host, host_bytes);
	snprintf(lookup->port, sizeof(lookup->port), "%u", (unsigned)port);
	lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lookup->done_fd < 0 ||
		event_assign(&lookup->done, base, lookup->done_fd, EV_READ, on_done, lookup) != 0 ||
		event_add(&lookup->done, NULL) != 0) {
		let_go(lookup);
		return NULL;
	}
	lookup->references = 2;
	if (srsd_thread_start(thread_main, lookup, NULL) != 0) {
		lookup->references = 1;
		srsd_lookup_cancel(&lookup);
	}
	return lookup;
}

void srsd_lookup_cancel(struct srsd_lookup **lookup)
{
	struct srsd_lookup *cancelled = *lookup;

	*lookup = NULL;
	if (cancelled == NULL)
		return;
	event_del(&cancelled->done);
	let_go(cancelled);
}
