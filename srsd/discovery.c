/* discovery - follows the set of a label.
 *
 *   event on the node --> (pause) --> list the children, watch set --> difference? --> snapshot --> callback
 *                                       | no such node
 *                                       +--> does it exist? watch set; no: empty set; yes: list again
 *
 * A watch owns its last snapshot and its contexts. Each reconnect lists again, whatever the client says of
 * its watches: a change while we were away must not depend on them. And so does the re-check, at intervals of
 * its own, whatever anybody says. */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/pace.h"
#include "limits.h"
#include "lineage.h"
#include "node/options.h"
#include "node/snapshot.h"
#include "nodes.h"
#include "state/keeping.h"

#define WATCH_MAGIC 0x77617468U

#define RETRY_BASE_MS 200
#define RETRY_CAP_MS  10000

/* All nodes are looked at, where some may have been replaced, so often at most, and of so many. */
#define LOOK_PAUSE_MS  1000
#define LOOK_NODES_MAX 1000

struct srsd_watch {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	struct srsd_read_options options; /* a copy */
	srsd_watch_fn *on_change;
	void *arg;
	struct srsd_watcher *children_watcher;
	struct srsd_watcher *node_watcher;
	struct srsd_listing *listing; /* at most one of the two on its way */
	struct srsd_request *request; /* does the node exist? */
	struct event timer;	      /* the next list */
	struct event recheck;	      /* persistent, from the start: it needs no memory later */
	struct event look;	      /* at all nodes */
	struct srsd_backoff retry;
	struct srsd_pace pace; /* of lists */
	uint64_t asked_us;     /* when the last one was asked for */
	bool is_dirty;	       /* something happened since the request was sent */
	bool is_rereading;     /* the next list reads all nodes of which more than names is wanted */
	bool is_looking;       /* the next list reads all nodes in any case */
	bool reads_all;	       /* the one on its way is such a one, in the first sense */
	bool looks;	       /* and it does read all */
	struct srsd_lineage lineage;
	uint64_t looked_ms;
	bool is_failing; /* and it was said */
	struct srsd_limits limits;
	struct srsd_keeping keeping;
	struct srsd_snapshot *current; /* taken anew at each reading */
};

static void list_soon(struct srsd_watch *watch);

/* ---- What was read --------------------------------------------------------------------------- */

/* Some nodes may be others now than those that were read: see lineage.h. */
static void look_soon(struct srsd_watch *watch)
{
	uint64_t since_ms = srsd_now_ms() - watch->looked_ms;
	struct timeval pause =
		srsd_timeval_ms(since_ms < LOOK_PAUSE_MS ? (uint32_t)(LOOK_PAUSE_MS - since_ms) : 0);

	if (!event_pending(&watch->look, EV_TIMEOUT, NULL) && event_add(&watch->look, &pause) != 0)
		event_active(&watch->look, EV_TIMEOUT, 1);
}

static void follow_lineage(struct srsd_watch *watch, struct srsd_snapshot *before,
	const struct srsd_snapshot *after, const struct Stat *label)
{
	bool is_look_due = srsd_lineage_follow(&watch->lineage, before, after, label);

	if (watch->looks)
		watch->is_looking = false;
	if (watch->looks || srsd_snapshot_count(after) > LOOK_NODES_MAX)
		srsd_lineage_settle(&watch->lineage);
	else if (is_look_due)
		look_soon(watch);
}

/* A complete reading. False: memory is short. */
static bool accept_nodes(
	struct srsd_watch *watch, struct srsd_node *nodes, size_t count, const struct Stat *label)
{
	struct srsd_snapshot *before = watch->current;
	uint64_t version = before == NULL ? 0 : srsd_snapshot_version(before);
	struct srsd_snapshot *next;
	bool is_same;

	if (!srsd_limits_take_count(&watch->limits, watch->srsd, watch->path, count))
		return true;
	if (watch->looks && !srsd_options_want_reading(&watch->options))
		srsd_lineage_sift(&watch->lineage, before, nodes, count);
	next = srsd_snapshot_build(nodes, count, &watch->options, before, version);
	if (next == NULL)
		return false;
	srsd_snapshot_report_faults(next, before, &watch->srsd->logger, watch->path);
	srsd_limits_take_set(&watch->limits, watch->srsd, watch->path, next);
	/* Who got a set from the file is told that it holds. */
	is_same = srsd_snapshot_is_same_set(before, next) &&
		  srsd_snapshot_source(before) == SRSD_SOURCE_REGISTRY;
	if (!is_same)
		srsd_snapshot_set_version(next, version + 1);
	watch->current = next;
	if (watch->reads_all)
		watch->is_rereading = false;
	follow_lineage(watch, before, next, label);
	srsd_keeping_confirm(&watch->keeping, next);
	if (!is_same && !watch->listener.is_ended && !watch->srsd->is_closing)
		watch->on_change(watch->arg, next);
	srsd_snapshot_unref(&before);
	return true;
}

/* ZooKeeper was not heard. Each node is read once it is: it may say something else by then. */
static void on_found(void *owner, struct srsd_snapshot *snapshot)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	if (watch->listener.is_ended || watch->srsd->is_closing || watch->current != NULL)
		return;
	watch->current = srsd_snapshot_ref(snapshot);
	watch->is_rereading = true;
	watch->on_change(watch->arg, snapshot);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void set_timer(struct srsd_watch *watch, struct timeval delay)
{
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
			"%s cannot be read (%s): the last set is kept, trying on%s", watch->path, zerror(rc),
			rc == ZNOAUTH
				? "; give a user and a password that may read it, or have its owner let "
				  "everyone read it"
				: "");
	watch->is_failing = true;
	set_timer(watch, srsd_timeval_ms(srsd_backoff_next_ms(&watch->retry)));
}

static void on_exists(void *owner, int rc, const struct Stat *stat);

static void settled(struct srsd_watch *watch)
{
	watch->is_failing = false;
	srsd_backoff_reset(&watch->retry);
	if (watch->is_dirty)
		list_soon(watch);
}

/* With all that was done for it. */
static void count_list(struct srsd_watch *watch)
{
	uint64_t now_us = srsd_now_us();

	srsd_pace_spend(&watch->pace, now_us - watch->asked_us, now_us);
}

static void on_listed(void *owner, int rc, struct srsd_node *nodes, size_t count, const struct Stat *label)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	if (rc == ZNONODE)
		rc = srsd_request_exists(
			watch->srsd, watch->path, watch->node_watcher, on_exists, watch, &watch->request);
	else if (rc == ZOK && !accept_nodes(watch, nodes, count, label))
		rc = ZSYSTEMERROR;
	if (watch->listener.is_ended)
		return;
	count_list(watch);
	if (rc != ZOK)
		fail(watch, rc);
	else if (watch->request == NULL)
		settled(watch);
}

static void on_exists(void *owner, int rc, const struct Stat *stat)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	(void)stat;
	if (rc == ZNONODE)
		rc = accept_nodes(watch, NULL, 0, NULL) ? ZOK : ZSYSTEMERROR;
	else if (rc == ZOK)
		watch->is_dirty = true; /* it came between the two questions */
	if (watch->listener.is_ended)
		return;
	if (rc != ZOK)
		fail(watch, rc);
	else
		settled(watch);
}

static bool is_asking(const struct srsd_watch *watch)
{
	return watch->listing != NULL || watch->request != NULL;
}

static void list_now(struct srsd_watch *watch)
{
	const struct srsd_listing_plan plan = {
		.path = watch->path,
		.watcher = watch->children_watcher,
		.wants_reading = watch->is_looking || srsd_options_want_reading(&watch->options),
		.known = watch->is_looking || watch->is_rereading ? NULL : watch->current,
	};
	int rc;

	event_del(&watch->timer);
	if (!srsd_is_connected(watch->srsd) || is_asking(watch))
		return;
	watch->is_dirty = false;
	watch->reads_all = plan.known == NULL;
	watch->looks = plan.wants_reading && plan.known == NULL;
	watch->asked_us = srsd_now_us();
	rc = srsd_listing_start(watch->srsd, &plan, on_listed, watch, &watch->listing);
	if (rc != ZOK)
		fail(watch, rc);
}

/* At once when few lists were asked for of late, else after a pause: a burst of changes costs few lists. */
static void list_soon(struct srsd_watch *watch)
{
	uint32_t pause_us;

	if (event_pending(&watch->timer, EV_TIMEOUT, NULL))
		return;
	pause_us = srsd_pace_wait_us(&watch->pace, srsd_now_us());
	if (pause_us == 0)
		list_now(watch);
	else
		set_timer(watch, srsd_timeval_us(pause_us));
}

static void on_node_event(void *owner)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, owner, WATCH_MAGIC);

	if (watch->listener.is_ended)
		return;
	watch->is_dirty = true;
	if (!is_asking(watch))
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

/* Ask again although nothing was heard: what is believed must not hang on one lost event for ever. */
static void on_recheck(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, arg, WATCH_MAGIC);
	struct srsd *srsd = watch->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	watch->is_rereading = true;
	if (is_asking(watch))
		watch->is_dirty = true;
	else
		list_now(watch);
	srsd_leave(srsd);
}

static void on_look(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_watch *watch = SRSD_CAST(struct srsd_watch, arg, WATCH_MAGIC);
	struct srsd *srsd = watch->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	watch->is_looking = true;
	watch->looked_ms = srsd_now_ms();
	if (is_asking(watch))
		watch->is_dirty = true;
	else
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

	srsd_listing_cancel(&watch->listing);
	srsd_request_cancel(&watch->request);
	event_del(&watch->timer);
}

/* Nothing comes any more. */
static void watch_silence(struct srsd_watch *watch)
{
	srsd_listing_cancel(&watch->listing);
	srsd_request_cancel(&watch->request);
	srsd_watcher_drop(&watch->children_watcher);
	srsd_watcher_drop(&watch->node_watcher);
	event_del(&watch->timer);
	event_del(&watch->recheck);
	event_del(&watch->look);
}

static void watch_free(struct srsd_watch *watch)
{
	watch_silence(watch);
	srsd_keeping_end(&watch->keeping);
	srsd_snapshot_unref(&watch->current);
	srsd_lineage_settle(&watch->lineage);
	srsd_options_clear(&watch->options);
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

/* At an interval of its own, so that many clients do not ask at the same moment. */
static bool begin_rechecks(struct srsd_watch *watch)
{
	uint32_t recheck_ms = watch->srsd->recheck_ms;
	struct timeval interval = srsd_timeval_ms(
		srsd_random_between(recheck_ms - recheck_ms / 4, recheck_ms + recheck_ms / 4));

	return event_add(&watch->recheck, &interval) == 0;
}

static struct srsd_watch *watch_new(struct srsd *srsd, const char *label, const char *below)
{
	struct srsd_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->magic = WATCH_MAGIC;
	watch->srsd = srsd;
	watch->retry = (struct srsd_backoff){.base_ms = RETRY_BASE_MS, .cap_ms = RETRY_CAP_MS};
	event_assign(&watch->timer, srsd->base, -1, EV_TIMEOUT, on_timer, watch);
	event_assign(&watch->look, srsd->base, -1, EV_TIMEOUT, on_look, watch);
	event_assign(&watch->recheck, srsd->base, -1, EV_PERSIST, on_recheck, watch);
	watch->path = srsd_path(srsd, label, below);
	if (watch->path != NULL) {
		watch->children_watcher = srsd_watcher_take(srsd, watch->path, on_node_event, watch);
		watch->node_watcher = srsd_watcher_take(srsd, watch->path, on_node_event, watch);
	}
	if (watch->children_watcher == NULL || watch->node_watcher == NULL || !begin_rechecks(watch)) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

enum srsd_status srsd_watch(struct srsd *srsd, const char *label, const struct srsd_read_options *options,
	srsd_watch_fn *on_change, void *arg, struct srsd_watch **out, struct srsd_error *error)
{
	struct srsd_watch *watch;
	enum srsd_status status;
	const char *why;

	srsd_error_clear(error);
	if (srsd_label_check(label, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s", why);
	watch = watch_new(srsd, label, options == NULL ? NULL : options->below);
	if (watch == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to watch \"%s\"", label);
	status = srsd_options_copy(options, &watch->options, error);
	if (status == SRSD_OK &&
		!srsd_keeping_start(&watch->keeping, srsd, watch->path, &watch->options, on_found, watch))
		status = srsd_fail(error, SRSD_NO_MEMORY, "no memory to watch \"%s\"", label);
	if (status != SRSD_OK) {
		watch_free(watch);
		return status;
	}
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
	watch_silence(ended);
	srsd_listener_end(srsd, &ended->listener);
	srsd_leave(srsd);
}

struct srsd_snapshot *srsd_watch_current(const struct srsd_watch *watch)
{
	return watch->current;
}

void srsd_watch_status(const struct srsd_watch *watch, struct srsd_watch_status *out)
{
	const struct srsd_snapshot *current = watch->current;

	*out = (struct srsd_watch_status){
		.is_known = current != NULL,
		.is_unreadable = watch->is_failing,
		.is_over_limit = watch->limits.is_over,
		.nodes = watch->limits.nodes,
		.names_too_long = watch->limits.names_too_long,
		.data_too_large = watch->limits.data_too_large,
	};
	if (current == NULL)
		return;
	out->source = srsd_snapshot_source(current);
	out->age_ms = srsd_snapshot_age_ms(current);
	out->skipped = srsd_snapshot_skipped(current);
}
