/* blocks_test - objects do not overlap, are used again, and their blocks go back to the system in time. */
#include "base/blocks.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OBJECTS 20000 /* in several blocks */

struct object {
	char bytes[104];
};

static struct wheel wheel;
static struct object *objects[OBJECTS];

static void init(struct blocks *blocks)
{
	wheel_init(&wheel, clock_coarse_ms());
	blocks_init(blocks, &wheel, sizeof(struct object));
}

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
	init(&blocks);
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
	cr_expect(LIST_EMPTY(&blocks.open) && LIST_EMPTY(&blocks.empty));
}

Test(blocks, takes_objects_of_any_size_that_fits_a_block)
{
	const size_t sizes[] = {1, 9, 2760, BLOCK_BYTES / 2, BLOCK_BYTES - 64};
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct blocks blocks;
		char *taken[3];
		blocks_init(&blocks, &wheel, sizes[s]);
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
	init(&blocks);
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
	init(&blocks);
	take(&blocks, 0, 2);
	cr_expect_eq((char *)objects[1] - (char *)objects[0], sizeof(struct object));
	cr_expect_geq(blocks.block_objects * sizeof(struct object), BLOCK_BYTES - 64 - sizeof(struct object));
	give(&blocks, 0);
	give(&blocks, 1);
	blocks_finish(&blocks);
}

static void give_all(struct blocks *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		give(blocks, i * 13 % count); /* in another order */
}

/* Let so much time pass. The most blocks that went at once. */
static size_t pass(struct blocks *blocks, uint64_t ms)
{
	static uint64_t passed_ms;
	size_t most = 0;
	for (uint64_t end_ms = passed_ms + ms; passed_ms < end_ms; passed_ms += WHEEL_TICK_MS) {
		size_t before = blocks->count;
		wheel_advance(&wheel, clock_coarse_ms() + passed_ms);
		most = before - blocks->count > most ? before - blocks->count : most;
	}
	return most;
}

Test(blocks, memory_goes_back_a_while_after_the_objects)
{
	struct blocks blocks;
	init(&blocks);
	take(&blocks, 0, OBJECTS);
	size_t count = blocks.count;
	cr_assert_gt(count, BLOCKS_GO_MAX);
	give_all(&blocks, OBJECTS - 1);
	cr_expect_eq(blocks.count, count, "not at once");
	cr_expect_leq(pass(&blocks, 10 * BLOCKS_LOOK_MS), BLOCKS_GO_MAX, "a few at a time");
	cr_expect_eq(blocks.count, 1);
	cr_expect_eq(blocks.warm_count, 0);
	cr_expect_not(wheel_is_armed(&blocks.timer), "nothing is left to look for");
	size_t still = 0;
	for (size_t i = 0; i < OBJECTS; i++)
		still += is_mapped(objects[i]);
	cr_expect_leq(still, blocks.block_objects);
	give(&blocks, OBJECTS - 1);
	blocks_finish(&blocks);
}

/* What comes and goes: the same memory serves it each time, however long that goes on. */
Test(blocks, what_is_needed_again_and_again_stays)
{
	struct blocks blocks;
	init(&blocks);
	take(&blocks, 0, OBJECTS);
	size_t count = blocks.count;
	for (int round = 0; round < 20; round++) {
		give_all(&blocks, OBJECTS);
		pass(&blocks, BLOCKS_LOOK_MS / 2);
		take(&blocks, 0, OBJECTS);
		cr_assert_eq(blocks.count, count);
		pass(&blocks, BLOCKS_LOOK_MS / 4);
		cr_assert_eq(blocks.count, count);
	}
	give_all(&blocks, OBJECTS);
	blocks_finish(&blocks);
}

/* Of a load that has become less, what it does not need any more goes. */
Test(blocks, what_was_needed_before_goes_while_others_are_used)
{
	struct blocks blocks;
	init(&blocks);
	take(&blocks, 0, OBJECTS);
	size_t count = blocks.count;
	give_all(&blocks, OBJECTS);
	for (int round = 0; round < 40; round++) {
		take(&blocks, 0, OBJECTS / 4);
		pass(&blocks, BLOCKS_LOOK_MS / 4);
		give_all(&blocks, OBJECTS / 4);
	}
	cr_expect_leq(blocks.count, count / 4 + 2);
	cr_expect_geq(blocks.count, count / 4);
	blocks_finish(&blocks);
}
#endif
