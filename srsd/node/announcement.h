/* announcement.h - what a registration says of itself in the data of its node. */
#ifndef SRSD_ANNOUNCEMENT_H
#define SRSD_ANNOUNCEMENT_H

#include "common/internal.h"

/* Write it for the node of that name, as SRSD_FORMAT_JSON reads it; what would not be read so is refused.
 * `options` may be NULL: then `*out` is NULL and there is nothing to say. The caller frees `*out`.
 * Errors: SRSD_BAD_ARGUMENT, SRSD_NO_MEMORY. */
enum srsd_status srsd_announcement_write(const struct srsd_register_options *options, const char *name,
	char **out, struct srsd_error *error) SRSD_MUST_CHECK;

#endif
