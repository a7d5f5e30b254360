/* accepting - connections from a worker's listeners (see accepting.h). */
#include "accepting.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections taken from a listener in one go, before others have their turn. */
#define ACCEPTING_BATCH 64

/* Without descriptors or memory it stops for this long: the queue waits in the kernel, and nothing spins. */
#define ACCEPTING_PAUSE_MS 100

/* With a listener that is shared it waits for so long before it takes the first connection: another proxy may
 * be there, which this one takes over from, and which has what is needed to serve them. */
#define ACCEPTING_WAIT_MS 1000

/* A listener that was lent, and has not come back for so long, is taken back: that worker stands still. Not
 * sooner, as a worker that only waits for a processor would be counted a connection that it never gets. */
#define ACCEPTING_RECALL_MS 1000

/* The kernel asks a client that has only connected once more, a second after the first time, and hands the
 * connection over when that is answered. */
#define ACCEPTING_LAST_CALL_MS 1500

static wheel_fire_fn accepting_end_last_call;

static void accepting_pause(struct accepting *accepting, uint64_t wait_ms)
{
	accepting->is_paused = true;
	if (accepting->company != NULL)
		evenness_shut(&accepting->company->evenness, accepting->worker);
	for (size_t i = 0; i < accepting->listener_count; i++)
		if (accepting->listeners[i].event != NULL)
			event_del(accepting->listeners[i].event);
	wheel_arm(&accepting->loop->wheel, &accepting->pause, clock_coarse_ms() + wait_ms);
}

static void accepting_listen(struct accepting_listener *listener)
{
	struct accepting *accepting = listener->accepting;
	if (listener->event != NULL && !listener->is_lent && !accepting->is_paused &&
		event_add(listener->event, NULL) != 0)
		accepting_pause(accepting, ACCEPTING_PAUSE_MS);
}

static void accepting_resume(struct wheel_timer *timer)
{
	struct accepting *accepting = CONTAINER_OF(timer, struct accepting, pause);
	accepting->is_paused = accepting->is_waiting = false;
	if (accepting->company != NULL)
		evenness_open(&accepting->company->evenness, accepting->worker);
	for (size_t i = 0; i < accepting->listener_count; i++)
		accepting_listen(&accepting->listeners[i]);
}

void accepting_go_on(struct accepting *accepting)
{
	if (!accepting->is_waiting || accepting->is_closed)
		return;
	wheel_disarm(&accepting->pause);
	accepting_resume(&accepting->pause);
}

/* ---- Who takes it ---------------------------------------------------------------------------- */

static void accepting_count(struct accepting *accepting)
{
	if (accepting->company != NULL)
		evenness_enter(&accepting->company->evenness, accepting->worker);
}

static void accepting_count_back(struct accepting *accepting, size_t worker)
{
	if (accepting->company != NULL)
		evenness_leave(&accepting->company->evenness, worker);
}

/* False: no memory for that. */
static bool accepting_lend(struct accepting_listener *listener, size_t worker)
{
	struct accepting *accepting = listener->accepting;
	uint32_t index = (uint32_t)(listener - accepting->listeners);
	uint32_t number = (uint32_t)(accepting->worker * accepting->listener_count) + index;
	if (!mailbox_post(accepting->company->mailboxes[worker], MESSAGE_TAKE, number, NULL))
		return false;
	listener->is_lent = true;
	event_del(listener->event);
	if (accepting->lent_count++ == 0)
		wheel_arm(
			&accepting->loop->wheel, &accepting->recall, clock_coarse_ms() + ACCEPTING_RECALL_MS);
	return true;
}

void accepting_get_back(struct accepting *accepting, uint32_t number)
{
	struct accepting_listener *listener = &accepting->listeners[number];
	if (!listener->is_lent)
		return;
	listener->is_lent = false;
	accepting->lent_count--;
	accepting_listen(listener);
}

static void accepting_recall(struct wheel_timer *timer)
{
	struct accepting *accepting = CONTAINER_OF(timer, struct accepting, recall);
	for (uint32_t i = 0; i < accepting->listener_count; i++)
		accepting_get_back(accepting, i);
}

/* ---- Taking ---------------------------------------------------------------------------------- */

static void accepting_serve(struct accepting_listener *listener, int fd, const struct sockaddr *peer)
{
	struct accepting *accepting = listener->accepting;
	struct downstream_shared *downstream = accepting->downstream;
	accepting->connections++;
	if (downstream_open(downstream, fd, peer, listener->arrival))
		return;
	counter_add(downstream->counters, connections_refused, 1);
	downstream->on_closed(downstream->on_closed_arg);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

/* Take one connection from `fd`, one of the listener's sockets. `is_counted`: it is already. False: none is
 * waiting, or none can be taken now. */
static bool accepting_take(struct accepting_listener *listener, int fd, bool is_counted)
{
	struct accepting *accepting = listener->accepting;
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(peer);
	int taken = accept4(fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
	bool is_short = taken < 0 && is_shortage(errno);
	if (is_short && accepting->make_room(accepting->arg)) {
		taken = accept4(fd, (struct sockaddr *)&peer, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
		is_short = taken < 0 && is_shortage(errno);
	}
	if (taken < 0) {
		bool is_next_good = !is_short && (errno == ECONNABORTED || errno == EINTR);
		if (is_counted)
			accepting_count_back(accepting, accepting->worker);
		if (is_short)
			accepting_pause(accepting, ACCEPTING_PAUSE_MS);
		return is_next_good;
	}
	if (!is_counted)
		accepting_count(accepting);
	accepting_serve(listener, taken, (const struct sockaddr *)&peer);
	return true;
}

/* One is waiting: take it, or have the worker take it that has the fewest. */
static void accepting_share(struct accepting_listener *listener)
{
	struct accepting *accepting = listener->accepting;
	size_t worker = evenness_choose(&accepting->company->evenness, accepting->worker);
	if (worker != accepting->worker) {
		if (accepting_lend(listener, worker))
			return;
		accepting_count_back(accepting, worker);
		accepting_count(accepting);
	}
	(void)!accepting_take(listener, listener->fd, true);
}

void accepting_take_lent(struct accepting *accepting, uint32_t number)
{
	size_t count = accepting->listener_count;
	struct mailbox *owner = accepting->company->mailboxes[number / count];
	if (accepting->shared[number] >= 0)
		(void)!accepting_take(&accepting->listeners[number % count], accepting->shared[number], true);
	else
		accepting_count_back(accepting, accepting->worker);
	/* Without memory for that it is recalled. */
	(void)!mailbox_post(owner, MESSAGE_TAKEN, number % (uint32_t)count, NULL);
}

void accepting_count_off(struct accepting *accepting)
{
	accepting->connections--;
	accepting_count_back(accepting, accepting->worker);
}

/* That one is waiting is only known of the first. Where workers look at each other the loop tells of the next
 * one, if there is any. */
static void accepting_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct accepting_listener *listener = arg;
	struct accepting *accepting = listener->accepting;
	(void)fd;
	(void)what;
	if (accepting->company != NULL && evenness_may_look(&accepting->looks, clock_coarse_ms())) {
		accepting_share(listener);
		return;
	}
	for (int i = 0; i < ACCEPTING_BATCH; i++)
		if (!accepting_take(listener, listener->fd, false))
			return;
}

/* What belongs to all workers: none of their sockets is known here yet. False without memory. */
static bool accepting_init_shared(struct accepting *accepting)
{
	size_t count = accepting->company->evenness.count * accepting->listener_count;
	accepting->shared = malloc(count * sizeof(int));
	for (size_t i = 0; accepting->shared != NULL && i < count; i++)
		accepting->shared[i] = -1;
	return accepting->shared != NULL;
}

static unsigned accepting_arrival(const struct listener_settings *settings)
{
	return (settings->has_proxy_header ? DOWNSTREAM_BEHIND_BALANCER : DOWNSTREAM_PLAIN) |
	       (settings->is_deferred ? DOWNSTREAM_WITH_BYTES : DOWNSTREAM_PLAIN);
}

bool accepting_init(struct accepting *accepting, const struct settings *settings, const int *fds,
	struct accepting_company *company, size_t worker)
{
	size_t count = settings->listener_count;
	*accepting = (struct accepting){.company = company,
		.worker = worker,
		.listeners = calloc(count, sizeof(*accepting->listeners))};
	wheel_timer_init(&accepting->pause, accepting_resume);
	wheel_timer_init(&accepting->recall, accepting_recall);
	wheel_timer_init(&accepting->last_call, accepting_end_last_call);
	if (accepting->listeners == NULL) {
		for (size_t i = 0; i < count; i++)
			close(fds[i]);
		return false;
	}
	accepting->listener_count = count;
	for (size_t i = 0; i < count; i++) {
		accepting->listeners[i] = (struct accepting_listener){.accepting = accepting,
			.arrival = accepting_arrival(&settings->listeners[i]),
			.fd = -1,
			.given_fd = fds[i]};
		accepting->is_waiting |= settings->listeners[i].is_shared;
	}
	return company == NULL || accepting_init_shared(accepting);
}

static bool accepting_is_own(const struct accepting *accepting, size_t number)
{
	return number / accepting->listener_count == accepting->worker;
}

/* The others' sockets, by descriptors that nobody else closes: in a table that is shared that takes new ones.
 * False without descriptors. */
static bool accepting_open_shared(struct accepting *accepting, bool has_own_table)
{
	const struct accepting_company *company = accepting->company;
	size_t count = company != NULL ? company->evenness.count * accepting->listener_count : 0;
	for (size_t i = 0; i < count; i++) {
		if (accepting_is_own(accepting, i))
			continue;
		accepting->shared[i] =
			has_own_table ? company->sockets[i] : fcntl(company->sockets[i], F_DUPFD_CLOEXEC, 0);
		if (accepting->shared[i] < 0)
			return false;
	}
	if (company != NULL)
		evenness_open(&accepting->company->evenness, accepting->worker);
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
	if (!accepting_open_shared(accepting, has_own_table))
		return false;
	for (size_t i = 0; i < accepting->listener_count; i++) {
		struct accepting_listener *listener = &accepting->listeners[i];
		listener->fd = listener->given_fd;
		if (!has_own_table)
			listener->given_fd = -1;
	}
	if (accepting->is_waiting)
		accepting_pause(accepting, ACCEPTING_WAIT_MS);
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

/* Take all that waits, where that is asked for, and close it. */
static void accepting_close_socket(struct accepting *accepting, size_t index, int *fd, bool is_emptied_first)
{
	while (is_emptied_first && *fd >= 0 && accepting_take(&accepting->listeners[index], *fd, false)) {
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* All workers are told at about the same time. A socket is open until the last of them has closed it, and
 * each empties it: no connection is reset that came before that. */
static void accepting_close_listener(struct accepting *accepting, size_t index, bool is_emptied_first)
{
	struct accepting_company *company = accepting->company;
	struct accepting_listener *listener = &accepting->listeners[index];
	if (listener->event != NULL)
		event_free(listener->event);
	listener->event = NULL;
	accepting_close_socket(accepting, index, &listener->fd, is_emptied_first);
	for (size_t worker = 0; company != NULL && worker < company->evenness.count; worker++)
		accepting_close_socket(accepting, index,
			&accepting->shared[worker * accepting->listener_count + index], is_emptied_first);
}

void accepting_close(struct accepting *accepting, bool is_emptied_first)
{
	if (accepting->company != NULL)
		evenness_shut(&accepting->company->evenness, accepting->worker);
	for (size_t i = 0; i < accepting->listener_count; i++)
		accepting_close_listener(accepting, i, is_emptied_first);
	accepting->is_closed = true; /* not before: of those that are taken here some are over at once */
	wheel_forget(&accepting->pause);
	wheel_forget(&accepting->recall);
	wheel_forget(&accepting->last_call);
}

static void accepting_end_last_call(struct wheel_timer *timer)
{
	struct accepting *accepting = CONTAINER_OF(timer, struct accepting, last_call);
	accepting_close(accepting, true);
	accepting->on_closed(accepting->arg);
}

/* Have the kernel keep no connection for itself any more. False: the listener is not deferred. */
static bool accepting_stop_deferring(const struct accepting_listener *listener)
{
	const int off = 0;
	return (listener->arrival & DOWNSTREAM_WITH_BYTES) != 0 && listener->fd >= 0 &&
	       setsockopt(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &off, sizeof(off)) == 0;
}

void accepting_drain(struct accepting *accepting, uint64_t most_ms)
{
	uint64_t wait_ms = 0;
	if (accepting->company != NULL)
		evenness_shut(&accepting->company->evenness, accepting->worker);
	for (size_t i = 0; i < accepting->listener_count; i++) {
		if (accepting_stop_deferring(&accepting->listeners[i]))
			wait_ms = most_ms < ACCEPTING_LAST_CALL_MS ? most_ms : ACCEPTING_LAST_CALL_MS;
		else
			accepting_close_listener(accepting, i, true);
	}
	if (wait_ms > 0)
		wheel_arm(&accepting->loop->wheel, &accepting->last_call, clock_coarse_ms() + wait_ms);
	else
		accepting_end_last_call(&accepting->last_call);
}

void accepting_finish(struct accepting *accepting)
{
	accepting_let_go(accepting);
	free(accepting->listeners);
	free(accepting->shared);
	accepting->listeners = NULL;
	accepting->shared = NULL;
	accepting->listener_count = 0;
}
