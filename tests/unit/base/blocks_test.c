/* blocks_test - objects do not overlap, are used again, and their blocks go back to the system. */
#include "base/blocks.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OBJECTS 5000 /* in several blocks */

struct object {
	char bytes[104];
};

static struct object *objects[OBJECTS];

static void take(struct blocks *blocks, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		objects[i] = blocks_take(blocks);
		cr_assert_not_null(objects[i]);
		cr_assert_eq((uintptr_t)objects[i] % _Alignof(void *), 0);
		memset(objects[i], (int)i, sizeof(*objects[i])); /* all of it is ours */
	}
}

static void give(struct blocks *blocks, size_t i)
{
	for (size_t b = 0; b < sizeof(objects[i]->bytes); b++)
		cr_assert_eq(objects[i]->bytes[b], (char)i, "two objects share memory");
	blocks_give(blocks, objects[i]);
}

Test(blocks, objects_do_not_overlap)
{
	struct blocks blocks;
	blocks_init(&blocks, sizeof(struct object), 4);
	for (int round = 0; round < 3; round++) {
		take(&blocks, 0, OBJECTS);
		for (size_t i = 0; i < OBJECTS; i += 2)
			give(&blocks, i);
		for (size_t i = 0; i < OBJECTS; i += 2)
			take(&blocks, i, i + 1);
		for (size_t i = 0; i < OBJECTS; i++)
			give(&blocks, (i + OBJECTS / 3) % OBJECTS);
	}
	blocks_finish(&blocks);
	cr_expect(LIST_EMPTY(&blocks.open));
}

Test(blocks, takes_objects_of_any_size_that_fits_a_block)
{
	const size_t sizes[] = {1, 9, 2760, BLOCK_BYTES / 2, BLOCK_BYTES - 64};
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct blocks blocks;
		char *taken[3];
		blocks_init(&blocks, sizes[s], 0);
		for (size_t i = 0; i < 3; i++) {
			taken[i] = blocks_take(&blocks);
			cr_assert_not_null(taken[i]);
			memset(taken[i], 'x', sizes[s]);
		}
		for (size_t i = 0; i < 3; i++)
			blocks_give(&blocks, taken[i]);
		blocks_finish(&blocks);
	}
}

#ifndef __SANITIZE_ADDRESS__ /* there are no blocks there, so that a use after free is seen */

/* Is there memory of ours at this address? */
static bool is_mapped(const void *at)
{
	unsigned char page;
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	return mincore((void *)((uintptr_t)at / page_bytes * page_bytes), 1, &page) == 0;
}

Test(blocks, the_last_given_is_the_first_taken)
{
	struct blocks blocks;
	blocks_init(&blocks, sizeof(struct object), 8);
	void *first = blocks_take(&blocks), *second = blocks_take(&blocks);
	blocks_give(&blocks, first);
	blocks_give(&blocks, second);
	cr_expect_eq(blocks_take(&blocks), second);
	cr_expect_eq(blocks_take(&blocks), first);
	blocks_give(&blocks, first);
	blocks_give(&blocks, second);
	blocks_finish(&blocks);
	cr_expect_not(is_mapped(first));
}

Test(blocks, an_object_takes_no_more_than_its_size)
{
	struct blocks blocks;
	blocks_init(&blocks, sizeof(struct object), 0);
	take(&blocks, 0, 2);
	cr_expect_eq((char *)objects[1] - (char *)objects[0], sizeof(struct object));
	cr_expect_eq(blocks.block_objects, (BLOCK_BYTES - 40) / sizeof(struct object));
	give(&blocks, 0);
	give(&blocks, 1);
	blocks_finish(&blocks);
}

Test(blocks, memory_goes_back_with_the_objects)
{
	struct blocks blocks;
	blocks_init(&blocks, sizeof(struct object), 700);
	take(&blocks, 0, OBJECTS);
	for (size_t i = 0; i < OBJECTS; i++)
		give(&blocks, i);
	cr_expect_geq(blocks.free_count, 700, "so many are kept");
	cr_expect_lt(blocks.free_count, 700 + blocks.block_objects, "and hardly more");
	size_t still = 0;
	for (size_t i = 0; i < OBJECTS; i++)
		still += is_mapped(objects[i]);
	cr_expect_leq(still, blocks.free_count);
	blocks_finish(&blocks);
}

/* As many as are kept come and go: the same memory serves them each time. */
Test(blocks, who_comes_and_goes_does_not_ask_the_system)
{
	struct blocks blocks;
	blocks_init(&blocks, sizeof(struct object), 700);
	take(&blocks, 0, 700);
	for (size_t i = 0; i < 700; i++)
		give(&blocks, i);
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < 700; i++)
			cr_assert(is_mapped(objects[i]));
		take(&blocks, 0, 700);
		for (size_t i = 0; i < 700; i++)
			give(&blocks, i);
	}
	blocks_finish(&blocks);
}
#endif
