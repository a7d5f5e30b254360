/* budget - a bound on repeats (see budget.h). */
#include "health/budget.h"

#include <string.h>

void budget_init(struct budget *budget, uint32_t percent, uint64_t minimum, uint32_t worker_count)
{
	uint64_t least = minimum * BUDGET_SECONDS / worker_count;
	if (minimum > 0 && least < BUDGET_LEAST)
		least = BUDGET_LEAST;
	*budget = (struct budget){
		.percent = percent, .least = least < UINT32_MAX ? (uint32_t)least : UINT32_MAX};
}

/* What came since it was looked at last is counted where that was: too early rather than too late, so that it
 * is forgotten soon enough. */
void budget_sort(struct budget *budget, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;
	budget->requests[budget->second % BUDGET_SECONDS] += budget->unsorted;
	budget->unsorted = 0;
	if (second - budget->second >= BUDGET_SECONDS) {
		memset(budget->requests, 0, sizeof(budget->requests));
		memset(budget->repeats, 0, sizeof(budget->repeats));
		budget->second = second;
	}
	while (budget->second < second) {
		budget->second++;
		budget->requests[budget->second % BUDGET_SECONDS] = 0;
		budget->repeats[budget->second % BUDGET_SECONDS] = 0;
	}
}

bool budget_take(struct budget *budget, uint64_t now_ms)
{
	uint64_t requests = 0, repeats = 0;
	budget_sort(budget, now_ms);
	for (int i = 0; i < BUDGET_SECONDS; i++) {
		requests += budget->requests[i];
		repeats += budget->repeats[i];
	}
	if (repeats >= requests * budget->percent / 100 + budget->least)
		return false;
	budget->repeats[budget->second % BUDGET_SECONDS]++;
	return true;
}
