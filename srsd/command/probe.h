/* probe.h - one look at whether a service answers: a TCP connection, or an HTTP GET. Never blocks. */
#ifndef COMMAND_PROBE_H
#define COMMAND_PROBE_H

#include "srsd/command/health.h"
#include "srsd/srsd.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>

/* `why` it is not good, valid during the call. The probe may be started again. */
typedef void probe_done_fn(void *owner, bool is_good, const char *why);

struct probe {
	struct event_base *base;
	struct evdns_base *names;		   /* NULL: no host name was looked up yet */
	struct evdns_getaddrinfo_request *look_up; /* under way; it may outlive the question that began it */
	bool is_waiting_for_name;
	char host[SRSD_HOST_MAX + 1]; /* the IP address that is asked */
	struct check_way way;
	struct srsd_address address;
	char target[SRSD_ADDRESS_MAX]; /* the address, for humans and as Host field */
	uint32_t timeout_ms;
	probe_done_fn *on_done;
	void *owner;

	struct event *deadline, *verdict;
	struct bufferevent *connection;	   /* of a TCP probe under way */
	struct evhttp_connection *request; /* of an HTTP probe under way */
	bool has_verdict, is_good;
	char why[192];
};

/* Returns false when memory is short. probe_close() is due in any case, after the loop has ended. */
bool probe_open(struct probe *probe, struct event_base *base, const struct check_way *way,
	const struct srsd_address *address, uint32_t timeout_ms, probe_done_fn *on_done, void *owner);

/* Look. The outcome comes exactly once, from the loop, within `timeout_ms`; not after probe_stop(). */
void probe_start(struct probe *probe);
void probe_stop(struct probe *probe);

/* Runs the loop for one turn where names were looked up: what is left of that is freed there. */
void probe_close(struct probe *probe);

#endif
