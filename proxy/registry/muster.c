/* muster - a set's members as backends (see muster.h). */
#include "registry/muster.h"

#include "base/log.h"

#include <srsd.h>
#include <stdio.h>
#include <string.h>

/* Lines in the log for one set. */
#define MUSTER_REFUSED_SAID_MAX 20

/* A walk along the fleet that was sent last, in the order of names, while another one is filled. */
struct muster_walk {
	struct fleet *fleet;	    /* it is filled */
	const struct fleet *before; /* NULL: there was none */
	bool had_names;		    /* of hosts, which may lead elsewhere now */
	size_t known_at;
	size_t refused_at;
	size_t newly_refused;
};

/* The member's entry there. Most are as they were then, and are found without a look at their names. */
static const struct fleet_entry *walk_find(struct muster_walk *walk, const struct roll_entry *member)
{
	const struct fleet *before = walk->before;
	if (before != NULL && walk->known_at < before->count &&
		before->entries[walk->known_at].endpoint == member->endpoint)
		return &before->entries[walk->known_at++];
	return fleet_find_from(before, &walk->known_at, member->name);
}

/* Was it refused then, too? Names come in order here as well. */
static bool walk_was_refused(struct muster_walk *walk, const char *name)
{
	for (; walk->before != NULL && walk->refused_at < walk->before->refused_count; walk->refused_at++) {
		int order = strcmp(walk->before->refused[walk->refused_at], name);
		if (order >= 0)
			return order == 0;
	}
	return false;
}

/* Each is told of once, as long as it stands there. */
static void muster_refuse(
	struct muster *muster, struct muster_walk *walk, const char *name, const struct sockaddr *address)
{
	struct network network;
	char text[NETWORK_TEXT_MAX] = "";
	if (!fleet_refuse(walk->fleet, name))
		muster->is_incomplete = true;
	if (walk_was_refused(walk, name) || walk->newly_refused++ >= MUSTER_REFUSED_SAID_MAX)
		return;
	if (network_of_peer(address, &network))
		network_format(&network, text);
	log_event(LOG_WARNING, "backend refused", LOG_TEXT("service", muster->service),
		LOG_TEXT("endpoint", name), LOG_TEXT("address", text),
		LOG_TEXT("reason", "not in the service's networks: add its own there, or find out who "
				   "registered it"));
}

static void muster_refuse_rest(const struct muster *muster, const struct muster_walk *walk)
{
	if (walk->newly_refused > MUSTER_REFUSED_SAID_MAX)
		log_event(LOG_WARNING, "more backends refused", LOG_TEXT("service", muster->service),
			LOG_INT("count", walk->newly_refused - MUSTER_REFUSED_SAID_MAX));
}

/* Keep of an endpoint's addresses those that the proxy may connect to: the one place where that is decided.
 * Returns one that it may not, or NULL. */
static const union address *muster_filter(
	const struct muster *muster, const struct addresses *found, struct addresses *allowed)
{
	const union address *refused = NULL;
	allowed->count = 0;
	for (uint32_t i = 0; i < found->count; i++) {
		if (reach_has(&muster->reach, &found->list[i].any))
			allowed->list[allowed->count++] = found->list[i];
		else
			refused = &found->list[i];
	}
	return refused;
}

/* What a host name stands for. An address in digits stands for itself. */
static void muster_log_addresses(const struct muster *muster, const char *name,
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
		LOG_TEXT("service", muster->service), LOG_TEXT("endpoint", name), LOG_TEXT("addresses", text),
		LOG_INT("count", addresses->count), LOG_INT("refused", refused_count));
}

/* Its connections stay, and what is known of it, whatever its node says now. */
static void muster_go_on(struct muster *muster, struct muster_walk *walk, const struct roll_entry *member,
	const struct fleet_entry *known)
{
	uint32_t weight = srsd_endpoint_weight(member->endpoint);
	if (weight != known->weight)
		log_event(LOG_INFO, "backend weight", LOG_TEXT("service", muster->service),
			LOG_TEXT("endpoint", member->name), LOG_INT("weight", weight),
			LOG_INT("before", known->weight));
	fleet_append(walk->fleet, known->backend, weight, member->endpoint);
}

/* Put an endpoint whose addresses are known into the fleet: with the backend that it has, or with a new one
 * if these are others: new connections go there then, and those that are open end in peace. */
static void muster_admit(struct muster *muster, struct muster_walk *walk, const struct roll_entry *member,
	const struct fleet_entry *known, const struct addresses *found)
{
	struct addresses allowed;
	const union address *refused = muster_filter(muster, found, &allowed);
	if (allowed.count == 0) {
		muster_refuse(muster, walk, member->name, &refused->any);
		return;
	}
	if (known != NULL && addresses_same(known->backend->addresses, known->backend->address_count,
				     allowed.list, allowed.count)) {
		muster_go_on(muster, walk, member, known);
		return;
	}
	struct backend *backend = backend_new(
		member->name, allowed.list, allowed.count, muster->worker_count, muster->verdicts);
	if (backend == NULL) {
		muster->is_incomplete = true;
		if (known != NULL)
			muster_go_on(muster, walk, member, known);
		return;
	}
	if (muster->has_names)
		muster_log_addresses(muster, member->name, &allowed, found->count - allowed.count);
	fleet_append(walk->fleet, backend, srsd_endpoint_weight(member->endpoint), member->endpoint);
	backend_unref(&backend);
}

/* Has its node gone and come back, made by another process or in another session? The registry may not have
 * shown it as gone meanwhile. */
static bool muster_is_another(const struct fleet_entry *known, const struct srsd_endpoint *endpoint)
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
 * is no memory, which is noted. An address in digits never becomes another one. */
static void muster_append(struct muster *muster, struct muster_walk *walk, const struct roll_entry *member)
{
	const struct fleet_entry *known = walk_find(walk, member);
	struct srsd_address address;
	struct addresses found;
	if (LIKELY(known != NULL && known->endpoint == member->endpoint && !walk->had_names)) {
		fleet_append(walk->fleet, known->backend, known->weight, known->endpoint);
		return;
	}
	srsd_endpoint_address(member->endpoint, &address);
	if (known != NULL && muster_is_another(known, member->endpoint) && !is_clean(known->backend)) {
		log_event(LOG_INFO, "backend replaced", LOG_TEXT("service", muster->service),
			LOG_TEXT("endpoint", member->name));
		known = NULL;
	}
	if (known != NULL && address.kind != SRSD_HOST_NAME) {
		muster_go_on(muster, walk, member, known);
		return;
	}
	muster->has_names |= address.kind == SRSD_HOST_NAME;
	enum resolver_result result = resolver_find(muster->resolver, &address, &found);
	muster->is_incomplete |= result == RESOLVER_NO_MEMORY;
	if (result == RESOLVER_FOUND)
		muster_admit(muster, walk, member, known, &found);
	else if (known != NULL)
		muster_go_on(muster, walk, member, known);
}

void muster_fill(
	struct muster *muster, struct fleet *fleet, const struct roll *roll, const struct fleet *before)
{
	struct muster_walk walk = {.fleet = fleet, .before = before, .had_names = muster->has_names};
	muster->has_names = false;
	muster->is_incomplete = false;
	for (size_t i = 0; i < roll->count; i++)
		muster_append(muster, &walk, &roll->entries[i]);
	muster_refuse_rest(muster, &walk);
}
