/* health.h - what the checks of a service are, and when their outcomes change what is believed of it. Pure.
 */
#ifndef COMMAND_HEALTH_H
#define COMMAND_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum check_kind { CHECK_UNSAID, CHECK_NONE, CHECK_TCP, CHECK_HTTP };

/* What --check asks for. */
struct check_way {
	enum check_kind kind;
	const char *path; /* CHECK_HTTP: of the GET, with its query */
};

/* Read "none", "tcp" or "http:/path". `out` points into `text`. On failure `*why` is a static phrase. */
bool check_way_parse(const char *text, struct check_way *out, const char **why);

/* What is believed, and what of late speaks against it. Begins unhealthy. */
struct health {
	uint32_t rise, fall; /* outcomes in a row that change it, at least 1 */
	uint32_t against;    /* so many in a row by now */
	bool is_healthy;
	bool was_healthy; /* ever */
};

/* Count an outcome. Returns whether the belief changed. */
bool health_count(struct health *health, bool is_good);

/* When the next check is due after one that began now, in milliseconds. A service that starts is asked more
 * often than `interval_ms`, less and less so, until it was healthy for the first time; `*pause_ms` holds the
 * state of that, 0 at first. */
uint32_t health_pause_ms(const struct health *health, uint32_t interval_ms, uint32_t *pause_ms);

#endif
