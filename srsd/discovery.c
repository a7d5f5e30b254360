/* discovery - follows the set of a label, or reads it once.
 *
 *   event on the node --> (window) --> list the children, watch set --> difference? --> snapshot --> callback
 *                                        | no such node
 *                                        +--> does it exist? watch set; no: empty set; yes: list again
 *
 * A watch owns its last snapshot and its contexts. Each reconnect lists again, whatever the client says of
 * its watches: a change while we were away must not depend on them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "request.h"
#include "snapshot.h"

#define WATCH_MAGIC   0x77617468U
#define READING_MAGIC 0x72656164U

/* Lists that follow one another closer than the window are put off into its second half. */
#define WINDOW_MS	 100
#define RETRY_BASE_MS	 200
#define RETRY_CAP_MS	 10000
#define REFUSED_SAID_MAX 20 /* lines for one reading */

struct srsd_watch {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	srsd_watch_fn *on_change;
	void *arg;
	struct srsd_watcher *children_watcher;
	struct srsd_watcher *node_watcher;
	struct srsd_request *request; /* at most one on its way */
	struct event timer;	      /* the next list */
	struct srsd_backoff retry;
	uint64_t listed_ms; /* when the last answer came; 0: never */
	bool is_dirty;	    /* something happened since the request was sent */
	bool is_over_cap;
	bool is_failing; /* and it was said */
	struct srsd_snapshot *current;
	struct srsd_name_list refused;
};

static void list_soon(struct srsd_watch *watch);

/* ---- What was read --------------------------------------------------------------------------- */

/* Say which names are no address: each once, as long as it stands there. */
static void report_refused(struct srsd_watch *watch, const struct srsd_name_list *refused)
{
	size_t said = 0;
	size_t silent = 0;

	for (size_t i = 0; i < refused->count; i++) {
		struct srsd_address ignored;
		const char *why = NULL;

		if (srsd_name_list_has(&watch->refused, refused->names[i]))
			continue;
		if (said++ >= REFUSED_SAID_MAX) {
			silent++;
			continue;
		}
		if (srsd_address_parse(refused->names[i], strlen(refused->names[i]), &ignored, &why) ==
			SRSD_OK)
			continue;
		srsd_log(&watch->srsd->logger, SRSD_LOG_WARNING, "%s/%s is no address and is skipped: %s",
			watch->path, refused->names[i], why);
	}
	if (silent > 0)
		srsd_log(&watch->srsd->logger, SRSD_LOG_WARNING, "%s has %zu more names that are no address",
			watch->path, silent);
}

static void replace_current(struct srsd_watch *watch, struct srsd_snapshot *next)
{
	struct srsd_snapshot *before = watch->current;

	watch->current = next;
	watch->on_change(watch->arg, next);
	srsd_snapshot_unref(&before);
}

/* Is the number of children acceptable? Says so at each crossing of the limit. */
static bool is_within_cap(struct srsd_watch *watch, size_t count)
{
	const struct srsd *srsd = watch->srsd;
	bool is_over = count > srsd->children_max;

	if (is_over && !watch->is_over_cap)
		srsd_log(&srsd->logger, SRSD_LOG_ERROR,
			"%s has %zu nodes, above the limit of %" PRIu32
			": the last set is kept; raise the limit or "
			"remove nodes",
			watch->path, count, srsd->children_max);
	if (!is_over && watch->is_over_cap)
		srsd_log(&srsd->logger, SRSD_LOG_INFO, "%s has %zu nodes, within the limit again",
			watch->path, count);
	watch->is_over_cap = is_over;
	return !is_over;
}

/* A complete reading. False: memory is short. */
static bool accept_names(struct srsd_watch *watch, const struct String_vector *names)
{
	uint64_t version = watch->current == NULL ? 1 : srsd_snapshot_version(watch->current) + 1;
	size_t count = (size_t)names->count;
	struct srsd_name_list refused = {0};
	struct srsd_snapshot *next;

	if (!is_within_cap(watch, count))
		return true;
	next = srsd_snapshot_build(
		(const char *const *)names->data, count, watch->current, version, &refused);
	if (next == NULL)
		return false;
	report_refused(watch, &refused);
	srsd_name_list_clear(&watch->refused);
	watch->refused = refused;
	if (watch->listener.is_ended || watch->srsd->is_closing ||
		srsd_snapshot_is_same_set(watch->current, next))
		srsd_snapshot_unref(&next);
	else
		replace_current(watch, next);
	return true;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void set_timer(struct srsd_watch *watch, uint32_t delay_ms)
{
	struct timeval delay = srsd_timeval_ms(delay_ms);

	if (event_add(&watch->timer, &delay) != 0)
		event_active(&watch->timer, EV_TIMEOUT, 1);
}

/* ZooKeeper did not do what was asked, for a reason other than a lost connection: say it once, try on. */
static void fail(struct srsd_watch *watch, int rc)
{
	if (!srsd_is_connected(watch->srsd) || rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT)
		return; /* on_connected() asks again */
	if (!watch->is_failing)
		srsd_log(&watch->srsd->logger, SRSD_LOG_ERROR,
			"%s cannot be read (%s): the last set is kept, trying on", watch->path, zerror(rc));
	watch->is_failing = true;
	set_timer(watch, srsd_backoff_next_ms(&watch->retry));
}

static void on_exists(void *owner, int rc, const struct Stat *stat);

static void on_listed(void *owner, int rc, const struct String_vector *names)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	watch->listed_ms = srsd_now_ms();
	if (rc == ZNONODE)
		rc = srsd_request_exists(
			watch->srsd, watch->path, watch->node_watcher, on_exists, watch, &watch->request);
	else if (rc == ZOK && !accept_names(watch, names))
		rc = ZSYSTEMERROR;
	if (watch->listener.is_ended)
		return;
	if (rc != ZOK) {
		fail(watch, rc);
		return;
	}
	if (watch->request == NULL) {
		watch->is_failing = false;
		srsd_backoff_reset(&watch->retry);
	}
	if (watch->is_dirty)
		list_soon(watch);
}

static void on_exists(void *owner, int rc, const struct Stat *stat)
{
	static const struct String_vector none = {0};
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	(void)stat;
	if (rc == ZNONODE)
		rc = accept_names(watch, &none) ? ZOK : ZSYSTEMERROR;
	else if (rc == ZOK)
		watch->is_dirty = true; /* it came between the two questions */
	if (watch->listener.is_ended)
		return;
	if (rc != ZOK) {
		fail(watch, rc);
		return;
	}
	watch->is_failing = false;
	srsd_backoff_reset(&watch->retry);
	if (watch->is_dirty)
		list_soon(watch);
}

static void list_now(struct srsd_watch *watch)
{
	int rc;

	event_del(&watch->timer);
	if (!srsd_is_connected(watch->srsd) || watch->request != NULL)
		return;
	watch->is_dirty = false;
	rc = srsd_request_children(
		watch->srsd, watch->path, watch->children_watcher, on_listed, watch, &watch->request);
	if (rc != ZOK)
		fail(watch, rc);
}

/* At once when the last list is a while ago, else within the window: a burst of changes costs few lists. */
static void list_soon(struct srsd_watch *watch)
{
	uint64_t since_ms = srsd_now_ms() - watch->listed_ms;
	uint32_t pause_ms;

	if (event_pending(&watch->timer, EV_TIMEOUT, NULL))
		return;
	if (since_ms >= WINDOW_MS) {
		list_now(watch);
		return;
	}
	pause_ms = srsd_random_between(WINDOW_MS / 2, WINDOW_MS);
	set_timer(watch, pause_ms > since_ms ? pause_ms - (uint32_t)since_ms : 0);
}

static void on_node_event(void *owner)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	if (watch->listener.is_ended)
		return;
	watch->is_dirty = true;
	if (watch->request == NULL)
		list_soon(watch);
}

static void on_timer(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, arg, WATCH_MAGIC);
	struct srsd *srsd = watch->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	list_now(watch);
	srsd_leave(srsd);
}

/* ---- Life of a watch ------------------------------------------------------------------------- */

static struct srsd_watch *watch_of(struct srsd_listener *listener)
{
	return SRSD_CAST(
		struct srsd_watch, SRSD_CONTAINER_OF(listener, struct srsd_watch, listener), WATCH_MAGIC);
}

static void watch_connected(struct srsd_listener *listener)
{
	struct srsd_watch *watch = watch_of(listener);

	srsd_backoff_reset(&watch->retry);
	list_now(watch);
}

static void watch_lost(struct srsd_listener *listener)
{
	struct srsd_watch *watch = watch_of(listener);

	event_del(&watch->timer);
}

static void watch_free(struct srsd_watch *watch)
{
	srsd_request_cancel(&watch->request);
	srsd_watcher_drop(&watch->children_watcher);
	srsd_watcher_drop(&watch->node_watcher);
	event_del(&watch->timer);
	srsd_snapshot_unref(&watch->current);
	srsd_name_list_clear(&watch->refused);
	free(watch->path);
	watch->magic = 0;
	free(watch);
}

static void watch_release(struct srsd_listener *listener)
{
	watch_free(watch_of(listener));
}

static const struct srsd_listener_ops watch_ops = {
	.on_connected = watch_connected,
	.on_lost = watch_lost,
	.release = watch_release,
};

static struct srsd_watch *watch_new(struct srsd *srsd, const char *label)
{
	struct srsd_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->magic = WATCH_MAGIC;
	watch->srsd = srsd;
	watch->retry = (struct srsd_backoff){.base_ms = RETRY_BASE_MS, .cap_ms = RETRY_CAP_MS};
	event_assign(&watch->timer, srsd->base, -1, EV_TIMEOUT, on_timer, watch);
	watch->path = srsd_path(srsd, label, NULL);
	if (watch->path != NULL) {
		watch->children_watcher = srsd_watcher_take(srsd, watch->path, on_node_event, watch);
		watch->node_watcher = srsd_watcher_take(srsd, watch->path, on_node_event, watch);
	}
	if (watch->children_watcher == NULL || watch->node_watcher == NULL) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

enum srsd_status srsd_watch(struct srsd *srsd, const char *label, srsd_watch_fn *on_change, void *arg,
	struct srsd_watch **out, struct srsd_error *error)
{
	struct srsd_watch *watch;
	const char *why;

	srsd_error_clear(error);
	if (srsd_label_check(label, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s", why);
	watch = watch_new(srsd, label);
	if (watch == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to watch \"%s\"", label);
	watch->on_change = on_change;
	watch->arg = arg;
	*out = watch;
	srsd_enter(srsd);
	srsd_listener_add(srsd, &watch->listener, &watch_ops);
	list_now(watch);
	srsd_leave(srsd);
	return SRSD_OK;
}

void srsd_watch_end(struct srsd_watch **watch)
{
	struct srsd_watch *ended = *watch;
	struct srsd *srsd;

	*watch = NULL;
	if (ended == NULL)
		return;
	srsd = ended->srsd;
	srsd_enter(srsd);
	srsd_request_cancel(&ended->request);
	srsd_watcher_drop(&ended->children_watcher);
	srsd_watcher_drop(&ended->node_watcher);
	event_del(&ended->timer);
	srsd_listener_end(srsd, &ended->listener);
	srsd_leave(srsd);
}

struct srsd_snapshot *srsd_watch_current(const struct srsd_watch *watch)
{
	return watch->current;
}

/* ---- One reading ----------------------------------------------------------------------------- */

struct reading {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	srsd_discover_fn *on_done;
	void *arg;
	struct srsd_request *request;
	struct event deadline;
	enum srsd_status late; /* what the deadline reports */
};

static void reading_finish(struct reading *reading, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	srsd_request_cancel(&reading->request);
	event_del(&reading->deadline);
	srsd_listener_end(reading->srsd, &reading->listener);
	if (!reading->srsd->is_closing)
		reading->on_done(reading->arg, status, snapshot);
}

static void reading_accept(struct reading *reading, const struct String_vector *names)
{
	struct srsd *srsd = reading->srsd;
	struct srsd_name_list refused = {0};
	struct srsd_snapshot *snapshot = NULL;
	size_t count = (size_t)names->count;

	if (count > srsd->children_max) {
		srsd_log(&srsd->logger, SRSD_LOG_ERROR, "%s has %zu nodes, above the limit of %" PRIu32,
			reading->path, count, srsd->children_max);
		reading_finish(reading, SRSD_SYSTEM, NULL);
		return;
	}
	snapshot = srsd_snapshot_build((const char *const *)names->data, count, NULL, 1, &refused);
	for (size_t i = 0; i < refused.count && i < REFUSED_SAID_MAX; i++)
		srsd_log(&srsd->logger, SRSD_LOG_WARNING, "%s/%s is no address and is skipped", reading->path,
			refused.names[i]);
	srsd_name_list_clear(&refused);
	reading_finish(reading, snapshot == NULL ? SRSD_NO_MEMORY : SRSD_OK, snapshot);
	srsd_snapshot_unref(&snapshot);
}

static void on_reading(void *owner, int rc, const struct String_vector *names)
{
	static const struct String_vector none = {0};
	struct reading *reading = SRSD_CAST(struct reading, owner, READING_MAGIC);

	switch (rc) {
	case ZOK:
		reading_accept(reading, names);
		break;
	case ZNONODE:
		reading_accept(reading, &none);
		break;
	case ZNOAUTH:
		reading_finish(reading, SRSD_DENIED, NULL);
		break;
	case ZCONNECTIONLOSS:
	case ZOPERATIONTIMEOUT:
	case ZSESSIONEXPIRED:
		break; /* asked again when the session is up, until the deadline */
	default:
		srsd_log(&reading->srsd->logger, SRSD_LOG_ERROR, "%s cannot be read (%s)", reading->path,
			zerror(rc));
		reading_finish(reading, SRSD_SYSTEM, NULL);
	}
}

static struct reading *reading_of(struct srsd_listener *listener)
{
	return SRSD_CAST(
		struct reading, SRSD_CONTAINER_OF(listener, struct reading, listener), READING_MAGIC);
}

static void reading_connected(struct srsd_listener *listener)
{
	struct reading *reading = reading_of(listener);
	int rc;

	if (!srsd_is_connected(reading->srsd) || reading->request != NULL)
		return;
	rc = srsd_request_children(
		reading->srsd, reading->path, NULL, on_reading, reading, &reading->request);
	if (rc == ZOK)
		return;
	/* The answer never comes inside srsd_discover(): let the deadline bring it, now. */
	reading->late = SRSD_NO_MEMORY;
	event_active(&reading->deadline, EV_TIMEOUT, 1);
}

static void reading_lost(struct srsd_listener *listener)
{
	(void)listener;
}

static void reading_free(struct reading *reading)
{
	srsd_request_cancel(&reading->request);
	event_del(&reading->deadline);
	free(reading->path);
	reading->magic = 0;
	free(reading);
}

static void reading_release(struct srsd_listener *listener)
{
	reading_free(reading_of(listener));
}

static const struct srsd_listener_ops reading_ops = {
	.on_connected = reading_connected,
	.on_lost = reading_lost,
	.release = reading_release,
};

static void on_deadline(evutil_socket_t descriptor, short what, void *arg)
{
	struct reading *reading = SRSD_CAST(struct reading, arg, READING_MAGIC);
	struct srsd *srsd = reading->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	reading_finish(reading, reading->late, NULL);
	srsd_leave(srsd);
}

enum srsd_status srsd_discover(struct srsd *srsd, const char *label, uint32_t timeout_ms,
	srsd_discover_fn *on_done, void *arg, struct srsd_error *error)
{
	struct timeval timeout = srsd_timeval_ms(timeout_ms);
	struct reading *reading;
	const char *why;

	srsd_error_clear(error);
	if (srsd_label_check(label, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s", why);
	reading = calloc(1, sizeof(*reading));
	if (reading == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to read \"%s\"", label);
	*reading = (struct reading){
		.magic = READING_MAGIC, .srsd = srsd, .on_done = on_done, .arg = arg, .late = SRSD_TIMEOUT};
	event_assign(&reading->deadline, srsd->base, -1, EV_TIMEOUT, on_deadline, reading);
	reading->path = srsd_path(srsd, label, NULL);
	if (reading->path == NULL || event_add(&reading->deadline, &timeout) != 0) {
		reading_free(reading);
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to read \"%s\"", label);
	}
	srsd_enter(srsd);
	srsd_listener_add(srsd, &reading->listener, &reading_ops);
	reading_connected(&reading->listener);
	srsd_leave(srsd);
	return SRSD_OK;
}
