/* exit_status - the exit status that belongs to an outcome. Pure. */
#include "srsd/command/exit_status.h"

enum exit_status exit_status_of(enum srsd_status status)
{
	switch (status) {
	case SRSD_OK:
		return EXIT_STATUS_DONE;
	case SRSD_NOT_FOUND:
		return EXIT_STATUS_NOT_FOUND;
	case SRSD_BAD_ARGUMENT:
		return EXIT_STATUS_USAGE;
	case SRSD_TIMEOUT:
		return EXIT_STATUS_UNAVAILABLE;
	case SRSD_DENIED:
		return EXIT_STATUS_DENIED;
	case SRSD_NO_MEMORY:
	case SRSD_CONFLICT:
	case SRSD_SYSTEM:
		break;
	}
	return EXIT_STATUS_SYSTEM;
}
