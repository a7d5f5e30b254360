/* backoff - jittered delays. Owns nothing. */
#include "common/backoff.h"

#include <assert.h>
#include <stdlib.h>

uint32_t srsd_random_between(uint32_t low, uint32_t high)
{
	assert(low <= high);
	if (low == 0 && high == UINT32_MAX)
		return arc4random();
	return low + arc4random_uniform(high - low + 1);
}

uint32_t srsd_backoff_next_ms(struct srsd_backoff *backoff)
{
	uint64_t upper = backoff->base_ms;

	for (unsigned i = 0; i < backoff->tries && upper < backoff->cap_ms; i++)
		upper *= 2;
	if (upper > backoff->cap_ms)
		upper = backoff->cap_ms;
	if (backoff->tries < UINT32_MAX)
		backoff->tries++;
	return srsd_random_between((uint32_t)(upper - upper / 2), (uint32_t)upper);
}

void srsd_backoff_reset(struct srsd_backoff *backoff)
{
	backoff->tries = 0;
}
