/* zk_server.h - a private ZooKeeper server for a test: start, kill, freeze, wipe, start again on the same
 * port. Every call fails the process with a message when it cannot do its work. */
#ifndef TEST_ZK_SERVER_H
#define TEST_ZK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct zk_server {
	char directory[64]; /* its data and log; removed by zk_server_end() */
	unsigned host;	    /* it listens on 127.0.0.<host>; 1 unless it is one of several */
	uint16_t port;	    /* below 32768 */
	pid_t pid;	    /* our child, the Java process itself; 0: not running */
};

/* A free port below 32768 of 127.0.0.1, or of 127.0.0.<host>, kept for this process: nobody else gets it, and
 * nobody listens there. */
uint16_t zk_server_free_port(void);
uint16_t zk_server_free_port_of(unsigned host);

/* Choose a directory and a port; nothing runs yet. */
void zk_server_prepare(struct zk_server *server);
void zk_server_prepare_on(struct zk_server *server, unsigned host);

/* Start it, and wait until it serves. */
void zk_server_start(struct zk_server *server);

/* The same in two halves, for servers that serve only together. zk_server_await() is false when it died,
 * most likely because somebody took its port. */
void zk_server_launch(struct zk_server *server);
bool zk_server_await(struct zk_server *server);

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

/* Does it give a session to who asks for one? That is a little later. Waits for at most half a second. */
bool zk_server_takes_sessions(const struct zk_server *server);

/* The answer to a word of four letters; "" when there is none in half a second. */
void zk_server_ask(const struct zk_server *server, const char *word, char *answer, size_t size);

/* Kill it if it runs, and remove its directory. */
void zk_server_end(struct zk_server *server);

#endif
