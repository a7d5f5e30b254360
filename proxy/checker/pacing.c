/* pacing - how many probes there are, and when (see pacing.h). */
#include "checker/pacing.h"

#define PACING_CREDIT 1000

struct pacing_bounds {
	uint64_t per_second, burst;
	uint32_t in_flight_max;
};

static const struct pacing_bounds pacing_bounds[] = {
	[PACING_URGENT] = {PACING_URGENT_PER_SECOND, PACING_URGENT_BURST, PACING_IN_FLIGHT_MAX},
	[PACING_REGULAR] = {PACING_REGULAR_PER_SECOND, PACING_REGULAR_BURST, PACING_IN_FLIGHT_REGULAR_MAX},
};

void pacing_init(struct pacing *pacing, uint64_t now_ms)
{
	*pacing = (struct pacing){.refilled_ms = now_ms};
	for (int kind = 0; kind < PACING_KIND_COUNT; kind++)
		pacing->credit[kind] = pacing_bounds[kind].burst * PACING_CREDIT;
}

static void pacing_refill(struct pacing *pacing, uint64_t now_ms)
{
	uint64_t passed_ms = now_ms > pacing->refilled_ms ? now_ms - pacing->refilled_ms : 0;
	pacing->refilled_ms += passed_ms;
	for (int kind = 0; kind < PACING_KIND_COUNT && passed_ms > 0; kind++) {
		uint64_t most = pacing_bounds[kind].burst * PACING_CREDIT;
		pacing->credit[kind] += passed_ms * pacing_bounds[kind].per_second;
		if (pacing->credit[kind] > most)
			pacing->credit[kind] = most;
	}
}

static bool pacing_has_room(const struct pacing *pacing, enum pacing_kind kind)
{
	uint32_t all = pacing->in_flight[PACING_URGENT] + pacing->in_flight[PACING_REGULAR];
	return all < PACING_IN_FLIGHT_MAX && pacing->in_flight[kind] < pacing_bounds[kind].in_flight_max;
}

bool pacing_may_begin(struct pacing *pacing, enum pacing_kind kind, uint64_t now_ms)
{
	pacing_refill(pacing, now_ms);
	return pacing_has_room(pacing, kind) && pacing->credit[kind] >= PACING_CREDIT;
}

void pacing_begin(struct pacing *pacing, enum pacing_kind kind)
{
	assert(pacing->credit[kind] >= PACING_CREDIT);
	pacing->in_flight[kind]++;
	pacing->credit[kind] -= PACING_CREDIT;
}

void pacing_end(struct pacing *pacing, enum pacing_kind kind)
{
	assert(pacing->in_flight[kind] > 0);
	pacing->in_flight[kind]--;
}

uint64_t pacing_wait_ms(const struct pacing *pacing, enum pacing_kind kind)
{
	if (!pacing_has_room(pacing, kind))
		return 0;
	uint64_t missing = PACING_CREDIT - pacing->credit[kind] % PACING_CREDIT;
	return (missing + pacing_bounds[kind].per_second - 1) / pacing_bounds[kind].per_second;
}

uint64_t pacing_jitter_ms(uint64_t wait_ms, struct random *random)
{
	uint64_t tenth = wait_ms / 10;
	if (tenth == 0)
		return wait_ms;
	return wait_ms - tenth + random_below(random, (uint32_t)(2 * tenth + 1));
}
