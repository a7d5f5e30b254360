/* clients.h - who is connected to a ZooKeeper server and what bounds that gives its sessions, read from what
 * the server answers to the four-letter words "cons" and "conf". */
#ifndef COMMAND_DOCTOR_CLIENTS_H
#define COMMAND_DOCTOR_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_HOST_MAX 46 /* bytes of an address in digits, with its NUL */

/* A session, and where its owner is. */
struct client {
	int64_t session;
	uint32_t timeout_ms;
	char host[CLIENT_HOST_MAX]; /* canonical; "": the server wrote something else */
};

/* Those of all servers that were asked. Zero it to begin with. */
struct clients {
	struct client *items; /* owned; sorted after clients_sort() */
	size_t count;
	size_t room;
};

/* Add the sessions of an answer to "cons"; lines that are something else are skipped. False: no memory. */
bool clients_read(struct clients *clients, const char *answer);

/* Once all are there, before clients_find(). */
void clients_sort(struct clients *clients);

/* The session of that number, or NULL. */
const struct client *clients_find(const struct clients *clients, int64_t session);

void clients_clear(struct clients *clients);

/* What an answer to "conf" says; 0 where it does not. */
struct server_bounds {
	uint32_t session_least_ms;
	uint32_t session_most_ms;
	unsigned members; /* of the ensemble; 1 for a server that stands alone */
};

/* False: that is no answer to "conf". */
bool server_bounds_read(const char *answer, struct server_bounds *out);

#endif
