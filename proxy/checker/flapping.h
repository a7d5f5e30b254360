/* flapping - which names have come and gone too often lately: who comes back once more has to wait before it
 * is believed in. A bounded table of one service's names, which is there only while some went lately: most
 * services are at rest most of the time. Pure: the time is given. Owns the table. */
#ifndef CHECKER_FLAPPING_H
#define CHECKER_FLAPPING_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* That often within this time is still taken for a restart. */
#define FLAPPING_GOINGS	   3
#define FLAPPING_WINDOW_MS 60000

/* The first wait, which doubles with each further time, and the longest. */
#define FLAPPING_WAIT_MS     1000
#define FLAPPING_WAIT_MAX_MS 30000

/* Names of one service that are remembered: places by a hash of the name, so many for each; of those that
 * share one, the one that went longest ago is forgotten. */
#define FLAPPING_ROWS 256
#define FLAPPING_WAYS 4

/* Goings of a name that are remembered. */
#define FLAPPING_REMEMBERED 9

struct flapping_name {
	uint64_t hash;			       /* of the name: two that share it share a place. 0: empty */
	uint64_t went_ms[FLAPPING_REMEMBERED]; /* the newest first; 0: none */
};

/* One that is zero knows of no name. */
struct flapping {
	struct flapping_name (*rows)[FLAPPING_WAYS]; /* NULL: none went lately */
	uint64_t last_ms;			     /* when one last did */
};

/* Forget them all. */
void flapping_finish(struct flapping *flapping);

/* The name has left the registry. Without memory for a table that is not remembered: who comes back is
 * believed in sooner, and no more. */
void flapping_went(struct flapping *flapping, const char *name, uint64_t now_ms);

/* To be called now and then: gives the table back when what is in it does not matter any more. */
void flapping_age(struct flapping *flapping, uint64_t now_ms);

/* The name is back. For how long shall it wait? 0: not at all. `goings` is set to how often it went lately.
 */
uint64_t flapping_wait_ms(
	const struct flapping *flapping, const char *name, uint64_t now_ms, uint32_t *goings);

#endif
