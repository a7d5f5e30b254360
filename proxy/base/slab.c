/* slab - free lists (see slab.h). Under AddressSanitizer nothing is kept, so that a use after free is seen.
 */
#include "base/slab.h"

#include <stdlib.h>

#if defined(__has_feature) /* clang's way to say it */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

struct slab_free {
	struct slab_free *next;
};

void slab_init(struct slab *slab, size_t object_bytes, size_t kept_max)
{
	assert(object_bytes >= sizeof(struct slab_free));
#if defined(__SANITIZE_ADDRESS__)
	kept_max = 0;
#endif
	*slab = (struct slab){.object_bytes = object_bytes, .kept_max = kept_max};
}

void *slab_take(struct slab *slab)
{
	struct slab_free *object = slab->free;
	if (object == NULL)
		return malloc(slab->object_bytes);
	slab->free = object->next;
	slab->kept--;
	return object;
}

void slab_give(struct slab *slab, void *object)
{
	if (slab->kept >= slab->kept_max) {
		free(object);
		return;
	}
	struct slab_free *entry = object;
	entry->next = slab->free;
	slab->free = entry;
	slab->kept++;
}

void slab_finish(struct slab *slab)
{
	while (slab->free != NULL) {
		struct slab_free *object = slab->free;
		slab->free = object->next;
		free(object);
	}
	slab->kept = 0;
}
