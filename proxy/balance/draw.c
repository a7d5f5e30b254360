/* draw - the table that members are drawn from (see draw.h). */
#include "balance/draw.h"

#include <assert.h>
#include <stdlib.h>

struct draw *draw_new(size_t count_max)
{
	struct draw *draw = malloc(sizeof(*draw) + count_max * sizeof(draw->columns[0]));
	if (draw != NULL)
		*draw = (struct draw){0};
	return draw;
}

/* The next index from `at` on that is poor, or is not; else the count. */
static uint32_t draw_next(const struct draw *draw, const uint32_t *weights, uint32_t at, bool is_poor)
{
	while (at < draw->count && ((uint64_t)weights[at] * draw->count < draw->total) != is_poor)
		at++;
	return at;
}

/* In whole numbers, so that nothing is lost: a member has its weight times their number to give away, a
 * column takes the total. What lacks in one, which is poor, is filled up by one that has too much. That one
 * may lack something itself then: the next rich one fills it up at once. As both sums are the same, nobody is
 * left over, and two walks meet everybody. */
void draw_fill(struct draw *draw, const uint32_t *weights, size_t count)
{
	assert(count < UINT32_MAX);
	draw->count = (uint32_t)count;
	draw->total = 0;
	for (uint32_t i = 0; i < draw->count; i++)
		draw->total += weights[i];
	for (uint32_t i = 0; i < draw->count; i++)
		draw->columns[i] = (struct draw_column){.own = (uint64_t)weights[i] * count, .other = i};
	uint32_t poor = draw_next(draw, weights, 0, true), rich = draw_next(draw, weights, 0, false);
	for (uint32_t taker = poor; taker < draw->count;) {
		draw->columns[rich].own -= draw->total - draw->columns[taker].own;
		draw->columns[taker].other = rich;
		if (draw->columns[rich].own < draw->total) {
			taker = rich;
			rich = draw_next(draw, weights, rich + 1, false);
		} else {
			taker = poor = draw_next(draw, weights, poor + 1, true);
		}
	}
}
