/* quantity - numbers as the configuration writes them: whole numbers, durations (10s), sizes (64k). Pure. */
#ifndef CONFIG_QUANTITY_H
#define CONFIG_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

enum quantity_kind {
	QUANTITY_NUMBER,   /* 123 */
	QUANTITY_DURATION, /* 250ms, 10s, 5m, 1h: the unit is required; in milliseconds */
	QUANTITY_SIZE	   /* 4096, 64k, 1m, 1g: k is 1024; in bytes */
};

enum quantity_fault {
	QUANTITY_GOOD,
	QUANTITY_NO_NUMBER, /* something else than decimal digits */
	QUANTITY_LEADING_ZERO,
	QUANTITY_NO_UNIT,  /* a duration without one */
	QUANTITY_BAD_UNIT, /* digits, then something else than a unit */
	QUANTITY_TOO_LARGE /* more than 64 bits */
};

#define QUANTITY_TEXT_MAX sizeof("18446744073709551615ms")

/* Read all of `text`. `out` is set where the result is QUANTITY_GOOD. */
enum quantity_fault quantity_parse(enum quantity_kind kind, const char *text, size_t bytes, uint64_t *out)
	__attribute__((warn_unused_result));

/* Write a quantity so that quantity_parse() reads it back, in the largest unit that divides it. `out` has
 * QUANTITY_TEXT_MAX bytes or more. Returns `out`. */
char *quantity_format(enum quantity_kind kind, uint64_t quantity, char *out);

#endif
