/* health - reads what checks are wanted, and counts their outcomes. Pure: no I/O, no clock. */
#include "srsd/command/health.h"

#include <string.h>

#define START_PAUSE_MS 50 /* doubled at each check of a service that was never healthy yet */

static bool is_target(const char *path)
{
	for (const unsigned char *at = (const unsigned char *)path; *at != 0; at++)
		if (*at <= 0x20 || *at >= 0x7F || *at == '#')
			return false;
	return true;
}

bool check_way_parse(const char *text, struct check_way *out, const char **why)
{
	static const char http[] = "http:";

	if (strcmp(text, "none") == 0) {
		*out = (struct check_way){.kind = CHECK_NONE};
		return true;
	}
	if (strcmp(text, "tcp") == 0) {
		*out = (struct check_way){.kind = CHECK_TCP};
		return true;
	}
	if (strncmp(text, http, sizeof(http) - 1) != 0) {
		*why = "is no kind of check";
		return false;
	}
	text += sizeof(http) - 1;
	if (*text != '/' || text[1] == '/') {
		*why = "has no path after \"http:\", which begins with one slash";
		return false;
	}
	if (!is_target(text)) {
		*why = "has a character that must be written as %XX in a path";
		return false;
	}
	*out = (struct check_way){.kind = CHECK_HTTP, .path = text};
	return true;
}

bool health_count(struct health *health, bool is_good)
{
	if (is_good == health->is_healthy) {
		health->against = 0;
		return false;
	}
	if (++health->against < (is_good ? health->rise : health->fall))
		return false;
	health->against = 0;
	health->is_healthy = is_good;
	health->was_healthy = health->was_healthy || is_good;
	return true;
}

uint32_t health_pause_ms(const struct health *health, uint32_t interval_ms, uint32_t *pause_ms)
{
	uint32_t pause = *pause_ms == 0 ? START_PAUSE_MS : *pause_ms;

	if (health->was_healthy || pause >= interval_ms)
		return interval_ms;
	*pause_ms = pause * 2;
	return pause;
}
