/* service - an example backend: answers GET /info about its machine, and registers itself through libsrsd.
 * Owns its event loop, its HTTP server, its session with ZooKeeper, and the answers that wait for --delay-ms.
 *
 *   start:   listen -> register          no client finds an address at which nobody listens
 *   SIGTERM: deregister -> linger -> stop listening -> finish requests -> exit
 *            whoever still picks us from a list that is a moment old is answered
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "info.h"
#include "srsd/srsd.h"

enum {
	DEREGISTER_TIMEOUT_MS = 2000,
	LINGER_MS = 500, /* from our node's end until the slowest watcher has seen it, with a margin */
	FLUSH_MS = 100,	 /* for the last answers to leave the process */
	HEAD_BYTES_MAX = 16 * 1024,
	BODY_BYTES_MAX = 64 * 1024
};

struct options {
	const char *label;
	const char *address; /* an IP address: listened on, and announced */
	uint16_t port;	     /* 0: a free one */
	uint32_t delay_ms;   /* each answer is held back for so long */
	struct srsd_config registry;
};

struct service {
	struct options options;
	struct event_base *base;
	struct evhttp *http;
	struct evhttp_bound_socket *listener; /* owned by http; NULL once we stopped listening */
	struct srsd *srsd;
	struct srsd_registration *registration; /* NULL once it was given back */
	struct event *on_term, *on_interrupt;
	char name[SRSD_ADDRESS_MAX];  /* "address:port", the name of our node */
	LIST_HEAD(, delayed) delayed; /* answers held back at this moment, and their number */
	unsigned waiting;
	bool is_stopping;
	bool is_cut_short; /* by a second signal */
};

static void say(const struct service *service, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct service *service, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "service %s: ", service->name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
}

static struct timeval milliseconds(uint32_t ms)
{
	return (struct timeval){.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* `body` may be NULL: an allocation failed. Takes the request, not the body. */
static void send_answer(struct service *service, struct evhttp_request *request, int status,
	const char *reason, struct evbuffer *body)
{
	struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
	evhttp_add_header(fields, "X-Served-By", service->name);
	if (service->is_stopping)
		evhttp_add_header(fields, "Connection", "close");
	if (body != NULL) {
		char length[24];
		snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
		evhttp_add_header(fields, "Content-Type", "application/json");
		evhttp_add_header(fields, "Content-Length", length);
	}
	/* evhttp sends what it is given, even to HEAD: RFC 9110 section 9.3.2 wants the fields alone. */
	bool is_head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
	evhttp_send_reply(request, status, reason, is_head ? NULL : body);
}

static void send_problem(
	struct service *service, struct evhttp_request *request, int status, const char *reason)
{
	struct evbuffer *body = evbuffer_new();
	if (body != NULL && evbuffer_add_printf(body, "{\"error\":\"%s\"}\n", reason) < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	send_answer(service, request, status, reason, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void send_info(struct service *service, struct evhttp_request *request)
{
	struct evbuffer *body = evbuffer_new();
	if (body != NULL && info_write_json(body))
		send_answer(service, request, HTTP_OK, "OK", body);
	else
		send_problem(service, request, HTTP_INTERNAL, "Internal Server Error");
	if (body != NULL)
		evbuffer_free(body);
}

/* An answer that is held back. evhttp leaves the request to us until we answer, even when its connection
 * dies. */
struct delayed {
	LIST_ENTRY(delayed) link;
	struct service *service;
	struct evhttp_request *request;
};

static void finish_if_idle(struct service *service);

static void delay_over(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct delayed *delayed = arg;
	struct service *service = delayed->service;
	send_info(service, delayed->request);
	LIST_REMOVE(delayed, link);
	free(delayed);
	service->waiting--;
	finish_if_idle(service);
}

static void on_info(struct evhttp_request *request, void *arg)
{
	struct service *service = arg;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		send_problem(service, request, HTTP_BADMETHOD, "Method Not Allowed");
		return;
	}
	if (service->options.delay_ms == 0) {
		send_info(service, request);
		return;
	}
	struct timeval delay = milliseconds(service->options.delay_ms);
	struct delayed *delayed = malloc(sizeof *delayed);
	if (delayed != NULL)
		*delayed = (struct delayed){.service = service, .request = request};
	if (delayed == NULL ||
		event_base_once(service->base, -1, EV_TIMEOUT, delay_over, delayed, &delay) != 0) {
		free(delayed);
		send_problem(service, request, HTTP_SERVUNAVAIL, "Service Unavailable");
		return;
	}
	LIST_INSERT_HEAD(&service->delayed, delayed, link);
	service->waiting++;
}

static void on_other_path(struct evhttp_request *request, void *arg)
{
	send_problem(arg, request, HTTP_NOTFOUND, "Not Found");
}

/* ---- The end --------------------------------------------------------------------------------- */

static void finish_if_idle(struct service *service)
{
	if (service->listener != NULL || !service->is_stopping || service->waiting > 0)
		return;
	struct timeval flush = milliseconds(FLUSH_MS);
	event_base_loopexit(service->base, &flush);
}

static void linger_over(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct service *service = arg;
	evhttp_del_accept_socket(service->http, service->listener);
	service->listener = NULL;
	if (service->waiting > 0)
		say(service, "requests to finish: %u", service->waiting);
	finish_if_idle(service);
}

static void on_stop_signal(int signal_number, short what, void *arg)
{
	(void)what;
	struct service *service = arg;
	if (service->is_stopping) {
		service->is_cut_short = true;
		event_base_loopbreak(service->base);
		return;
	}
	say(service, "%s: deregistering first", strsignal(signal_number));
	service->is_stopping = true;
	srsd_deregister(&service->registration, DEREGISTER_TIMEOUT_MS); /* reports RELEASED, below */
}

/* ---- The registry ---------------------------------------------------------------------------- */

/* The library's log tells of each state; we act on the last one. */
static void on_registration(void *arg, enum srsd_registration_state state, const char *text)
{
	(void)text;
	struct service *service = arg;
	if (state != SRSD_REGISTRATION_RELEASED)
		return;
	struct timeval linger = milliseconds(LINGER_MS);
	if (event_base_once(service->base, -1, EV_TIMEOUT, linger_over, service, &linger) != 0)
		event_base_loopbreak(service->base);
}

static void on_library_log(void *arg, enum srsd_log_level level, const char *text)
{
	if (level <= SRSD_LOG_INFO)
		say(arg, "%s", text);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static bool start_http(struct service *service)
{
	service->http = evhttp_new(service->base);
	if (service->http == NULL) {
		say(service, "out of memory");
		return false;
	}
	/* All methods, so that it is us who says which are not allowed. */
	evhttp_set_allowed_methods(service->http,
		EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
			EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_PATCH);
	evhttp_set_max_headers_size(service->http, HEAD_BYTES_MAX);
	evhttp_set_max_body_size(service->http, BODY_BYTES_MAX);
	evhttp_set_gencb(service->http, on_other_path, service);
	if (evhttp_set_cb(service->http, "/info", on_info, service) != 0) {
		say(service, "out of memory");
		return false;
	}
	service->listener = evhttp_bind_socket_with_handle(
		service->http, service->options.address, service->options.port);
	if (service->listener == NULL) {
		say(service, "cannot listen: %s; choose another --port, or 0 for a free one",
			strerror(errno));
		return false;
	}
	return true;
}

/* Our name in the registry: what we listen on, with the port that the kernel chose if we let it. */
static bool make_name(struct service *service)
{
	struct sockaddr_storage bound = {0};
	socklen_t bytes = sizeof bound;
	struct srsd_address address = {.kind = SRSD_HOST_IPV4, .port = service->options.port};
	if (service->listener != NULL) {
		int fd = evhttp_bound_socket_get_fd(service->listener);
		if (getsockname(fd, (struct sockaddr *)&bound, &bytes) != 0) {
			say(service, "getsockname: %s", strerror(errno));
			return false;
		}
		in_port_t port = bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
							     : ((struct sockaddr_in *)&bound)->sin_port;
		address.port = ntohs(port);
	}
	if (strchr(service->options.address, ':') != NULL)
		address.kind = SRSD_HOST_IPV6;
	snprintf(address.host, sizeof address.host, "%s", service->options.address);
	srsd_address_format(&address, service->name, sizeof service->name);
	return true;
}

static bool start_registration(struct service *service)
{
	struct srsd_error error;
	service->options.registry.log = on_library_log;
	service->options.registry.arg = service;
	if (srsd_open(service->base, &service->options.registry, &service->srsd, &error) == SRSD_OK &&
		srsd_register(service->srsd, service->options.label, service->name, NULL, on_registration,
			service, &service->registration, &error) == SRSD_OK)
		return true;
	say(service, "cannot register: %s", error.text);
	return false;
}

static bool start_signals(struct service *service)
{
	signal(SIGPIPE, SIG_IGN);
	service->on_term = evsignal_new(service->base, SIGTERM, on_stop_signal, service);
	service->on_interrupt = evsignal_new(service->base, SIGINT, on_stop_signal, service);
	if (service->on_term != NULL && service->on_interrupt != NULL &&
		evsignal_add(service->on_term, NULL) == 0 && evsignal_add(service->on_interrupt, NULL) == 0)
		return true;
	say(service, "cannot wait for signals");
	return false;
}

static bool start(struct service *service)
{
	service->base = event_base_new();
	if (service->base == NULL) {
		say(service, "cannot make an event loop: %s", strerror(errno));
		return false;
	}
	if (!make_name(service) || !start_http(service) || !make_name(service) || !start_signals(service))
		return false;
	printf("listening on %s\n", service->name);
	fflush(stdout);
	return start_registration(service);
}

/* Take down whatever start() made, all of it or a part. */
static void tear_down(struct service *service)
{
	srsd_close(&service->srsd);
	if (service->on_term != NULL)
		event_free(service->on_term);
	if (service->on_interrupt != NULL)
		event_free(service->on_interrupt);
	if (service->http != NULL)
		evhttp_free(service->http);
	if (service->base != NULL)
		event_base_free(service->base);
	while (!LIST_EMPTY(&service->delayed)) { /* cut short */
		struct delayed *delayed = LIST_FIRST(&service->delayed);
		LIST_REMOVE(delayed, link);
		free(delayed);
	}
}

/* ---- The command line ------------------------------------------------------------------------ */

static const char usage[] =
	"Usage: service [OPTION]...\n"
	"An example backend: answers GET /info about its machine, and registers in ZooKeeper.\n"
	"\n"
	"  --label LABEL            register under this label (tornado_app)\n"
	"  --address IP             listen on it and announce it: others must reach it (127.0.0.1)\n"
	"  --port PORT              listen on it; 0: a free one (0)\n"
	"  --zookeeper SERVERS      host:port,...[/chroot] (127.0.0.1:2181)\n"
	"  --registry PATH          node above the labels (/zk_registry/data)\n"
	"  --session-timeout TIME   a killed service is forgotten after it: 4s, 2500ms (10s)\n"
	"  --delay-ms MS            hold each answer back, to see requests in flight (0)\n"
	"  --help\n"
	"\n"
	"Prints \"listening on ADDRESS:PORT\" when it does. SIGTERM and SIGINT: deregister, finish requests, "
	"exit 0;\n"
	"a second one: exit at once. Exit status: 0, 1 (cut short), 64 (usage), 71 (cannot start).\n";

static void refuse(const char *name, const char *takes, const char *text)
{
	fprintf(stderr, "service: --%s takes %s, not \"%s\"\n", name, takes, text);
	exit(EX_USAGE);
}

/* Decimal digits and then `unit`, nothing else. */
static bool read_number(const char *text, const char *unit, uint32_t maximum, uint32_t *out)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || strcmp(end, unit) != 0 || errno != 0 || value > maximum)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool read_duration(const char *text, uint32_t *out_ms)
{
	if (read_number(text, "ms", UINT32_MAX, out_ms))
		return true;
	bool is_read = read_number(text, "s", UINT32_MAX / 1000, out_ms);
	if (is_read)
		*out_ms *= 1000;
	return is_read;
}

static void check_address(const char *text)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;
	bool is_reachable = (inet_pton(AF_INET, text, &ipv4) == 1 && ipv4.s_addr != INADDR_ANY) ||
			    (inet_pton(AF_INET6, text, &ipv6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&ipv6));
	if (!is_reachable)
		refuse("address", "an IP address that others can reach", text);
}

static void read_options(int count, char **arguments, struct options *options)
{
	enum { LABEL = 1, ADDRESS, PORT, ZOOKEEPER, REGISTRY, SESSION_TIMEOUT, DELAY_MS, HELP };
	static const struct option known[] = {{"label", required_argument, NULL, LABEL},
		{"address", required_argument, NULL, ADDRESS}, {"port", required_argument, NULL, PORT},
		{"zookeeper", required_argument, NULL, ZOOKEEPER},
		{"registry", required_argument, NULL, REGISTRY},
		{"session-timeout", required_argument, NULL, SESSION_TIMEOUT},
		{"delay-ms", required_argument, NULL, DELAY_MS}, {"help", no_argument, NULL, HELP}, {0}};
	uint32_t port = 0;
	int which;
	while ((which = getopt_long(count, arguments, "", known, NULL)) != -1) {
		switch (which) {
		case LABEL:
			options->label = optarg;
			break;
		case ADDRESS:
			check_address(optarg);
			options->address = optarg;
			break;
		case PORT:
			if (!read_number(optarg, "", UINT16_MAX, &port))
				refuse("port", "a number from 0 to 65535", optarg);
			options->port = (uint16_t)port;
			break;
		case ZOOKEEPER:
			options->registry.servers = optarg;
			break;
		case REGISTRY:
			options->registry.registry = optarg;
			break;
		case SESSION_TIMEOUT:
			if (!read_duration(optarg, &options->registry.session_timeout_ms))
				refuse("session-timeout", "a duration like 4s or 2500ms", optarg);
			break;
		case DELAY_MS:
			if (!read_number(optarg, "", UINT32_MAX, &options->delay_ms))
				refuse("delay-ms", "a number of milliseconds", optarg);
			break;
		case HELP:
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			fputs(usage, stderr);
			exit(EX_USAGE);
		}
	}
	if (optind < count) {
		fprintf(stderr, "service: what is \"%s\"? Try --help\n", arguments[optind]);
		exit(EX_USAGE);
	}
}

int main(int count, char **arguments)
{
	struct service service = {
		.options = {.label = "tornado_app", .address = "127.0.0.1", .registry = SRSD_CONFIG_DEFAULT}};
	read_options(count, arguments, &service.options);
	int status = EX_OSERR;
	if (start(&service)) {
		event_base_dispatch(service.base);
		status = service.is_cut_short ? EXIT_FAILURE : EXIT_SUCCESS;
		say(&service, service.is_cut_short ? "stopped at once" : "stopped");
	}
	tear_down(&service);
	return status;
}
