/* blocks - objects of one size in blocks of memory: nothing stands between them, and blocks that stay empty
 * for a while go back to the system, so that what a peak took is gone with it. The objects that were given
 * back last are at hand, warm in the cache: what comes and goes with each request does not touch its block.
 * One per thread and kind; no locks. Owns the blocks. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H

#include "base/check.h"
#include "base/wheel.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

/* One block, which begins at a multiple of that. */
#define BLOCK_BYTES (64 * 1024)

/* So many objects are at hand at most. */
#define BLOCKS_WARM_MAX 256

/* It is looked so often whether blocks were empty all the time since. These go, but the last one, a few at a
 * time, as each takes the system up to 30 microseconds. Nobody looks where nothing was given back. */
#define BLOCKS_LOOK_MS 1000
#define BLOCKS_GO_MS   50
#define BLOCKS_GO_MAX  8

/* Under AddressSanitizer each object is the C library's, so that a use after free is seen. */
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

struct block;
LIST_HEAD(blocks_list, block);

/* A free object. */
struct block_place {
	struct block_place *next;
};

struct blocks {
	struct block_place *warm; /* at hand; in their blocks they count as taken */
	size_t warm_count;
	size_t object_bytes;
	size_t block_objects;	 /* in one block */
	struct blocks_list open; /* with free places and taken ones, the last one that got one first; a full
				    block is known by its objects alone */
	struct blocks_list empty;
	size_t count; /* blocks of all kinds */
	size_t empty_count;
	size_t empty_min; /* the fewest since the last look */
	struct wheel *wheel;
	struct wheel_timer timer; /* of the next look */
};

/* For objects of `object_bytes`, which are aligned as a pointer is, and fit a block. `wheel` is its thread's;
 * borrowed, nothing is armed before the first object is taken. */
void blocks_init(struct blocks *blocks, struct wheel *wheel, size_t object_bytes);

/* Out of a block, and back into it: for the two below. */
MUST_CHECK void *blocks_take_cold(struct blocks *blocks);
void blocks_give_cold(struct blocks *blocks, void *object);

/* Memory of unknown content, or NULL. */
MUST_CHECK static inline void *blocks_take(struct blocks *blocks)
{
	struct block_place *place = blocks->warm;
	if (place == NULL)
		return blocks_take_cold(blocks);
	blocks->warm = place->next;
	blocks->warm_count--;
	return place;
}

static inline void blocks_give(struct blocks *blocks, void *object)
{
	if (!HAS_BLOCKS || blocks->warm_count == BLOCKS_WARM_MAX) {
		blocks_give_cold(blocks, object);
		return;
	}
	struct block_place *place = object;
	place->next = blocks->warm;
	blocks->warm = place;
	blocks->warm_count++;
}

/* Free what is kept; all objects must have been given back. */
void blocks_finish(struct blocks *blocks);

#endif
