/* complaints - what is wrong with a configuration: gathered with places, then told in the order of the file.
 * Owns the texts; a place borrows its origin. */
#ifndef CONFIG_COMPLAINTS_H
#define CONFIG_COMPLAINTS_H

#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

/* Where something was written. Line and column count from 1; line 0 means that `origin` is a --set option. */
struct place {
	const char *origin;
	size_t line;
	size_t column;
};

struct complaint {
	struct place place;
	size_t order; /* keeps the order of complaints about one place */
	char *text;
};

/* Start with all zeros. */
struct complaints {
	struct complaint *items;
	size_t count;
	size_t capacity;
	bool is_out_of_memory; /* something could not be kept: told as a complaint of its own */
};

/* A piece of the user's text made fit for a line of a complaint: cut where it is long, escaped where it is
 * not printable. Lives to the end of the expression: pass show(...).text straight to complaints_add(). */
struct shown {
	char text[112];
};
struct shown show(const char *text, size_t bytes);
struct shown show_text(const char *text);

/* Add "place: what, and what to do". */
void complaints_add(struct complaints *complaints, struct place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool complaints_any(const struct complaints *complaints);

/* Pass every complaint to `complain`, those about the file first, in its order; `name` is the file's. */
void complaints_tell(
	struct complaints *complaints, const char *name, settings_complain_fn *complain, void *arg);

void complaints_clear(struct complaints *complaints);

#endif
