/* registration - holds one ephemeral node, and gets it back whenever it is lost.
 *
 *   create --ok--> held, look (sets the watch)         look --ours--> held
 *     | exists --> look                                  | a former session of ours --> replace in one step
 *     | no parent --> make parents --> create            | another's --> conflict: watch, look again later
 *     | not allowed --> denied, try again later          | gone --> create
 *
 * One request is on its way at a time. To leave is to look, and to delete what is ours. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "above.h"
#include "node/announcement.h"
#include "session/access.h"

#define REGISTRATION_MAGIC 0x72656769U

#define RETRY_BASE_MS	200 /* after what passes by itself */
#define RETRY_CAP_MS	400
#define REFUSAL_BASE_MS 500 /* after what somebody has to change */
#define REFUSAL_CAP_MS	10000
#define CONFLICT_MIN_MS 1000
#define CONFLICT_MAX_MS 3000
#define STEPS_MAX	64   /* answers in a row without one that settles it */
#define HELD_WELL_MS	5000 /* a node that was lost sooner is not made again at once */
#define TEXT_MAX	320

struct srsd_registration {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	char *data; /* of the node, owned; NULL: empty */
	size_t data_bytes;
	struct srsd_above above;
	srsd_registration_fn *on_state;
	void *arg;
	enum srsd_registration_state state;
	struct srsd_watcher *watcher;
	struct srsd_request *request; /* at most one on its way */
	struct event timer;	      /* the next try; once leaving, the deadline if that is sooner */
	struct srsd_backoff retry;
	struct srsd_backoff refusal;
	unsigned steps;
	uint64_t held_ms;	/* since when */
	int64_t held_session;	/* by which session; 0: none */
	int64_t holder_session; /* who else has it, and since when; of SRSD_REGISTRATION_CONFLICT */
	int64_t holder_created_ms;
	bool has_news;	/* to say although the state stays the same */
	bool is_dirty;	/* the watch fired while a request was on its way */
	bool may_exist; /* a node was asked for, ever */
	bool is_leaving;
	bool is_overdue;      /* the end was reported; the node is removed when it can be */
	uint64_t deadline_ms; /* of leaving */
	const char *obstacle; /* to leaving, as a static phrase */
};

static const unsigned state_edges[] = {
	[SRSD_REGISTRATION_PENDING] =
		SRSD_BIT(SRSD_REGISTRATION_HELD) | SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
		SRSD_BIT(SRSD_REGISTRATION_DENIED) | SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_HELD] = SRSD_BIT(SRSD_REGISTRATION_PENDING) |
				   SRSD_BIT(SRSD_REGISTRATION_CONFLICT) | SRSD_BIT(SRSD_REGISTRATION_DENIED) |
				   SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_CONFLICT] = SRSD_BIT(SRSD_REGISTRATION_PENDING) |
				       SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
				       SRSD_BIT(SRSD_REGISTRATION_HELD) | SRSD_BIT(SRSD_REGISTRATION_DENIED) |
				       SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_DENIED] = SRSD_BIT(SRSD_REGISTRATION_PENDING) | SRSD_BIT(SRSD_REGISTRATION_HELD) |
				     SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
				     SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_RELEASED] = 0,
};

static void create(struct srsd_registration *registration);
static void look(struct srsd_registration *registration);

/* ---- State ----------------------------------------------------------------------------------- */

/* The one door. Nothing is said when it is in that state already. */
static void SRSD_PRINTF(3, 4) enter_state(
	struct srsd_registration *registration, enum srsd_registration_state next, const char *format, ...)
{
	bool is_trouble = next == SRSD_REGISTRATION_CONFLICT || next == SRSD_REGISTRATION_DENIED;
	struct srsd *srsd = registration->srsd;
	char text[TEXT_MAX];
	va_list arguments;

	if (registration->state == next && !registration->has_news)
		return;
	registration->has_news = false;
	srsd_check_edge(state_edges, registration->state, next);
	registration->state = next;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	srsd_log(&srsd->logger, is_trouble ? SRSD_LOG_WARNING : SRSD_LOG_INFO, "%s: %s: %s",
		registration->path, srsd_registration_state_text(next), text);
	if (registration->on_state != NULL && !srsd->is_closing)
		registration->on_state(registration->arg, next, text);
}

static void set_timer(struct srsd_registration *registration, uint32_t delay_ms)
{
	struct timeval delay = srsd_timeval_ms(delay_ms);

	if (event_add(&registration->timer, &delay) != 0)
		event_active(&registration->timer, EV_TIMEOUT, 1);
}

static bool is_over(const struct srsd_registration *registration)
{
	return registration->listener.is_ended || registration->srsd->is_closing;
}

/* A callback of the user's may have ended it: is the node still to be held? */
static bool is_wanted(const struct srsd_registration *registration)
{
	return !registration->is_leaving && !is_over(registration);
}

static void released(struct srsd_registration *registration, const char *text)
{
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	srsd_watcher_drop(&registration->watcher);
	event_del(&registration->timer);
	srsd_listener_end(registration->srsd, &registration->listener);
	if (registration->is_overdue)
		srsd_log(&registration->srsd->logger, SRSD_LOG_INFO, "%s: after all: %s", registration->path,
			text);
	enter_state(registration, SRSD_REGISTRATION_RELEASED, "%s", text);
}

static void try_later(struct srsd_registration *registration, struct srsd_backoff *backoff)
{
	uint32_t delay_ms = srsd_backoff_next_ms(backoff);
	uint64_t now_ms = srsd_now_ms();

	registration->steps = 0;
	if (is_over(registration))
		return;
	if (registration->is_leaving && !registration->is_overdue &&
		now_ms + delay_ms > registration->deadline_ms)
		delay_ms = now_ms < registration->deadline_ms ? (uint32_t)(registration->deadline_ms - now_ms)
							      : 0;
	set_timer(registration, delay_ms);
}

/* Was it the connection that failed, and not what was asked? */
static bool is_loss(int rc)
{
	return rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT || rc == ZSESSIONEXPIRED ||
	       rc == ZINVALIDSTATE || rc == ZCLOSING;
}

/* An answer, or a refusal to ask, that leaves nothing to do but to try again. */
static void fail(struct srsd_registration *registration, int rc)
{
	struct srsd *srsd = registration->srsd;
	const char *denial = srsd_access_denial(rc, srsd->auth != NULL);

	if (is_over(registration))
		return;
	if (!srsd_is_connected(srsd) || is_loss(rc))
		return; /* on_connected() goes on */
	if (registration->is_leaving)
		registration->obstacle = zerror(rc);
	else if (denial != NULL)
		enter_state(registration, SRSD_REGISTRATION_DENIED, "%s; trying on", denial);
	else if (rc != ZOK)
		srsd_log(&srsd->logger, SRSD_LOG_ERROR, "%s cannot be registered (%s): trying on",
			registration->path, zerror(rc));
	try_later(registration, rc == ZOK || rc == ZNONODE || rc == ZSYSTEMERROR || registration->is_leaving
					? &registration->retry
					: &registration->refusal);
}

/* Count an answer that settles nothing. False: too many in a row, a later try is on its way. */
static bool step(struct srsd_registration *registration)
{
	if (++registration->steps <= STEPS_MAX)
		return true;
	fail(registration, ZOK);
	return false;
}

static void hold(struct srsd_registration *registration)
{
	uint32_t recheck_ms = registration->srsd->recheck_ms;
	uint64_t now_ms = srsd_now_ms();

	if (registration->held_session != registration->srsd->session_id ||
		registration->state != SRSD_REGISTRATION_HELD)
		registration->held_ms = now_ms;
	registration->held_session = registration->srsd->session_id;
	registration->steps = 0;
	if (now_ms - registration->held_ms >= HELD_WELL_MS)
		srsd_backoff_reset(&registration->retry);
	srsd_backoff_reset(&registration->refusal);
	/* It is looked at again, whatever the watch says until then. */
	set_timer(registration, srsd_random_between(recheck_ms / 2, recheck_ms));
	srsd_above_check(&registration->above);
	enter_state(registration, SRSD_REGISTRATION_HELD, "held by session 0x%" PRIx64,
		(uint64_t)registration->srsd->session_id);
}

/* ---- Making the node ------------------------------------------------------------------------- */

static void on_above_made(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	if (rc == ZOK)
		create(registration);
	else
		fail(registration, rc);
}

static void make_above(struct srsd_registration *registration)
{
	int rc;

	if (!step(registration))
		return;
	rc = srsd_above_make(&registration->above, &registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

/* The node as it is to be. */
static struct srsd_new_node new_node(const struct srsd_registration *registration)
{
	return (struct srsd_new_node){.data = registration->data,
		.bytes = registration->data_bytes,
		.access = srsd_access_list(registration->srsd->auth != NULL, SRSD_ACCESS_NODE),
		.is_ephemeral = true};
}

static void on_created(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	switch (rc) {
	case ZOK:
		hold(registration);
		if (is_wanted(registration) && registration->request == NULL)
			look(registration);
		break;
	case ZNODEEXISTS:
		look(registration);
		break;
	case ZNONODE:
		make_above(registration);
		break;
	default:
		fail(registration, rc);
	}
}

static void create(struct srsd_registration *registration)
{
	struct srsd_new_node node = new_node(registration);
	int rc;

	if (!step(registration))
		return;
	registration->may_exist = true;
	rc = srsd_request_create(registration->srsd, registration->path, &node, on_created, registration,
		&registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

/* ---- Looking at the node --------------------------------------------------------------------- */

static void on_replaced(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	if (rc == ZOK || rc == ZNONODE || rc == ZBADVERSION || rc == ZNODEEXISTS)
		look(registration);
	else
		fail(registration, rc);
}

/* The node of a former session of ours, which ZooKeeper has not ended yet. When it ends, what belongs to it
 * goes: so the node must become ours, and in one step, so that nobody sees it missing. If that session ends
 * first, the step fails as a whole (ZNONODE), and so it does when the data was changed (ZBADVERSION). */
static void replace(struct srsd_registration *registration, int version)
{
	struct srsd_new_node node = new_node(registration);
	int rc;

	if (!step(registration))
		return;
	registration->may_exist = true;
	rc = srsd_request_replace(registration->srsd, registration->path, version, &node, on_replaced,
		registration, &registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

/* By the clocks of two machines: never less than nothing. */
static int64_t age_ms(int64_t created_ms)
{
	int64_t age = srsd_wall_clock_ms() - created_ms;

	return age < 0 ? 0 : age;
}

static void conflict(struct srsd_registration *registration, const struct Stat *stat)
{
	registration->has_news = registration->holder_session != stat->ephemeralOwner ||
				 registration->holder_created_ms != stat->ctime;
	registration->holder_session = stat->ephemeralOwner;
	registration->holder_created_ms = stat->ctime;
	registration->steps = 0;
	registration->held_session = 0;
	srsd_backoff_reset(&registration->retry);
	set_timer(registration, srsd_random_between(CONFLICT_MIN_MS, CONFLICT_MAX_MS));
	if (stat->ephemeralOwner == 0)
		enter_state(registration, SRSD_REGISTRATION_CONFLICT,
			"the node is persistent and belongs to no session; remove it; trying on");
	else
		enter_state(registration, SRSD_REGISTRATION_CONFLICT,
			"held by another session, 0x%" PRIx64 ", for %" PRId64 " s; trying on",
			(uint64_t)stat->ephemeralOwner, age_ms(stat->ctime) / 1000);
}

bool srsd_registration_holder(const struct srsd_registration *registration, struct srsd_holder *out)
{
	if (registration->state != SRSD_REGISTRATION_CONFLICT)
		return false;
	out->session = registration->holder_session;
	out->age_ms = age_ms(registration->holder_created_ms);
	return true;
}

/* It is not there. Make it: at once, unless it was lost a moment after we made it. */
static void gone(struct srsd_registration *registration)
{
	bool was_held = registration->state == SRSD_REGISTRATION_HELD;
	bool is_fresh = was_held && srsd_now_ms() - registration->held_ms < HELD_WELL_MS;

	registration->held_session = 0;
	if (was_held)
		enter_state(registration, SRSD_REGISTRATION_PENDING, "the node was removed by others");
	if (!is_wanted(registration))
		return;
	if (is_fresh)
		try_later(registration, &registration->retry);
	else
		create(registration);
}

static void on_looked(void *owner, int rc, const struct Stat *stat)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	if (rc == ZNONODE) {
		gone(registration);
		return;
	}
	if (rc != ZOK) {
		fail(registration, rc);
		return;
	}
	if (stat->ephemeralOwner == registration->srsd->session_id)
		hold(registration);
	else if (srsd_is_former_session(registration->srsd, stat->ephemeralOwner))
		replace(registration, stat->version);
	else
		conflict(registration, stat);
	if (registration->is_dirty && registration->request == NULL && is_wanted(registration))
		look(registration);
}

/* Whose is it? Sets the watch. */
static void look(struct srsd_registration *registration)
{
	int rc;

	if (!step(registration))
		return;
	registration->is_dirty = false;
	rc = srsd_request_exists(registration->srsd, registration->path, registration->watcher, on_looked,
		registration, &registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

static void on_node_event(void *owner)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	if (!is_wanted(registration))
		return;
	registration->is_dirty = true;
	if (registration->request == NULL && srsd_is_connected(registration->srsd))
		look(registration);
}

/* ---- Leaving --------------------------------------------------------------------------------- */

static void on_removed(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);

	if (rc == ZOK || rc == ZNONODE)
		released(registration, "removed");
	else
		fail(registration, rc);
}

static void on_looked_last(void *owner, int rc, const struct Stat *stat)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, REGISTRATION_MAGIC);
	struct srsd *srsd = registration->srsd;

	if (rc == ZNONODE) {
		released(registration, "it is not there any more");
		return;
	}
	if (rc != ZOK) {
		fail(registration, rc);
		return;
	}
	if (stat->ephemeralOwner != srsd->session_id && !srsd_is_former_session(srsd, stat->ephemeralOwner)) {
		released(registration, "it belongs to another session, and stays");
		return;
	}
	rc = srsd_request_delete(srsd, registration->path, on_removed, registration, &registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

/* Requests of one session are answered in order: a node whose creation is on its way is seen by this. */
static void leave(struct srsd_registration *registration)
{
	int rc;

	srsd_request_cancel(&registration->request);
	if (!srsd_is_connected(registration->srsd))
		return;
	rc = srsd_request_exists(registration->srsd, registration->path, NULL, on_looked_last, registration,
		&registration->request);
	if (rc != ZOK)
		fail(registration, rc);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static struct srsd_registration *registration_of(struct srsd_listener *listener)
{
	return SRSD_CAST(struct srsd_registration,
		SRSD_CONTAINER_OF(listener, struct srsd_registration, listener), REGISTRATION_MAGIC);
}

static void go_on(struct srsd_registration *registration)
{
	if (!srsd_is_connected(registration->srsd) || registration->request != NULL)
		return;
	registration->steps = 0;
	if (registration->is_leaving)
		leave(registration);
	else if (registration->held_session == registration->srsd->session_id ||
		 registration->state == SRSD_REGISTRATION_CONFLICT)
		look(registration);
	else
		create(registration);
}

static void registration_connected(struct srsd_listener *listener)
{
	struct srsd_registration *registration = registration_of(listener);

	if (!registration->is_leaving) {
		srsd_backoff_reset(&registration->retry);
		srsd_backoff_reset(&registration->refusal);
		event_del(&registration->timer);
	}
	go_on(registration);
}

static void registration_lost(struct srsd_listener *listener)
{
	struct srsd_registration *registration = registration_of(listener);

	/* Its answer, if it still comes, would be about a connection that is no more. */
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	if (!registration->is_leaving)
		event_del(&registration->timer);
	if (registration->srsd->state != SRSD_EXPIRED)
		return;
	if (registration->is_overdue) {
		released(registration, "it goes with its session");
		return;
	}
	registration->held_session = 0;
	registration->above.is_known = false; /* the label may be another one then */
	if (registration->state == SRSD_REGISTRATION_HELD && !registration->is_leaving)
		enter_state(registration, SRSD_REGISTRATION_PENDING,
			"the session is over; a new one is on its way");
}

static void registration_free(struct srsd_registration *registration)
{
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	srsd_watcher_drop(&registration->watcher);
	event_del(&registration->timer);
	free(registration->path);
	free(registration->data);
	registration->magic = 0;
	free(registration);
}

static void registration_release(struct srsd_listener *listener)
{
	registration_free(registration_of(listener));
}

static const struct srsd_listener_ops registration_ops = {
	.on_connected = registration_connected,
	.on_lost = registration_lost,
	.release = registration_release,
};

/* The deadline has come, and the user has done with it. We have not: a session that comes back would keep a
 * node that nobody wants, for as long as the manager lives. */
static void not_removed(struct srsd_registration *registration)
{
	registration->is_overdue = true;
	enter_state(registration, SRSD_REGISTRATION_RELEASED,
		"not removed in time (%s): it is removed when a server answers, or goes with the session",
		registration->obstacle);
	registration->on_state = NULL;
	if (registration->request == NULL)
		try_later(registration, &registration->retry);
}

static bool is_same_node(const struct srsd_registration *one, const struct srsd_registration *other)
{
	return strcmp(one->path, other->path) == 0 && one->data_bytes == other->data_bytes &&
	       (one->data == NULL || memcmp(one->data, other->data, one->data_bytes) == 0);
}

/* The same is wanted again: the node is not to be removed any more. But if it is to say something else, it is
 * removed as it was to be, and made anew. */
static void end_overdue(struct srsd_registration *wanted)
{
	struct srsd_listener *listener;

	TAILQ_FOREACH (listener, &wanted->srsd->listeners, link) {
		struct srsd_registration *other;

		if (listener->ops != &registration_ops || listener->is_ended)
			continue;
		other = registration_of(listener);
		if (other->is_overdue && is_same_node(other, wanted)) {
			released(other, "it is wanted again");
			wanted->may_exist = true;
		}
	}
}

static void go_on_leaving(struct srsd_registration *registration)
{
	uint64_t now_ms = srsd_now_ms();

	if (!registration->may_exist) {
		released(registration, "it was never there");
	} else if (registration->is_overdue) {
		go_on(registration);
	} else if (now_ms >= registration->deadline_ms) {
		not_removed(registration);
	} else {
		set_timer(registration, (uint32_t)(registration->deadline_ms - now_ms));
		go_on(registration);
	}
}

static void on_timer(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_registration *registration = SRSD_CAST(struct srsd_registration, arg, REGISTRATION_MAGIC);
	struct srsd *srsd = registration->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	if (!registration->is_leaving)
		go_on(registration);
	else
		go_on_leaving(registration);
	srsd_leave(srsd);
}

/* Owns `data` from then on, also where it fails. */
static struct srsd_registration *registration_new(
	struct srsd *srsd, const char *label, const char *name, char *data)
{
	struct srsd_registration *registration = calloc(1, sizeof(*registration));

	if (registration == NULL) {
		free(data);
		return NULL;
	}
	registration->data = data;
	registration->data_bytes = data == NULL ? 0 : strlen(data);
	registration->magic = REGISTRATION_MAGIC;
	registration->srsd = srsd;
	registration->state = SRSD_REGISTRATION_PENDING;
	registration->retry = (struct srsd_backoff){.base_ms = RETRY_BASE_MS, .cap_ms = RETRY_CAP_MS};
	registration->refusal = (struct srsd_backoff){.base_ms = REFUSAL_BASE_MS, .cap_ms = REFUSAL_CAP_MS};
	event_assign(&registration->timer, srsd->base, -1, EV_TIMEOUT, on_timer, registration);
	registration->path = srsd_path(srsd, label, name);
	if (registration->path != NULL) {
		registration->above = (struct srsd_above){.srsd = srsd,
			.path = registration->path,
			.on_made = on_above_made,
			.owner = registration};
		registration->watcher =
			srsd_watcher_take(srsd, registration->path, on_node_event, registration);
	}
	if (registration->watcher == NULL) {
		registration_free(registration);
		return NULL;
	}
	return registration;
}

enum srsd_status srsd_register(struct srsd *srsd, const char *label, const char *address,
	const struct srsd_register_options *options, srsd_registration_fn *on_state, void *arg,
	struct srsd_registration **out, struct srsd_error *error)
{
	struct srsd_registration *registration;
	struct srsd_address parsed;
	enum srsd_status status;
	const char *why;
	char *data;

	srsd_error_clear(error);
	if (srsd_label_check(label, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s", why);
	if (address == NULL)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "no address is given; write host:port");
	if (srsd_address_parse(address, strlen(address), &parsed, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "\"%s\": %s; write host:port", address, why);
	status = srsd_announcement_write(options, address, &data, error);
	if (status != SRSD_OK)
		return status;
	registration = registration_new(srsd, label, address, data);
	if (registration == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to register \"%s\"", address);
	registration->on_state = on_state;
	registration->arg = arg;
	*out = registration;
	srsd_enter(srsd);
	end_overdue(registration);
	srsd_listener_add(srsd, &registration->listener, &registration_ops);
	go_on(registration);
	srsd_leave(srsd);
	return SRSD_OK;
}

void srsd_deregister(struct srsd_registration **registration, uint32_t timeout_ms)
{
	struct srsd_registration *leaving = *registration;
	struct srsd *srsd;

	*registration = NULL;
	if (leaving == NULL)
		return;
	srsd = leaving->srsd;
	srsd_enter(srsd);
	leaving->is_leaving = true;
	leaving->obstacle = "no server answers";
	leaving->deadline_ms = srsd_now_ms() + timeout_ms;
	srsd_watcher_drop(&leaving->watcher);
	srsd_backoff_reset(&leaving->retry);
	set_timer(leaving, leaving->may_exist ? timeout_ms : 0);
	if (leaving->may_exist)
		leave(leaving);
	srsd_leave(srsd);
}
