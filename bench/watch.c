/* watch - a client of libsrsd for the benchmarks of discovery: follows labels, and keeps a record of what
 * came when. Owns its manager, its watches and its record.
 *
 *     bench_watch SERVERS LABEL...
 *
 * Says "session ID" when it has one and "complete" when each label has been read once. On SIGTERM it says
 * "set LABEL COUNT TIME" for each callback that there was, TIME in nanoseconds of CLOCK_MONOTONIC, and ends.
 * Nothing is printed meanwhile: whoever reads would take the processor from what is measured. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include <event2/event.h>

#include "srsd/srsd.h"

#define SESSION_TIMEOUT_MS 30000
#define RECORDS_STEP	   4096

struct label {
	struct client *client;
	struct srsd_watch *watch;
	const char *name;
	bool is_known;
};

struct record {
	const char *label;
	size_t count;
	uint64_t time_ns;
};

struct client {
	struct event_base *base;
	struct srsd *srsd;
	struct label *labels;
	size_t label_count;
	size_t known; /* labels that were read */
	struct record *records;
	size_t record_count;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void keep(struct client *client, const struct record *record)
{
	if (client->record_count % RECORDS_STEP == 0) {
		client->records = realloc(
			client->records, (client->record_count + RECORDS_STEP) * sizeof(*client->records));
		if (client->records == NULL)
			exit(EX_OSERR);
	}
	client->records[client->record_count++] = *record;
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct label *label = arg;
	struct client *client = label->client;

	keep(client, &(struct record){label->name, srsd_snapshot_count(snapshot), now_ns()});
	if (label->is_known)
		return;
	label->is_known = true;
	if (++client->known == client->label_count)
		puts("complete");
}

static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	const char *session = strstr(text, "session 0x");

	(void)arg;
	if (level == SRSD_LOG_INFO && session != NULL)
		printf("session %.*s\n", (int)strcspn(session + 8, ","), session + 8);
	if (level < SRSD_LOG_INFO)
		fprintf(stderr, "%s\n", text);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)number;
	(void)what;
	event_base_loopbreak(arg);
}

static void follow(struct client *client, char **names)
{
	struct srsd_error error;

	for (size_t i = 0; i < client->label_count; i++) {
		struct label *label = &client->labels[i];

		*label = (struct label){.client = client, .name = names[i]};
		if (srsd_watch(client->srsd, names[i], NULL, on_change, label, &label->watch, &error) !=
			SRSD_OK) {
			fprintf(stderr, "bench_watch: %s\n", error.text);
			exit(EX_USAGE);
		}
	}
}

int main(int count, char **arguments)
{
	struct client client = {.base = event_base_new()};
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct srsd_error error;
	struct event *signal;

	if (count < 3) {
		fprintf(stderr, "usage: bench_watch SERVERS LABEL...\n");
		return EX_USAGE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	config.servers = arguments[1];
	config.session_timeout_ms = SESSION_TIMEOUT_MS;
	config.log = on_log;
	client.label_count = (size_t)count - 2;
	client.labels = calloc(client.label_count, sizeof(*client.labels));
	signal = client.base == NULL ? NULL : evsignal_new(client.base, SIGTERM, on_signal, client.base);
	if (client.labels == NULL || signal == NULL || event_add(signal, NULL) != 0)
		return EX_OSERR;
	if (srsd_open(client.base, &config, &client.srsd, &error) != SRSD_OK) {
		fprintf(stderr, "bench_watch: %s\n", error.text);
		return EX_USAGE;
	}
	follow(&client, arguments + 2);
	event_base_dispatch(client.base);
	for (size_t i = 0; i < client.record_count; i++)
		printf("set %s %zu %" PRIu64 "\n", client.records[i].label, client.records[i].count,
			client.records[i].time_ns);
	srsd_close(&client.srsd);
	event_free(signal);
	event_base_free(client.base);
	free(client.labels);
	free(client.records);
	return 0;
}
