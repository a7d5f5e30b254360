/* dial.h - one TCP connection to an address, within a time: host names looked up, each of their addresses
 * tried in turn, all without blocking. */
#ifndef COMMAND_DOCTOR_DIAL_H
#define COMMAND_DOCTOR_DIAL_H

#include "srsd/srsd.h"

#include <event2/event_struct.h>
#include <sys/socket.h>

#define DIAL_CANDIDATES_MAX 8 /* addresses of one host name that are tried */

enum dial_outcome {
	DIAL_CONNECTED,
	DIAL_REFUSED,	  /* somebody's machine, but nobody listens there */
	DIAL_SILENT,	  /* no answer within the time */
	DIAL_UNREACHABLE, /* no way there, or another failure on it */
	DIAL_NO_NAME,	  /* its host name has no address */
	DIAL_FAILED	  /* on our side: no memory, no descriptor */
};

struct evdns_base;
struct evdns_getaddrinfo_request;

/* What many dials share: the loop, and the look-up of names. Zero but for `base`. */
struct dialler {
	struct event_base *base;
	struct evdns_base *names; /* owned; made when the first name is looked up */
};

/* `fd` is connected and the callee's from now on, or -1. `why` says what is wrong; valid during the call. */
typedef void dial_fn(void *arg, enum dial_outcome outcome, int fd, const char *why);

/* Zero before the first use. May be used again after its callback, and moved only then. */
struct dial {
	struct dialler *dialler;
	dial_fn *on_done;
	void *arg;
	struct event turn;	/* the next address is due */
	struct event connected; /* to one of them, or not */
	struct event deadline;
	struct evdns_getaddrinfo_request *request;
	struct sockaddr_storage candidates[DIAL_CANDIDATES_MAX];
	size_t candidate_count;
	size_t next; /* candidate */
	int fd;	     /* -1: none */
	enum dial_outcome outcome;
	const char *why; /* static */
	uint16_t port;
};

/* Begin. The callback comes exactly once, from the loop. */
void dial_start(struct dial *dial, struct dialler *dialler, const struct srsd_address *address,
	uint32_t timeout_ms, dial_fn *on_done, void *arg);

/* When no dial is under way any more. */
void dialler_clear(struct dialler *dialler);

#endif
