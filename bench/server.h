/* server - a cheap HTTP/1.1 server for the benchmarks: an answer has as many bytes as the path says
 * (/1048576), else always the same number. What goes wrong ends the program with a message. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include "loop.h"
#include "message.h"
#include "net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define SERVER_LISTENERS_MAX 512
#define SERVER_ANSWERS_MAX   16

struct server_connection;
TAILQ_HEAD(server_connections, server_connection);

struct server_listener {
	struct loop_source source;
	struct server *server;
	uint64_t requests;
	char address[NET_ADDRESS_BYTES];
};

struct server {
	/* What it is to be: set these, and clear the rest, before it starts. */
	size_t listener_count;
	uint64_t body_bytes; /* of the answer to a path that names no number */
	uint64_t delay_ns;   /* between a request and its answer */
	bool is_everywhere;  /* each listener on all addresses of the loopback network */

	struct loop *loop;
	size_t answer_count;
	struct message answers[SERVER_ANSWERS_MAX]; /* the first is for paths that name no number */
	struct server_connections open;
	struct server_connections waiting; /* all wait equally long: the first is due first */
	struct server_listener listeners[SERVER_LISTENERS_MAX];
};

/* Listen, and say "listening ADDRESS" for each address; when one gets its first request, say "first ADDRESS
 * TIME" (nanoseconds of CLOCK_MONOTONIC). */
void server_start(struct server *server, struct loop *loop);

/* Answer those whose time has come; to be called before each turn of the loop. Returns how long that may wait
 * for the next one, in nanoseconds. */
uint64_t server_answer_due(struct server *server);

/* Say "served ADDRESS REQUESTS" for each address, and close all connections. */
void server_end(struct server *server);

#endif
