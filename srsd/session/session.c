/* session - the state machine of one session with ZooKeeper. Owns the handle (through zk_loop), its listeners
 * and the locator of its servers.
 *
 *   connecting --> connected <--> suspended --> expired --> connected
 *                      |                           ^
 *                      +---------------------------+
 *
 * The client never gives a session up by itself: it keeps on asking until a server says that it expired. We
 * do give it up when servers refuse it for good. A server closes the connection of a client whose session it
 * cannot take: because there is no quorum, because it lags behind what the client has seen while another
 * server does not, or because ZooKeeper was restored from an older state, or empty; then no server will ever
 * take it. A scout tells which: a second handle, that asks for a session of its own. If it gets one, and all
 * servers have been asked for ours since, and one has refused it, ours is over. (If that is wrong, little is
 * lost: what the former session owns is taken over from it.) */
#include "session/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "session/access.h"
#include "session/request.h"

#define REOPEN_BASE_MS 100
#define REOPEN_CAP_MS  500
/* A server that takes a session and ends it soon is not asked for one after the other. */
#define BRIEF_MS     1000
#define BRIEF_CAP_MS 10000
/* Names are looked up again so long after the last server was lost, then more and more seldom. */
#define LOOK_BASE_MS 1000
#define LOOK_CAP_MS  5000

static const unsigned state_edges[] = {
	[SRSD_CONNECTING] = SRSD_BIT(SRSD_CONNECTED),
	[SRSD_CONNECTED] = SRSD_BIT(SRSD_SUSPENDED) | SRSD_BIT(SRSD_EXPIRED),
	[SRSD_SUSPENDED] = SRSD_BIT(SRSD_CONNECTED) | SRSD_BIT(SRSD_EXPIRED),
	[SRSD_EXPIRED] = SRSD_BIT(SRSD_CONNECTED),
};

/* The one door. */
static void enter_state(struct srsd *srsd, enum srsd_state next)
{
	srsd_check_edge(state_edges, srsd->state, next);
	srsd->state = next;
	if (srsd->on_state != NULL && !srsd->is_closing)
		srsd->on_state(srsd->arg, next);
}

/* ---- Who hangs on it ------------------------------------------------------------------------- */

void srsd_listener_add(struct srsd *srsd, struct srsd_listener *listener, const struct srsd_listener_ops *ops)
{
	listener->ops = ops;
	listener->is_ended = false;
	TAILQ_INSERT_TAIL(&srsd->listeners, listener, link);
}

void srsd_listener_end(struct srsd *srsd, struct srsd_listener *listener)
{
	listener->is_ended = true;
	srsd->has_ended_listeners = true;
}

/* Listeners are only taken off the list in srsd_leave(), so that a callback may end any of them. One that is
 * added meanwhile may be told twice, which does no harm. */
static void tell_listeners(struct srsd *srsd, bool is_connected)
{
	struct srsd_listener *listener;

	TAILQ_FOREACH (listener, &srsd->listeners, link) {
		if (srsd->is_closing)
			return;
		if (listener->is_ended)
			continue;
		if (is_connected)
			listener->ops->on_connected(listener);
		else
			listener->ops->on_lost(listener);
	}
}

static void release_listeners(struct srsd *srsd, bool all)
{
	struct srsd_listener *listener = TAILQ_FIRST(&srsd->listeners);

	while (listener != NULL) {
		struct srsd_listener *next = TAILQ_NEXT(listener, link);

		if (all || listener->is_ended) {
			TAILQ_REMOVE(&srsd->listeners, listener, link);
			listener->ops->release(listener);
		}
		listener = next;
	}
	srsd->has_ended_listeners = false;
}

static void destroy(struct srsd *srsd)
{
	srsd_requests_forget(srsd);
	srsd_zk_loop_close(&srsd->scout);
	srsd_zk_loop_close(&srsd->loop);
	srsd_requests_free(srsd);
	release_listeners(srsd, true);
	srsd_watchers_free(srsd, true);
	srsd_locator_clear(&srsd->locator);
	event_del(&srsd->reopen);
	event_del(&srsd->look_again);
	free(srsd->servers);
	free(srsd->root);
	srsd_secret_free(srsd->auth);
	free(srsd->state_directory);
	srsd->magic = 0;
	free(srsd);
}

void srsd_enter(struct srsd *srsd)
{
	srsd->depth++;
}

void srsd_leave(struct srsd *srsd)
{
	assert(srsd->depth > 0);
	if (srsd->depth == 1 && srsd->is_closing) {
		destroy(srsd);
		return;
	}
	if (srsd->depth == 1 && srsd->has_ended_listeners)
		release_listeners(srsd, false);
	srsd->depth--;
}

void srsd_session_end(struct srsd *srsd)
{
	srsd_enter(srsd);
	srsd->is_closing = true;
	srsd->logger.log = NULL;
	srsd_leave(srsd);
}

/* ---- Handles --------------------------------------------------------------------------------- */

static void reopen_in(struct srsd *srsd, uint32_t delay_ms)
{
	struct timeval delay = srsd_timeval_ms(delay_ms);

	/* A failure (memory) leaves nothing that would try again: fall back on the next turn of the loop. */
	if (event_add(&srsd->reopen, &delay) != 0)
		event_active(&srsd->reopen, EV_TIMEOUT, 1);
}

/* While no server answers, they may have moved. */
static void look_again_later(struct srsd *srsd)
{
	struct timeval delay = srsd_timeval_ms(srsd_backoff_next_ms(&srsd->look_pause));

	if (!srsd->locator.has_names)
		return;
	/* A failure (memory) leaves nothing that would try again: fall back on the next turn of the loop. */
	if (event_add(&srsd->look_again, &delay) != 0)
		event_active(&srsd->look_again, EV_TIMEOUT, 1);
}

static void on_look_again(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, arg, SRSD_MAGIC);

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	srsd_locator_ask(&srsd->locator);
	look_again_later(srsd);
	srsd_leave(srsd);
}

static void open_failed(struct srsd *srsd, const char *why)
{
	if (!srsd->has_said_unreachable)
		srsd_log(
			&srsd->logger, SRSD_LOG_WARNING, "cannot use %s (%s): trying on", srsd->servers, why);
	srsd->has_said_unreachable = true;
	reopen_in(srsd, srsd_backoff_next_ms(&srsd->retry));
}

/* Make a handle with the addresses that are known. Where none is yet, on_located() comes back here. */
static void open_handle(struct srsd *srsd)
{
	unsigned count;
	char *list = srsd_locator_list(&srsd->locator, &count);

	srsd->wants_address = list != NULL && count == 0;
	if (list == NULL) {
		open_failed(srsd, "no memory");
	} else if (count > 0) {
		srsd->generation++;
		if (!srsd_zk_loop_open(&srsd->loop, list, count, srsd->session_timeout_ms))
			open_failed(srsd, srsd->loop.trouble);
	}
	free(list);
}

/* Without memory, the next look-up is another chance. */
static void point(struct srsd_zk_loop *loop, const char *list, unsigned count)
{
	if (loop->handle != NULL && !srsd_zk_loop_point(loop, list, count))
		srsd_log(loop->logger, SRSD_LOG_WARNING, "no memory for the servers' addresses");
}

/* The names have been looked up, or some of them. */
static void on_located(void *owner)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);
	unsigned count;
	char *list;

	if (srsd->is_closing)
		return;
	if (srsd->wants_address)
		open_handle(srsd);
	list = srsd_locator_list(&srsd->locator, &count);
	if (list != NULL && count > 0) {
		point(&srsd->loop, list, count);
		point(&srsd->scout, list, count);
	}
	free(list);
}

static void on_reopen(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, arg, SRSD_MAGIC);

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	if (!srsd->is_closing && srsd->loop.handle == NULL) {
		open_handle(srsd);
		srsd_locator_ask(&srsd->locator);
		look_again_later(srsd);
	}
	srsd_leave(srsd);
}

static void close_handle(struct srsd *srsd)
{
	srsd_requests_forget(srsd);
	srsd_zk_loop_close(&srsd->scout);
	srsd_zk_loop_close(&srsd->loop);
	srsd_requests_free(srsd);
	srsd_watchers_free(srsd, false);
}

static void remember_former(struct srsd *srsd)
{
	if (srsd->session_id == 0)
		return;
	memmove(&srsd->former[1], &srsd->former[0], sizeof(srsd->former) - sizeof(srsd->former[0]));
	srsd->former[0] = srsd->session_id;
	srsd->session_id = 0;
}

bool srsd_is_former_session(const struct srsd *srsd, int64_t id)
{
	for (size_t i = 0; i < SRSD_FORMER_SESSIONS; i++) {
		if (srsd->former[i] != 0 && srsd->former[i] == id)
			return true;
	}
	return false;
}

/* The session is over. A new one is asked for after a moment that differs from client to client. */
static void give_up_session(struct srsd *srsd, const char *why)
{
	bool had_session = srsd->state == SRSD_CONNECTED || srsd->state == SRSD_SUSPENDED;
	bool was_brief = srsd_now_ms() - srsd->session_began_ms < BRIEF_MS;

	close_handle(srsd);
	remember_former(srsd);
	if (!had_session) {
		reopen_in(srsd, srsd_backoff_next_ms(&srsd->retry));
		return;
	}
	if (!was_brief)
		srsd_backoff_reset(&srsd->brief);
	reopen_in(srsd,
		was_brief ? srsd_backoff_next_ms(&srsd->brief) : srsd_random_between(0, REOPEN_BASE_MS));
	srsd_log(&srsd->logger, SRSD_LOG_WARNING, "the session is over (%s): asking for a new one", why);
	enter_state(srsd, SRSD_EXPIRED);
	tell_listeners(srsd, false);
}

/* ---- What the handle says -------------------------------------------------------------------- */

static void on_attached(struct srsd *srsd)
{
	zhandle_t *handle = srsd->loop.handle;
	const clientid_t *id = zoo_client_id(handle);
	bool is_new = srsd->session_id != id->client_id;

	if (is_new)
		srsd->session_began_ms = srsd_now_ms();
	srsd->session_id = id->client_id;
	srsd->agreed_timeout_ms = (uint32_t)zoo_recv_timeout(handle);
	srsd->has_said_unreachable = false;
	srsd_backoff_reset(&srsd->retry);
	srsd_zk_loop_close(&srsd->scout);
	srsd_backoff_reset(&srsd->look_pause);
	event_del(&srsd->look_again);
	srsd_log(&srsd->logger, SRSD_LOG_INFO,
		"connected to %s, %s session 0x%" PRIx64 ", timeout %" PRIu32 " ms",
		zoo_get_current_server(handle), is_new ? "new" : "same", (uint64_t)id->client_id,
		srsd->agreed_timeout_ms);
	enter_state(srsd, SRSD_CONNECTED);
	tell_listeners(srsd, true);
}

static void on_loop_attached(void *owner, bool is_attached)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	if (srsd->is_closing)
		return;
	if (is_attached) {
		on_attached(srsd);
		return;
	}
	if (is_unrecoverable(srsd->loop.handle))
		return; /* on_dead is next */
	srsd_log(&srsd->logger, SRSD_LOG_WARNING, "connection lost (%s): trying %s", srsd->loop.trouble,
		srsd->servers);
	look_again_later(srsd);
	enter_state(srsd, SRSD_SUSPENDED);
	tell_listeners(srsd, false);
}

/* A failure leaves it closed: the next refusal opens it again. */
static void open_scout(struct srsd *srsd)
{
	unsigned count;
	char *list = srsd_locator_list(&srsd->locator, &count);

	srsd->scout.connect_took_ms = srsd->loop.connect_took_ms;
	srsd->scout.greeting_took_ms = srsd->loop.greeting_took_ms;
	if (list != NULL && !srsd_zk_loop_open(&srsd->scout, list, count, srsd->session_timeout_ms))
		srsd_log(&srsd->logger, SRSD_LOG_DEBUG, "no second connection can be made: %s",
			srsd->scout.trouble);
	free(list);
}

static void on_scout_attached(void *owner, bool is_attached)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	if (is_attached && !srsd->is_closing)
		srsd_zk_loop_hurry(&srsd->loop);
}

static void on_scout_refused(void *owner)
{
	(void)owner;
}

static void on_scout_failed(void *owner, unsigned attempts)
{
	(void)owner;
	(void)attempts;
}

static void on_scout_dead(void *owner)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	srsd_zk_loop_close(&srsd->scout);
}

static void on_loop_refused(void *owner)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	if (srsd->is_closing || srsd->state != SRSD_SUSPENDED)
		return;
	if (srsd->scout.handle == NULL)
		open_scout(srsd);
	else if (srsd->scout.is_attached && srsd->loop.attempts >= srsd->loop.servers)
		give_up_session(srsd, "servers refuse it, and take others");
}

static void on_loop_failed(void *owner, unsigned attempts)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	if (srsd->is_closing || srsd->has_said_unreachable || attempts < srsd->loop.servers)
		return;
	srsd->has_said_unreachable = true;
	srsd_log(&srsd->logger, SRSD_LOG_WARNING, "no server of %s answers (%s): trying on", srsd->servers,
		srsd->loop.trouble);
}

static void on_loop_dead(void *owner)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);
	bool is_refused = zoo_state(srsd->loop.handle) == ZOO_AUTH_FAILED_STATE;

	if (!srsd->is_closing)
		give_up_session(srsd, is_refused ? "ZooKeeper does not take a user and password: its digest "
						   "authentication is off"
						 : "expired");
}

static void on_turn(void *owner, bool begins)
{
	struct srsd *srsd = SRSD_CAST(struct srsd, owner, SRSD_MAGIC);

	if (begins)
		srsd_enter(srsd);
	else
		srsd_leave(srsd);
}

static const struct srsd_zk_loop_ops loop_ops = {
	.on_attached = on_loop_attached,
	.on_refused = on_loop_refused,
	.on_failed = on_loop_failed,
	.on_dead = on_loop_dead,
	.on_turn = on_turn,
};

static const struct srsd_zk_loop_ops scout_ops = {
	.on_attached = on_scout_attached,
	.on_refused = on_scout_refused,
	.on_failed = on_scout_failed,
	.on_dead = on_scout_dead,
	.on_turn = on_turn,
};

static const struct srsd_locator_ops locator_ops = {.on_located = on_located, .on_turn = on_turn};

enum srsd_status srsd_session_start(struct srsd *srsd)
{
	enum srsd_status status;

	srsd->magic = SRSD_MAGIC;
	srsd->state = SRSD_CONNECTING;
	srsd->retry = (struct srsd_backoff){.base_ms = REOPEN_BASE_MS, .cap_ms = REOPEN_CAP_MS};
	srsd->brief = (struct srsd_backoff){.base_ms = REOPEN_BASE_MS, .cap_ms = BRIEF_CAP_MS};
	srsd->look_pause = (struct srsd_backoff){.base_ms = LOOK_BASE_MS, .cap_ms = LOOK_CAP_MS};
	TAILQ_INIT(&srsd->listeners);
	TAILQ_INIT(&srsd->requests);
	TAILQ_INIT(&srsd->watchers);
	if (event_assign(&srsd->reopen, srsd->base, -1, EV_TIMEOUT, on_reopen, srsd) != 0 ||
		event_assign(&srsd->look_again, srsd->base, -1, EV_TIMEOUT, on_look_again, srsd) != 0 ||
		!srsd_zk_loop_init(&srsd->loop, srsd->base, &loop_ops, srsd, &srsd->logger) ||
		!srsd_zk_loop_init(&srsd->scout, srsd->base, &scout_ops, srsd, &srsd->logger))
		return SRSD_SYSTEM;
	srsd->loop.auth = srsd->auth;
	status = srsd_locator_init(&srsd->locator, srsd->base, srsd->servers, srsd->server_count,
		&locator_ops, srsd, &srsd->logger);
	if (status != SRSD_OK)
		return status;
	reopen_in(srsd, 0);
	return SRSD_OK;
}

char *srsd_path(const struct srsd *srsd, const char *label, const char *name)
{
	size_t room = strlen(srsd->root) + strlen(label) + (name == NULL ? 0 : strlen(name)) + sizeof("//");
	char *path = malloc(room);

	if (path != NULL)
		snprintf(path, room, "%s/%s%s%s", srsd->root, label, name == NULL ? "" : "/",
			name == NULL ? "" : name);
	return path;
}
