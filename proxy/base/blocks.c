/* blocks - objects without a gap between them (see blocks.h). */
#include "base/blocks.h"

#include "base/clock.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* At the beginning of its memory; the objects follow. */
struct block {
	LIST_ENTRY(block) link;	  /* while it has a free place */
	struct block_place *free; /* given back */
	size_t touched; /* so many from the first on were taken once: the rest takes no memory yet */
	size_t taken;
};

#define BLOCK_OBJECTS_BYTES (BLOCK_BYTES - sizeof(struct block))

static wheel_fire_fn blocks_on_look;

void blocks_init(struct blocks *blocks, struct wheel *wheel, size_t object_bytes)
{
	object_bytes = (object_bytes + _Alignof(void *) - 1) / _Alignof(void *) * _Alignof(void *);
	assert(object_bytes > 0 && object_bytes <= BLOCK_OBJECTS_BYTES);
	*blocks = (struct blocks){.object_bytes = object_bytes,
		.block_objects = BLOCK_OBJECTS_BYTES / object_bytes,
		.wheel = wheel};
	LIST_INIT(&blocks->open);
	LIST_INIT(&blocks->empty);
	wheel_timer_init(&blocks->timer, blocks_on_look);
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* The one that an object is in. */
static struct block *block_of(void *object)
{
	return (struct block *)((char *)object - (uintptr_t)object % BLOCK_BYTES);
}

/* Memory that begins at a multiple of its size: twice as much has such a part; the rest goes back. */
static void *block_map(void)
{
	char *memory =
		mmap(NULL, 2 * BLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	size_t before = BLOCK_BYTES - (uintptr_t)memory % BLOCK_BYTES;
	(void)munmap(memory, before);
	if (before < BLOCK_BYTES)
		(void)munmap(memory + before + BLOCK_BYTES, BLOCK_BYTES - before);
	return memory + before;
}

static void blocks_look_in(struct blocks *blocks, uint64_t ms)
{
	wheel_arm(blocks->wheel, &blocks->timer, clock_coarse_ms() + ms);
}

/* An empty one, of which an object is about to be taken, or a new one. */
static struct block *blocks_open(struct blocks *blocks)
{
	struct block *block = LIST_FIRST(&blocks->empty);
	if (block != NULL) {
		LIST_REMOVE(block, link);
		if (--blocks->empty_count < blocks->empty_min)
			blocks->empty_min = blocks->empty_count;
	} else {
		block = block_map();
		if (block == NULL)
			return NULL;
		blocks->count++;
	}
	LIST_INSERT_HEAD(&blocks->open, block, link);
	return block;
}

static void blocks_close_empty(struct blocks *blocks)
{
	struct block *block = LIST_FIRST(&blocks->empty);
	LIST_REMOVE(block, link);
	blocks->empty_count--;
	blocks->count--;
	(void)munmap(block, BLOCK_BYTES);
}

/* What is at hand goes back as well: each such object holds a block. */
static void blocks_cool(struct blocks *blocks)
{
	while (blocks->warm != NULL)
		blocks_give_cold(blocks, blocks_take(blocks));
}

static void blocks_on_look(struct wheel_timer *timer)
{
	struct blocks *blocks = CONTAINER_OF(timer, struct blocks, timer);
	for (int i = 0; i < BLOCKS_GO_MAX && blocks->empty_min > 0 && blocks->count > 1; i++) {
		blocks_close_empty(blocks);
		blocks->empty_min--;
	}
	if (blocks->empty_min > 0 && blocks->count > 1) {
		blocks_look_in(blocks, BLOCKS_GO_MS);
		return;
	}
	blocks_cool(blocks);
	blocks->empty_min = blocks->empty_count;
	if (blocks->empty_count > 0 && blocks->count > 1)
		blocks_look_in(blocks, BLOCKS_LOOK_MS);
}

/* ---- Objects --------------------------------------------------------------------------------- */

void *blocks_take_cold(struct blocks *blocks)
{
	if (!HAS_BLOCKS)
		return malloc(blocks->object_bytes);
	struct block *block = LIST_FIRST(&blocks->open);
	if (UNLIKELY(block == NULL) && (block = blocks_open(blocks)) == NULL)
		return NULL;
	struct block_place *object = block->free;
	if (object != NULL)
		block->free = object->next;
	else
		object = (void *)((char *)(block + 1) + block->touched++ * blocks->object_bytes);
	if (++block->taken == blocks->block_objects)
		LIST_REMOVE(block, link);
	return object;
}

void blocks_give_cold(struct blocks *blocks, void *object)
{
	if (!HAS_BLOCKS) {
		free(object);
		return;
	}
	struct block *block = block_of(object);
	struct block_place *place = object;
	place->next = block->free;
	block->free = place;
	if (UNLIKELY(!wheel_is_armed(&blocks->timer)))
		blocks_look_in(blocks, BLOCKS_LOOK_MS);
	bool was_full = block->taken-- == blocks->block_objects;
	if (!was_full && block->taken > 0)
		return;
	if (!was_full)
		LIST_REMOVE(block, link);
	if (block->taken > 0) {
		LIST_INSERT_HEAD(&blocks->open, block, link);
	} else {
		LIST_INSERT_HEAD(&blocks->empty, block, link);
		blocks->empty_count++;
	}
}

void blocks_finish(struct blocks *blocks)
{
	blocks_cool(blocks);
	wheel_forget(&blocks->timer);
	while (!LIST_EMPTY(&blocks->empty))
		blocks_close_empty(blocks);
	assert(blocks->count == 0);
}
