/* exit_status.h - how the program ends. */
#ifndef COMMAND_EXIT_STATUS_H
#define COMMAND_EXIT_STATUS_H

#include "srsd/srsd.h"

/* How the program ends: status, value (as in sysexits.h, where that has one), meaning for --help. */
#define EXIT_STATUSES(X)                                                                                     \
	X(DONE, 0, "done; register and watch: ended by a signal; check: all is well")                        \
	X(NOT_FOUND, 1, "discover, labels: nothing is registered, or less than --wait")                      \
	X(FINDINGS, 2, "check: something is wrong with the label")                                           \
	X(USAGE, 64, "an option, a label or an address is wrong")                                            \
	X(UNAVAILABLE, 69, "ZooKeeper did not answer in time")                                               \
	X(SYSTEM, 71, "the operating system or ZooKeeper failed otherwise")                                  \
	X(OUTPUT, 74, "standard output could not be written")                                                \
	X(DENIED, 77, "ZooKeeper refuses: no permission on a node of the path")

#define EXIT_STATUS_ENUM(name, value, meaning) EXIT_STATUS_##name = (value),
enum exit_status { EXIT_STATUSES(EXIT_STATUS_ENUM) };

/* How the program ends when a call of the library said `status`. */
enum exit_status exit_status_of(enum srsd_status status);

#endif
