/* roll - addresses out of a snapshot (see roll.h). */
#include "registry/roll.h"

#include <stdlib.h>
#include <string.h>

static size_t write_address(const struct srsd_endpoint *endpoint, char *out)
{
	struct srsd_address address;
	srsd_endpoint_address(endpoint, &address);
	return srsd_address_format(&address, out, SRSD_ADDRESS_MAX);
}

/* By address, and of one address the newest node first; of one moment the one that was numbered last. */
static int compare_entries(const void *left, const void *right)
{
	const struct roll_entry *one = left, *other = right;
	int order = strcmp(one->name, other->name);
	if (order != 0)
		return order;
	int64_t made = srsd_endpoint_created_ms(one->endpoint);
	int64_t other_made = srsd_endpoint_created_ms(other->endpoint);
	if (made != other_made)
		return made > other_made ? -1 : 1;
	return strcmp(srsd_endpoint_name(other->endpoint), srsd_endpoint_name(one->endpoint));
}

/* The texts in one piece: there may be a hundred thousand of them. */
static bool roll_name(struct roll *roll)
{
	char text[SRSD_ADDRESS_MAX];
	size_t bytes = 0;
	for (size_t i = 0; i < roll->count; i++)
		bytes += write_address(roll->entries[i].endpoint, text) + 1;
	roll->texts = malloc(bytes > 0 ? bytes : 1);
	if (roll->texts == NULL)
		return false;
	char *at = roll->texts;
	for (size_t i = 0; i < roll->count; i++) {
		bytes = write_address(roll->entries[i].endpoint, text) + 1;
		roll->entries[i].name = memcpy(at, text, bytes);
		at += bytes;
	}
	return true;
}

static void roll_drop_doubles(struct roll *roll)
{
	size_t count = 0;
	for (size_t i = 0; i < roll->count; i++)
		if (count == 0 || strcmp(roll->entries[count - 1].name, roll->entries[i].name) != 0)
			roll->entries[count++] = roll->entries[i];
	roll->count = count;
}

bool roll_init(struct roll *roll, const struct srsd_snapshot *snapshot, enum srsd_format format)
{
	bool is_by_name = format == SRSD_FORMAT_NAME || format == SRSD_FORMAT_JSON;
	*roll = (struct roll){.count = srsd_snapshot_count(snapshot)};
	roll->entries = malloc((roll->count + 1) * sizeof(roll->entries[0]));
	if (roll->entries == NULL)
		return false;
	for (size_t i = 0; i < roll->count; i++) {
		const struct srsd_endpoint *endpoint = srsd_snapshot_at(snapshot, i);
		roll->entries[i] = (struct roll_entry){endpoint, srsd_endpoint_name(endpoint)};
	}
	if (is_by_name)
		return true; /* in the order of names already, no name twice */
	if (!roll_name(roll)) {
		roll_finish(roll);
		return false;
	}
	qsort(roll->entries, roll->count, sizeof(roll->entries[0]), compare_entries);
	roll_drop_doubles(roll);
	return true;
}

void roll_finish(struct roll *roll)
{
	free(roll->entries);
	free(roll->texts);
	*roll = (struct roll){0};
}
