/* pace - how often something may be done (see pace.h). Owns nothing. */
#include "common/pace.h"

#include "common/backoff.h"

/* What is longer is learned by one part in so many at a time. */
#define LEARNED_SLOWLY 8

static uint32_t bounded(uint64_t us)
{
	if (us < SRSD_PACE_COST_MIN_US)
		return SRSD_PACE_COST_MIN_US;
	return us > SRSD_PACE_COST_MAX_US ? SRSD_PACE_COST_MAX_US : (uint32_t)us;
}

static void give_credit(struct srsd_pace *pace, uint64_t now_us)
{
	uint64_t credit_us = (now_us - pace->counted_us) / SRSD_PACE_SHARE;

	pace->counted_us += credit_us * SRSD_PACE_SHARE;
	credit_us += pace->credit_us;
	pace->credit_us = credit_us > SRSD_PACE_CREDIT_MAX_US ? SRSD_PACE_CREDIT_MAX_US : (uint32_t)credit_us;
}

uint32_t srsd_pace_wait_us(struct srsd_pace *pace, uint64_t now_us)
{
	uint32_t cost_us = bounded(pace->cost_us);
	uint32_t due_us;

	give_credit(pace, now_us);
	if (pace->credit_us >= cost_us)
		return 0;
	due_us = (cost_us - pace->credit_us) * SRSD_PACE_SHARE;
	return srsd_random_between(due_us / 2, due_us);
}

void srsd_pace_spend(struct srsd_pace *pace, uint64_t took_us, uint64_t now_us)
{
	uint32_t cost_us = bounded(took_us);

	if (pace->cost_us == 0 || cost_us < pace->cost_us)
		pace->cost_us = cost_us;
	else
		pace->cost_us += (cost_us - pace->cost_us) / LEARNED_SLOWLY;
	give_credit(pace, now_us);
	pace->credit_us -= pace->credit_us < pace->cost_us ? pace->credit_us : pace->cost_us;
}
