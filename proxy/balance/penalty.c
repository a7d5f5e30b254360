/* penalty - failures as load (see penalty.h). */
#include "balance/penalty.h"

/* A bound that nothing reaches but a worker that does nothing else than fail. */
#define PENALTY_MOST_64K (UINT64_C(1) << 40)

/* Halved for each `half_ms`, and evenly less within one. */
static uint64_t penalty_left_64k(const struct penalty *penalty, uint64_t now_ms, uint64_t half_ms)
{
	uint64_t age_ms = now_ms > penalty->since_ms ? now_ms - penalty->since_ms : 0;
	uint64_t halvings = age_ms / half_ms;
	if (halvings > 40)
		return 0;
	uint64_t left = penalty->attempts_64k >> halvings;
	return left - left * (age_ms % half_ms) / (2 * half_ms);
}

void penalty_add(struct penalty *penalty, uint64_t now_ms, uint64_t half_ms)
{
	uint64_t sum = penalty_left_64k(penalty, now_ms, half_ms) + ((uint64_t)PENALTY_PER_FAILURE << 16);
	penalty->attempts_64k = sum < PENALTY_MOST_64K ? sum : PENALTY_MOST_64K;
	penalty->since_ms = now_ms;
}

uint64_t penalty_at(const struct penalty *penalty, uint64_t now_ms, uint64_t half_ms)
{
	return penalty_left_64k(penalty, now_ms, half_ms) >> 16;
}

uint64_t penalty_end_ms(const struct penalty *penalty, uint64_t half_ms)
{
	uint64_t halvings = 0;
	while (penalty->attempts_64k >> halvings >= UINT64_C(1) << 16)
		halvings++;
	return penalty->since_ms + halvings * half_ms;
}
