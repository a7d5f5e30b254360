/* blocks - objects of one size in blocks of memory, for what there are very many of: nothing stands between
 * them, and a block is given back to the system once it is empty, so that what many connections took is gone
 * with them. Costs some 14 instructions more each time than a slab, which is for what comes and goes with
 * each request. One per worker and kind; no locks. Owns the blocks. */
#ifndef BASE_BLOCKS_H
#define BASE_BLOCKS_H

#include "base/check.h"

#include <stddef.h>
#include <sys/queue.h>

/* One block, which begins at a multiple of that. */
#define BLOCK_BYTES (64 * 1024)

struct block;
LIST_HEAD(blocks_list, block);

struct blocks {
	size_t object_bytes;
	size_t block_objects; /* in one block */
	size_t kept_max;
	size_t free_count;	 /* places in the blocks that are not taken */
	struct blocks_list open; /* which have any, the last one that got one first; who has none is known by
				    its objects alone */
};

/* For objects of `object_bytes`, which are aligned as a pointer is, and fit a block. An empty block is given
 * back unless fewer than `kept_max` free places would be left: where as many come and go nobody asks the
 * system. */
void blocks_init(struct blocks *blocks, size_t object_bytes, size_t kept_max);

/* Memory of unknown content, or NULL. */
MUST_CHECK void *blocks_take(struct blocks *blocks);

void blocks_give(struct blocks *blocks, void *object);

/* Free what is kept; all objects must have been given back. */
void blocks_finish(struct blocks *blocks);

#endif
