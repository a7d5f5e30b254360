/* blocking - discovery and registration for programs without an event loop.
 * A reading runs the loop in the caller's thread; a registration owns a thread with a loop of its own. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/internal.h"
#include "common/thread.h"

#define RELEASE_TIMEOUT_MS 500

/* An event_base that no other thread touches. */
static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	return base;
}

/* ---- Discovery ------------------------------------------------------------------------------- */

struct reading {
	struct event_base *base;
	enum srsd_status status;
	struct srsd_snapshot *snapshot;
};

static void on_reading(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	struct reading *reading = arg;

	reading->status = status;
	if (snapshot != NULL)
		reading->snapshot = srsd_snapshot_ref(snapshot);
	event_base_loopbreak(reading->base);
}

static enum srsd_status reading_failed(const struct srsd_config *config, const char *label,
	enum srsd_status status, struct srsd_error *error)
{
	switch (status) {
	case SRSD_OK:
		return SRSD_OK;
	case SRSD_TIMEOUT:
		return srsd_fail(error, status,
			"no server of %s answered in time; is ZooKeeper running there?", config->servers);
	case SRSD_DENIED:
		return srsd_fail(error, status, "no permission to read %s/%s", config->registry, label);
	default:
		return srsd_fail(error, status, "%s/%s could not be read: %s", config->registry, label,
			srsd_status_text(status));
	}
}

enum srsd_status srsd_discover_wait(const struct srsd_config *config, const char *label,
	const struct srsd_read_options *options, uint32_t timeout_ms, struct srsd_snapshot **out,
	struct srsd_error *error)
{
	struct reading reading = {.status = SRSD_SYSTEM};
	struct srsd *srsd = NULL;
	enum srsd_status status;

	srsd_error_clear(error);
	reading.base = base_new();
	if (reading.base == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no event loop can be made");
	status = srsd_open(reading.base, config, &srsd, error);
	if (status == SRSD_OK)
		status = srsd_discover(srsd, label, options, timeout_ms, on_reading, &reading, error);
	if (status == SRSD_OK) {
		event_base_dispatch(reading.base);
		status = reading_failed(config, label, reading.status, error);
	}
	srsd_close(&srsd);
	event_base_free(reading.base);
	if (status == SRSD_OK)
		*out = reading.snapshot;
	return status;
}

enum srsd_status srsd_discover_one_wait(const struct srsd_config *config, const char *label,
	const struct srsd_read_options *options, uint32_t timeout_ms, struct srsd_address *out,
	struct srsd_error *error)
{
	struct srsd_snapshot *snapshot = NULL;
	enum srsd_status status = srsd_discover_wait(config, label, options, timeout_ms, &snapshot, error);
	const struct srsd_endpoint *endpoint;

	if (status != SRSD_OK)
		return status;
	endpoint = srsd_snapshot_pick(snapshot);
	if (endpoint == NULL)
		status = srsd_fail(error, SRSD_NOT_FOUND, "nobody is registered under %s/%s%s",
			config->registry, label,
			srsd_snapshot_count(snapshot) > 0 ? " to take requests: all weights are 0" : "");
	else
		srsd_endpoint_address(endpoint, out);
	srsd_snapshot_unref(&snapshot);
	return status;
}

/* ---- Registration ---------------------------------------------------------------------------- */

struct srsd_hold {
	struct event_base *base;
	struct srsd *srsd;
	struct srsd_registration *registration;
	struct event *release; /* wakes the thread: remove the node and end */
	int release_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum srsd_registration_state state;
	struct srsd_holder holder; /* who else has the node, of SRSD_REGISTRATION_CONFLICT */
	char text[320];
};

static void on_registration(void *arg, enum srsd_registration_state state, const char *text)
{
	struct srsd_hold *hold = arg;

	pthread_mutex_lock(&hold->lock);
	hold->state = state;
	if (hold->registration != NULL)
		(void)srsd_registration_holder(hold->registration, &hold->holder);
	strncpy(hold->text, text, sizeof(hold->text) - 1);
	pthread_cond_broadcast(&hold->changed);
	pthread_mutex_unlock(&hold->lock);
	if (state == SRSD_REGISTRATION_RELEASED)
		event_base_loopbreak(hold->base);
}

static void on_release(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_hold *hold = arg;

	(void)descriptor;
	(void)what;
	srsd_deregister(&hold->registration, RELEASE_TIMEOUT_MS);
}

static void *thread_main(void *arg)
{
	struct srsd_hold *hold = arg;

	event_base_dispatch(hold->base);
	srsd_close(&hold->srsd);
	return NULL;
}

/* Free what has no thread any more. */
static void hold_free(struct srsd_hold *hold)
{
	srsd_close(&hold->srsd);
	if (hold->release != NULL)
		event_free(hold->release);
	if (hold->release_fd >= 0)
		close(hold->release_fd);
	if (hold->base != NULL)
		event_base_free(hold->base);
	pthread_cond_destroy(&hold->changed);
	pthread_mutex_destroy(&hold->lock);
	free(hold);
}

static struct srsd_hold *hold_new(void)
{
	struct srsd_hold *hold = calloc(1, sizeof(*hold));
	pthread_condattr_t monotonic;

	if (hold == NULL)
		return NULL;
	hold->state = SRSD_REGISTRATION_PENDING;
	pthread_mutex_init(&hold->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&hold->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	hold->base = base_new();
	hold->release_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (hold->base != NULL && hold->release_fd >= 0)
		hold->release = event_new(hold->base, hold->release_fd, EV_READ, on_release, hold);
	if (hold->release == NULL || event_add(hold->release, NULL) != 0) {
		hold_free(hold);
		return NULL;
	}
	return hold;
}

static struct timespec deadline_in(uint32_t timeout_ms)
{
	uint64_t then_ms = srsd_now_ms() + timeout_ms;

	return (struct timespec){
		.tv_sec = (time_t)(then_ms / 1000), .tv_nsec = (long)(then_ms % 1000) * 1000000};
}

/* Is it worth waiting? A session that has the node may be that of a killed predecessor, and end soon. */
static bool may_change(const struct srsd_hold *hold)
{
	return hold->state == SRSD_REGISTRATION_PENDING ||
	       (hold->state == SRSD_REGISTRATION_CONFLICT && hold->holder.session != 0);
}

/* Why the node is not there; what the library goes on to try is given up, and not said. */
static enum srsd_status hold_failed(
	const struct srsd_hold *hold, const struct srsd_config *config, struct srsd_error *error)
{
	int bytes = (int)strcspn(hold->text, ";");

	switch (hold->state) {
	case SRSD_REGISTRATION_HELD:
		break;
	case SRSD_REGISTRATION_PENDING:
		return srsd_fail(error, SRSD_TIMEOUT,
			"no server of %s made the node in time; is ZooKeeper running there?",
			config->servers);
	case SRSD_REGISTRATION_CONFLICT:
		if (hold->holder.session == 0)
			return srsd_fail(error, SRSD_CONFLICT, "%.*s; remove it", bytes, hold->text);
		return srsd_fail(error, SRSD_CONFLICT,
			"held by another session, 0x%" PRIx64 ", all the time; is the address another's?",
			(uint64_t)hold->holder.session);
	case SRSD_REGISTRATION_DENIED:
	case SRSD_REGISTRATION_RELEASED:
		return srsd_fail(error, SRSD_DENIED, "%.*s", bytes, hold->text);
	}
	return SRSD_OK;
}

/* Wait until the node is there or it is clear that it cannot be now. */
static enum srsd_status wait_held(struct srsd_hold *hold, const struct srsd_config *config,
	uint32_t timeout_ms, struct srsd_error *error)
{
	struct timespec deadline = deadline_in(timeout_ms);
	enum srsd_status status;
	int fault = 0;

	pthread_mutex_lock(&hold->lock);
	while (may_change(hold) && fault == 0)
		fault = pthread_cond_timedwait(&hold->changed, &hold->lock, &deadline);
	status = hold_failed(hold, config, error);
	pthread_mutex_unlock(&hold->lock);
	return status;
}

enum srsd_status srsd_register_hold(const struct srsd_config *config, const char *label, const char *address,
	const struct srsd_register_options *options, uint32_t timeout_ms, struct srsd_hold **out,
	struct srsd_error *error)
{
	struct srsd_hold *hold = hold_new();
	enum srsd_status status;

	srsd_error_clear(error);
	if (hold == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no event loop can be made");
	status = srsd_open(hold->base, config, &hold->srsd, error);
	if (status == SRSD_OK)
		status = srsd_register(hold->srsd, label, address, options, on_registration, hold,
			&hold->registration, error);
	if (status == SRSD_OK) {
		int fault = srsd_thread_start(thread_main, hold, &hold->thread);

		if (fault != 0)
			status = srsd_fail(error, SRSD_SYSTEM, "no thread can be made: %s", strerror(fault));
	}
	if (status != SRSD_OK) {
		hold_free(hold);
		return status;
	}
	status = wait_held(hold, config, timeout_ms, error);
	if (status != SRSD_OK)
		srsd_hold_release(&hold);
	else
		*out = hold;
	return status;
}

void srsd_hold_release(struct srsd_hold **hold)
{
	struct srsd_hold *leaving = *hold;
	const uint64_t one = 1;

	*hold = NULL;
	if (leaving == NULL)
		return;
	while (write(leaving->release_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(leaving->thread, NULL);
	hold_free(leaving);
}
