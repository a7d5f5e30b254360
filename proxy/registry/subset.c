/* subset - this proxy's share of a service's backends (see subset.h). */
#include "registry/subset.h"

#include "base/hash.h"

#include <srsd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So much of the name of this host tells it from others. */
#define SUBSET_HOST_MAX 256

void subset_init(struct subset *subset, size_t size, const char *identity, const char *address)
{
	char host[SUBSET_HOST_MAX] = "", text[2 * SUBSET_HOST_MAX];
	(void)gethostname(host, sizeof(host) - 1);
	snprintf(text, sizeof(text), "%s %s", host, address);
	*subset = (struct subset){
		.size = size, .identity = hash_bytes(str_of(identity != NULL ? identity : text))};
}

uint64_t subset_rank(const struct subset *subset, const char *name)
{
	return hash_mix(hash_bytes(str_of(name)) ^ subset->identity);
}

static int compare_entries(const void *left, const void *right)
{
	const struct subset_entry *one = left, *other = right;
	if (one->rank != other->rank)
		return one->rank < other->rank ? -1 : 1;
	return one->index < other->index ? -1 : one->index > other->index;
}

size_t subset_choose(struct subset *subset, struct subset_entry *entries, size_t count, uint64_t now_ms)
{
	size_t useful = 0, useless = 0;
	qsort(entries, count, sizeof(entries[0]), compare_entries);
	for (size_t i = 0; i < count && useful < subset->size; i++) {
		useful += entries[i].is_useful;
		useless += !entries[i].is_useful;
	}
	/* At once where more are needed; back again only after a while: not for each that is out for a
	 * moment. Up to now things were as they were seen last. */
	if (subset->is_spare_in_need)
		subset->spared_ms = now_ms;
	if (useless > subset->spare || now_ms - subset->spared_ms >= SUBSET_HOLD_MS)
		subset->spare = useless;
	subset->is_spare_in_need = useless >= subset->spare;
	size_t wanted = subset->size + subset->spare;
	return wanted < count ? wanted : count;
}

/* ---- Of a roll ------------------------------------------------------------------------------- */

/* It would get no requests now, as far as is known. */
static bool is_useless(const struct roll_entry *member, const struct fleet_entry *known)
{
	if (srsd_endpoint_weight(member->endpoint) == 0)
		return true;
	if (known == NULL)
		return false;
	enum belief_state state = belief_state(&known->backend->belief);
	return state == BELIEF_EJECTED || state == BELIEF_PROBING;
}

static int compare_places(const void *left, const void *right)
{
	const struct subset_entry *one = left, *other = right;
	return one->index < other->index ? -1 : one->index > other->index;
}

bool subset_thin(struct subset *subset, struct roll *roll, const struct fleet *before, uint64_t now_ms)
{
	struct subset_entry *entries = malloc((roll->count + 1) * sizeof(*entries));
	size_t at = 0;
	if (entries == NULL)
		return false;
	for (size_t i = 0; i < roll->count; i++) {
		const struct roll_entry *member = &roll->entries[i];
		entries[i] = (struct subset_entry){.rank = subset_rank(subset, member->name),
			.index = i,
			.is_useful = !is_useless(member, fleet_find_from(before, &at, member->name))};
	}
	size_t count = subset_choose(subset, entries, roll->count, now_ms);
	qsort(entries, count, sizeof(*entries), compare_places);
	for (size_t i = 0; i < count; i++)
		roll->entries[i] = roll->entries[entries[i].index];
	roll->count = count;
	free(entries);
	return true;
}
