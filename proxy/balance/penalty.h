/* penalty - what failures count as in a member's load. A backend that fails at once has nothing in flight and
 * looks idle: it would draw the traffic of all others. So each failure counts as attempts under way, fewer
 * and fewer. Plain data. */
#ifndef BALANCE_PENALTY_H
#define BALANCE_PENALTY_H

#include <stdint.h>

/* What one failure counts as at first, in attempts under way. */
#define PENALTY_PER_FAILURE 4

/* Half of it is forgotten in this time, or in what an answer of the service takes where that is longer. */
#define PENALTY_HALF_MS 500

/* All zero: none. */
struct penalty {
	uint64_t attempts_64k; /* times 65,536, */
	uint64_t since_ms;     /* at this time */
};

/* A failure at `now_ms`; half of all is forgotten in `half_ms`, at least 1. */
void penalty_add(struct penalty *penalty, uint64_t now_ms, uint64_t half_ms);

/* What is left of it, in whole attempts. */
uint64_t penalty_at(const struct penalty *penalty, uint64_t now_ms, uint64_t half_ms);

/* From when on there is nothing left, unless it is added to. */
uint64_t penalty_end_ms(const struct penalty *penalty, uint64_t half_ms);

#endif
