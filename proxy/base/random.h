/* random - a generator per worker (xoshiro256++), seeded from the kernel. Fast, not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct random {
	uint64_t state[4];
};

/* Seed from the kernel. Returns false when it gives no entropy (errno tells). */
MUST_CHECK bool random_seed(struct random *random);

/* 64 random bits. */
uint64_t random_next(struct random *random);

/* A number from 0 to below - 1, each equally likely; `below` is at least 1. */
uint32_t random_below(struct random *random, uint32_t below);

#endif
