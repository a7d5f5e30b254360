/* options - copies of struct srsd_read_options. A copy owns its text. */
#include "node/options.h"

#include <stdlib.h>
#include <string.h>

enum srsd_status srsd_options_copy(
	const struct srsd_read_options *from, struct srsd_read_options *out, struct srsd_error *error)
{
	const char *why;

	*out = (struct srsd_read_options){.format = SRSD_FORMAT_NAME};
	if (from == NULL)
		return SRSD_OK;
	if (from->format > SRSD_FORMAT_CURATOR)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%d is no format of nodes", (int)from->format);
	if (from->below != NULL && srsd_label_check(from->below, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "the node below the label: %s", why);
	*out = *from;
	out->port_name = from->port_name == NULL ? NULL : strdup(from->port_name);
	out->below = from->below == NULL ? NULL : strdup(from->below);
	if ((out->port_name != NULL) == (from->port_name != NULL) &&
		(out->below != NULL) == (from->below != NULL))
		return SRSD_OK;
	srsd_options_clear(out);
	return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the options");
}

void srsd_options_clear(struct srsd_read_options *options)
{
	free((char *)(uintptr_t)options->port_name);
	free((char *)(uintptr_t)options->below);
	*options = (struct srsd_read_options){.format = SRSD_FORMAT_NAME};
}
