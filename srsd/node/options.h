/* options.h - a copy of struct srsd_read_options that outlives the caller's. */
#ifndef SRSD_OPTIONS_H
#define SRSD_OPTIONS_H

#include "common/internal.h"

/* `from` may be NULL: the default. Errors: SRSD_BAD_ARGUMENT (an unknown format, a bad name), SRSD_NO_MEMORY;
 * nothing is owned then. */
enum srsd_status srsd_options_copy(const struct srsd_read_options *from, struct srsd_read_options *out,
	struct srsd_error *error) SRSD_MUST_CHECK;

void srsd_options_clear(struct srsd_read_options *options);

/* Is a node's name all that is wanted of it? */
static inline bool srsd_options_want_reading(const struct srsd_read_options *options)
{
	return options->format != SRSD_FORMAT_NAME || options->wants_origin;
}

#endif
