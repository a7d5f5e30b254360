/* probe - asks a service once whether it answers. Owns the connection of the question, and its deadline.
 *
 * A verdict may be found deep inside libevent's own functions: it is kept, and told in the next turn of the
 * loop, when what it was found with can be freed. */
#include "srsd/command/probe.h"

#include "srsd/command/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { HEAD_BYTES_MAX = 64 * 1024, STATUS_OK = 200, STATUS_BAD = 400 };

static void __attribute__((format(printf, 3, 4)))
decide(struct probe *probe, bool is_good, const char *format, ...)
{
	va_list arguments;

	if (probe->has_verdict)
		return;
	probe->has_verdict = true;
	probe->is_good = is_good;
	va_start(arguments, format);
	vsnprintf(probe->why, sizeof(probe->why), format, arguments);
	va_end(arguments);
	event_active(probe->verdict, EV_TIMEOUT, 1);
}

/* Free what the question stood on; its callbacks come no more. A look-up goes on: the next question uses its
 * outcome, and one that hangs is one, not one for each question. */
void probe_stop(struct probe *probe)
{
	probe->is_waiting_for_name = false;
	event_del(probe->deadline);
	event_del(probe->verdict);
	if (probe->connection != NULL)
		bufferevent_free(probe->connection);
	if (probe->request != NULL)
		evhttp_connection_free(probe->request);
	probe->connection = NULL;
	probe->request = NULL;
}

static void on_verdict(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	probe_stop(probe);
	probe->on_done(probe->owner, probe->is_good, probe->why);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
	if (probe->is_waiting_for_name)
		decide(probe, false, "%s: no address was found within %u ms", probe->target,
			probe->timeout_ms);
	else
		decide(probe, false, "%s does not answer within %u ms", probe->target, probe->timeout_ms);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* A port nobody listens on, and which the system gave to this very connection: it is connected to itself. */
static bool is_own_echo(evutil_socket_t fd)
{
	struct sockaddr_storage here = {0}, there = {0};
	socklen_t here_bytes = sizeof(here), there_bytes = sizeof(there);

	return getsockname(fd, (struct sockaddr *)&here, &here_bytes) == 0 &&
	       getpeername(fd, (struct sockaddr *)&there, &there_bytes) == 0 && here_bytes == there_bytes &&
	       memcmp(&here, &there, here_bytes) == 0;
}

static void on_connection(struct bufferevent *connection, short what, void *arg)
{
	struct probe *probe = arg;
	int error = EVUTIL_SOCKET_ERROR();

	if ((what & BEV_EVENT_CONNECTED) != 0 && !is_own_echo(bufferevent_getfd(connection)))
		decide(probe, true, "%s accepts connections", probe->target);
	else if ((what & BEV_EVENT_CONNECTED) != 0)
		decide(probe, false, "%s: nobody listens", probe->target);
	else
		decide(probe, false, "%s: %s", probe->target, strerror(error));
}

static bool ask_tcp(struct probe *probe)
{
	probe->connection = bufferevent_socket_new(probe->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (probe->connection == NULL)
		return false;
	bufferevent_setcb(probe->connection, NULL, NULL, on_connection, probe);
	/* A failure is told to on_connection() as well, or before. */
	if (bufferevent_socket_connect_hostname(
		    probe->connection, NULL, AF_UNSPEC, probe->host, probe->address.port) != 0)
		decide(probe, false, "%s: cannot be connected to", probe->target);
	return true;
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void judge(struct probe *probe, int status)
{
	decide(probe, status >= STATUS_OK && status < STATUS_BAD, "%s answers GET %s with status %d",
		probe->target, probe->way.path, status);
}

/* The head says all: a body that never ends is not waited for. */
static int on_head(struct evhttp_request *request, void *arg)
{
	int status = evhttp_request_get_response_code(request);

	if (status >= STATUS_OK)
		judge(arg, status);
	return 0;
}

static void on_response(struct evhttp_request *request, void *arg)
{
	struct probe *probe = arg;
	int error = EVUTIL_SOCKET_ERROR();
	int status = request == NULL ? 0 : evhttp_request_get_response_code(request);

	if (status != 0)
		judge(probe, status);
	else if (error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH || error == ETIMEDOUT)
		decide(probe, false, "%s: %s", probe->target, strerror(error));
	else
		decide(probe, false, "%s gives no HTTP response to GET %s", probe->target, probe->way.path);
}

static bool ask_http(struct probe *probe)
{
	struct evhttp_request *request;
	struct evkeyvalq *fields;

	probe->request = evhttp_connection_base_new(probe->base, NULL, probe->host, probe->address.port);
	request = evhttp_request_new(on_response, probe);
	if (probe->request == NULL || request == NULL) {
		if (request != NULL)
			evhttp_request_free(request);
		return false;
	}
	evhttp_connection_set_max_headers_size(probe->request, HEAD_BYTES_MAX);
	evhttp_request_set_header_cb(request, on_head);
	fields = evhttp_request_get_output_headers(request);
	if (evhttp_add_header(fields, "Host", probe->target) != 0 ||
		evhttp_add_header(fields, "User-Agent", "srsd-register") != 0 ||
		evhttp_add_header(fields, "Connection", "close") != 0) {
		evhttp_request_free(request);
		return false;
	}
	/* The connection owns the request from here on, whatever comes of it. */
	errno = 0;
	if (evhttp_make_request(probe->request, request, EVHTTP_REQ_GET, probe->way.path) != 0)
		decide(probe, false, "%s: cannot be connected to", probe->target);
	return true;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void ask(struct probe *probe)
{
	bool is_asked = probe->way.kind == CHECK_HTTP ? ask_http(probe) : ask_tcp(probe);

	if (!is_asked)
		decide(probe, false, "%s cannot be asked: out of memory or of file descriptors",
			probe->target);
}

/* The first address, in the order of the resolver. */
static bool take_address(struct probe *probe, const struct evutil_addrinfo *list)
{
	const void *bytes;

	if (list->ai_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)list->ai_addr)->sin6_addr;
	else
		bytes = &((const struct sockaddr_in *)(const void *)list->ai_addr)->sin_addr;
	return evutil_inet_ntop(list->ai_family, bytes, probe->host, sizeof(probe->host)) != NULL;
}

static void on_name(int result, struct evutil_addrinfo *list, void *arg)
{
	struct probe *probe = arg;

	probe->look_up = NULL;
	if (probe->is_waiting_for_name) {
		probe->is_waiting_for_name = false;
		if (result == 0 && list != NULL && take_address(probe, list))
			ask(probe);
		else
			decide(probe, false, "%s: %s", probe->target,
				result != 0 ? evutil_gai_strerror(result) : "the name has no address");
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

/* By libevent's resolver, which reads /etc/hosts and /etc/resolv.conf, and does not block. */
static bool look_up(struct probe *probe)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};

	probe->is_waiting_for_name = true;
	if (probe->look_up != NULL)
		return true;
	if (probe->names == NULL)
		probe->names = evdns_base_new(
			probe->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (probe->names == NULL)
		return false;
	/* It may call back, and so clear the request, before it returns NULL. */
	struct evdns_getaddrinfo_request *request =
		evdns_getaddrinfo(probe->names, probe->address.host, NULL, &hints, on_name, probe);
	if (request != NULL)
		probe->look_up = request;
	return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

bool probe_open(struct probe *probe, struct event_base *base, const struct check_way *way,
	const struct srsd_address *address, uint32_t timeout_ms, probe_done_fn *on_done, void *owner)
{
	*probe = (struct probe){.base = base,
		.way = *way,
		.address = *address,
		.timeout_ms = timeout_ms,
		.on_done = on_done,
		.owner = owner};
	srsd_address_format(address, probe->target, sizeof(probe->target));
	probe->deadline = evtimer_new(base, on_deadline, probe);
	probe->verdict = evtimer_new(base, on_verdict, probe);
	return probe->deadline != NULL && probe->verdict != NULL;
}

void probe_start(struct probe *probe)
{
	struct timeval timeout = clock_timeval(probe->timeout_ms);

	probe->has_verdict = false;
	if (event_add(probe->deadline, &timeout) != 0) {
		decide(probe, false, "%s cannot be asked: out of memory", probe->target);
	} else if (probe->address.kind != SRSD_HOST_NAME) {
		memcpy(probe->host, probe->address.host, sizeof(probe->host));
		ask(probe);
	} else if (!look_up(probe)) {
		decide(probe, false, "%s: no name server can be asked: see /etc/resolv.conf", probe->target);
	}
}

void probe_close(struct probe *probe)
{
	if (probe->deadline != NULL && probe->verdict != NULL)
		probe_stop(probe);
	if (probe->names != NULL) {
		if (probe->look_up != NULL)
			evdns_getaddrinfo_cancel(probe->look_up);
		evdns_base_free(probe->names, 1);
		event_base_loop(probe->base, EVLOOP_NONBLOCK);
	}
	if (probe->deadline != NULL)
		event_free(probe->deadline);
	if (probe->verdict != NULL)
		event_free(probe->verdict);
	*probe = (struct probe){0};
}
