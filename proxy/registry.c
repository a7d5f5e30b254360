/* registry - follows the service registry for the workers (see registry.h). */
#include "registry.h"

#include "balance/fleet.h"
#include "base/clock.h"
#include "base/log.h"
#include "reach.h"
#include "resolver.h"
#include "roll.h"
#include "subset.h"

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

/* Lines in the log for one set. */
#define REGISTRY_REFUSED_SAID_MAX 20

struct registry_service {
	struct registry *registry;
	uint32_t index;
	bool is_behind; /* not all of the newest set was sent: no memory */
	const char *name;
	struct standing *standing;
	struct verdicts *verdicts;
	struct reach reach; /* where its backends may be */
	struct subset subset;
	uint32_t subset_generation; /* of the verdicts that it was chosen by */
	struct srsd_read_options read;
	struct srsd_watch *watch;
	struct srsd_snapshot *snapshot; /* the newest */
	struct fleet *fleet;		/* the newest that was sent */
	bool has_names;			/* some of its endpoints are given by host name */
};

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
	struct registry_service *services;
	pthread_t thread;
	bool is_started;
};

static void registry_try_again(struct registry *registry, bool is_soon)
{
	const struct timeval wait = {.tv_sec = is_soon ? REGISTRY_RETRY_S : REGISTRY_FAR_AWAY_S};
	(void)event_add(registry->retry, &wait); /* moved, which takes no memory */
}

/* ---- From a snapshot to a fleet -------------------------------------------------------------- */

/* A walk along the fleet that was sent last, in the order of names. */
struct fleet_walk {
	const struct fleet *fleet;
	size_t at;
	size_t refused_at;
	size_t newly_refused;
};

/* The entry of that name, which comes after the one asked for before: the backend goes on while its address
 * stays. */
static const struct fleet_entry *fleet_walk_to(struct fleet_walk *walk, const char *name)
{
	for (; walk->fleet != NULL && walk->at < walk->fleet->count; walk->at++) {
		const struct fleet_entry *entry = &walk->fleet->entries[walk->at];
		int order = strcmp(entry->backend->name, name);
		if (order >= 0)
			return order == 0 ? entry : NULL;
	}
	return NULL;
}

/* Was it refused then, too? Names come in order here as well. */
static bool fleet_walk_was_refused(struct fleet_walk *walk, const char *name)
{
	for (; walk->fleet != NULL && walk->refused_at < walk->fleet->refused_count; walk->refused_at++) {
		int order = strcmp(walk->fleet->refused[walk->refused_at], name);
		if (order >= 0)
			return order == 0;
	}
	return false;
}

/* Each is told of once, as long as it stands there. */
static void registry_refuse(struct registry_service *service, struct fleet *fleet, struct fleet_walk *before,
	const char *name, const struct sockaddr *address)
{
	struct network network;
	char text[NETWORK_TEXT_MAX] = "";
	if (!fleet_refuse(fleet, name))
		service->is_behind = true;
	if (fleet_walk_was_refused(before, name) || before->newly_refused++ >= REGISTRY_REFUSED_SAID_MAX)
		return;
	if (network_of_peer(address, &network))
		network_format(&network, text);
	log_event(LOG_WARNING, "backend refused", LOG_TEXT("service", service->name),
		LOG_TEXT("endpoint", name), LOG_TEXT("address", text),
		LOG_TEXT("reason", "not in the service's networks: add its own there, or find out who "
				   "registered it"));
}

static void registry_refuse_rest(const struct registry_service *service, const struct fleet_walk *before)
{
	if (before->newly_refused > REGISTRY_REFUSED_SAID_MAX)
		log_event(LOG_WARNING, "more backends refused", LOG_TEXT("service", service->name),
			LOG_INT("count", before->newly_refused - REGISTRY_REFUSED_SAID_MAX));
}

/* Keep of an endpoint's addresses those that the proxy may connect to: the one place where that is decided.
 * Returns one that it may not, or NULL. */
static const union address *registry_filter(
	const struct registry_service *service, const struct addresses *found, struct addresses *allowed)
{
	const union address *refused = NULL;
	allowed->count = 0;
	for (uint32_t i = 0; i < found->count; i++) {
		if (reach_has(&service->reach, &found->list[i].any))
			allowed->list[allowed->count++] = found->list[i];
		else
			refused = &found->list[i];
	}
	return refused;
}

/* What a host name stands for. An address in digits stands for itself. */
static void registry_log_addresses(const struct registry_service *service, const char *name,
	const struct addresses *addresses, uint32_t refused_count)
{
	char text[4 * (ADDRESS_TEXT_MAX + 1)] = "";
	char *end = text;
	for (uint32_t i = 0; i < addresses->count && i < 4; i++) {
		char one[ADDRESS_TEXT_MAX];
		address_format(&addresses->list[i], one);
		end += sprintf(end, "%s%s", i > 0 ? " " : "", one);
	}
	if (addresses->count == 1 && refused_count == 0 && strcmp(text, name) == 0)
		return;
	log_event(refused_count > 0 ? LOG_WARNING : LOG_INFO, "backend addresses",
		LOG_TEXT("service", service->name), LOG_TEXT("endpoint", name), LOG_TEXT("addresses", text),
		LOG_INT("count", addresses->count), LOG_INT("refused", refused_count));
}

/* Its connections stay, and what is known of it, whatever its node says now. */
static void registry_go_on(struct registry_service *service, struct fleet *fleet,
	const struct roll_entry *member, const struct fleet_entry *known)
{
	uint32_t weight = srsd_endpoint_weight(member->endpoint);
	if (weight != known->weight)
		log_event(LOG_INFO, "backend weight", LOG_TEXT("service", service->name),
			LOG_TEXT("endpoint", member->name), LOG_INT("weight", weight),
			LOG_INT("before", known->weight));
	fleet_append(fleet, known->backend, weight, member->endpoint);
}

/* Put an endpoint whose addresses are known into the fleet: with the backend that it has, or with a new one
 * if these are others: new connections go there then, and those that are open end in peace. */
static void registry_admit(struct registry_service *service, struct fleet *fleet, struct fleet_walk *before,
	const struct roll_entry *member, const struct fleet_entry *known, const struct addresses *found)
{
	struct addresses allowed;
	const union address *refused = registry_filter(service, found, &allowed);
	if (allowed.count == 0) {
		registry_refuse(service, fleet, before, member->name, &refused->any);
		return;
	}
	if (known != NULL && addresses_same(known->backend->addresses, known->backend->address_count,
				     allowed.list, allowed.count)) {
		registry_go_on(service, fleet, member, known);
		return;
	}
	struct backend *backend = backend_new(member->name, allowed.list, allowed.count,
		service->registry->worker_count, service->verdicts);
	if (backend == NULL) {
		service->is_behind = true;
		if (known != NULL)
			registry_go_on(service, fleet, member, known);
		return;
	}
	if (service->has_names)
		registry_log_addresses(service, member->name, &allowed, found->count - allowed.count);
	fleet_append(fleet, backend, srsd_endpoint_weight(member->endpoint), member->endpoint);
	backend_unref(&backend);
}

/* Has its node gone and come back, made by another process or in another session? The registry may not have
 * shown it as gone meanwhile. */
static bool registry_is_another(const struct fleet_entry *known, const struct srsd_endpoint *endpoint)
{
	return known->endpoint != NULL && known->endpoint != endpoint &&
	       (srsd_endpoint_owner(known->endpoint) != srsd_endpoint_owner(endpoint) ||
		       srsd_endpoint_created_ms(known->endpoint) != srsd_endpoint_created_ms(endpoint));
}

/* Is nothing held against it? Then it goes on with its connections, whoever stands behind it now. */
static bool is_clean(const struct backend *backend)
{
	return !belief_wants_answers(&backend->belief) &&
	       atomic_load_explicit(&backend->belief.ejections, memory_order_relaxed) == 0;
}

/* Put an endpoint into the fleet, unless its host name is not resolved yet (the resolver will tell), or there
 * is no memory, which is noted in the service. An address in digits never becomes another one. */
static void registry_append(struct registry_service *service, struct fleet *fleet, struct fleet_walk *before,
	const struct roll_entry *member)
{
	const struct fleet_entry *known = fleet_walk_to(before, member->name);
	struct srsd_address address;
	struct addresses found;
	srsd_endpoint_address(member->endpoint, &address);
	if (known != NULL && registry_is_another(known, member->endpoint) && !is_clean(known->backend)) {
		log_event(LOG_INFO, "backend replaced", LOG_TEXT("service", service->name),
			LOG_TEXT("endpoint", member->name));
		known = NULL;
	}
	if (known != NULL && address.kind != SRSD_HOST_NAME) {
		registry_go_on(service, fleet, member, known);
		return;
	}
	service->has_names |= address.kind == SRSD_HOST_NAME;
	enum resolver_result result = resolver_find(service->registry->resolver, &address, &found);
	service->is_behind |= result == RESOLVER_NO_MEMORY;
	if (result == RESOLVER_FOUND)
		registry_admit(service, fleet, before, member, known, &found);
	else if (known != NULL)
		registry_go_on(service, fleet, member, known);
}

static void log_endpoint(
	const struct registry_service *service, const char *event, const struct srsd_endpoint *endpoint)
{
	struct srsd_address address;
	char text[SRSD_ADDRESS_MAX];
	const char *node = srsd_endpoint_name(endpoint);
	srsd_endpoint_address(endpoint, &address);
	srsd_address_format(&address, text, sizeof(text));
	if (strcmp(text, node) == 0)
		log_event(LOG_INFO, event, LOG_TEXT("service", service->name), LOG_TEXT("endpoint", text));
	else
		log_event(LOG_INFO, event, LOG_TEXT("service", service->name), LOG_TEXT("endpoint", text),
			LOG_TEXT("node", node));
}

static void log_added(void *arg, const struct srsd_endpoint *endpoint)
{
	log_endpoint(arg, "backend added", endpoint);
}

static void log_removed(void *arg, const struct srsd_endpoint *endpoint)
{
	log_endpoint(arg, "backend removed", endpoint);
}

static void registry_send(struct registry *registry, struct registry_service *service)
{
	if (!mailbox_post(registry->fleets, MESSAGE_FLEET, service->index, fleet_ref(service->fleet)))
		service->is_behind = true;
}

/* Keep this proxy's share of the members. False: no memory. */
static bool registry_choose_subset(struct registry_service *service, struct roll *roll)
{
	if (service->subset.size == 0)
		return true;
	service->subset_generation =
		atomic_load_explicit(&service->verdicts->generation, memory_order_acquire);
	return subset_thin(&service->subset, roll, service->fleet, clock_coarse_ms());
}

/* The newest snapshot, as far as its names are resolved. NULL without memory. */
static struct fleet *registry_make_fleet(struct registry_service *service)
{
	struct roll roll;
	if (!roll_init(&roll, service->snapshot, service->read.format))
		return NULL;
	size_t registered_count = roll.count;
	if (!registry_choose_subset(service, &roll)) {
		roll_finish(&roll);
		return NULL;
	}
	struct fleet *fleet = fleet_new(service->index, srsd_snapshot_version(service->snapshot),
		srsd_snapshot_taken_ms(service->snapshot), roll.count);
	struct fleet_walk before = {.fleet = service->fleet};
	service->has_names = false;
	if (fleet != NULL) {
		fleet_hold(fleet, service->snapshot);
		fleet->passed_count = registered_count - roll.count;
	}
	for (size_t i = 0; fleet != NULL && i < roll.count; i++)
		registry_append(service, fleet, &before, &roll.entries[i]);
	registry_refuse_rest(service, &before);
	roll_finish(&roll);
	return fleet;
}

/* Make a fleet of the newest snapshot, and send it, unless nothing has changed. */
static void registry_publish(struct registry *registry, struct registry_service *service)
{
	bool was_behind = service->is_behind;
	service->is_behind = false;
	struct fleet *fleet = registry_make_fleet(service);
	if (fleet != NULL && !was_behind && !service->is_behind && service->fleet != NULL &&
		fleet_is_same(fleet, service->fleet)) {
		fleet_unref(&fleet);
	} else if (fleet != NULL) {
		fleet_unref(&service->fleet);
		service->fleet = fleet;
		registry_send(registry, service);
	} else {
		service->is_behind = true;
	}
	if (!service->is_behind)
		return;
	log_event(LOG_ERROR, "newer set of backends not taken on: no memory, trying again",
		LOG_TEXT("service", service->name));
	registry_try_again(registry, true);
}

/* Some are ejected, or work again, or have been held in their places for long enough. */
static void registry_on_refill(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	for (size_t i = 0; i < registry->settings->service_count; i++) {
		struct registry_service *service = &registry->services[i];
		if (service->subset.size == 0 || service->snapshot == NULL)
			continue;
		uint32_t generation =
			atomic_load_explicit(&service->verdicts->generation, memory_order_relaxed);
		bool is_over = service->subset.spare > 0 &&
			       clock_coarse_ms() - service->subset.spared_ms >= SUBSET_HOLD_MS;
		if (generation != service->subset_generation || is_over)
			registry_publish(registry, service);
	}
}

#define STAND(standing, field, value)                                                                        \
	atomic_store_explicit(&(standing)->field, (uint64_t)(value), memory_order_relaxed)

/* Tell the admin endpoint how the watch stands now. */
static void registry_look(struct registry_service *service)
{
	struct standing *standing = service->standing;
	struct srsd_watch_status status;
	if (service->watch == NULL)
		return;
	srsd_watch_status(service->watch, &status);
	STAND(standing, confirmed_ms, clock_coarse_ms() - status.age_ms);
	STAND(standing, is_known, status.is_known);
	STAND(standing, is_from_file, status.is_known && status.source == SRSD_SOURCE_FILE);
	STAND(standing, is_unreadable, status.is_unreadable);
	STAND(standing, nodes, status.nodes);
	STAND(standing, skipped, status.skipped);
	STAND(standing, children_over, status.is_over_limit);
	STAND(standing, names_over, status.names_too_long > 0);
	STAND(standing, data_over, status.data_too_large > 0);
}

static void registry_on_look(evutil_socket_t fd, short what, void *arg)
{
	struct registry *registry = arg;
	(void)fd;
	(void)what;
	for (size_t i = 0; i < registry->settings->service_count; i++)
		registry_look(&registry->services[i]);
}

/* As the admin endpoint says it. */
static const char *source_word(const struct srsd_snapshot *snapshot)
{
	enum srsd_source source = srsd_snapshot_source(snapshot);
	return source == SRSD_SOURCE_NAMES ? "static" : srsd_source_text(source);
}

/* Names that no service has any more are looked up no more. */
static void registry_keep_names(struct registry *registry)
{
	if (!resolver_has_names(registry->resolver))
		return;
	resolver_keep_begin(registry->resolver);
	for (size_t i = 0; i < registry->settings->service_count; i++) {
		const struct srsd_snapshot *snapshot = registry->services[i].snapshot;
		for (size_t e = 0; snapshot != NULL && e < srsd_snapshot_count(snapshot); e++) {
			struct srsd_address address;
			srsd_endpoint_address(srsd_snapshot_at(snapshot, e), &address);
			resolver_keep(registry->resolver, &address);
		}
	}
	resolver_keep_end(registry->resolver);
}

static void registry_take(struct registry_service *service, struct srsd_snapshot *snapshot)
{
	srsd_snapshot_difference(service->snapshot, snapshot, log_added, log_removed, service);
	srsd_snapshot_unref(&service->snapshot);
	service->snapshot = srsd_snapshot_ref(snapshot);
	log_event(LOG_INFO, "set of backends", LOG_TEXT("service", service->name),
		LOG_INT("count", srsd_snapshot_count(snapshot)),
		LOG_INT("version", srsd_snapshot_version(snapshot)),
		LOG_INT("malformed_names", srsd_snapshot_skipped(snapshot)),
		LOG_TEXT("source", source_word(snapshot)));
	registry_look(service);
	registry_publish(service->registry, service);
	registry_keep_names(service->registry);
}

static void registry_on_change(void *arg, struct srsd_snapshot *snapshot)
{
	registry_take(arg, snapshot);
}

/* Host names were resolved, or lead elsewhere now. */
static void registry_on_resolved(void *arg)
{
	struct registry *registry = arg;
	for (size_t i = 0; i < registry->settings->service_count; i++) {
		struct registry_service *service = &registry->services[i];
		if (service->has_names)
			registry_publish(registry, service);
	}
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
		if (registry->services[i].is_behind)
			registry_publish(registry, &registry->services[i]);
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

static bool registry_open_static(struct registry_service *service, const struct service_settings *settings)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error;
	if (srsd_snapshot_from_names((const char *const *)settings->static_names, settings->static_count,
		    &snapshot, &error) != SRSD_OK) {
		log_event(LOG_ERROR, "static endpoints", LOG_TEXT("service", service->name),
			LOG_TEXT("reason", error.text));
		return false;
	}
	registry_take(service, snapshot);
	srsd_snapshot_unref(&snapshot);
	return true;
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

/* Addresses in the configuration are as it says, unless it names networks as well. */
static bool registry_init_reach(struct registry_service *service, const struct service_settings *settings)
{
	if (settings->static_count > 0 && settings->networks == NULL) {
		reach_init_all(&service->reach);
		return true;
	}
	return reach_init(&service->reach, (const char *const *)settings->networks, settings->network_count);
}

/* False: no memory. */
static bool registry_refills(struct registry *registry, const struct registry_service *service)
{
	const struct timeval often = {.tv_usec = REGISTRY_REFILL_MS * 1000};
	if (service->subset.size == 0 || registry->refill != NULL)
		return true;
	registry->refill = event_new(registry->base, -1, EV_PERSIST, registry_on_refill, registry);
	return registry->refill != NULL && event_add(registry->refill, &often) == 0;
}

static bool registry_open_services(struct registry *registry)
{
	const struct settings *settings = registry->settings;
	for (size_t i = 0; i < settings->service_count; i++) {
		struct registry_service *service = &registry->services[i];
		*service = (struct registry_service){.registry = registry,
			.index = (uint32_t)i,
			.standing = &registry->standings[i],
			.verdicts = &registry->verdicts[i],
			.name = settings->services[i].name,
			.read = {.format = settings->services[i].format,
				.port_name = settings->services[i].port_name,
				.below = settings->services[i].below}};
		struct srsd_error error;
		subset_init(&service->subset, (size_t)settings->services[i].subset.size,
			settings->services[i].subset.identity, settings->listeners[0].address);
		if (!registry_init_reach(service, &settings->services[i]) ||
			!registry_refills(registry, service))
			return false;
		if (settings->services[i].static_count > 0) {
			if (!registry_open_static(service, &settings->services[i]))
				return false;
			continue;
		}
		if (registry->srsd == NULL && !registry_open_session(registry))
			return false;
		if (srsd_watch(registry->srsd, service->name, &service->read, registry_on_change, service,
			    &service->watch, &error) != SRSD_OK) {
			log_event(LOG_ERROR, "watch", LOG_TEXT("service", service->name),
				LOG_TEXT("reason", error.text));
			return false;
		}
	}
	return true;
}

/* ---- Thread, making, freeing ----------------------------------------------------------------- */

static void *registry_run(void *arg)
{
	struct registry *registry = arg;
	pthread_setname_np(pthread_self(), "registry");
	event_base_dispatch(registry->base);
	return NULL;
}

static bool registry_init(struct registry *registry, const struct registry_settings *settings)
{
	registry->services = calloc(settings->settings->service_count, sizeof(*registry->services));
	registry->base = event_base_new();
	registry->stop = message_new(MESSAGE_STOP, 0);
	if (registry->services == NULL || registry->base == NULL || registry->stop == NULL)
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
		event_free(
			registry->look); /* the loop runs once more below, and the watches are gone by then */
	srsd_close(&registry->srsd);
	for (size_t i = 0; registry->services != NULL && i < registry->settings->service_count; i++) {
		reach_finish(&registry->services[i].reach);
		srsd_snapshot_unref(&registry->services[i].snapshot);
		fleet_unref(&registry->services[i].fleet);
	}
	resolver_free(&registry->resolver);
	mailbox_close(&registry->mailbox);
	free(registry->stop);
	if (registry->retry != NULL)
		event_free(registry->retry);
	if (registry->base != NULL)
		event_base_free(registry->base);
	free(registry->services);
	free(registry);
}
