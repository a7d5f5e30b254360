/* snapshot - immutable, reference-counted sets of endpoints.
 * A snapshot owns one reference to each of its endpoints; consecutive snapshots share those that stayed. It
 * owns its outsiders: nodes that are no members. */
#include "node/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "node/endpoint.h"
#include "node/node_sort.h"

#define FAULTS_SAID_MAX 20 /* lines for one list */

struct srsd_snapshot {
	atomic_size_t references;
	uint64_t version;
	uint64_t taken_ms;
	uint64_t age_ms; /* when it was taken */
	enum srsd_source source;
	size_t skipped; /* outsiders for a fault */
	size_t outsider_count;
	struct srsd_outsider *outsiders; /* sorted by name, which they own */
	uint64_t *weights; /* of a member and all before it; NULL: all weigh the same, and more than 0 */
	size_t count;
	struct srsd_endpoint *members[];
};

size_t srsd_snapshot_count(const struct srsd_snapshot *snapshot)
{
	return snapshot->count;
}

const struct srsd_endpoint *srsd_snapshot_at(const struct srsd_snapshot *snapshot, size_t index)
{
	assert(index < snapshot->count);
	return snapshot->members[index];
}

/* The first member whose weight, with that of all before it, is above a random number. */
static const struct srsd_endpoint *pick_by_weight(const struct srsd_snapshot *snapshot)
{
	uint64_t total = snapshot->weights[snapshot->count - 1];
	size_t low = 0;
	size_t high = snapshot->count - 1;
	uint64_t number;

	if (total == 0)
		return NULL;
	arc4random_buf(&number, sizeof(number));
	number = (uint64_t)(((unsigned __int128)number * total) >> 64);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snapshot->weights[middle] > number)
			high = middle;
		else
			low = middle + 1;
	}
	return snapshot->members[low];
}

const struct srsd_endpoint *srsd_snapshot_pick(const struct srsd_snapshot *snapshot)
{
	if (snapshot->count == 0)
		return NULL;
	if (snapshot->weights != NULL)
		return pick_by_weight(snapshot);
	return snapshot->members[arc4random_uniform((uint32_t)snapshot->count)];
}

uint64_t srsd_snapshot_version(const struct srsd_snapshot *snapshot)
{
	return snapshot->version;
}

void srsd_snapshot_set_version(struct srsd_snapshot *snapshot, uint64_t version)
{
	snapshot->version = version;
}

size_t srsd_snapshot_skipped(const struct srsd_snapshot *snapshot)
{
	return snapshot->skipped;
}

size_t srsd_snapshot_outsider_count(const struct srsd_snapshot *snapshot)
{
	return snapshot->outsider_count;
}

const struct srsd_outsider *srsd_snapshot_outsider_at(const struct srsd_snapshot *snapshot, size_t index)
{
	assert(index < snapshot->outsider_count);
	return &snapshot->outsiders[index];
}

uint64_t srsd_snapshot_taken_ms(const struct srsd_snapshot *snapshot)
{
	return snapshot->taken_ms;
}

enum srsd_source srsd_snapshot_source(const struct srsd_snapshot *snapshot)
{
	return snapshot->source;
}

uint64_t srsd_snapshot_age_ms(const struct srsd_snapshot *snapshot)
{
	return srsd_now_ms() - snapshot->taken_ms + snapshot->age_ms;
}

void srsd_snapshot_set_age(struct srsd_snapshot *snapshot, uint64_t age_ms)
{
	snapshot->age_ms = age_ms;
}

struct srsd_snapshot *srsd_snapshot_ref(struct srsd_snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
	return snapshot;
}

void srsd_snapshot_unref(struct srsd_snapshot **snapshot)
{
	struct srsd_snapshot *gone = *snapshot;

	*snapshot = NULL;
	if (gone == NULL || atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < gone->count; i++)
		srsd_endpoint_unref(gone->members[i]);
	for (size_t i = 0; i < gone->outsider_count; i++)
		free((char *)(uintptr_t)gone->outsiders[i].name);
	free(gone->outsiders);
	free(gone->weights);
	free(gone);
}

/* Walk two sorted sets together. Sets that follow each other share their members: names are only compared
 * where they differ. */
void srsd_snapshot_difference(const struct srsd_snapshot *before, const struct srsd_snapshot *after,
	srsd_difference_fn *on_added, srsd_difference_fn *on_removed, void *arg)
{
	size_t before_count = before == NULL ? 0 : before->count;
	size_t after_count = after == NULL ? 0 : after->count;
	size_t b = 0;
	size_t a = 0;

	while (b < before_count || a < after_count) {
		int order;

		if (b == before_count)
			order = 1;
		else if (a == after_count)
			order = -1;
		else if (before->members[b] == after->members[a])
			order = 0;
		else
			order = strcmp(srsd_endpoint_name(before->members[b]),
				srsd_endpoint_name(after->members[a]));
		if (order < 0 && on_removed != NULL)
			on_removed(arg, before->members[b]);
		if (order > 0 && on_added != NULL)
			on_added(arg, after->members[a]);
		if (order <= 0)
			b++;
		if (order >= 0)
			a++;
	}
}

bool srsd_snapshot_is_same_set(const struct srsd_snapshot *one, const struct srsd_snapshot *other)
{
	if (one == NULL || other == NULL || one->count != other->count)
		return one == other;
	return one->count == 0 ||
	       memcmp(one->members, other->members, one->count * sizeof(struct srsd_endpoint *)) == 0;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static int compare_outsiders(const void *one, const void *other)
{
	return strcmp(((const struct srsd_outsider *)one)->name, ((const struct srsd_outsider *)other)->name);
}

const struct srsd_outsider *srsd_snapshot_find_outsider(
	const struct srsd_snapshot *snapshot, const char *name)
{
	const struct srsd_outsider key = {.name = name};

	if (snapshot == NULL || snapshot->outsider_count == 0)
		return NULL;
	return bsearch(&key, snapshot->outsiders, snapshot->outsider_count, sizeof(key), compare_outsiders);
}

/* The member of `before` with that name, if it has one. `cursor` moves forward only: names come in order. */
static struct srsd_endpoint *find_forward(
	const struct srsd_snapshot *before, size_t *cursor, const char *name)
{
	while (before != NULL && *cursor < before->count) {
		int order = strcmp(srsd_endpoint_name(before->members[*cursor]), name);

		if (order == 0)
			return before->members[*cursor];
		if (order > 0)
			break;
		(*cursor)++;
	}
	return NULL;
}

size_t srsd_nodes_bring_new_forward(struct srsd_node *nodes, size_t count, const struct srsd_snapshot *before)
{
	size_t cursor = 0;
	size_t new_count = 0;

	for (size_t i = 0; i < count; i++) {
		struct srsd_node node = nodes[i];

		if (find_forward(before, &cursor, node.name) != NULL ||
			srsd_snapshot_find_outsider(before, node.name) != NULL)
			continue;
		nodes[i] = nodes[new_count];
		nodes[new_count++] = node;
	}
	return new_count;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* A set in the making, of sorted nodes. */
struct building {
	struct srsd_snapshot *snapshot;
	const struct srsd_read_options *options;
	const struct srsd_snapshot *before; /* may be NULL */
	size_t cursor;			    /* in its members */
	size_t outsiders_room;
};

static struct srsd_snapshot *snapshot_new(size_t room, uint64_t version)
{
	struct srsd_snapshot *snapshot = malloc(sizeof(*snapshot) + room * sizeof(snapshot->members[0]));

	if (snapshot == NULL)
		return NULL;
	*snapshot = (struct srsd_snapshot){.version = version, .taken_ms = srsd_now_ms()};
	atomic_init(&snapshot->references, 1);
	return snapshot;
}

/* What picking needs, when all members are there. False: memory is short. */
static bool weigh(struct srsd_snapshot *snapshot)
{
	uint64_t total = 0;
	bool is_weighted = false;

	for (size_t i = 0; i < snapshot->count; i++) {
		uint32_t weight = srsd_endpoint_weight(snapshot->members[i]);

		is_weighted |= weight == 0 || weight != srsd_endpoint_weight(snapshot->members[0]);
	}
	if (!is_weighted)
		return true;
	snapshot->weights = malloc(snapshot->count * sizeof(snapshot->weights[0]));
	for (size_t i = 0; i < snapshot->count && snapshot->weights != NULL; i++) {
		total += srsd_endpoint_weight(snapshot->members[i]);
		snapshot->weights[i] = total;
	}
	return snapshot->weights != NULL;
}

static bool add_outsider(struct building *building, const struct srsd_outsider *outsider)
{
	struct srsd_snapshot *snapshot = building->snapshot;
	struct srsd_outsider *added;

	if (snapshot->outsider_count == building->outsiders_room) {
		size_t room = building->outsiders_room == 0 ? 8 : 2 * building->outsiders_room;
		struct srsd_outsider *grown = realloc(snapshot->outsiders, room * sizeof(*grown));

		if (grown == NULL)
			return false;
		snapshot->outsiders = grown;
		building->outsiders_room = room;
	}
	added = &snapshot->outsiders[snapshot->outsider_count];
	*added = *outsider;
	added->name = strdup(outsider->name);
	if (added->name == NULL)
		return false;
	snapshot->outsider_count++;
	if (outsider->fault != NULL)
		snapshot->skipped++;
	return true;
}

/* With a reference that the set takes over. */
static bool add_member(struct building *building, struct srsd_endpoint *member)
{
	if (member == NULL)
		return false;
	building->snapshot->members[building->snapshot->count++] = member;
	return true;
}

/* A node that was not read now, and that is known: all is as it was. */
static bool add_known(
	struct building *building, struct srsd_endpoint *member, const struct srsd_outsider *outsider)
{
	if (member != NULL && !add_member(building, srsd_endpoint_ref(member)))
		return false;
	return outsider == NULL || add_outsider(building, outsider);
}

static bool add_node(struct building *building, const struct srsd_node *node)
{
	struct srsd_endpoint *member = find_forward(building->before, &building->cursor, node->name);
	const struct srsd_outsider *known = srsd_snapshot_find_outsider(building->before, node->name);
	struct srsd_outsider outsider = {.name = node->name,
		.owner = node->owner,
		.created_ms = node->created_ms,
		.fault = node->fault};
	enum srsd_node_verdict verdict = SRSD_NODE_FAULT;
	struct srsd_node_data said;

	if (!node->is_read && (member != NULL || known != NULL))
		return add_known(building, member, known);
	if (node->fault == NULL)
		verdict = srsd_node_data_read(
			building->options, node->name, node->data, node->data_bytes, &said, &outsider.fault);
	if (verdict == SRSD_NODE_NO_MEMORY)
		return false;
	if (verdict == SRSD_NODE_ASIDE)
		return add_outsider(building, &outsider);
	if (verdict == SRSD_NODE_FAULT)
		return add_known(building, member, &outsider);
	if (member != NULL && srsd_endpoint_is_made_of(member, node, &said))
		return add_member(building, srsd_endpoint_ref(member));
	return add_member(building, srsd_endpoint_new(node, &said));
}

struct srsd_snapshot *srsd_snapshot_build(struct srsd_node *nodes, size_t count,
	const struct srsd_read_options *options, const struct srsd_snapshot *before, uint64_t version)
{
	struct building building = {
		.snapshot = snapshot_new(count, version), .options = options, .before = before};

	srsd_nodes_sort(nodes, count);
	for (size_t i = 0; i < count && building.snapshot != NULL; i++) {
		if (!add_node(&building, &nodes[i]))
			srsd_snapshot_unref(&building.snapshot);
	}
	if (building.snapshot != NULL && !weigh(building.snapshot))
		srsd_snapshot_unref(&building.snapshot);
	return building.snapshot;
}

void srsd_snapshot_report_faults(const struct srsd_snapshot *snapshot, const struct srsd_snapshot *before,
	const struct srsd_logger *logger, const char *path)
{
	size_t said = 0;
	size_t silent = 0;

	for (size_t i = 0; i < snapshot->outsider_count; i++) {
		const struct srsd_outsider *outsider = &snapshot->outsiders[i];
		const struct srsd_outsider *known = srsd_snapshot_find_outsider(before, outsider->name);

		if (outsider->fault == NULL || (known != NULL && known->fault == outsider->fault))
			continue;
		if (said++ < FAULTS_SAID_MAX)
			srsd_log(logger, SRSD_LOG_WARNING, "%s/%s cannot be used: %s", path, outsider->name,
				outsider->fault);
		else
			silent++;
	}
	if (silent > 0)
		srsd_log(logger, SRSD_LOG_WARNING, "%s has %zu more nodes that cannot be used", path, silent);
}

/* ---- Sets that are not in ZooKeeper ---------------------------------------------------------- */

struct srsd_snapshot *srsd_snapshot_of_members(struct srsd_endpoint *const *members, size_t count)
{
	struct srsd_snapshot *snapshot = snapshot_new(count, 1);

	if (snapshot == NULL)
		return NULL;
	snapshot->source = SRSD_SOURCE_FILE;
	for (size_t i = 0; i < count; i++)
		snapshot->members[snapshot->count++] = srsd_endpoint_ref(members[i]);
	if (!weigh(snapshot))
		srsd_snapshot_unref(&snapshot);
	return snapshot;
}

static struct srsd_snapshot *build_from_names(const char *const *names, size_t count)
{
	static const struct srsd_read_options names_only = {.format = SRSD_FORMAT_NAME};
	struct srsd_node *nodes = calloc(count > 0 ? count : 1, sizeof(*nodes));
	struct srsd_snapshot *snapshot = NULL;

	for (size_t i = 0; i < count && nodes != NULL; i++)
		nodes[i].name = names[i];
	if (nodes != NULL)
		snapshot = srsd_snapshot_build(nodes, count, &names_only, NULL, 1);
	free(nodes);
	return snapshot;
}

enum srsd_status srsd_snapshot_from_names(
	const char *const *names, size_t count, struct srsd_snapshot **out, struct srsd_error *error)
{
	struct srsd_snapshot *snapshot;

	srsd_error_clear(error);
	for (size_t i = 0; i < count; i++) {
		struct srsd_address address;
		const char *why;

		if (srsd_address_parse(names[i], strlen(names[i]), &address, &why) != SRSD_OK)
			return srsd_fail(
				error, SRSD_BAD_ARGUMENT, "\"%s\": %s; write host:port", names[i], why);
	}
	snapshot = build_from_names(names, count);
	if (snapshot == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for %zu addresses", count);
	assert(snapshot->outsider_count == 0);
	for (size_t i = 1; i < snapshot->count; i++) {
		const char *name = srsd_endpoint_name(snapshot->members[i]);

		if (strcmp(srsd_endpoint_name(snapshot->members[i - 1]), name) == 0) {
			srsd_fail(error, SRSD_BAD_ARGUMENT, "\"%s\" stands twice in the list; remove one",
				name);
			srsd_snapshot_unref(&snapshot);
			return SRSD_BAD_ARGUMENT;
		}
	}
	snapshot->source = SRSD_SOURCE_NAMES;
	*out = snapshot;
	return SRSD_OK;
}
