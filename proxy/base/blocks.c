/* blocks - objects without a gap between them (see blocks.h). Under AddressSanitizer each is the C library's,
 * so that a use after free is seen. */
#include "base/blocks.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature) /* clang's way to say it */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define HAS_BLOCKS false
#else
#define HAS_BLOCKS true
#endif

struct block_place {
	struct block_place *next;
};

/* At the beginning of its memory; the objects follow. */
struct block {
	LIST_ENTRY(block) link;	  /* while it has a free place */
	struct block_place *free; /* given back */
	size_t touched; /* so many from the first on were taken once: the rest takes no memory yet */
	size_t taken;
};

#define BLOCK_OBJECTS_BYTES (BLOCK_BYTES - sizeof(struct block))

void blocks_init(struct blocks *blocks, size_t object_bytes, size_t kept_max)
{
	object_bytes = (object_bytes + _Alignof(void *) - 1) / _Alignof(void *) * _Alignof(void *);
	assert(object_bytes > 0 && object_bytes <= BLOCK_OBJECTS_BYTES);
	*blocks = (struct blocks){.object_bytes = object_bytes,
		.block_objects = BLOCK_OBJECTS_BYTES / object_bytes,
		.kept_max = kept_max};
	LIST_INIT(&blocks->open);
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

static struct block *block_open(struct blocks *blocks)
{
	struct block *block = block_map();
	if (block == NULL)
		return NULL;
	LIST_INSERT_HEAD(&blocks->open, block, link);
	blocks->free_count += blocks->block_objects;
	return block;
}

static void block_close(struct blocks *blocks, struct block *block)
{
	LIST_REMOVE(block, link);
	blocks->free_count -= blocks->block_objects;
	(void)munmap(block, BLOCK_BYTES);
}

/* ---- Objects --------------------------------------------------------------------------------- */

void *blocks_take(struct blocks *blocks)
{
	if (!HAS_BLOCKS)
		return malloc(blocks->object_bytes);
	struct block *block = LIST_FIRST(&blocks->open);
	if (UNLIKELY(block == NULL) && (block = block_open(blocks)) == NULL)
		return NULL;
	struct block_place *object = block->free;
	if (object != NULL)
		block->free = object->next;
	else
		object = (void *)((char *)(block + 1) + block->touched++ * blocks->object_bytes);
	blocks->free_count--;
	if (++block->taken == blocks->block_objects)
		LIST_REMOVE(block, link);
	return object;
}

void blocks_give(struct blocks *blocks, void *object)
{
	if (!HAS_BLOCKS) {
		free(object);
		return;
	}
	struct block *block = block_of(object);
	struct block_place *place = object;
	place->next = block->free;
	block->free = place;
	blocks->free_count++;
	if (block->taken-- == blocks->block_objects)
		LIST_INSERT_HEAD(&blocks->open, block, link);
	if (block->taken == 0 && blocks->free_count >= blocks->kept_max + blocks->block_objects)
		block_close(blocks, block);
}

void blocks_finish(struct blocks *blocks)
{
	while (!LIST_EMPTY(&blocks->open)) {
		assert(LIST_FIRST(&blocks->open)->taken == 0);
		block_close(blocks, LIST_FIRST(&blocks->open));
	}
	assert(blocks->free_count == 0);
}
