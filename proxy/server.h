/* server - the running proxy: owns the registry, the workers and the admin endpoint; starts and stops them in
 * order. Lives on the main thread, with an event_base of its own for signals, messages and the admin
 * endpoint. */
#ifndef SERVER_H
#define SERVER_H

#include "config/settings.h"
#include "exit_code.h"

/* Serve until a signal ends it. SIGTERM and SIGINT: accept no more, let requests finish within drain_timeout,
 * return EXIT_CODE_OK; a second one: end at once. What goes wrong at start is logged. */
enum exit_code server_run(const struct settings *settings);

#endif
