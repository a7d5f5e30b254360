/* suggestion - "did you mean ...": the word of a list that is nearest to what was written. Pure. */
#ifndef CONFIG_SUGGESTION_H
#define CONFIG_SUGGESTION_H

#include <stddef.h>

/* Keeps the nearest candidate so far. Start with `word` and `bytes` set and the rest zero. */
struct suggestion {
	const char *word;
	size_t bytes;
	const char *nearest; /* borrowed from the caller; NULL: none is near */
	size_t nearest_distance;
};

void suggestion_offer(struct suggestion *suggestion, const char *candidate);

#endif
