/* slab - objects of one size, used again in the order last freed, first taken: they are warm in the cache.
 * One per worker and kind; no locks. Keeps a bounded number of free ones, gives the rest back. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/check.h"

#include <stddef.h>

struct slab_free;

struct slab {
	size_t object_bytes;
	size_t kept_max;
	size_t kept;
	struct slab_free *free;
};

/* `object_bytes` is at least the size of a pointer. */
void slab_init(struct slab *slab, size_t object_bytes, size_t kept_max);

/* Memory of unknown content, or NULL. */
MUST_CHECK void *slab_take(struct slab *slab);

void slab_give(struct slab *slab, void *object);

/* Free what is kept. */
void slab_finish(struct slab *slab);

#endif
