/* state_write - one file written by a detached thread, its outcome taken by the event loop. A write is owned
 * by its asker and its thread together; who lets go last frees it.
 *
 * The thread stores the outcome, then tells the eventfd, then lets go. The loop reads the eventfd before it
 * reads the outcome. */
#include "state/state_write.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/thread.h"
#include "state/state_disk.h"

struct srsd_state_write {
	atomic_uint references;
	int done_fd;
	struct event done; /* the loop's alone */
	srsd_state_write_fn *on_done;
	void *owner;
	char *text;
	size_t bytes;
	/* Written by the thread before it tells done_fd. */
	int fault;
	const char *step;
	char path[];
};

static void let_go(struct srsd_state_write *writing)
{
	if (atomic_fetch_sub(&writing->references, 1) != 1)
		return;
	if (writing->done_fd >= 0)
		close(writing->done_fd);
	free(writing->text);
	free(writing);
}

static void *thread_main(void *arg)
{
	struct srsd_state_write *writing = arg;

	writing->fault = srsd_state_disk_write(writing->path, writing->text, writing->bytes, &writing->step);
	/* Only a counter at its maximum could refuse. */
	(void)!eventfd_write(writing->done_fd, 1);
	let_go(writing);
	return NULL;
}

static void on_done(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_state_write *writing = arg;
	eventfd_t count;

	(void)what;
	if (eventfd_read((int)descriptor, &count) != 0) {
		event_add(&writing->done, NULL); /* woken for nothing */
		return;
	}
	writing->on_done(writing->owner, writing->fault, writing->step);
	let_go(writing);
}

static struct srsd_state_write *write_new(struct event_base *base, const char *path)
{
	size_t path_bytes = strlen(path) + 1;
	struct srsd_state_write *writing = calloc(1, sizeof(*writing) + path_bytes);

	if (writing == NULL)
		return NULL;
	writing->references = 1;
	memcpy(writing->path, path, path_bytes);
	writing->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writing->done_fd < 0 ||
		event_assign(&writing->done, base, writing->done_fd, EV_READ, on_done, writing) != 0 ||
		event_add(&writing->done, NULL) != 0) {
		let_go(writing);
		return NULL;
	}
	return writing;
}

struct srsd_state_write *srsd_state_write_begin(struct event_base *base, const char *path, char *text,
	size_t bytes, srsd_state_write_fn *on_done_fn, void *owner)
{
	struct srsd_state_write *writing = write_new(base, path);

	if (writing == NULL) {
		free(text);
		return NULL;
	}
	writing->text = text;
	writing->bytes = bytes;
	writing->on_done = on_done_fn;
	writing->owner = owner;
	writing->references = 2;
	if (srsd_thread_start(thread_main, writing, NULL) != 0) {
		writing->references = 1;
		(void)srsd_state_write_let_go(&writing, 0);
	}
	return writing;
}

bool srsd_state_write_let_go(struct srsd_state_write **writing, uint32_t timeout_ms)
{
	struct srsd_state_write *left = *writing;
	struct pollfd done;
	bool is_over;

	*writing = NULL;
	if (left == NULL)
		return true;
	event_del(&left->done);
	done = (struct pollfd){.fd = left->done_fd, .events = POLLIN};
	is_over = poll(&done, 1, (int)timeout_ms) == 1; /* a signal may cut it short: it is a courtesy */
	let_go(left);
	return is_over;
}
