/* reading - reads the set of a label once. A reading owns its contexts; it lives until its answer or its
 * deadline.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "node/options.h"
#include "node/snapshot.h"
#include "nodes.h"

#define READING_MAGIC 0x72656164U

struct reading {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	struct srsd_read_options options; /* a copy */
	srsd_discover_fn *on_done;
	void *arg;
	struct srsd_listing *listing;
	struct event deadline;
	enum srsd_status late; /* what the deadline reports */
};

static void reading_finish(struct reading *reading, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	srsd_listing_cancel(&reading->listing);
	event_del(&reading->deadline);
	srsd_listener_end(reading->srsd, &reading->listener);
	if (!reading->srsd->is_closing)
		reading->on_done(reading->arg, status, snapshot);
}

static void reading_accept(struct reading *reading, struct srsd_node *nodes, size_t count)
{
	struct srsd *srsd = reading->srsd;
	struct srsd_snapshot *snapshot;

	if (count > srsd->children_max) {
		srsd_log(&srsd->logger, SRSD_LOG_ERROR, "%s has %zu nodes, above the limit of %" PRIu32,
			reading->path, count, srsd->children_max);
		reading_finish(reading, SRSD_SYSTEM, NULL);
		return;
	}
	snapshot = srsd_snapshot_build(nodes, count, &reading->options, NULL, 1);
	if (snapshot != NULL)
		srsd_snapshot_report_faults(snapshot, NULL, &srsd->logger, reading->path);
	reading_finish(reading, snapshot == NULL ? SRSD_NO_MEMORY : SRSD_OK, snapshot);
	srsd_snapshot_unref(&snapshot);
}

static void on_reading(void *owner, int rc, struct srsd_node *nodes, size_t count, const struct Stat *label)
{
	struct reading *reading = SRSD_CAST(struct reading, owner, READING_MAGIC);

	(void)label;

	switch (rc) {
	case ZOK:
	case ZNONODE:
		reading_accept(reading, nodes, count);
		break;
	case ZNOAUTH:
		reading_finish(reading, SRSD_DENIED, NULL);
		break;
	case ZSYSTEMERROR: /* how a listing says it */
		reading_finish(reading, SRSD_NO_MEMORY, NULL);
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
	const struct srsd_listing_plan plan = {
		.path = reading->path, .wants_reading = srsd_options_want_reading(&reading->options)};
	int rc;

	if (!srsd_is_connected(reading->srsd) || reading->listing != NULL)
		return;
	rc = srsd_listing_start(reading->srsd, &plan, on_reading, reading, &reading->listing);
	if (rc == ZOK)
		return;
	/* The answer never comes inside srsd_discover(): let the deadline bring it, now. */
	reading->late = SRSD_NO_MEMORY;
	event_active(&reading->deadline, EV_TIMEOUT, 1);
}

static void reading_lost(struct srsd_listener *listener)
{
	srsd_listing_cancel(&reading_of(listener)->listing);
}

static void reading_free(struct reading *reading)
{
	srsd_listing_cancel(&reading->listing);
	event_del(&reading->deadline);
	srsd_options_clear(&reading->options);
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

enum srsd_status srsd_discover(struct srsd *srsd, const char *label, const struct srsd_read_options *options,
	uint32_t timeout_ms, srsd_discover_fn *on_done, void *arg, struct srsd_error *error)
{
	struct timeval timeout = srsd_timeval_ms(timeout_ms);
	struct reading *reading;
	enum srsd_status status;
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
	status = srsd_options_copy(options, &reading->options, error);
	if (status != SRSD_OK) {
		reading_free(reading);
		return status;
	}
	reading->path = srsd_path(srsd, label, reading->options.below);
	/* A timer counts from the beginning of the loop's turn, in which the user's callbacks may have taken
	 * long. */
	(void)event_base_update_cache_time(srsd->base);
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
