/* failure.h - what a command says when a label could not be read. */
#ifndef COMMAND_FAILURE_H
#define COMMAND_FAILURE_H

#include "srsd/command/options.h"

/* Say what `status`, which is not SRSD_OK, means for the label that was to be read, and what to do. `srsd` is
 * the session it was asked over. Returns how the program ends. */
enum exit_status reading_failed(
	const struct options *options, const struct srsd *srsd, enum srsd_status status);

#endif
