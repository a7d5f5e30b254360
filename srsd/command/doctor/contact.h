/* contact.h - does anybody answer there? A connection to each of many addresses, so many at a time. */
#ifndef COMMAND_DOCTOR_CONTACT_H
#define COMMAND_DOCTOR_CONTACT_H

#include "srsd/command/doctor/dial.h"

#include <netinet/in.h>

#define CONTACT_AT_A_TIME_MAX 1024
#define CONTACT_WHY_MAX	      64

/* One address to try, and then what came of it. */
struct contact {
	struct srsd_address address;
	enum dial_outcome outcome;
	uint32_t took_ms;
	char why[CONTACT_WHY_MAX];		    /* "" when it answers */
	struct in6_addr found[DIAL_CANDIDATES_MAX]; /* what its host name stands for; IPv4 as ::ffff:0:0/96 */
	size_t found_count;
};

struct rounds;

/* `done` of them all are done, called after each. */
typedef void contact_fn(void *arg, size_t done);

/* Connect to each of `contacts`, which belong to the caller and must not move, within `timeout_ms` each, and
 * close the connections at once. Takes so many at a time as there are descriptors for, CONTACT_AT_A_TIME_MAX
 * at most. `on_progress` comes from the loop, `count` times. NULL: no memory, or `count` is 0. The caller
 * frees it after the last call. */
struct rounds *rounds_start(struct dialler *dialler, struct contact *contacts, size_t count,
	uint32_t timeout_ms, contact_fn *on_progress, void *arg);
void rounds_free(struct rounds *rounds);

#endif
