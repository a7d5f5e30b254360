/* zk_loop - zookeeper_interest() and zookeeper_process() driven by an event_base. Owns the client's handle.
 *
 * What the client needs, and why it looks as it does:
 *   - the event is deleted before interest() is asked: that may close the descriptor and open the same
 * number;
 *   - a timeout alone is answered by interest() again, never by process();
 *   - interest() leaves its results unset when a name cannot be resolved: they are set before;
 *   - unattached, each interest() is an attempt to connect, which would look names up and block: so the
 * client gets addresses only;
 *   - with an even number of addresses it never pauses and tries but half of them: so the pauses are made
 * here, and its own are skipped, and it gets an odd number;
 *   - zoo_set_servers() breaks a connection for the sake of balance, and takes what it cannot read: it is
 *     called between connections, with a list of our own making. */
#include "session/zk_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* whose struct tcp_info has more than libc's */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>

/* The first round over all servers is quick, as a fail-over within an ensemble should be. */
#define QUICK_ATTEMPT_MS_MIN 10
#define QUICK_ATTEMPT_MS_MAX 30
/* Later rounds: whichever server comes back is asked within the cap, however many there are of them. */
#define ROUND_BASE_MS  200
#define ROUND_CAP_MS   300
#define ATTEMPT_MS_MIN 50
/* An attempt of which nothing comes is given up: a server that hangs or is just starting, or whose packets
 * are lost, must not cost the session while it, or another one, would take it now. TCP asks only once within
 * the longest limit. A greeting gets twice the time after each round in which nobody answered, since a crowd
 * of clients may be what keeps the servers from it. So does the first answer after it: a server whose session
 * ends in the moment at which its client is back keeps that connection, and says nothing on it. */
#define PATIENCE	      5 /* times what it took the last time */
#define CONNECT_LIMIT_MS_MIN  300
#define CONNECT_LIMIT_MS_MAX  1500
#define GREETING_LIMIT_MS_MIN 300
#define GREETING_LIMIT_MS_MAX 5000 /* to begin with */
#define GREETING_LIMIT_MS_NEW 1000 /* while nothing is known of the servers */
#define ANSWER_LIMIT_MS_MIN   1000
#define DOUBLED_MAX	      5
/* A connection that held so long ends what was counted against the servers. */
#define ATTACHED_WELL_MS 1000
/* So many in a row that did not hold so long are accidents; whoever closes more of them means it, as servers
 * do that want another kind of authentication. */
#define BRIEF_MAX     8
#define BRIEF_BASE_MS 500
#define BRIEF_CAP_MS  5000

#define CLIENT_LINE_MAX 512
#define SERVER_TEXT_MAX 63

static void on_event(evutil_socket_t descriptor, short what, void *arg);

/* ---- The client's log ------------------------------------------------------------------------ */

static _Thread_local struct srsd_zk_loop *speaking;

struct srsd_zk_loop *srsd_zk_loop_speak(struct srsd_zk_loop *loop)
{
	struct srsd_zk_loop *before = speaking;

	speaking = loop;
	return before;
}

void srsd_zk_loop_hush(struct srsd_zk_loop *before)
{
	speaking = before;
}

/* Keep the reason of a failure. The client says "Socket 127.0.0.1:2181 zk retcode=-4, errno=111(Connection
 * refused): server refused to accept the client", and calls it EHOSTDOWN when a server closes the connection.
 */
static void remember_trouble(struct srsd_zk_loop *loop, const char *text, size_t bytes)
{
	char line[CLIENT_LINE_MAX];
	char server[SERVER_TEXT_MAX + 1];
	int number;

	snprintf(line, sizeof(line), "%.*s", (int)bytes, text);
	if (sscanf(line, "Socket %63s zk retcode=%*d, errno=%d", server, &number) != 2)
		snprintf(loop->trouble, sizeof(loop->trouble), "%.*s", (int)sizeof(loop->trouble) - 1, line);
	else
		snprintf(loop->trouble, sizeof(loop->trouble), "%s: %s", server,
			loop->is_abandoned    ? "does not answer"
			: number == EHOSTDOWN ? "closed the connection"
					      : strerrordesc_np(number));
}

/* A line looks like "2026-01-02 03:04:05,678:99(0x7f):ZOO_ERROR@function@123: what happened". The client
 * calls each failed attempt an error and each retry a warning: for us these are details. Ours are said by
 * session.c, once per change, with the client's last complaint in them. */
static void on_client_line(const char *line)
{
	struct srsd_zk_loop *loop = speaking;
	const char *mark = strstr(line, ":ZOO_");
	const char *text = mark == NULL ? NULL : strstr(mark, ": ");
	size_t bytes;

	if (loop == NULL)
		return;
	text = text == NULL ? line : text + 2;
	bytes = strcspn(text, "\n"); /* some of its lines end in a newline of their own */
	if (mark != NULL && strncmp(mark, ":ZOO_ERROR", sizeof(":ZOO_ERROR") - 1) == 0)
		remember_trouble(loop, text, bytes);
	srsd_log(loop->logger, SRSD_LOG_DEBUG, "zookeeper client: %.*s", (int)bytes, text);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void on_client_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	/* Sessions are followed by zoo_state() after each turn: one way for all changes, and in order.
	 * Watches of nodes have callbacks of their own. */
	(void)handle;
	(void)type;
	(void)state;
	(void)path;
	(void)context;
}

bool srsd_zk_loop_init(struct srsd_zk_loop *loop, struct event_base *base, const struct srsd_zk_loop_ops *ops,
	void *owner, const struct srsd_logger *logger)
{
	*loop = (struct srsd_zk_loop){.ops = ops, .owner = owner, .logger = logger};
	loop->backoff = (struct srsd_backoff){.base_ms = ROUND_BASE_MS, .cap_ms = ROUND_CAP_MS};
	loop->brief_pause = (struct srsd_backoff){.base_ms = BRIEF_BASE_MS, .cap_ms = BRIEF_CAP_MS};
	return event_assign(&loop->event, base, -1, EV_TIMEOUT, on_event, loop) == 0;
}

static bool wait_ms(struct srsd_zk_loop *loop, uint32_t delay_ms)
{
	struct timeval delay = srsd_timeval_ms(delay_ms);

	event_assign(&loop->event, event_get_base(&loop->event), -1, EV_TIMEOUT, on_event, loop);
	return event_add(&loop->event, &delay) == 0;
}

/* The list as the client reads it, which the caller frees: "::1:2181" for "[::1]:2181". Of an even number of
 * servers one, any, stands there twice: after each attempt that fails the client skips one, and would try
 * every other one for ever. */
static char *client_list(const char *list, unsigned count)
{
	size_t bytes = strlen(list);
	char *out = malloc(2 * bytes + sizeof(","));
	char *to = out;
	unsigned twice = srsd_random_between(0, count - 1);

	if (out == NULL)
		return NULL;
	for (const char *from = list; *from != '\0'; from++) {
		if (*from != '[' && *from != ']')
			*to++ = *from;
	}
	*to = '\0';
	if (count % 2 == 0) {
		const char *entry = out;

		while (twice-- > 0)
			entry = strchr(entry, ',') + 1;
		*to++ = ',';
		bytes = strcspn(entry, ",");
		memmove(to, entry, bytes);
		to[bytes] = '\0';
	}
	return out;
}

static void take_list(struct srsd_zk_loop *loop, char **list, unsigned count)
{
	free(loop->list);
	loop->list = *list;
	*list = NULL;
	loop->servers = count | 1;
	loop->attempts = 0;
	loop->next_attempt_ms = 0;
}

/* Make the handle for loop->list. NULL: errno says why, if the client has not complained. */
static zhandle_t *handle_new(struct srsd_zk_loop *loop, unsigned count, uint32_t session_timeout_ms)
{
	struct srsd_zk_loop *before = srsd_zk_loop_speak(loop);
	char *list = client_list(loop->list, count);
	zhandle_t *handle = NULL;

	errno = ENOMEM;
	if (list != NULL)
		handle = zookeeper_init2(list, on_client_event, (int)session_timeout_ms, NULL, loop,
			ZOO_NO_LOG_CLIENTENV, on_client_line);
	if (handle == NULL && loop->trouble[0] == '\0')
		snprintf(loop->trouble, sizeof(loop->trouble), "%s", strerror(errno));
	if (handle != NULL)
		zoo_set_servers_resolution_delay(handle, -1);
	/* The client keeps it, and gives it at each connection before all else. */
	if (handle != NULL && loop->auth != NULL &&
		zoo_add_auth(handle, "digest", loop->auth, (int)strlen(loop->auth), NULL, NULL) != ZOK) {
		snprintf(loop->trouble, sizeof(loop->trouble), "%s", strerror(ENOMEM));
		zookeeper_close(handle);
		handle = NULL;
	}
	free(list);
	srsd_zk_loop_hush(before);
	return handle;
}

static void forget_lists(struct srsd_zk_loop *loop)
{
	free(loop->list);
	free(loop->next_list);
	loop->list = NULL;
	loop->next_list = NULL;
}

bool srsd_zk_loop_open(
	struct srsd_zk_loop *loop, const char *list, unsigned count, uint32_t session_timeout_ms)
{
	char *own = strdup(list);

	assert(loop->handle == NULL && count > 0);
	loop->is_abandoned = false;
	loop->is_attached = false;
	loop->is_greeting = false;
	loop->brief_count = 0;
	snprintf(loop->trouble, sizeof(loop->trouble), "%s", own == NULL ? strerror(ENOMEM) : "");
	if (own == NULL)
		return false;
	take_list(loop, &own, count);
	loop->handle = handle_new(loop, count, session_timeout_ms);
	if (loop->handle == NULL) {
		forget_lists(loop);
		return false;
	}
	srsd_zk_loop_kick(loop);
	return true;
}

bool srsd_zk_loop_point(struct srsd_zk_loop *loop, const char *list, unsigned count)
{
	char *next = strcmp(list, loop->list) == 0 ? NULL : strdup(list);

	assert(loop->handle != NULL && count > 0);
	if (next == NULL && strcmp(list, loop->list) != 0)
		return false;
	free(loop->next_list);
	loop->next_list = next;
	if (next == NULL)
		return true;
	loop->next_servers = count;
	srsd_zk_loop_kick(loop);
	return true;
}

void srsd_zk_loop_close(struct srsd_zk_loop *loop)
{
	struct srsd_zk_loop *before;
	zhandle_t *handle = loop->handle;

	assert(!loop->is_processing);
	event_del(&loop->event);
	forget_lists(loop);
	if (handle == NULL)
		return;
	before = srsd_zk_loop_speak(loop);
	loop->handle = NULL;
	loop->is_attached = false;
	loop->is_asked = false;
	loop->is_greeting = false;
	zookeeper_close(handle);
	srsd_zk_loop_hush(before);
}

void srsd_zk_loop_asked(struct srsd_zk_loop *loop)
{
	if (loop->is_asked || !loop->is_attached || loop->attached_bytes == 0)
		return;
	loop->is_asked = true;
	loop->phase_ms = srsd_now_ms();
}

void srsd_zk_loop_hurry(struct srsd_zk_loop *loop)
{
	loop->attempts = 0;
	loop->next_attempt_ms = 0;
	srsd_backoff_reset(&loop->backoff);
	srsd_zk_loop_kick(loop);
}

void srsd_zk_loop_kick(struct srsd_zk_loop *loop)
{
	if (!loop->is_processing)
		event_active(&loop->event, EV_TIMEOUT, 1);
}

/* Is the next interest() an attempt to connect? */
static bool is_idle(struct srsd_zk_loop *loop)
{
	int state = zoo_state(loop->handle);

	return state == 0 || state == ZOO_NOTCONNECTED_STATE;
}

static uint32_t elapsed_ms(uint64_t since_ms)
{
	uint64_t elapsed = srsd_now_ms() - since_ms;

	return elapsed < 1 ? 1 : elapsed > UINT32_MAX ? UINT32_MAX : (uint32_t)elapsed;
}

/* What came on a connection until now; 0: nobody knows. */
static uint64_t received_bytes(int descriptor)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	return getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received
										: 0;
}

/* The connection is no more. */
static void note_loss(struct srsd_zk_loop *loop)
{
	uint64_t now_ms = srsd_now_ms();

	loop->is_attached = false;
	loop->is_asked = false;
	if (now_ms - loop->attached_ms >= ATTACHED_WELL_MS) {
		loop->attempts = 0;
		loop->brief_count = 0;
		srsd_backoff_reset(&loop->backoff);
	} else if (++loop->brief_count <= BRIEF_MAX) {
		srsd_backoff_reset(&loop->brief_pause);
	} else {
		loop->next_attempt_ms = now_ms + srsd_backoff_next_ms(&loop->brief_pause);
	}
}

/* Compare what the client is with what it was, and let the owner know. */
static void follow_state(struct srsd_zk_loop *loop, bool was_closed_by_peer)
{
	int state = zoo_state(loop->handle);
	bool is_attached = state == ZOO_CONNECTED_STATE;
	bool was_greeting = loop->is_greeting;

	loop->is_greeting = state == ZOO_ASSOCIATING_STATE;
	if (loop->is_greeting && !was_greeting) {
		loop->connect_took_ms = elapsed_ms(loop->phase_ms);
		loop->phase_ms = srsd_now_ms();
	}
	if (is_attached && !loop->is_attached) {
		loop->is_attached = true;
		loop->greeting_took_ms = elapsed_ms(loop->phase_ms);
		loop->attached_bytes = received_bytes(event_get_fd(&loop->event));
		loop->is_asked = false;
		loop->attached_ms = srsd_now_ms();
		loop->trouble[0] = '\0';
		loop->ops->on_attached(loop->owner, true);
	} else if (!is_attached && loop->is_attached) {
		note_loss(loop);
		loop->ops->on_attached(loop->owner, false);
	} else if (was_greeting && is_idle(loop) && was_closed_by_peer && !loop->is_abandoned) {
		loop->ops->on_refused(loop->owner);
	}
}

/* Hand the next list over, if there is one, while nothing hangs on the connection. What is in it is tried at
 * once. A failure (memory) is tried again at the next attempt. */
static void change_servers(struct srsd_zk_loop *loop)
{
	struct srsd_zk_loop *before;
	char *list;

	if (loop->next_list == NULL || loop->is_attached)
		return;
	list = client_list(loop->next_list, loop->next_servers);
	before = srsd_zk_loop_speak(loop);
	if (list != NULL && zoo_set_servers(loop->handle, list) == ZOK) {
		take_list(loop, &loop->next_list, loop->next_servers);
		srsd_backoff_reset(&loop->backoff);
		loop->is_greeting = loop->is_greeting && !is_idle(loop);
	}
	srsd_zk_loop_hush(before);
	free(list);
}

/* An attempt to connect is about to be made: say when the next one may come. */
static void pace_attempt(struct srsd_zk_loop *loop, uint64_t now_ms)
{
	uint32_t pause_ms;

	if (!loop->is_abandoned)
		loop->silences = 0;
	loop->is_abandoned = false;
	loop->attempts++;
	if (loop->attempts < loop->servers)
		pause_ms = srsd_random_between(QUICK_ATTEMPT_MS_MIN, QUICK_ATTEMPT_MS_MAX);
	else
		pause_ms = srsd_backoff_next_ms(&loop->backoff) / loop->servers;
	if (loop->attempts >= loop->servers && pause_ms < ATTEMPT_MS_MIN)
		pause_ms = ATTEMPT_MS_MIN;
	loop->next_attempt_ms = now_ms + pause_ms;
}

static uint32_t patience_ms(uint32_t took_ms, uint32_t least_ms, uint32_t most_ms)
{
	if (took_ms > most_ms / PATIENCE)
		return most_ms;
	return took_ms * PATIENCE > least_ms ? took_ms * PATIENCE : least_ms;
}

/* For how long may what the attempt waits for take? */
static uint32_t phase_limit_ms(const struct srsd_zk_loop *loop)
{
	unsigned doubled = loop->silences / loop->servers;
	uint32_t limit_ms;

	if (!loop->is_greeting && !loop->is_asked)
		return loop->connect_took_ms == 0 ? CONNECT_LIMIT_MS_MAX
						  : patience_ms(loop->connect_took_ms, CONNECT_LIMIT_MS_MIN,
							    CONNECT_LIMIT_MS_MAX);
	limit_ms = loop->greeting_took_ms == 0 ? GREETING_LIMIT_MS_NEW
					       : patience_ms(loop->greeting_took_ms, GREETING_LIMIT_MS_MIN,
							 GREETING_LIMIT_MS_MAX);
	if (loop->is_asked && limit_ms < ANSWER_LIMIT_MS_MIN)
		limit_ms = ANSWER_LIMIT_MS_MIN;
	return limit_ms << (doubled > DOUBLED_MAX ? DOUBLED_MAX : doubled);
}

/* See to it that an attempt ends in time. The client has no call for that: it learns of it from its socket.
 */
static void limit_attempt(struct srsd_zk_loop *loop, int descriptor, struct timeval *timeout)
{
	int state = zoo_state(loop->handle);
	struct timeval rest;
	uint64_t now_ms = srsd_now_ms();
	uint64_t end_ms = loop->phase_ms + phase_limit_ms(loop);

	if ((state != ZOO_CONNECTING_STATE && state != ZOO_ASSOCIATING_STATE && !loop->is_asked) ||
		loop->is_abandoned)
		return;
	if (loop->is_asked && received_bytes(descriptor) != loop->attached_bytes) {
		loop->is_asked = false;
		loop->attached_bytes = 0;
		loop->silences = 0;
		return;
	}
	if (now_ms >= end_ms) {
		loop->is_abandoned = true;
		if (loop->is_greeting || loop->is_asked)
			loop->silences++;
		shutdown(descriptor, SHUT_RDWR);
		return;
	}
	rest = srsd_timeval_ms((uint32_t)(end_ms - now_ms));
	if (timercmp(&rest, timeout, <))
		*timeout = rest;
}

/* Ask the client what it waits for. ZOK with a descriptor of -1 means that it wants to pause. */
static int ask_interest(struct srsd_zk_loop *loop, int *descriptor, short *what, struct timeval *timeout)
{
	struct srsd_zk_loop *before = srsd_zk_loop_speak(loop);
	int interest = 0;
	int rc;

	*descriptor = -1;
	*timeout = (struct timeval){0};
	loop->is_processing = true;
	rc = zookeeper_interest(loop->handle, descriptor, &interest, timeout);
	loop->is_processing = false;
	srsd_zk_loop_hush(before);
	*what = (short)(((interest & ZOOKEEPER_READ) != 0 ? EV_READ : 0) |
			((interest & ZOOKEEPER_WRITE) != 0 ? EV_WRITE : 0));
	return rc;
}

/* Wait for what the client wants next. False: the handle is dead, or was closed by the owner. */
static bool settle(struct srsd_zk_loop *loop)
{
	uint64_t now_ms = srsd_now_ms();
	struct timeval timeout;
	bool is_attempt;
	int descriptor;
	short what;
	int rc;

	event_del(&loop->event);
	change_servers(loop);
	is_attempt = is_idle(loop);
	if (is_attempt && now_ms < loop->next_attempt_ms)
		return wait_ms(loop, (uint32_t)(loop->next_attempt_ms - now_ms));
	if (is_attempt)
		pace_attempt(loop, now_ms);
	rc = ask_interest(loop, &descriptor, &what, &timeout);
	if (rc == ZOK && descriptor == -1)
		rc = ask_interest(loop, &descriptor, &what, &timeout);
	if (is_attempt)
		loop->phase_ms = now_ms;
	follow_state(loop, false);
	if (loop->handle == NULL || is_unrecoverable(loop->handle))
		return false;
	if (rc != ZOK || descriptor == -1 || what == 0) {
		if (is_idle(loop))
			loop->ops->on_failed(loop->owner, loop->attempts);
		return loop->handle != NULL && wait_ms(loop, is_idle(loop) ? 0 : QUICK_ATTEMPT_MS_MIN);
	}
	/* A program that is started must not have the connection, which stands for the session. */
	if (is_attempt)
		fcntl(descriptor, F_SETFD, FD_CLOEXEC);
	limit_attempt(loop, descriptor, &timeout);
	if (timeout.tv_sec == 0 && timeout.tv_usec < 1000)
		timeout.tv_usec = 1000;
	event_assign(&loop->event, event_get_base(&loop->event), descriptor, what, on_event, loop);
	return event_add(&loop->event, &timeout) == 0;
}

/* Tell the client what came. */
static void process(struct srsd_zk_loop *loop, short what)
{
	struct srsd_zk_loop *before = srsd_zk_loop_speak(loop);
	bool was_attached = loop->is_attached;
	int rc;

	loop->is_processing = true;
	rc = zookeeper_process(loop->handle, ((what & EV_READ) != 0 ? ZOOKEEPER_READ : 0) |
						     ((what & EV_WRITE) != 0 ? ZOOKEEPER_WRITE : 0));
	loop->is_processing = false;
	srsd_zk_loop_hush(before);
	follow_state(loop, rc == ZCONNECTIONLOSS);
	if (loop->handle != NULL && !was_attached && is_idle(loop))
		loop->ops->on_failed(loop->owner, loop->attempts);
}

static void on_event(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_zk_loop *loop = arg;
	const struct srsd_zk_loop_ops *ops = loop->ops;
	void *owner = loop->owner;

	(void)descriptor;
	ops->on_turn(owner, true);
	if (loop->handle != NULL && (what & (EV_READ | EV_WRITE)) != 0)
		process(loop, what);
	if (loop->handle != NULL && is_unrecoverable(loop->handle))
		ops->on_dead(owner);
	if (loop->handle != NULL && !settle(loop) && loop->handle != NULL)
		ops->on_dead(owner);
	ops->on_turn(owner, false);
}
