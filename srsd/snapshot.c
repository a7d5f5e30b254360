/* snapshot - immutable, reference-counted sets of endpoints.
 * A snapshot owns one reference to each of its endpoints; consecutive snapshots share those that stayed. */
#include "snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct srsd_endpoint {
	atomic_size_t references;
	struct srsd_address address;
	char name[];
};

struct srsd_snapshot {
	atomic_size_t references;
	uint64_t version;
	uint64_t taken_ms;
	size_t skipped;
	size_t count;
	struct srsd_endpoint *members[];
};

static struct srsd_endpoint *endpoint_new(const char *name, const struct srsd_address *address)
{
	size_t bytes = strlen(name) + 1;
	struct srsd_endpoint *endpoint = malloc(sizeof(*endpoint) + bytes);

	if (endpoint == NULL)
		return NULL;
	atomic_init(&endpoint->references, 1);
	endpoint->address = *address;
	memcpy(endpoint->name, name, bytes);
	return endpoint;
}

static struct srsd_endpoint *endpoint_ref(struct srsd_endpoint *endpoint)
{
	atomic_fetch_add_explicit(&endpoint->references, 1, memory_order_relaxed);
	return endpoint;
}

static void endpoint_unref(struct srsd_endpoint *endpoint)
{
	if (atomic_fetch_sub_explicit(&endpoint->references, 1, memory_order_acq_rel) == 1)
		free(endpoint);
}

const char *srsd_endpoint_name(const struct srsd_endpoint *endpoint)
{
	return endpoint->name;
}

void srsd_endpoint_address(const struct srsd_endpoint *endpoint, struct srsd_address *out)
{
	*out = endpoint->address;
}

size_t srsd_snapshot_count(const struct srsd_snapshot *snapshot)
{
	return snapshot->count;
}

const struct srsd_endpoint *srsd_snapshot_at(const struct srsd_snapshot *snapshot, size_t index)
{
	assert(index < snapshot->count);
	return snapshot->members[index];
}

const struct srsd_endpoint *srsd_snapshot_pick(const struct srsd_snapshot *snapshot)
{
	if (snapshot->count == 0)
		return NULL;
	return snapshot->members[arc4random_uniform((uint32_t)snapshot->count)];
}

uint64_t srsd_snapshot_version(const struct srsd_snapshot *snapshot)
{
	return snapshot->version;
}

size_t srsd_snapshot_skipped(const struct srsd_snapshot *snapshot)
{
	return snapshot->skipped;
}

uint64_t srsd_snapshot_taken_ms(const struct srsd_snapshot *snapshot)
{
	return snapshot->taken_ms;
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
		endpoint_unref(gone->members[i]);
	free(gone);
}

/* Walk two sorted sets together. */
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
		else
			order = strcmp(before->members[b]->name, after->members[a]->name);
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
	for (size_t i = 0; i < one->count; i++) {
		if (one->members[i] != other->members[i] &&
			strcmp(one->members[i]->name, other->members[i]->name) != 0)
			return false;
	}
	return true;
}

/* ---- Names that are no address --------------------------------------------------------------- */

static int compare_names(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

void srsd_name_list_clear(struct srsd_name_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->names[i]);
	free(list->names);
	*list = (struct srsd_name_list){0};
}

bool srsd_name_list_has(const struct srsd_name_list *list, const char *name)
{
	return list->count > 0 &&
	       bsearch(&name, list->names, list->count, sizeof(*list->names), compare_names) != NULL;
}

static bool name_list_add(struct srsd_name_list *list, const char *name, size_t count_max)
{
	char *copy;

	if (list->names == NULL) {
		list->names = calloc(count_max, sizeof(*list->names));
		if (list->names == NULL)
			return false;
	}
	copy = strdup(name);
	if (copy == NULL)
		return false;
	list->names[list->count++] = copy;
	return true;
}

/* ---- Building -------------------------------------------------------------------------------- */

static struct srsd_snapshot *snapshot_new(size_t room, uint64_t version)
{
	struct srsd_snapshot *snapshot = malloc(sizeof(*snapshot) + room * sizeof(snapshot->members[0]));

	if (snapshot == NULL)
		return NULL;
	*snapshot = (struct srsd_snapshot){.version = version, .taken_ms = srsd_now_ms()};
	atomic_init(&snapshot->references, 1);
	return snapshot;
}

/* The member of `before` with that name, if it has one. `cursor` moves forward only: names come in order. */
static struct srsd_endpoint *find_forward(
	const struct srsd_snapshot *before, size_t *cursor, const char *name)
{
	while (before != NULL && *cursor < before->count) {
		int order = strcmp(before->members[*cursor]->name, name);

		if (order == 0)
			return before->members[*cursor];
		if (order > 0)
			break;
		(*cursor)++;
	}
	return NULL;
}

/* Fill `snapshot` from names in order. False: memory is short. */
static bool fill(struct srsd_snapshot *snapshot, const char *const *sorted, size_t count,
	const struct srsd_snapshot *before, struct srsd_name_list *refused)
{
	size_t cursor = 0;

	for (size_t i = 0; i < count; i++) {
		struct srsd_endpoint *member = find_forward(before, &cursor, sorted[i]);
		struct srsd_address address;

		if (member != NULL) {
			snapshot->members[snapshot->count++] = endpoint_ref(member);
			continue;
		}
		if (srsd_address_parse(sorted[i], strlen(sorted[i]), &address, NULL) != SRSD_OK) {
			if (!name_list_add(refused, sorted[i], count - i))
				return false;
			continue;
		}
		member = endpoint_new(sorted[i], &address);
		if (member == NULL)
			return false;
		snapshot->members[snapshot->count++] = member;
	}
	snapshot->skipped = refused->count;
	return true;
}

struct srsd_snapshot *srsd_snapshot_build(const char *const *names, size_t count,
	struct srsd_snapshot *before, uint64_t version, struct srsd_name_list *refused)
{
	const char **sorted = malloc((count > 0 ? count : 1) * sizeof(*sorted));
	struct srsd_snapshot *snapshot = snapshot_new(count, version);
	bool is_full = sorted != NULL && snapshot != NULL;

	if (is_full) {
		if (count > 0)
			memcpy(sorted, names, count * sizeof(*sorted));
		qsort(sorted, count, sizeof(*sorted), compare_names);
		is_full = fill(snapshot, sorted, count, before, refused);
	}
	free(sorted);
	if (!is_full) {
		srsd_snapshot_unref(&snapshot);
		srsd_name_list_clear(refused);
	}
	return snapshot;
}

enum srsd_status srsd_snapshot_from_names(
	const char *const *names, size_t count, struct srsd_snapshot **out, struct srsd_error *error)
{
	struct srsd_name_list refused = {0};
	struct srsd_snapshot *snapshot;

	srsd_error_clear(error);
	for (size_t i = 0; i < count; i++) {
		struct srsd_address address;
		const char *why;

		if (srsd_address_parse(names[i], strlen(names[i]), &address, &why) != SRSD_OK)
			return srsd_fail(
				error, SRSD_BAD_ARGUMENT, "\"%s\": %s; write host:port", names[i], why);
	}
	snapshot = srsd_snapshot_build(names, count, NULL, 1, &refused);
	if (snapshot == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for %zu addresses", count);
	assert(refused.count == 0);
	for (size_t i = 1; i < snapshot->count; i++) {
		const char *name = snapshot->members[i]->name;

		if (strcmp(snapshot->members[i - 1]->name, name) == 0) {
			srsd_fail(error, SRSD_BAD_ARGUMENT, "\"%s\" stands twice in the list; remove one",
				name);
			srsd_snapshot_unref(&snapshot);
			return SRSD_BAD_ARGUMENT;
		}
	}
	*out = snapshot;
	return SRSD_OK;
}
