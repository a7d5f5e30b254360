/* duration - reads and writes lengths of time. Pure. */
#include "srsd/command/duration.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint32_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};

bool duration_parse(const char *text, uint32_t *out_ms, const char **why)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		number = number * 10 + (uint64_t)(*at - '0');
		if (number > UINT32_MAX) {
			*why = "is too long";
			return false;
		}
	}
	if (at == text) {
		*why = "does not start with a number";
		return false;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].name) != 0)
			continue;
		if (number * units[i].ms > UINT32_MAX) {
			*why = "is too long";
			return false;
		}
		*out_ms = (uint32_t)(number * units[i].ms);
		return true;
	}
	*why = *at == '\0' ? "has no unit" : "has an unknown unit";
	return false;
}

const char *duration_write(int64_t ms, char out[DURATION_TEXT_MAX])
{
	static const struct {
		const char *large, *small;
		int64_t large_s, small_s;
	} steps[] = {{"d", "h", 24 * 60 * 60, 60 * 60}, {"h", "m", 60 * 60, 60}, {"m", "s", 60, 1}};
	int64_t seconds = ms / 1000;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (seconds < steps[i].large_s)
			continue;
		int used = snprintf(
			out, DURATION_TEXT_MAX, "%" PRId64 "%s", seconds / steps[i].large_s, steps[i].large);
		int64_t rest = seconds % steps[i].large_s / steps[i].small_s;

		if (rest > 0)
			snprintf(out + used, DURATION_TEXT_MAX - (size_t)used, "%" PRId64 "%s", rest,
				steps[i].small);
		return out;
	}
	if (seconds > 0)
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 "s", seconds);
	else
		snprintf(out, DURATION_TEXT_MAX, "%" PRId64 "ms", ms < 0 ? 0 : ms);
	return out;
}
