/* flapping - names that come and go (see flapping.h). */
#include "checker/flapping.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/. Who registers could find names that collide, and make
 * us forget: no harm in that. */
static uint64_t flapping_hash(const char *name)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
	return hash != 0 ? hash : 1;
}

void flapping_finish(struct flapping *flapping)
{
	free(flapping->rows);
	flapping->rows = NULL;
}

void flapping_age(struct flapping *flapping, uint64_t now_ms)
{
	if (flapping->rows != NULL && now_ms - flapping->last_ms >= FLAPPING_WINDOW_MS)
		flapping_finish(flapping);
}

void flapping_went(struct flapping *flapping, const char *name, uint64_t now_ms)
{
	if (flapping->rows == NULL)
		flapping->rows = calloc(FLAPPING_ROWS, sizeof(*flapping->rows));
	if (flapping->rows == NULL)
		return;
	flapping->last_ms = now_ms;
	uint64_t hash = flapping_hash(name);
	struct flapping_name *row = flapping->rows[hash % FLAPPING_ROWS];
	struct flapping_name *place = &row[0];
	for (size_t i = 0; i < FLAPPING_WAYS; i++) {
		if (row[i].hash == hash) {
			place = &row[i];
			break;
		}
		if (row[i].went_ms[0] < place->went_ms[0])
			place = &row[i];
	}
	if (place->hash != hash)
		*place = (struct flapping_name){.hash = hash};
	memmove(&place->went_ms[1], &place->went_ms[0], sizeof(place->went_ms) - sizeof(place->went_ms[0]));
	place->went_ms[0] = now_ms;
}

static uint32_t flapping_count(const struct flapping_name *name, uint64_t now_ms)
{
	uint32_t count = 0;
	while (count < FLAPPING_REMEMBERED && name->went_ms[count] != 0 &&
		now_ms - name->went_ms[count] < FLAPPING_WINDOW_MS)
		count++;
	return count;
}

uint64_t flapping_wait_ms(
	const struct flapping *flapping, const char *name, uint64_t now_ms, uint32_t *goings)
{
	*goings = 0;
	if (flapping->rows == NULL)
		return 0;
	uint64_t hash = flapping_hash(name);
	const struct flapping_name *row = flapping->rows[hash % FLAPPING_ROWS];
	for (size_t i = 0; i < FLAPPING_WAYS; i++)
		if (row[i].hash == hash)
			*goings = flapping_count(&row[i], now_ms);
	if (*goings <= FLAPPING_GOINGS)
		return 0;
	uint64_t wait_ms = (uint64_t)FLAPPING_WAIT_MS << (*goings - FLAPPING_GOINGS - 1);
	return wait_ms < FLAPPING_WAIT_MAX_MS ? wait_ms : FLAPPING_WAIT_MAX_MS;
}
