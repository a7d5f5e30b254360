/* random - xoshiro256++ (Blackman and Vigna) and an unbiased range. Owns nothing. */
#include "base/random.h"

#include <sys/random.h>

bool random_seed(struct random *random)
{
	do {
		if (getrandom(random->state, sizeof(random->state), 0) != (ssize_t)sizeof(random->state))
			return false;
	} while ((random->state[0] | random->state[1] | random->state[2] | random->state[3]) == 0);
	return true;
}

static uint64_t rotate_left(uint64_t x, unsigned by)
{
	return (x << by) | (x >> (64 - by));
}

uint64_t random_next(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate_left(s[3], 45);
	return result;
}

/* Lemire, "Fast Random Integer Generation in an Interval" (2019): multiply, and draw again in the few cases
 * in which some results would have one more chance than others. */
uint32_t random_below(struct random *random, uint32_t below)
{
	uint64_t product = (random_next(random) >> 32) * below;
	if ((uint32_t)product < below) {
		uint32_t threshold = (0U - below) % below;
		while ((uint32_t)product < threshold)
			product = (random_next(random) >> 32) * below;
	}
	return (uint32_t)(product >> 32);
}
