/* registry - follows the service registry for the workers (see registry.h). */
#include "registry/registry.h"

#include "base/log.h"
#include "base/priority.h"
#include "registry/follower.h"

#include <event2/event.h>
#include <pthread.h>
#include <srsd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What failed for want of memory is tried again after this long. */
#define REGISTRY_RETRY_S 1

/* When the retry timer is due while there is nothing to try again: it holds its memory from the start. */
#define REGISTRY_FAR_AWAY_S INT32_MAX

/* What the watches say beside their sets is passed on so often. */
#define REGISTRY_LOOK_S 1

/* Whether another backend is to take the place of one that is ejected is looked at so often. */
#define REGISTRY_REFILL_MS 100

struct registry {
	const struct settings *settings;
	uint32_t worker_count;
	struct mailbox *fleets, *states; /* where they are sent */
	struct event_base *base;
	struct mailbox mailbox;
	struct message *stop; /* to ourselves, made ahead: the end must not wait for memory */
	struct standing *standings;
	struct verdicts *verdicts;
	struct event *look;    /* at the watches, each second */
	struct event *refill;  /* of subsets; NULL: there are none */
	struct event *retry;   /* always pending; see REGISTRY_FAR_AWAY_S */
	bool is_state_behind;  /* the session's state was not delivered: no memory */
	enum srsd_state state; /* the last one */
	struct resolver *resolver;
	struct srsd *srsd;
	struct follower *followers; /* one per service */
	pthread_t thread;
	bool is_started;
};

static void registry_try_again(struct registry *registry, bool is_soon)
{
	const struct timeval wait = {.tv_sec = is_soon ? REGISTRY_RETRY_S : REGISTRY_FAR_AWAY_S};
	(void)event_add(registry->retry, &wait); /* moved, which takes no memory */
}

/* ---- The services ---------------------------------------------------------------------------- */

static void registry_on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	for (size_t i = 0; i < registry->settings->service_count; i++)
		if (follower_is_refill_due(&registry->followers[i]))
			follower_publish(&registry->followers[i]);
}

static void registry_on_look(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	for (size_t i = 0; i < registry->settings->service_count; i++)
		follower_look(&registry->followers[i]);
}

/* Names that no service has any more are looked up no more. */
static void registry_on_set(void *owner)
{
	struct registry *registry = owner;
	priority_give_way();
	if (!resolver_has_names(registry->resolver))
		return;
	resolver_keep_begin(registry->resolver);
	for (size_t i = 0; i < registry->settings->service_count; i++)
		follower_keep_names(&registry->followers[i]);
	resolver_keep_end(registry->resolver);
}

static void registry_on_behind(void *owner)
{
	registry_try_again(owner, true);
}

/* Host names were resolved, or lead elsewhere now. */
static void registry_on_resolved(void *arg)
{
	struct registry *registry = arg;
	for (size_t i = 0; i < registry->settings->service_count; i++)
		if (registry->followers[i].muster.has_names)
			follower_publish(&registry->followers[i]);
}

/* ---- The session ----------------------------------------------------------------------------- */

static void registry_on_log(void *arg, enum srsd_log_level level, const char *text)
{
	static const enum log_level levels[] = {
		[SRSD_LOG_ERROR] = LOG_ERROR,
		[SRSD_LOG_WARNING] = LOG_WARNING,
		[SRSD_LOG_INFO] = LOG_INFO,
		[SRSD_LOG_DEBUG] = LOG_DEBUG,
	};
	(void)arg;
	log_event(levels[level], "zookeeper", LOG_TEXT("message", text));
}

static void registry_send_state(struct registry *registry)
{
	registry->is_state_behind =
		!mailbox_post(registry->states, MESSAGE_STATE, (uint32_t)registry->state, NULL);
	if (registry->is_state_behind)
		registry_try_again(registry, true);
}

/* What memory was lacking for. */
static void registry_on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	registry_try_again(registry, false);
	if (registry->is_state_behind)
		registry_send_state(registry);
	for (size_t i = 0; i < registry->settings->service_count; i++)
		if (registry->followers[i].is_behind)
			follower_publish(&registry->followers[i]);
}

static void registry_on_state(void *arg, enum srsd_state state)
{
	struct registry *registry = arg;
	log_event(state == SRSD_CONNECTED ? LOG_INFO : LOG_WARNING, "zookeeper session",
		LOG_TEXT("state", srsd_state_text(state)),
		LOG_TEXT("servers", registry->settings->zookeeper.servers));
	registry->state = state;
	registry_send_state(registry);
}

static void registry_on_message(void *arg, struct message *message)
{
	struct registry *registry = arg;
	if (message->kind == MESSAGE_STOP)
		event_base_loopbreak(registry->base);
}

static bool registry_open_session(struct registry *registry)
{
	const struct settings *settings = registry->settings;
	char auth[SRSD_AUTH_MAX];
	struct srsd_error error;
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	config.servers = settings->zookeeper.servers;
	config.registry = settings->zookeeper.registry;
	config.session_timeout_ms = (uint32_t)settings->zookeeper.session_timeout_ms;
	config.recheck_ms = (uint32_t)settings->zookeeper.recheck_ms;
	config.children_max = (uint32_t)settings->limits.children;
	config.data_max = (uint32_t)settings->limits.node_data_bytes;
	config.state_directory = settings->zookeeper.state_dir;
	config.state_wait_ms = (uint32_t)settings->zookeeper.state_wait_ms;
	config.max_stale_ms = settings->zookeeper.max_stale_ms;
	config.log = registry_on_log;
	config.on_state = registry_on_state;
	config.arg = registry;
	enum srsd_status status = SRSD_OK;
	if (settings->zookeeper.auth_file != NULL) {
		status = srsd_auth_read(settings->zookeeper.auth_file, auth, &error);
		config.auth = auth;
	}
	if (status == SRSD_OK)
		status = srsd_open(registry->base, &config, &registry->srsd, &error);
	explicit_bzero(auth, sizeof(auth));
	if (status == SRSD_OK)
		return true;
	log_event(LOG_ERROR, "zookeeper client", LOG_TEXT("reason", error.text));
	return false;
}

/* False: no memory. */
static bool registry_refills(struct registry *registry)
{
	const struct timeval often = {.tv_usec = REGISTRY_REFILL_MS * 1000};
	if (registry->refill != NULL)
		return true;
	registry->refill = event_new(registry->base, -1, EV_PERSIST, registry_on_refill, registry);
	return registry->refill != NULL && event_add(registry->refill, &often) == 0;
}

static bool registry_open_service(struct registry *registry, uint32_t index)
{
	static const struct follower_events events = {registry_on_set, registry_on_behind};
	const struct service_settings *service = &registry->settings->services[index];
	struct follower *follower = &registry->followers[index];
	const struct follower_settings settings = {.settings = registry->settings,
		.index = index,
		.worker_count = registry->worker_count,
		.verdicts = &registry->verdicts[index],
		.standing = &registry->standings[index],
		.resolver = registry->resolver,
		.fleets = registry->fleets,
		.events = &events,
		.owner = registry};
	if (!follower_init(follower, &settings) || (service->subset.size > 0 && !registry_refills(registry)))
		return false;
	if (service->static_count > 0)
		return follower_open_static(follower);
	if (registry->srsd == NULL && !registry_open_session(registry))
		return false;
	return follower_open_watch(follower, registry->srsd);
}

static bool registry_open_services(struct registry *registry)
{
	for (uint32_t i = 0; i < registry->settings->service_count; i++)
		if (!registry_open_service(registry, i))
			return false;
	return true;
}

/* ---- Thread, making, freeing ----------------------------------------------------------------- */

static void *registry_run(void *arg)
{
	struct registry *registry = arg;
	pthread_setname_np(pthread_self(), "registry");
	priority_step_back((int)registry->settings->background_nice);
	event_base_dispatch(registry->base);
	return NULL;
}

static bool registry_init(struct registry *registry, const struct registry_settings *settings)
{
	registry->followers = calloc(settings->settings->service_count, sizeof(*registry->followers));
	registry->base = event_base_new();
	registry->stop = message_new(MESSAGE_STOP, 0);
	if (registry->followers == NULL || registry->base == NULL || registry->stop == NULL)
		return false;
	/* Persistent: it is never taken out, and so keeps its memory. */
	registry->retry = event_new(registry->base, -1, EV_PERSIST, registry_on_retry, registry);
	const struct timeval far_away = {.tv_sec = REGISTRY_FAR_AWAY_S};
	if (registry->retry == NULL || event_add(registry->retry, &far_away) != 0)
		return false;
	const struct timeval look = {.tv_sec = REGISTRY_LOOK_S};
	registry->look = event_new(registry->base, -1, EV_PERSIST, registry_on_look, registry);
	if (registry->look == NULL || event_add(registry->look, &look) != 0)
		return false;
	registry->resolver = resolver_new(
		registry->base, registry->settings->name_refresh_ms, registry_on_resolved, registry);
	return registry->resolver != NULL &&
	       mailbox_open(&registry->mailbox, registry->base, registry_on_message, registry) &&
	       registry_open_services(registry);
}

struct registry *registry_new(const struct registry_settings *settings)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	if (registry == NULL)
		return NULL;
	registry->settings = settings->settings;
	registry->worker_count = settings->worker_count;
	registry->standings = settings->standings;
	registry->verdicts = settings->verdicts;
	registry->fleets = settings->fleets;
	registry->states = settings->states;
	registry->mailbox.wake_fd = -1;
	if (!registry_init(registry, settings))
		registry_free(&registry);
	return registry;
}

int registry_start(struct registry *registry)
{
	int error = pthread_create(&registry->thread, NULL, registry_run, registry);
	registry->is_started = error == 0;
	return error;
}

void registry_free(struct registry **registry_pointer)
{
	struct registry *registry = *registry_pointer;
	*registry_pointer = NULL;
	if (registry == NULL)
		return;
	if (registry->is_started) {
		mailbox_send(&registry->mailbox, &registry->stop);
		pthread_join(registry->thread, NULL);
	}
	if (registry->refill != NULL)
		event_free(registry->refill);
	if (registry->look != NULL)
		event_free(registry->look); /* before the watches: the loop runs once more below */
	srsd_close(&registry->srsd);
	for (size_t i = 0; registry->followers != NULL && i < registry->settings->service_count; i++)
		follower_finish(&registry->followers[i]);
	resolver_free(&registry->resolver);
	mailbox_close(&registry->mailbox);
	free(registry->stop);
	if (registry->retry != NULL)
		event_free(registry->retry);
	if (registry->base != NULL)
		event_base_free(registry->base);
	free(registry->followers);
	free(registry);
}
