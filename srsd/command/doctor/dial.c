/* dial - connects to an address without blocking.
 * A dial owns its descriptor until its callback takes it. */
#include "srsd/command/doctor/dial.h"

#include "srsd/command/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static void finish(struct dial *dial, enum dial_outcome outcome, int fd, const char *why)
{
	event_del(&dial->turn);
	event_del(&dial->connected);
	event_del(&dial->deadline);
	if (dial->fd >= 0 && dial->fd != fd)
		close(dial->fd);
	dial->fd = -1;
	dial->on_done(dial->arg, outcome, fd, why);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static void note_failure(struct dial *dial, int fault)
{
	dial->why = strerror(fault); /* glibc's are static for the numbers that connect() has */
	if (fault == ECONNREFUSED)
		dial->outcome = DIAL_REFUSED;
	else if (fault == ETIMEDOUT)
		dial->outcome = DIAL_SILENT;
	else if (fault == EMFILE || fault == ENFILE || fault == ENOBUFS || fault == ENOMEM ||
		 fault == EADDRNOTAVAIL || fault == EAGAIN)
		dial->outcome = DIAL_FAILED;
	else
		dial->outcome = DIAL_UNREACHABLE;
}

static void try_later(struct dial *dial)
{
	event_active(&dial->turn, EV_TIMEOUT, 1);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	socklen_t bytes = sizeof(int);
	int fault = 0;

	(void)what;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &bytes) != 0)
		fault = errno;
	if (fault == 0) {
		finish(dial, DIAL_CONNECTED, fd, "");
		return;
	}
	note_failure(dial, fault);
	try_later(dial);
}

static int connect_to(struct dial *dial, const struct sockaddr_storage *candidate)
{
	socklen_t bytes =
		candidate->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

	dial->fd = socket(candidate->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	if (dial->fd < 0)
		return errno;
	if (connect(dial->fd, (const struct sockaddr *)candidate, bytes) != 0 && errno != EINPROGRESS)
		return errno;
	if (event_assign(&dial->connected, dial->dialler->base, dial->fd, EV_WRITE, on_connected, dial) !=
			0 ||
		event_add(&dial->connected, NULL) != 0)
		return ENOMEM;
	return 0;
}

static void on_turn(evutil_socket_t none, short what, void *arg)
{
	struct dial *dial = arg;

	(void)none;
	(void)what;
	if (dial->fd >= 0)
		close(dial->fd);
	dial->fd = -1;
	if (dial->next == dial->candidate_count) {
		finish(dial, dial->outcome, -1, dial->why);
		return;
	}
	int fault = connect_to(dial, &dial->candidates[dial->next++]);
	if (fault != 0) {
		note_failure(dial, fault);
		try_later(dial);
	}
}

/* ---- The address ----------------------------------------------------------------------------- */

static void add_candidate(struct dial *dial, const struct sockaddr *found, size_t bytes)
{
	if (dial->candidate_count == DIAL_CANDIDATES_MAX ||
		(found->sa_family != AF_INET && found->sa_family != AF_INET6))
		return;
	struct sockaddr_storage *candidate = &dial->candidates[dial->candidate_count++];
	memset(candidate, 0, sizeof(*candidate));
	memcpy(candidate, found, bytes);
	if (candidate->ss_family == AF_INET6)
		((struct sockaddr_in6 *)candidate)->sin6_port = htons(dial->port);
	else
		((struct sockaddr_in *)candidate)->sin_port = htons(dial->port);
}

static void add_digits(struct dial *dial, const struct srsd_address *address)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};

	if (address->kind == SRSD_HOST_IPV4 && inet_pton(AF_INET, address->host, &ipv4.sin_addr) == 1)
		add_candidate(dial, (const struct sockaddr *)&ipv4, sizeof(ipv4));
	else if (inet_pton(AF_INET6, address->host, &ipv6.sin6_addr) == 1)
		add_candidate(dial, (const struct sockaddr *)&ipv6, sizeof(ipv6));
}

static void on_looked_up(int result, struct evutil_addrinfo *list, void *arg)
{
	struct dial *dial = arg;

	dial->request = NULL;
	if (result == EVUTIL_EAI_NONAME || result == EVUTIL_EAI_NODATA)
		dial->why = "its host name has no address";
	else if (result != 0 && result != EVUTIL_EAI_CANCEL)
		dial->why = evutil_gai_strerror(result);
	for (struct evutil_addrinfo *at = list; at != NULL; at = at->ai_next)
		add_candidate(dial, at->ai_addr, (size_t)at->ai_addrlen);
	if (list != NULL)
		evutil_freeaddrinfo(list);
	try_later(dial);
}

/* The names that the machine knows, and no others: /etc/hosts and the servers of /etc/resolv.conf. */
static void look_up(struct dial *dial, const char *host)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct dialler *dialler = dial->dialler;

	dial->outcome = DIAL_NO_NAME;
	if (dialler->names == NULL)
		dialler->names = evdns_base_new(
			dialler->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (dialler->names == NULL) {
		dial->why = "names cannot be looked up: see /etc/resolv.conf";
		dial->outcome = DIAL_FAILED;
		try_later(dial);
		return;
	}
	/* It may call back, and so clear the request, before it returns NULL. */
	struct evdns_getaddrinfo_request *request =
		evdns_getaddrinfo(dialler->names, host, NULL, &hints, on_looked_up, dial);
	if (request != NULL)
		dial->request = request;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static void on_deadline(evutil_socket_t none, short what, void *arg)
{
	struct dial *dial = arg;

	(void)none;
	(void)what;
	if (dial->request != NULL) {
		/* It calls back, with an empty list, and that ends the dial. */
		dial->why = "its name was not looked up in time";
		evdns_getaddrinfo_cancel(dial->request);
		return;
	}
	finish(dial, DIAL_SILENT, -1, "no answer in time");
}

void dial_start(struct dial *dial, struct dialler *dialler, const struct srsd_address *address,
	uint32_t timeout_ms, dial_fn *on_done, void *arg)
{
	struct timeval timeout = clock_timeval(timeout_ms);

	*dial = (struct dial){.dialler = dialler,
		.on_done = on_done,
		.arg = arg,
		.fd = -1,
		.outcome = DIAL_UNREACHABLE,
		.why = "it has no address",
		.port = address->port};
	/* None of these three fails: the events are new and the loop is one that was made. */
	event_assign(&dial->turn, dialler->base, -1, EV_TIMEOUT, on_turn, dial);
	event_assign(&dial->connected, dialler->base, -1, EV_TIMEOUT, on_turn, dial);
	event_assign(&dial->deadline, dialler->base, -1, EV_TIMEOUT, on_deadline, dial);
	if (event_add(&dial->deadline, &timeout) != 0) {
		dial->why = "out of memory";
		dial->outcome = DIAL_FAILED;
		try_later(dial);
		return;
	}
	if (address->kind == SRSD_HOST_NAME) {
		look_up(dial, address->host);
		return;
	}
	add_digits(dial, address);
	try_later(dial);
}

void dialler_clear(struct dialler *dialler)
{
	if (dialler->names != NULL)
		evdns_base_free(dialler->names, 0);
	dialler->names = NULL;
}
