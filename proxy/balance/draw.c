/* draw - the table that members are drawn from (see draw.h). */
#include "balance/draw.h"

#include <assert.h>
#include <stdlib.h>

#define DRAW_NONE UINT32_MAX

/* Columns that have less, or more, than a column's share; linked by their `other`. */
struct draw_heap {
	uint32_t first;
};

static void heap_push(struct draw *draw, struct draw_heap *heap, uint32_t index)
{
	draw->columns[index].other = heap->first;
	heap->first = index;
}

static uint32_t heap_pop(struct draw *draw, struct draw_heap *heap)
{
	uint32_t index = heap->first;
	heap->first = draw->columns[index].other;
	return index;
}

struct draw *draw_new(size_t count_max)
{
	struct draw *draw = malloc(sizeof(*draw) + count_max * sizeof(draw->columns[0]));
	if (draw != NULL)
		*draw = (struct draw){0};
	return draw;
}

/* In whole numbers, so that nothing is lost: a member has its weight times their number to give away, a
 * column takes the total. What lacks in one is filled up by one that has too much; as both sums are the same,
 * nobody is left over. */
void draw_fill(struct draw *draw, struct member *const *members, size_t count)
{
	struct draw_heap poor = {DRAW_NONE}, rich = {DRAW_NONE};
	assert(count < DRAW_NONE);
	draw->count = (uint32_t)count;
	draw->total = 0;
	for (uint32_t i = 0; i < draw->count; i++)
		draw->total += members[i]->weight;
	for (uint32_t i = 0; i < draw->count; i++) {
		draw->columns[i].own = (uint64_t)members[i]->weight * count;
		heap_push(draw, draw->columns[i].own < draw->total ? &poor : &rich, i);
	}
	while (poor.first != DRAW_NONE && rich.first != DRAW_NONE) {
		uint32_t taker = heap_pop(draw, &poor), giver = heap_pop(draw, &rich);
		draw->columns[giver].own -= draw->total - draw->columns[taker].own;
		draw->columns[taker].other = giver;
		heap_push(draw, draw->columns[giver].own < draw->total ? &poor : &rich, giver);
	}
	assert(poor.first == DRAW_NONE);
	while (rich.first != DRAW_NONE) {
		uint32_t full = heap_pop(draw, &rich);
		draw->columns[full].other = full;
	}
}
