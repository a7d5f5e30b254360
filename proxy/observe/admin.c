/* admin - the endpoint for operators (see admin.h). */
#include "observe/admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "listener.h"
#include "observe/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ADMIN_HEAD_BYTES_MAX 8192
#define ADMIN_BODY_BYTES_MAX 1024
#define ADMIN_TIMEOUT_S	     10

/* Without descriptors, accepting stops for this long. */
#define ADMIN_ACCEPT_PAUSE_US 100000

struct admin {
	struct report report;
	struct shelf *shelf;
	struct evhttp *http;
};

/* ---- The newest sets ------------------------------------------------------------------------- */

/* Only for as long as an answer takes: what has gone is not kept by who asks seldom. */
static void admin_take_fleets(struct admin *admin)
{
	for (size_t i = 0; i < admin->shelf->count; i++) {
		struct fleet *fleet = shelf_take(admin->shelf, i);
		if (fleet != NULL)
			report_set_fleet(&admin->report, fleet);
	}
}

static void admin_give_fleets_back(struct admin *admin)
{
	for (size_t i = 0; i < admin->shelf->count; i++)
		shelf_give_back(admin->shelf, &admin->report.fleets[i]);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void admin_send(struct evhttp_request *request, int status, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_send_reply(request, status, NULL, body);
}

static void admin_send_text(struct evhttp_request *request, int status, const char *text)
{
	struct evbuffer *body = evbuffer_new();
	if (body == NULL || evbuffer_add(body, text, strlen(text)) != 0)
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
	else
		admin_send(request, status, "text/plain; charset=utf-8", body);
	if (body != NULL)
		evbuffer_free(body);
}

typedef void report_fn(const struct report *report, struct evbuffer *out);

static void admin_send_report(
	struct evhttp_request *request, struct admin *admin, report_fn *write, const char *type)
{
	struct evbuffer *body = evbuffer_new();
	if (body == NULL) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	admin_take_fleets(admin);
	write(&admin->report, body);
	admin_give_fleets_back(admin);
	admin_send(request, HTTP_OK, type, body);
	evbuffer_free(body);
}

static void admin_on_healthz(struct evhttp_request *request, void *arg)
{
	(void)arg;
	admin_send_text(request, HTTP_OK, "ok\n");
}

static void admin_on_ready(struct evhttp_request *request, void *arg)
{
	struct admin *admin = arg;
	admin_take_fleets(admin);
	const char *why_not = report_why_not_ready(&admin->report);
	admin_give_fleets_back(admin);
	if (why_not == NULL)
		admin_send_text(request, HTTP_OK, "ready\n");
	else
		admin_send_text(request, HTTP_SERVUNAVAIL, why_not);
}

static void admin_on_metrics(struct evhttp_request *request, void *arg)
{
	admin_send_report(request, arg, report_metrics, "text/plain; version=0.0.4; charset=utf-8");
}

static void admin_on_backends(struct evhttp_request *request, void *arg)
{
	admin_send_report(request, arg, report_backends, "application/json");
}

static void admin_on_other(struct evhttp_request *request, void *arg)
{
	(void)arg;
	admin_send_text(request, HTTP_NOTFOUND, "Here are /healthz, /ready, /metrics and /backends.\n");
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

static bool admin_route(struct admin *admin)
{
	evhttp_set_allowed_methods(admin->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(admin->http, ADMIN_HEAD_BYTES_MAX);
	evhttp_set_max_body_size(admin->http, ADMIN_BODY_BYTES_MAX);
	evhttp_set_timeout(admin->http, ADMIN_TIMEOUT_S);
	evhttp_set_gencb(admin->http, admin_on_other, admin);
	return evhttp_set_cb(admin->http, "/healthz", admin_on_healthz, admin) == 0 &&
	       evhttp_set_cb(admin->http, "/ready", admin_on_ready, admin) == 0 &&
	       evhttp_set_cb(admin->http, "/metrics", admin_on_metrics, admin) == 0 &&
	       evhttp_set_cb(admin->http, "/backends", admin_on_backends, admin) == 0;
}

static void admin_resume(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(arg);
}

/* Without descriptors the connection stays where it is, and libevent would ask for it again and again. The
 * main loop ends before the listener does. */
static void admin_on_accept_error(struct evconnlistener *listener, void *arg)
{
	const struct timeval pause = {.tv_usec = ADMIN_ACCEPT_PAUSE_US};
	(void)arg;
	if (event_base_once(
		    evconnlistener_get_base(listener), -1, EV_TIMEOUT, admin_resume, listener, &pause) == 0)
		evconnlistener_disable(listener);
}

static enum exit_code admin_listen(struct admin *admin, struct event_base *base, const char *address)
{
	int fd = -1;
	enum exit_code code = listener_open_one(address, &fd);
	if (code != EXIT_CODE_OK)
		return code;
	admin->http = evhttp_new(base);
	struct evhttp_bound_socket *bound = NULL;
	if (admin->http != NULL && admin_route(admin))
		bound = evhttp_accept_socket_with_handle(admin->http, fd);
	if (bound == NULL) {
		close(fd);
		return EXIT_CODE_RESOURCES;
	}
	struct evconnlistener *listener = evhttp_bound_socket_get_listener(bound);
	evconnlistener_set_error_cb(listener, admin_on_accept_error);
	/* evhttp has enabled it, but does not tell whether that worked. */
	return evconnlistener_enable(listener) == 0 ? EXIT_CODE_OK : EXIT_CODE_RESOURCES;
}

enum exit_code admin_new(struct event_base *base, const struct admin_context *context, struct admin **out)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	enum exit_code code = EXIT_CODE_RESOURCES;
	*out = admin;
	if (admin == NULL)
		return code;
	admin->shelf = context->shelf;
	if (report_init(&admin->report, context->settings, context->counters, context->worker_count,
		    context->standings, context->verdicts) &&
		(context->latencies == NULL || report_set_latencies(&admin->report, context->latencies)))
		code = context->settings->admin.address != NULL
			       ? admin_listen(admin, base, context->settings->admin.address)
			       : EXIT_CODE_OK;
	if (code != EXIT_CODE_OK)
		admin_free(out);
	return code;
}

void admin_set_registry_state(struct admin *admin, uint32_t state)
{
	admin->report.registry_state = state;
}

void admin_set_draining(struct admin *admin)
{
	admin->report.is_draining = true;
}

void admin_free(struct admin **admin_pointer)
{
	struct admin *admin = *admin_pointer;
	*admin_pointer = NULL;
	if (admin == NULL)
		return;
	if (admin->http != NULL)
		evhttp_free(admin->http);
	report_finish(&admin->report);
	free(admin);
}
