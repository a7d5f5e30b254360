/* nearest - the distance between what was typed and what there is, for "did you mean". Pure. */
#include "srsd/command/nearest.h"

#include <string.h>

enum { NAME_MAX_BYTES = 32 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits between two names of at most NAME_MAX_BYTES, a swap of neighbours counting as one (optimal string
 * alignment). */
static unsigned distance(const char *from, const char *to)
{
	size_t from_bytes = strlen(from), to_bytes = strlen(to);
	unsigned cost[NAME_MAX_BYTES + 1][NAME_MAX_BYTES + 1];

	for (size_t i = 0; i <= from_bytes; i++)
		cost[i][0] = (unsigned)i;
	for (size_t j = 0; j <= to_bytes; j++)
		cost[0][j] = (unsigned)j;
	for (size_t i = 1; i <= from_bytes; i++) {
		for (size_t j = 1; j <= to_bytes; j++) {
			unsigned change = cost[i - 1][j - 1] + (from[i - 1] != to[j - 1]);
			cost[i][j] = least(change, least(cost[i - 1][j], cost[i][j - 1]) + 1);
			if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
				cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
		}
	}
	return cost[from_bytes][to_bytes];
}

const char *nearest_name(const char *typed, const char *const *names, size_t count)
{
	const char *nearest = NULL;
	size_t bytes = strlen(typed);
	unsigned nearest_distance = (unsigned)(bytes + 2) / 3; /* a third of the letters may be wrong */

	if (bytes == 0 || bytes > NAME_MAX_BYTES)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (strlen(names[i]) > NAME_MAX_BYTES)
			continue;
		unsigned edits = distance(typed, names[i]);
		if (edits <= nearest_distance && (nearest == NULL || edits < nearest_distance)) {
			nearest = names[i];
			nearest_distance = edits;
		}
	}
	return nearest;
}
