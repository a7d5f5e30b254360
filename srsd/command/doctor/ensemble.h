/* ensemble.h - what the ZooKeeper servers say of their clients and of themselves: each of them is asked for
 * "cons" and "conf", and what they do not tell is put into words. */
#ifndef COMMAND_DOCTOR_ENSEMBLE_H
#define COMMAND_DOCTOR_ENSEMBLE_H

#include "srsd/command/doctor/clients.h"
#include "srsd/command/doctor/question.h"

#define UNKNOWN_TEXT_MAX 400

/* Something that could not be found out, and what would help. */
struct unknown {
	char text[UNKNOWN_TEXT_MAX];
};

struct ensemble {
	struct clients clients;	     /* sorted when all have answered */
	struct server_bounds bounds; /* the loosest of those that told them: zero when none did */
	unsigned server_count;	     /* that are asked */
	unsigned told_clients;	     /* so many of them told their clients */
	struct unknown *unknowns;    /* owned */
	size_t unknown_count;

	struct ensemble_server *servers; /* owned */
	unsigned waiting;		 /* answers that are still to come */
	void (*on_done)(void *arg);
	void *arg;
};

/* Ask all of `servers` ("host:port,host:port/chroot", as srsd_servers_check() lets pass). `on_done` comes
 * once from the loop, after twice `timeout_ms` at the latest. False: no memory; ensemble_clear() is due in
 * any case, after `on_done`. */
bool ensemble_ask(struct ensemble *ensemble, struct dialler *dialler, const char *servers,
	uint32_t timeout_ms, void (*on_done)(void *arg), void *arg);

/* Did every server of the ensemble tell its clients, so that a session without one has none? */
bool ensemble_is_complete(const struct ensemble *ensemble);

/* The sessions of so many nodes are among nobody's clients: once, when all have answered. */
void ensemble_note_unseen(struct ensemble *ensemble, size_t nodes);

void ensemble_clear(struct ensemble *ensemble);

#endif
