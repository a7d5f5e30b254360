/* quantity - reads and writes whole numbers, durations and sizes. */
#include "config/quantity.h"

#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Small units first; an empty name is "no unit". */
static const struct unit number_units[] = {{"", 1}, {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit size_units[] = {
	{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {"g", 1024 * 1024 * 1024}, {NULL, 0}};

static const struct unit *units_of(enum quantity_kind kind)
{
	return kind == QUANTITY_DURATION ? duration_units : kind == QUANTITY_SIZE ? size_units : number_units;
}

static const struct unit *find_unit(enum quantity_kind kind, const char *text, size_t bytes)
{
	for (const struct unit *unit = units_of(kind); unit->name != NULL; unit++)
		if (strlen(unit->name) == bytes && memcmp(unit->name, text, bytes) == 0)
			return unit;
	return NULL;
}

enum quantity_fault quantity_parse(enum quantity_kind kind, const char *text, size_t bytes, uint64_t *out)
{
	uint64_t number = 0;
	size_t digits = 0;
	int is_too_large = 0;
	for (; digits < bytes && text[digits] >= '0' && text[digits] <= '9'; digits++) {
		is_too_large |= __builtin_mul_overflow(number, 10, &number);
		is_too_large |= __builtin_add_overflow(number, (uint64_t)(text[digits] - '0'), &number);
	}
	if (digits == 0)
		return QUANTITY_NO_NUMBER;
	const struct unit *unit = find_unit(kind, text + digits, bytes - digits);
	if (unit == NULL && digits == bytes)
		return QUANTITY_NO_UNIT;
	if (unit == NULL)
		return kind == QUANTITY_NUMBER ? QUANTITY_NO_NUMBER : QUANTITY_BAD_UNIT;
	if (digits > 1 && text[0] == '0')
		return QUANTITY_LEADING_ZERO;
	is_too_large |= __builtin_mul_overflow(number, unit->factor, &number);
	if (is_too_large)
		return QUANTITY_TOO_LARGE;
	*out = number;
	return QUANTITY_GOOD;
}

char *quantity_format(enum quantity_kind kind, uint64_t quantity, char *out)
{
	const struct unit *best = units_of(kind);
	for (const struct unit *unit = best; unit->name != NULL; unit++)
		if (quantity != 0 && quantity % unit->factor == 0)
			best = unit;
	snprintf(out, QUANTITY_TEXT_MAX, "%llu%s", (unsigned long long)(quantity / best->factor), best->name);
	return out;
}
