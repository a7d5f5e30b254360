/* vigil - when to wait awake (see vigil.h). */
#include "base/vigil.h"

#include <string.h>

/* No answer counts as more: one that is late tells little of the next ones. */
#define VIGIL_SAMPLE_US_MAX UINT64_C(1000)

void vigil_init(struct vigil *vigil, bool is_on)
{
	memset(vigil, 0, sizeof(*vigil));
	vigil->is_on = is_on;
}

void vigil_set(struct vigil *vigil, uint64_t fixed_us)
{
	vigil->fixed_us = fixed_us;
	vigil->is_on |= fixed_us > 0;
}

static void learn(uint32_t *average_us8, uint64_t took_us, uint64_t most_us)
{
	uint32_t sample_us = (uint32_t)(took_us < most_us ? took_us : most_us) + 1;
	*average_us8 = *average_us8 == 0 ? 8 * sample_us : *average_us8 - *average_us8 / 8 + sample_us;
}

/* What may be waited in vain grows with time. */
static void vigil_refill(struct vigil *vigil, uint64_t now_us)
{
	uint64_t part_us = (now_us - vigil->budget_at_us) / VIGIL_VAIN_PART;
	if (part_us == 0)
		return;
	vigil->budget_at_us = now_us;
	vigil->budget_us += (int64_t)(part_us < VIGIL_VAIN_US_MAX ? part_us : VIGIL_VAIN_US_MAX);
	if (vigil->budget_us > VIGIL_VAIN_US_MAX)
		vigil->budget_us = VIGIL_VAIN_US_MAX;
}

/* Does being awake bring at least half of the time that it takes? */
static bool vigil_is_worth(const struct vigil *vigil)
{
	return vigil->awake_us8 != 0 && vigil->awake_us8 <= 8 * VIGIL_AWAKE_US_MAX &&
	       vigil->asleep_us8 >= vigil->awake_us8 + vigil->awake_us8 / 2;
}

/* How long this wait is awake. */
static uint64_t vigil_choose(struct vigil *vigil)
{
	bool is_worth = vigil_is_worth(vigil);
	vigil->waits++;
	if (vigil->budget_us < VIGIL_US_MAX || vigil->asleep_us8 == 0 ||
		vigil->asleep_us8 > 8 * VIGIL_ASLEEP_US_MAX)
		return 0;
	bool is_awake =
		is_worth ? vigil->waits % VIGIL_ASLEEP_EACH != 0 : vigil->waits % VIGIL_PERIOD < VIGIL_TRIAL;
	if (!is_awake)
		return 0;
	uint64_t twice_us = vigil->awake_us8 / 4;
	return is_worth && twice_us < VIGIL_US_MAX ? twice_us : VIGIL_US_MAX;
}

void vigil_begin(struct vigil *vigil, uint64_t now_us, uint32_t awaited, uint32_t answers)
{
	uint64_t awake_us = 0;
	vigil->is_waiting = vigil->fixed_us > 0 || awaited == 1;
	vigil->answers = answers;
	vigil->began_us = now_us;
	if (vigil->fixed_us > 0) {
		awake_us = vigil->is_soon ? vigil->fixed_us : 0;
	} else if (awaited > 1) {
		vigil->alone = 0;
	} else if (awaited == 1 && vigil->alone < VIGIL_ALONE_MIN) {
		vigil->alone++;
	} else if (awaited == 1) {
		vigil_refill(vigil, now_us);
		awake_us = vigil_choose(vigil);
	}
	vigil->is_awake = awake_us > 0;
	vigil->until_us = now_us + awake_us;
}

bool vigil_goes_on(struct vigil *vigil, uint64_t now_us)
{
	return vigil->is_waiting && now_us < vigil->until_us;
}

struct vigil_report vigil_end(struct vigil *vigil, uint64_t now_us, uint32_t answers)
{
	struct vigil_report report = {.was_awake = vigil->is_waiting && vigil->is_awake};
	if (!vigil->is_waiting)
		return report;
	vigil->is_waiting = false;
	uint64_t took_us = now_us > vigil->began_us ? now_us - vigil->began_us : 0;
	bool is_answered = answers != vigil->answers;
	if (report.was_awake) {
		uint64_t most_us = vigil->until_us - vigil->began_us;
		report.is_success = took_us <= most_us && (is_answered || vigil->fixed_us > 0);
		report.awake_us = took_us < most_us ? took_us : most_us;
	}
	if (vigil->fixed_us > 0) {
		vigil->is_soon = took_us <= vigil->fixed_us;
		return report;
	}
	if (report.was_awake && !report.is_success)
		vigil->budget_us -= (int64_t)report.awake_us;
	if (is_answered && report.was_awake)
		learn(&vigil->awake_us8, took_us, 2 * VIGIL_US_MAX);
	else if (is_answered)
		learn(&vigil->asleep_us8, took_us, VIGIL_SAMPLE_US_MAX);
	return report;
}
