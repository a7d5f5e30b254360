/* listener - listening sockets: for each configured address one per worker, so that the kernel spreads
 * connections and no worker waits for another one. What few connections want beside that is in evenness.h. */
#ifndef LISTENER_H
#define LISTENER_H

#include "base/check.h"
#include "config/settings.h"
#include "exit_code.h"

/* Open all of them: `sockets` has room for worker_count x listener_count, those of a worker together. An
 * address that another process listens on is EXIT_CODE_ADDRESS_TAKEN unless it is configured as shared. What
 * is wrong is logged with the address, and nothing stays open. */
MUST_CHECK enum exit_code listener_open_all(
	const struct settings *settings, size_t worker_count, int *sockets);

/* Open one socket that is not shared with anyone, for the admin endpoint. */
MUST_CHECK enum exit_code listener_open_one(const char *address, int *socket);

#endif
