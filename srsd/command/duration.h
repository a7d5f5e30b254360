/* duration.h - lengths of time as people write them: 250ms, 10s, 5m, 1h. */
#ifndef COMMAND_DURATION_H
#define COMMAND_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* Read digits and a unit, with nothing before, between or behind. False when `text` is something else or more
 * than 2^32 - 1 ms: then `*why` is a static phrase that names the fault, and `*out_ms` is unchanged. */
bool duration_parse(const char *text, uint32_t *out_ms, const char **why);

#define DURATION_TEXT_MAX 48

/* Write a length of time the way people say it, in its two largest units at most, rounded down: 35ms, 12s,
 * 5m10s, 2h13m, 3d4h. Below zero is 0ms. Returns `out`. */
const char *duration_write(int64_t ms, char out[DURATION_TEXT_MAX]);

#endif
