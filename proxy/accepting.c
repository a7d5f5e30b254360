/* accepting - connections from a worker's listeners (see accepting.h). */
#include "accepting.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections taken from a listener in one go, before others have their turn. */
#define ACCEPTING_BATCH 64

/* Without descriptors or memory it stops for this long: the queue waits in the kernel, and nothing spins. */
#define ACCEPTING_PAUSE_MS 100

static void accepting_pause(struct accepting *accepting)
{
	for (size_t i = 0; i < accepting->listener_count; i++)
		if (accepting->listeners[i].event != NULL)
			event_del(accepting->listeners[i].event);
	wheel_arm(&accepting->loop->wheel, &accepting->pause, clock_coarse_ms() + ACCEPTING_PAUSE_MS);
}

static void accepting_resume(struct wheel_timer *timer)
{
	struct accepting *accepting = CONTAINER_OF(timer, struct accepting, pause);
	for (size_t i = 0; i < accepting->listener_count; i++)
		if (accepting->listeners[i].event != NULL &&
			event_add(accepting->listeners[i].event, NULL) != 0)
			accepting_pause(accepting);
}

static void accepting_serve(struct accepting_listener *listener, int fd, const struct sockaddr *peer)
{
	struct accepting *accepting = listener->accepting;
	struct downstream_shared *downstream = accepting->downstream;
	accepting->connections++;
	bool is_served = listener->has_proxy_header ? downstream_open_behind_balancer(downstream, fd, peer)
						    : downstream_open(downstream, fd, peer);
	if (is_served)
		return;
	counter_add(downstream->counters, connections_refused, 1);
	downstream->on_closed(downstream->on_closed_arg);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* Take one connection. False: none is waiting, or none can be taken now. */
static bool accepting_take(struct accepting_listener *listener)
{
	struct accepting *accepting = listener->accepting;
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	int fd = accept4(listener->fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && is_shortage(errno)) {
		bool is_worth_another = accepting->make_room(accepting->make_room_arg);
		if (is_worth_another)
			fd = accept4(
				listener->fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (!is_worth_another || is_shortage(errno))) {
			accepting_pause(accepting);
			return false;
		}
	}
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	accepting_serve(listener, fd, (const struct sockaddr *)&peer);
	return true;
}

static void accepting_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct accepting_listener *listener = arg;
	(void)fd;
	(void)what;
	for (int i = 0; i < ACCEPTING_BATCH; i++)
		if (!accepting_take(listener))
			return;
}

bool accepting_init(struct accepting *accepting, const struct settings *settings, const int *fds)
{
	size_t count = settings->listener_count;
	*accepting = (struct accepting){.listeners = calloc(count, sizeof(*accepting->listeners))};
	wheel_timer_init(&accepting->pause, accepting_resume);
	if (accepting->listeners == NULL) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return false;
	}
	accepting->listener_count = count;
	for (size_t i = 0; i < count; i++)
		accepting->listeners[i] = (struct accepting_listener){.accepting = accepting,
			.has_proxy_header = settings->listeners[i].has_proxy_header,
			.fd = -1,
			.given_fd = fds[i]};
	return true;
}

bool accepting_open(struct accepting *accepting, struct loop *loop, struct downstream_shared *downstream,
	bool has_own_table)
{
	accepting->loop = loop;
	accepting->downstream = downstream;
	for (size_t i = 0; i < accepting->listener_count; i++) {
		struct accepting_listener *listener = &accepting->listeners[i];
		listener->event = event_new(
			loop->base, listener->given_fd, EV_READ | EV_PERSIST, accepting_on_event, listener);
		if (listener->event == NULL || event_add(listener->event, NULL) != 0)
			return false;
	}
	for (size_t i = 0; i < accepting->listener_count; i++) {
		struct accepting_listener *listener = &accepting->listeners[i];
		listener->fd = listener->given_fd;
		if (!has_own_table)
			listener->given_fd = -1;
	}
	return true;
}

void accepting_let_go(struct accepting *accepting)
{
	for (size_t i = 0; i < accepting->listener_count; i++) {
		struct accepting_listener *listener = &accepting->listeners[i];
		if (listener->given_fd >= 0)
			close(listener->given_fd);
		listener->given_fd = -1;
	}
}

void accepting_close(struct accepting *accepting, bool is_emptied_first)
{
	for (size_t i = 0; i < accepting->listener_count; i++) {
		struct accepting_listener *listener = &accepting->listeners[i];
		if (listener->event != NULL)
			event_free(listener->event);
		listener->event = NULL;
		while (is_emptied_first && listener->fd >= 0 && accepting_take(listener)) {
		}
		if (listener->fd >= 0)
			close(listener->fd);
		listener->fd = -1;
	}
	wheel_forget(&accepting->pause);
}

void accepting_finish(struct accepting *accepting)
{
	accepting_let_go(accepting);
	free(accepting->listeners);
	accepting->listeners = NULL;
	accepting->listener_count = 0;
}
