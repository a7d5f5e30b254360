/* node_sort - puts nodes in the order of their names. Owns nothing.
 *
 * At each change of a label its names are sorted, ten thousand of them perhaps, and to compare them one by
 * one took more time than all else that is done with a list. So many names are sorted by a key instead: the
 * eight bytes that follow what all of them begin with, read as one number, byte by byte from the last to the
 * first (radix sort). Only names whose keys are the same are compared. */
#include "node/node_sort.h"

#include <stdlib.h>
#include <string.h>

#define FEW	    64 /* are as soon sorted by comparing */
#define KEY_BITS    64
#define DIGIT_BITS  8
#define DIGIT_COUNT (1U << DIGIT_BITS)

struct key {
	uint64_t bytes;
	size_t index; /* of the node */
};

static int compare_nodes(const void *one, const void *other)
{
	return strcmp(((const struct srsd_node *)one)->name, ((const struct srsd_node *)other)->name);
}

/* How many bytes do all names begin with? */
static size_t common_bytes(const struct srsd_node *nodes, size_t count)
{
	const char *first = nodes[0].name;
	size_t bytes = strlen(first);

	for (size_t i = 1; i < count; i++) {
		size_t same = 0;

		while (same < bytes && nodes[i].name[same] == first[same])
			same++;
		bytes = same;
	}
	return bytes;
}

/* A name that ends early is below those that go on, as its key ends in zeros. */
static uint64_t key_bytes(const char *text)
{
	uint64_t bytes = 0;

	for (int shift = KEY_BITS - DIGIT_BITS; shift >= 0 && *text != '\0'; shift -= DIGIT_BITS)
		bytes |= (uint64_t)(unsigned char)*text++ << shift;
	return bytes;
}

static unsigned digit_of(const struct key *key, unsigned shift)
{
	return (unsigned)(key->bytes >> shift) & (DIGIT_COUNT - 1);
}

/* Sort by one digit into `to`; what is equal stays in its order. False: all are equal, and nothing was done.
 */
static bool sort_by_digit(const struct key *from, struct key *to, size_t count, unsigned shift)
{
	size_t places[DIGIT_COUNT] = {0};
	size_t place = 0;

	for (size_t i = 0; i < count; i++)
		places[digit_of(&from[i], shift)]++;
	if (places[digit_of(&from[0], shift)] == count)
		return false;
	for (size_t digit = 0; digit < DIGIT_COUNT; digit++) {
		size_t equal = places[digit];

		places[digit] = place;
		place += equal;
	}
	for (size_t i = 0; i < count; i++)
		to[places[digit_of(&from[i], shift)]++] = from[i];
	return true;
}

/* Returns where the sorted keys are: in `keys` or in `spare`. */
static struct key *sort_keys(struct key *keys, struct key *spare, size_t count)
{
	for (unsigned shift = 0; shift < KEY_BITS; shift += DIGIT_BITS) {
		struct key *from = keys;

		if (!sort_by_digit(from, spare, count, shift))
			continue;
		keys = spare;
		spare = from;
	}
	return keys;
}

/* Put the node with index keys[i].index at i, for each i: one cycle of places after the other. */
static void permute(struct srsd_node *nodes, struct key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct srsd_node first = nodes[i];
		size_t at = i;

		while (keys[at].index != i) {
			size_t from = keys[at].index;

			nodes[at] = nodes[from];
			keys[at].index = at;
			at = from;
		}
		nodes[at] = first;
		keys[at].index = at;
	}
}

/* Nodes with the same key stand side by side: sort each such run. */
static void sort_runs(struct srsd_node *nodes, const struct key *keys, size_t count)
{
	size_t begin = 0;

	for (size_t i = 1; i <= count; i++) {
		if (i < count && keys[i].bytes == keys[begin].bytes)
			continue;
		if (i - begin > 1)
			qsort(nodes + begin, i - begin, sizeof(*nodes), compare_nodes);
		begin = i;
	}
}

void srsd_nodes_sort(struct srsd_node *nodes, size_t count)
{
	struct key *keys = count > FEW ? malloc(2 * count * sizeof(*keys)) : NULL;
	struct key *sorted;
	size_t skipped;

	if (keys == NULL) {
		if (count > 1)
			qsort(nodes, count, sizeof(*nodes), compare_nodes);
		return;
	}
	skipped = common_bytes(nodes, count);
	for (size_t i = 0; i < count; i++)
		keys[i] = (struct key){.bytes = key_bytes(nodes[i].name + skipped), .index = i};
	sorted = sort_keys(keys, keys + count, count);
	permute(nodes, sorted, count);
	sort_runs(nodes, sorted, count);
	free(keys);
}
