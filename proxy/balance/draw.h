/* draw - members drawn at random in proportion to their weights, in constant time, whatever their number and
 * their weights (Walker's alias method, as Vose fills it: "A Linear Algorithm for Generating Random Numbers
 * with a Given Distribution", 1991). Owns its table, not the members. */
#ifndef BALANCE_DRAW_H
#define BALANCE_DRAW_H

#include "base/check.h"
#include "base/random.h"

#include <stddef.h>

/* Every column is drawn equally often; what of it is not the column's own member is that other one. */
struct draw_column {
	uint64_t own; /* of the sum of all weights */
	uint32_t other;
};

struct draw {
	uint64_t total; /* sum of all weights; 0: there is nothing to draw */
	uint32_t count;
	struct draw_column columns[];
};

/* Room for `count_max` members. The caller frees it with free(). NULL without memory. */
MUST_CHECK struct draw *draw_new(size_t count_max);

/* Fill it for `count` members of these weights. */
void draw_fill(struct draw *draw, const uint32_t *weights, size_t count);

/* The index of a member; the total must not be 0. */
static inline uint32_t draw_index(const struct draw *draw, struct random *random)
{
	const struct draw_column *column;
	uint32_t index = random_below(random, draw->count);
	/* Each number below the total comes from as many of the 2^64, but for one: totals are far below. */
	uint64_t at = (uint64_t)(((unsigned __int128)random_next(random) * draw->total) >> 64);
	column = &draw->columns[index];
	return at < column->own ? index : column->other;
}

#endif
