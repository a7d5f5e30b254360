/* zk_ensemble.h - three private ZooKeeper servers that are one ensemble, on 127.0.0.1, 127.0.0.2 and
 * 127.0.0.3. Each is a zk_server, to be killed or frozen by itself. Every call fails the process with a
 * message when it cannot do its work. */
#ifndef TEST_ZK_ENSEMBLE_H
#define TEST_ZK_ENSEMBLE_H

#include "zk_server.h"

#define ZK_ENSEMBLE_SERVERS 3

struct zk_ensemble {
	struct zk_server servers[ZK_ENSEMBLE_SERVERS];
	char list[96]; /* "127.0.0.1:p,127.0.0.2:q,127.0.0.3:r", as srsd_config takes it */
};

/* Choose directories and ports; nothing runs yet. */
void zk_ensemble_prepare(struct zk_ensemble *ensemble);

/* Start all that do not run, and wait until each takes sessions. */
void zk_ensemble_start(struct zk_ensemble *ensemble);

/* prepare and start in one. */
void zk_ensemble_begin(struct zk_ensemble *ensemble);

/* Start one that was killed; does not wait, for it may be the first of two. */
void zk_ensemble_launch(struct zk_ensemble *ensemble, unsigned index);

/* Wait until it takes sessions, for which two must run. */
void zk_ensemble_await(struct zk_ensemble *ensemble, unsigned index);

/* Kill one, start it again, wait until it takes sessions; then the next one. */
void zk_ensemble_roll(struct zk_ensemble *ensemble);

/* SIGKILL all. */
void zk_ensemble_kill(struct zk_ensemble *ensemble);

/* Forget all that any of them stored. Only while none runs. */
void zk_ensemble_wipe(struct zk_ensemble *ensemble);

/* Index of the server that leads; waits for one. */
unsigned zk_ensemble_leader(const struct zk_ensemble *ensemble);

/* Index of one that follows; waits for one. */
unsigned zk_ensemble_follower(const struct zk_ensemble *ensemble);

/* Kill what runs, and remove all directories. */
void zk_ensemble_end(struct zk_ensemble *ensemble);

#endif
