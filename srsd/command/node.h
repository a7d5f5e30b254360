/* node.h - the node that says where the service is: made when it is wanted, removed when it is not, with a
 * line at each change. */
#ifndef COMMAND_NODE_H
#define COMMAND_NODE_H

#include "srsd/command/options.h"

#include <stdio.h>

#include <event2/event.h>

struct node_events {
	/* Its address is known; for "auto:PORT" that is when ZooKeeper is reached. Comes once. */
	void (*on_address)(void *owner);
	/* It is not wanted, and not there any more. */
	void (*on_gone)(void *owner);
};

struct node {
	const struct options *options;
	const struct node_events *events;
	void *owner;
	struct srsd *srsd; /* NULL: no session yet */
	struct srsd_registration *registration;
	struct srsd_address address;
	uint16_t auto_port; /* 0: the address was given */
	bool has_address;
	char *path;
	FILE *out; /* of the lines: standard error where a command has standard output */
	struct event *retry;
	enum srsd_registration_state last;
	bool is_wanted, is_leaving;
	bool is_output_lost;
};

/* Read "auto:PORT". `why` as srsd_address_parse() has it. */
bool node_auto_parse(const char *text, uint16_t *out_port, const char **why);

/* Read the address that the user gave. Returns EXIT_STATUS_DONE, or another one after a complaint.
 * node_close() is due in any case. */
enum exit_status node_open(struct node *node, struct event_base *base, const struct options *options,
	const struct node_events *events, void *owner);

/* There is a session. */
enum exit_status node_attach(struct node *node, struct srsd *srsd);

/* The session is up. */
void node_connected(struct node *node);

/* It shall be there, or not. Removing it goes on until it is done, however long ZooKeeper is away. */
enum exit_status node_want(struct node *node);
void node_unwant(struct node *node);

/* Is it not there, as far as is known? on_gone comes later where this is false and it is not wanted. */
bool node_is_gone(const struct node *node);

/* A line of our own: the event, its node and the reason (or ""). */
void node_say(struct node *node, const char *event, const char *reason);

void node_close(struct node *node);

#endif
