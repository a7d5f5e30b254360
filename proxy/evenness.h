/* evenness - how many connections each worker has, and who is to have the next one. The kernel deals them out
 * by a hash of addresses and ports: with few connections one worker may have most of them. One for all
 * workers; a number for each on a cache line of its own. Touched when a connection comes and goes, never by a
 * request.
 *
 * Numbers are taken before the connections, so that workers that choose at the same time see each other. */
#ifndef EVENNESS_H
#define EVENNESS_H

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A worker looks at the others' numbers so often in a second, and that many times in a row after a rest.
 * Where connections come faster than that there are so many that chance is even, and the looks would cost. */
#define EVENNESS_LOOKS_PER_SECOND 200

/* Where each has many connections, a sixteenth more or less is even. */
#define EVENNESS_SLACK 16

struct evenness_place {
	_Alignas(64) _Atomic uint32_t word; /* connections, and EVENNESS_SHUT */
};

#define EVENNESS_SHUT (UINT32_C(1) << 31) /* takes none of the others' */

struct evenness {
	size_t count;
	struct evenness_place *places; /* one per worker */
};

/* All of them shut. False without memory. */
MUST_CHECK bool evenness_init(struct evenness *evenness, size_t worker_count);
void evenness_finish(struct evenness *evenness);

/* The worker takes the others' connections too, if it has the fewest; or it does not. By the worker. */
void evenness_open(struct evenness *evenness, size_t worker);
void evenness_shut(struct evenness *evenness, size_t worker);

/* Who is to have a connection that is `worker`'s by chance: itself, or whoever has the fewest, where it has
 * more than that one. It has been counted for the one returned. Any thread. */
MUST_CHECK size_t evenness_choose(struct evenness *evenness, size_t worker);

/* One connection more of a worker, one less. Any thread. */
void evenness_enter(struct evenness *evenness, size_t worker);
void evenness_leave(struct evenness *evenness, size_t worker);

/* A worker's own: how often it may still look. All zero: often. */
struct evenness_looks {
	uint64_t spent_ms; /* the looks up to here on the clock are taken */
};

/* May it look at the others now? That counts as a look. `now_ms` as of CLOCK_MONOTONIC. */
MUST_CHECK bool evenness_may_look(struct evenness_looks *looks, uint64_t now_ms);

#endif
