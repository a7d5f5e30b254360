/* probe - asks a service once whether it answers. Owns the connection of the question, and its deadline.
 *
 * A verdict may be found deep inside libevent's own functions: it is kept, and told in the next turn of the
 * loop, when what it was found with can be freed. */
#include "srsd/command/probe.h"

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

/* Free what the question stood on; its callbacks come no more. */
static void hang_up(struct probe *probe)
{
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
	hang_up(probe);
	probe->on_done(probe->owner, probe->is_good, probe->why);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;

	(void)fd;
	(void)what;
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
	int error = EVUTIL_SOCKET_ERROR(), name_error = bufferevent_socket_get_dns_error(connection);

	if ((what & BEV_EVENT_CONNECTED) != 0 && !is_own_echo(bufferevent_getfd(connection)))
		decide(probe, true, "%s accepts connections", probe->target);
	else if ((what & BEV_EVENT_CONNECTED) != 0)
		decide(probe, false, "%s: nobody listens", probe->target);
	else
		decide(probe, false, "%s: %s", probe->target,
			name_error != 0 ? evutil_gai_strerror(name_error) : strerror(error));
}

static bool ask_tcp(struct probe *probe)
{
	probe->connection = bufferevent_socket_new(probe->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (probe->connection == NULL)
		return false;
	bufferevent_setcb(probe->connection, NULL, NULL, on_connection, probe);
	/* A failure is told to on_connection() as well, or before. */
	if (bufferevent_socket_connect_hostname(probe->connection, probe->names, AF_UNSPEC,
		    probe->address.host, probe->address.port) != 0)
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

	probe->request = evhttp_connection_base_new(
		probe->base, probe->names, probe->address.host, probe->address.port);
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

/* ---- All of it ------------------------------------------------------------------------------- */

/* Names are looked up by libevent's resolver, which reads /etc/hosts and /etc/resolv.conf, and does not
 * block. */
static bool open_names(struct probe *probe)
{
	if (probe->address.kind != SRSD_HOST_NAME || probe->names != NULL)
		return true;
	probe->names = evdns_base_new(
		probe->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	return probe->names != NULL;
}

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
	struct timeval timeout = {.tv_sec = probe->timeout_ms / 1000,
		.tv_usec = (suseconds_t)(probe->timeout_ms % 1000) * 1000};
	bool is_asked;

	probe->has_verdict = false;
	if (event_add(probe->deadline, &timeout) != 0 || !open_names(probe))
		is_asked = false;
	else
		is_asked = probe->way.kind == CHECK_HTTP ? ask_http(probe) : ask_tcp(probe);
	if (!is_asked)
		decide(probe, false, "%s cannot be asked: out of memory or of file descriptors",
			probe->target);
}

void probe_close(struct probe *probe)
{
	if (probe->deadline == NULL || probe->verdict == NULL)
		return;
	hang_up(probe);
	event_free(probe->deadline);
	event_free(probe->verdict);
	if (probe->names != NULL)
		evdns_base_free(probe->names, 0);
	*probe = (struct probe){0};
}
