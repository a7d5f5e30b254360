/* node_sort_test - sorted as strcmp() says, whatever the names are, and each node with what belongs to it. */
#include "srsd/node/node_sort.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX  3000
#define NAME_BYTES 64

static char names[NAMES_MAX][NAME_BYTES];
static struct srsd_node nodes[NAMES_MAX];

static int compare(const void *one, const void *other)
{
	return strcmp(one, other);
}

/* Sort the first `count` names, and compare with what the C library makes of them. */
static void check(size_t count)
{
	static char wanted[NAMES_MAX][NAME_BYTES];

	memcpy(wanted, names, sizeof(names));
	qsort(wanted, count, NAME_BYTES, compare);
	for (size_t i = 0; i < count; i++)
		nodes[i] = (struct srsd_node){.name = names[i], .owner = (int64_t)i};
	srsd_nodes_sort(nodes, count);
	for (size_t i = 0; i < count; i++) {
		cr_assert_str_eq(nodes[i].name, wanted[i], "%zu of %zu", i, count);
		cr_assert_eq(nodes[i].name, names[nodes[i].owner], "a node lost its name");
	}
}

static void check_sizes(void)
{
	static const size_t counts[] = {0, 1, 2, 63, 64, 65, 66, 1000, NAMES_MAX};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		check(counts[i]);
}

Test(node_sort, sorts_addresses)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		snprintf(names[i], NAME_BYTES, "192.168.%u.%u:%u", arc4random_uniform(4),
			arc4random_uniform(256), 8000 + arc4random_uniform(20));
	check_sizes();
}

Test(node_sort, sorts_any_bytes)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		size_t bytes = arc4random_uniform(NAME_BYTES);

		for (size_t j = 0; j < bytes; j++)
			names[i][j] = (char)(1 + arc4random_uniform(255));
		names[i][bytes] = '\0';
	}
	check_sizes();
}

/* Long common beginnings, names that begin others, and names that stand there twice. */
Test(node_sort, sorts_names_that_differ_late)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		size_t bytes = 20 + arc4random_uniform(NAME_BYTES - 21);

		memset(names[i], 'a', bytes);
		names[i][bytes] = '\0';
		if (arc4random_uniform(2) == 0)
			names[i][15 + arc4random_uniform((unsigned)bytes - 15)] =
				(char)('a' - 1 + (int)arc4random_uniform(3));
	}
	check_sizes();
}

Test(node_sort, sorts_what_is_all_the_same)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		snprintf(names[i], NAME_BYTES, "192.168.0.1:80");
	check_sizes();
}
