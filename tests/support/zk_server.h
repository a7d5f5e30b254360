/* zk_server.h - a private ZooKeeper server for a test: start, kill, freeze, wipe, start again on the same
 * port. Every call fails the process with a message when it cannot do its work. */
#ifndef TEST_ZK_SERVER_H
#define TEST_ZK_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct zk_server {
	char directory[64]; /* its data and log; removed by zk_server_end() */
	uint16_t port;	    /* on 127.0.0.1, below 32768 */
	pid_t pid;	    /* our child, the Java process itself; 0: not running */
};

/* A free port below 32768, kept for this process: nobody else gets it, and nobody listens there. */
uint16_t zk_server_free_port(void);

/* Choose a directory and a port; nothing runs yet. */
void zk_server_prepare(struct zk_server *server);

/* Start it, and wait until it serves. */
void zk_server_start(struct zk_server *server);

/* prepare and start in one. */
void zk_server_begin(struct zk_server *server);

/* SIGKILL, and wait for its end. What it stored stays. */
void zk_server_kill(struct zk_server *server);

/* Forget all that it stored. Only while it does not run. */
void zk_server_wipe(struct zk_server *server);

/* SIGSTOP and SIGCONT. */
void zk_server_freeze(const struct zk_server *server);
void zk_server_thaw(const struct zk_server *server);

/* Does it serve? Waits for at most a second. */
bool zk_server_is_serving(const struct zk_server *server);

/* Kill it if it runs, and remove its directory. */
void zk_server_end(struct zk_server *server);

#endif
