/* duration - reads lengths of time. Pure. */
#include "srsd/command/duration.h"

#include <stddef.h>
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
