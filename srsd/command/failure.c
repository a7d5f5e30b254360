/* failure - puts the failed reading of a label into words. */
#include "srsd/command/failure.h"

#include "srsd/command/output.h"

enum exit_status reading_failed(
	const struct options *options, const struct srsd *srsd, enum srsd_status status)
{
	const char *servers = options->config.servers, *registry = options->config.registry;
	const char *label = options->operands[0];

	if (status == SRSD_TIMEOUT && srsd_current_state(srsd) == SRSD_CONNECTED)
		complain("%s/%s was not read in time; give it more with --timeout", registry, label);
	else if (status == SRSD_TIMEOUT)
		complain("no server of %s answered in time; is ZooKeeper running there?", servers);
	else if (status == SRSD_DENIED)
		complain("no permission to read %s/%s", registry, label);
	else
		complain("%s/%s could not be read: %s", registry, label, srsd_status_text(status));
	return exit_status_of(status);
}
