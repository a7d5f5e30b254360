/* load_order - what a load is to do: whom it asks for what, how long, how often; written as options. */
#ifndef BENCH_LOAD_ORDER_H
#define BENCH_LOAD_ORDER_H

#include "message.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_PATHS_MAX	 1000
#define LOAD_TARGETS_MAX 16

struct load_order {
	struct sockaddr_in addresses[LOAD_TARGETS_MAX]; /* connections take turns with them */
	size_t address_count;
	const char *target; /* the first, as it was written */
	const char *path;
	size_t path_count; /* 0: that path alone */
	size_t connection_count;
	uint64_t milliseconds;	/* 0: until request_count */
	uint64_t request_count; /* UINT64_MAX: until the time is over */
	uint64_t rate;		/* requests a second; 0: closed loop */
	uint64_t body_bytes;
	bool is_new_connections;
	bool is_browser;
	bool is_awake; /* it looks for answers without ever sleeping */
	size_t request_kinds;
	struct message requests[LOAD_PATHS_MAX]; /* sent in turn */
};

/* The help for these options. */
extern const char load_order_options[];

/* The options and addresses as an order, which refers to them; the first of `arguments` is the program's
 * name. Returns 0, or the status to end with: EX_USAGE where they are wrong, -1 where help is asked for. Free
 * the order's requests with load_order_free(). */
int load_order_read(struct load_order *order, int count, char **arguments);

void load_order_free(struct load_order *order);

#endif
