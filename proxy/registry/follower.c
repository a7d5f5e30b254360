/* follower - from what the registry lists of a service to what is sent (see follower.h). */
#include "registry/follower.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/priority.h"

#include <string.h>

/* ---- From a set to a fleet ------------------------------------------------------------------- */

/* Keep this proxy's share of the members. False: no memory. */
static bool follower_choose_subset(struct follower *follower, struct roll *roll)
{
	if (follower->subset.size == 0)
		return true;
	follower->subset_generation =
		atomic_load_explicit(&follower->muster.verdicts->generation, memory_order_acquire);
	return subset_thin(&follower->subset, roll, follower->fleet, clock_coarse_ms());
}

/* The newest set, as far as its names are resolved. NULL without memory. */
static struct fleet *follower_make_fleet(struct follower *follower)
{
	struct roll roll;
	if (!roll_init(&roll, follower->snapshot, follower->read.format))
		return NULL;
	size_t registered_count = roll.count;
	struct fleet *fleet = NULL;
	if (follower_choose_subset(follower, &roll))
		fleet = fleet_new(follower->index, srsd_snapshot_version(follower->snapshot),
			srsd_snapshot_taken_ms(follower->snapshot), roll.count);
	if (fleet != NULL) {
		fleet_hold(fleet, follower->snapshot);
		fleet->passed_count = registered_count - roll.count;
		muster_fill(&follower->muster, fleet, &roll, follower->fleet);
	}
	roll_finish(&roll);
	return fleet;
}

void follower_publish(struct follower *follower)
{
	bool was_behind = follower->is_behind;
	struct fleet *fleet = follower_make_fleet(follower);
	follower->is_behind = fleet == NULL || follower->muster.is_incomplete;
	if (fleet != NULL && !was_behind && !follower->is_behind && follower->fleet != NULL &&
		fleet_is_same(fleet, follower->fleet)) {
		fleet_unref(&fleet);
	} else if (fleet != NULL) {
		fleet_unref(&follower->fleet);
		follower->fleet = fleet;
		if (!mailbox_post(follower->fleets, MESSAGE_FLEET, follower->index, fleet_ref(fleet)))
			follower->is_behind = true;
	}
	if (!follower->is_behind)
		return;
	log_event(LOG_ERROR, "newer set of backends not taken on: no memory, trying again",
		LOG_TEXT("service", follower->name));
	follower->events->on_behind(follower->owner);
}

bool follower_is_refill_due(const struct follower *follower)
{
	const struct subset *subset = &follower->subset;
	if (subset->size == 0 || follower->snapshot == NULL)
		return false;
	return atomic_load_explicit(&follower->muster.verdicts->generation, memory_order_relaxed) !=
		       follower->subset_generation ||
	       (subset->spare > 0 && clock_coarse_ms() - subset->spared_ms >= SUBSET_HOLD_MS);
}

/* ---- A newer set ----------------------------------------------------------------------------- */

/* Of those that came with a set so many are named in the log, and as many of those that left: thousands that
 * start at a time are no reason to lose sight of all else. */
#define FOLLOWER_NAMED_MAX 20

struct follower_change {
	const struct follower *follower;
	size_t added, removed;
};

static void log_endpoint(
	const struct follower *follower, const char *event, const struct srsd_endpoint *endpoint)
{
	struct srsd_address address;
	char text[SRSD_ADDRESS_MAX];
	const char *node = srsd_endpoint_name(endpoint);
	srsd_endpoint_address(endpoint, &address);
	srsd_address_format(&address, text, sizeof(text));
	if (strcmp(text, node) == 0)
		log_event(LOG_INFO, event, LOG_TEXT("service", follower->name), LOG_TEXT("endpoint", text));
	else
		log_event(LOG_INFO, event, LOG_TEXT("service", follower->name), LOG_TEXT("endpoint", text),
			LOG_TEXT("node", node));
}

static void log_added(void *arg, const struct srsd_endpoint *endpoint)
{
	struct follower_change *change = arg;
	if (change->added++ < FOLLOWER_NAMED_MAX)
		log_endpoint(change->follower, "backend added", endpoint);
}

static void log_removed(void *arg, const struct srsd_endpoint *endpoint)
{
	struct follower_change *change = arg;
	if (change->removed++ < FOLLOWER_NAMED_MAX)
		log_endpoint(change->follower, "backend removed", endpoint);
}

#define STAND(standing, field, value)                                                                        \
	atomic_store_explicit(&(standing)->field, (uint64_t)(value), memory_order_relaxed)

void follower_look(const struct follower *follower)
{
	struct standing *standing = follower->standing;
	struct srsd_watch_status status;
	if (follower->watch == NULL)
		return;
	srsd_watch_status(follower->watch, &status);
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

void follower_keep_names(const struct follower *follower)
{
	const struct srsd_snapshot *snapshot = follower->snapshot;
	for (size_t i = 0; snapshot != NULL && i < srsd_snapshot_count(snapshot); i++) {
		struct srsd_address address;
		srsd_endpoint_address(srsd_snapshot_at(snapshot, i), &address);
		resolver_keep(follower->muster.resolver, &address);
	}
}

/* As the admin endpoint says it. */
static const char *source_word(const struct srsd_snapshot *snapshot)
{
	enum srsd_source source = srsd_snapshot_source(snapshot);
	return source == SRSD_SOURCE_NAMES ? "static" : srsd_source_text(source);
}

static void log_set(const struct follower *follower, const struct srsd_snapshot *set,
	const struct follower_change *change)
{
	log_event(LOG_INFO, "set of backends", LOG_TEXT("service", follower->name),
		LOG_INT("count", srsd_snapshot_count(set)), LOG_INT("added", change->added),
		LOG_INT("removed", change->removed), LOG_INT("version", srsd_snapshot_version(set)),
		LOG_INT("malformed_names", srsd_snapshot_skipped(set)), LOG_TEXT("source", source_word(set)));
	if (srsd_snapshot_count(set) == 0)
		log_event(LOG_WARNING,
			"no backend is registered: is the service up, and are its name, zookeeper.registry "
			"and the chroot in zookeeper.servers those that it registers with?",
			LOG_TEXT("service", follower->name));
}

static void follower_take(struct follower *follower, struct srsd_snapshot *snapshot)
{
	struct follower_change change = {.follower = follower};
	srsd_snapshot_difference(follower->snapshot, snapshot, log_added, log_removed, &change);
	srsd_snapshot_unref(&follower->snapshot);
	follower->snapshot = srsd_snapshot_ref(snapshot);
	log_set(follower, snapshot, &change);
	priority_give_way();
	follower_look(follower);
	follower_publish(follower);
	follower->events->on_set(follower->owner);
}

static void follower_on_change(void *arg, struct srsd_snapshot *snapshot)
{
	priority_give_way(); /* the library has just read and sorted all names */
	follower_take(arg, snapshot);
}

/* ---- Making, freeing ------------------------------------------------------------------------- */

bool follower_open_static(struct follower *follower)
{
	const struct service_settings *settings = follower->settings;
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error;
	if (srsd_snapshot_from_names((const char *const *)settings->static_names, settings->static_count,
		    &snapshot, &error) != SRSD_OK) {
		log_event(LOG_ERROR, "static endpoints", LOG_TEXT("service", follower->name),
			LOG_TEXT("reason", error.text));
		return false;
	}
	follower_take(follower, snapshot);
	srsd_snapshot_unref(&snapshot);
	return true;
}

bool follower_open_watch(struct follower *follower, struct srsd *srsd)
{
	struct srsd_error error;
	if (srsd_watch(srsd, follower->name, &follower->read, follower_on_change, follower, &follower->watch,
		    &error) == SRSD_OK)
		return true;
	log_event(LOG_ERROR, "watch", LOG_TEXT("service", follower->name), LOG_TEXT("reason", error.text));
	return false;
}

/* Addresses in the configuration are as it says, unless it names networks as well. */
static bool follower_init_reach(struct reach *reach, const struct service_settings *settings)
{
	if (settings->static_count > 0 && settings->networks == NULL) {
		reach_init_all(reach);
		return true;
	}
	return reach_init(reach, (const char *const *)settings->networks, settings->network_count);
}

bool follower_init(struct follower *follower, const struct follower_settings *settings)
{
	const struct service_settings *service = &settings->settings->services[settings->index];
	*follower = (struct follower){.index = settings->index,
		.name = service->name,
		.settings = service,
		.events = settings->events,
		.owner = settings->owner,
		.fleets = settings->fleets,
		.standing = settings->standing,
		.muster = {.service = service->name,
			.verdicts = settings->verdicts,
			.resolver = settings->resolver,
			.worker_count = settings->worker_count},
		.read = {
			.format = service->format, .port_name = service->port_name, .below = service->below}};
	subset_init(&follower->subset, (size_t)service->subset.size, service->subset.identity,
		settings->settings->listeners[0].address);
	return follower_init_reach(&follower->muster.reach, service);
}

void follower_finish(struct follower *follower)
{
	reach_finish(&follower->muster.reach);
	srsd_snapshot_unref(&follower->snapshot);
	fleet_unref(&follower->fleet);
}
