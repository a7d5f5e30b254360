/* client - an example consumer without the proxy: finds a service in ZooKeeper, picks one backend at random,
 * asks it for /info, prints its URL and what it said. Uses libsrsd's blocking calls. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "srsd/srsd.h"

enum {
	DISCOVER_TIMEOUT_MS = 5000,
	ANSWER_TIMEOUT_S = 5,
	URL_BYTES = SRSD_ADDRESS_MAX + sizeof "http:///info"
};

struct options {
	const char *label;
	struct srsd_config registry;
};

/* ---- One GET over evhttp --------------------------------------------------------------------- */

struct answer {
	struct event_base *base;
	int status;	       /* 0: none came */
	struct evbuffer *body; /* ours */
};

static void on_answer(struct evhttp_request *request, void *arg)
{
	struct answer *answer = arg;
	/* NULL, or a status of 0: refused, reset, or too late. */
	if (request != NULL && evhttp_request_get_response_code(request) != 0) {
		answer->status = evhttp_request_get_response_code(request);
		if (evbuffer_add_buffer(answer->body, evhttp_request_get_input_buffer(request)) != 0)
			answer->status = 0;
	}
	event_base_loopbreak(answer->base);
}

/* Returns false when the request could not even be made. */
static bool send_request(struct answer *answer, struct evhttp_connection *connection, const char *host_field)
{
	struct evhttp_request *request = evhttp_request_new(on_answer, answer);
	if (request == NULL)
		return false;
	struct evkeyvalq *fields = evhttp_request_get_output_headers(request);
	if (evhttp_add_header(fields, "Host", host_field) != 0 ||
		evhttp_add_header(fields, "Connection", "close") != 0) {
		evhttp_request_free(request);
		return false;
	}
	/* From here on the connection owns the request. */
	return evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/info") == 0;
}

/* GET /info of `endpoint` into `answer`. Returns false when nothing answered. */
static bool fetch(const struct srsd_endpoint *endpoint, struct answer *answer)
{
	struct srsd_address address;
	srsd_endpoint_address(endpoint, &address);
	struct evhttp_connection *connection =
		evhttp_connection_base_new(answer->base, NULL, address.host, address.port);
	if (connection == NULL)
		return false;
	evhttp_connection_set_timeout(connection, ANSWER_TIMEOUT_S);
	answer->status = 0;
	if (send_request(answer, connection, srsd_endpoint_name(endpoint)))
		event_base_dispatch(answer->base);
	evhttp_connection_free(connection);
	return answer->status != 0;
}

/* ---- The way through ------------------------------------------------------------------------- */

/* The endpoint's place in the snapshot's order. */
static size_t index_of(const struct srsd_snapshot *snapshot, const struct srsd_endpoint *endpoint)
{
	size_t index = 0;
	while (srsd_snapshot_at(snapshot, index) != endpoint)
		index++;
	return index;
}

static int print_answer(const char *url, struct evbuffer *body)
{
	size_t bytes = evbuffer_get_length(body);
	printf("%s\n", url);
	if (bytes > 0)
		fwrite(evbuffer_pullup(body, -1), 1, bytes, stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EX_IOERR;
}

/* Ask one at random. A killed service stays in the registry until its session times out: when nothing
 * answers, go on to the others, each once; a GET may be sent again. */
static int ask(const struct srsd_snapshot *snapshot, struct answer *answer)
{
	size_t count = srsd_snapshot_count(snapshot);
	size_t first = index_of(snapshot, srsd_snapshot_pick(snapshot));
	for (size_t tried = 0; tried < count; tried++) {
		const struct srsd_endpoint *endpoint = srsd_snapshot_at(snapshot, (first + tried) % count);
		char url[URL_BYTES];
		snprintf(url, sizeof url, "http://%s/info", srsd_endpoint_name(endpoint));
		if (!fetch(endpoint, answer)) {
			fprintf(stderr, "client: no answer from %s\n", url);
			continue;
		}
		if (answer->status != HTTP_OK) {
			fprintf(stderr, "client: %s answered with status %d\n", url, answer->status);
			return EX_PROTOCOL;
		}
		return print_answer(url, answer->body);
	}
	fprintf(stderr, "client: none of %zu registered services answered\n", count);
	return EX_UNAVAILABLE;
}

static int ask_with_loop(const struct srsd_snapshot *snapshot)
{
	struct answer answer = {.base = event_base_new(), .body = evbuffer_new()};
	int status = EX_OSERR;
	if (answer.base != NULL && answer.body != NULL)
		status = ask(snapshot, &answer);
	else
		fprintf(stderr, "client: cannot make an event loop: %s\n", strerror(errno));
	if (answer.body != NULL)
		evbuffer_free(answer.body);
	if (answer.base != NULL)
		event_base_free(answer.base);
	return status;
}

static int discover_and_ask(const struct options *options)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error;
	enum srsd_status found = srsd_discover_wait(
		&options->registry, options->label, NULL, DISCOVER_TIMEOUT_MS, &snapshot, &error);
	if (found != SRSD_OK) {
		fprintf(stderr, "client: cannot discover %s: %s\n", options->label, error.text);
		return found == SRSD_BAD_ARGUMENT ? EX_USAGE : EX_TEMPFAIL;
	}
	int status = EX_UNAVAILABLE;
	if (srsd_snapshot_count(snapshot) == 0)
		fprintf(stderr, "client: nothing is registered below %s/%s\n", options->registry.registry,
			options->label);
	else
		status = ask_with_loop(snapshot);
	srsd_snapshot_unref(&snapshot);
	return status;
}

/* ---- The command line ------------------------------------------------------------------------ */

static const char usage[] =
	"Usage: client [OPTION]...\n"
	"Find a service in ZooKeeper, ask one at random for /info, print its URL and its answer.\n"
	"\n"
	"  --label LABEL            the service to find (tornado_app)\n"
	"  --zookeeper SERVERS      host:port,...[/chroot] (127.0.0.1:2181)\n"
	"  --registry PATH          node above the labels (/zk_registry/data)\n"
	"  --help\n"
	"\n"
	"Exit status: 0; 64: usage; 69: nothing is registered, or nothing registered answers;\n"
	"75: ZooKeeper does not answer; 76: the service answered something else than 200.\n";

static void read_options(int count, char **arguments, struct options *options)
{
	enum { LABEL = 1, ZOOKEEPER, REGISTRY, HELP };
	static const struct option known[] = {{"label", required_argument, NULL, LABEL},
		{"zookeeper", required_argument, NULL, ZOOKEEPER},
		{"registry", required_argument, NULL, REGISTRY}, {"help", no_argument, NULL, HELP}, {0}};
	int which;
	while ((which = getopt_long(count, arguments, "", known, NULL)) != -1) {
		switch (which) {
		case LABEL:
			options->label = optarg;
			break;
		case ZOOKEEPER:
			options->registry.servers = optarg;
			break;
		case REGISTRY:
			options->registry.registry = optarg;
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
		fprintf(stderr, "client: what is \"%s\"? Try --help\n", arguments[optind]);
		exit(EX_USAGE);
	}
}

int main(int count, char **arguments)
{
	struct options options = {.label = "tornado_app", .registry = SRSD_CONFIG_DEFAULT};
	read_options(count, arguments, &options);
	return discover_and_ask(&options);
}
