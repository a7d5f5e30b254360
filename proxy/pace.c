/* pace - what is learned of latencies, handed on (see pace.h). */
#include "pace.h"

#include "base/clock.h"
#include "config/settings.h"
#include "upstream/pool.h"

static uint64_t sooner_of(uint64_t one_ms, uint64_t other_ms)
{
	if (one_ms == 0 || other_ms == 0)
		return one_ms + other_ms;
	return one_ms < other_ms ? one_ms : other_ms;
}

/* A connection tells of the first of these; whoever is told finds the others. */
void pace_set(struct service *service, struct member *member)
{
	struct upstream_home *home = &member->pool->home;
	member->late_ms = latency_late_ms(&service->latencies, &member->latency);
	home->late_ms = sooner_of(
		sooner_of(member->late_ms, service->attempt_ms), (service->latencies.hedge_us + 999) / 1000);
	home->latencies = &service->latencies;
}

void pace_ease(struct service *service, struct member *member)
{
	latency_was_well(&member->latency, clock_coarse_ms());
	pace_set(service, member);
}

/* Half of what failed is forgotten in the time that an answer takes, or in a moment. */
static void pace_tell_roster(struct service *service)
{
	uint64_t usual_ms = service->latencies.usual_us / 1000;
	service->roster.view.penalty_half_ms = usual_ms > PENALTY_HALF_MS ? usual_ms : PENALTY_HALF_MS;
}

/* Workers see the same backends: whose word it is does not matter. */
static void pace_tell_checker(const struct service *service)
{
	const struct latencies *latencies = &service->latencies;
	if (service->roster.verdicts != NULL && latencies->p99_us > 0)
		atomic_store_explicit(
			&service->roster.verdicts->late_us, latencies->late_us, memory_order_relaxed);
}

static void pace_on_tick(void *arg)
{
	struct service *service = arg;
	uint64_t now_ms = clock_coarse_ms();
	for (size_t i = 0; i < service->roster.count; i++) {
		struct member *member = service->roster.members[i];
		(void)latency_turn(&service->latencies, &member->latency, now_ms);
		pace_set(service, member);
	}
	pace_tell_roster(service);
	pace_tell_checker(service);
}

void pace_start(struct service *service, const struct service_settings *settings, uint32_t hedge_percent,
	struct wheel *wheel)
{
	const struct latency_rules rules = {.silence_ms = settings->health.silence_ms,
		.response_head_ms = settings->timeouts.response_head_ms,
		.connect_ms = settings->timeouts.connect_ms,
		.hedge_percent = hedge_percent};
	latencies_init(&service->latencies, &rules, wheel, pace_on_tick, service);
}

void pace_stop(struct service *service)
{
	latencies_finish(&service->latencies);
}
