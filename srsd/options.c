/* options - copies of struct srsd_read_options. A copy owns its text. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

enum srsd_status srsd_options_copy(
	const struct srsd_read_options *from, struct srsd_read_options *out, struct srsd_error *error)
{
	*out = (struct srsd_read_options){.format = SRSD_FORMAT_NAME};
	if (from == NULL)
		return SRSD_OK;
	if (from->format > SRSD_FORMAT_CURATOR)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%d is no format of nodes", (int)from->format);
	*out = *from;
	if (from->port_name == NULL)
		return SRSD_OK;
	out->port_name = strdup(from->port_name);
	return out->port_name != NULL ? SRSD_OK
				      : srsd_fail(error, SRSD_NO_MEMORY, "no memory for the options");
}

void srsd_options_clear(struct srsd_read_options *options)
{
	free((char *)(uintptr_t)options->port_name);
	*options = (struct srsd_read_options){.format = SRSD_FORMAT_NAME};
}
