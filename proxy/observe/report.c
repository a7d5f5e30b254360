/* report - metrics, backends and readiness as text (see report.h). */
#include "observe/report.h"

#include "base/clock.h"

#include <event2/buffer.h>
#include <srsd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool report_init(struct report *report, const struct settings *settings,
	const struct counters *const *counters, size_t worker_count, const struct standing *standings,
	const struct verdicts *verdicts)
{
	*report = (struct report){.settings = settings,
		.worker_count = worker_count,
		.standings = standings,
		.verdicts = verdicts,
		.registry_state = SRSD_CONNECTING,
		.started_ms = clock_coarse_ms()};
	report->counters = calloc(worker_count, sizeof(struct counters *));
	report->fleets = calloc(settings->service_count, sizeof(struct fleet *));
	if (report->counters == NULL || report->fleets == NULL)
		return false;
	for (size_t i = 0; i < worker_count; i++)
		report->counters[i] = counters[i];
	return true;
}

void report_finish(struct report *report)
{
	for (size_t i = 0; report->fleets != NULL && i < report->settings->service_count; i++)
		fleet_unref(&report->fleets[i]);
	free(report->fleets);
	free(report->counters);
	free(report->latencies);
}

bool report_set_latencies(struct report *report, const struct latencies *const *latencies)
{
	size_t count = report->worker_count * report->settings->service_count;
	report->latencies = calloc(count, sizeof(struct latencies *));
	for (size_t i = 0; report->latencies != NULL && i < count; i++)
		report->latencies[i] = latencies[i];
	return report->latencies != NULL;
}

void report_set_fleet(struct report *report, struct fleet *fleet)
{
	fleet_unref(&report->fleets[fleet->service]);
	report->fleets[fleet->service] = fleet;
}

const char *report_why_not_ready(const struct report *report)
{
	static char text[320];
	if (report->is_draining)
		return "draining: the proxy is shutting down\n";
	for (size_t i = 0; i < report->settings->service_count; i++) {
		if (report->fleets[i] != NULL)
			continue;
		bool is_unreadable =
			atomic_load_explicit(&report->standings[i].is_unreadable, memory_order_relaxed) != 0;
		snprintf(text, sizeof(text),
			"not ready: the backends of %s are not known yet; zookeeper session: %s%s\n",
			report->settings->services[i].name,
			srsd_state_text((enum srsd_state)report->registry_state),
			is_unreadable ? "; its label cannot be read, the log says why" : "");
		return text;
	}
	return NULL;
}

/* ---- Metrics --------------------------------------------------------------------------------- */

static uint64_t sum_at(const struct report *report, size_t offset)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < report->worker_count; i++) {
		const char *counters = (const char *)report->counters[i];
		sum += atomic_load_explicit(
			(const _Atomic uint64_t *)(const void *)(counters + offset), memory_order_relaxed);
	}
	return sum;
}

static void metric_head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline escaped. */
static void metric_label(struct evbuffer *out, const char *key, const char *value)
{
	evbuffer_add_printf(out, "%s=\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			evbuffer_add_printf(out, "\\%c", *value);
		else if (*value == '\n')
			evbuffer_add_printf(out, "\\n");
		else
			evbuffer_add(out, value, 1);
	}
	evbuffer_add_printf(out, "\"");
}

static void metrics_of_workers(const struct report *report, struct evbuffer *out)
{
#define COUNTER_WRITE(field, type, name, help)                                                               \
	metric_head(out, name, type, help);                                                                  \
	evbuffer_add_printf(out, "%s %llu\n", name,                                                          \
		(unsigned long long)sum_at(report, offsetof(struct counters, field)));
	COUNTERS(COUNTER_WRITE)
#undef COUNTER_WRITE
	metric_head(out, "srsd_proxy_awake_seconds_total", "counter",
		"Time of processors that workers spent on waiting awake.");
	evbuffer_add_printf(out, "srsd_proxy_awake_seconds_total %.6f\n",
		(double)sum_at(report, offsetof(struct counters, awake_us)) / 1e6);
	metric_head(out, "srsd_proxy_responses_total", "counter",
		"Final responses to clients, by class of status.");
	for (size_t class = 1; class < 6; class ++)
		evbuffer_add_printf(out, "srsd_proxy_responses_total{class=\"%zuxx\"} %llu\n", class,
			(unsigned long long)sum_at(report,
				offsetof(struct counters, statuses) + class * sizeof(_Atomic uint64_t)));
	metric_head(out, "srsd_proxy_problems_total", "counter",
		"Exchanges that did not bring a backend's complete response to the client, by reason.");
	for (size_t i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++)
		evbuffer_add_printf(out, "srsd_proxy_problems_total{reason=\"%s\"} %llu\n",
			problem_row((enum problem)i)->code,
			(unsigned long long)sum_at(
				report, offsetof(struct counters, problems) + i * sizeof(_Atomic uint64_t)));
}

static uint64_t standing_value(const _Atomic uint64_t *field)
{
	return atomic_load_explicit(field, memory_order_relaxed);
}

/* How evenly connections are shared. */
static void metrics_by_worker(const struct report *report, struct evbuffer *out)
{
	metric_head(out, "srsd_proxy_worker_client_connections", "gauge",
		"Connections from clients that are open, by the worker that serves them.");
	for (size_t i = 0; i < report->worker_count; i++)
		evbuffer_add_printf(out, "srsd_proxy_worker_client_connections{worker=\"%zu\"} %llu\n", i,
			(unsigned long long)standing_value(&report->counters[i]->connections_open));
}

static void metrics_of_services(const struct report *report, struct evbuffer *out)
{
	metric_head(out, "srsd_proxy_service_backends", "gauge", "Backends of a service in the newest set.");
	for (size_t i = 0; i < report->settings->service_count; i++) {
		evbuffer_add_printf(out, "srsd_proxy_service_backends{");
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(out, "} %zu\n", report->fleets[i] != NULL ? report->fleets[i]->count : 0);
	}
	metric_head(out, "srsd_proxy_service_backends_refused", "gauge",
		"Members of the newest set that are not in the service's networks and never connected to.");
	for (size_t i = 0; i < report->settings->service_count; i++) {
		evbuffer_add_printf(out, "srsd_proxy_service_backends_refused{");
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(
			out, "} %zu\n", report->fleets[i] != NULL ? report->fleets[i]->refused_count : 0);
	}
	metric_head(out, "srsd_proxy_service_set_age_seconds", "gauge",
		"Time since the set of backends last changed; -1 while there is none.");
	for (size_t i = 0; i < report->settings->service_count; i++) {
		const struct fleet *fleet = report->fleets[i];
		evbuffer_add_printf(out, "srsd_proxy_service_set_age_seconds{");
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(out, "} %.3f\n",
			fleet != NULL ? (double)(clock_coarse_ms() - fleet->taken_ms) / 1000 : -1.0);
	}
}

/* Since ZooKeeper held the set for certain. -1: there is none. */
static int64_t confirmed_age_ms(const struct standing *standing)
{
	if (standing_value(&standing->is_known) == 0)
		return -1;
	return (int64_t)(clock_coarse_ms() - standing_value(&standing->confirmed_ms));
}

static bool is_of_registry(const struct report *report, size_t service)
{
	return report->settings->services[service].static_count == 0;
}

static void metric_of_standing(const struct report *report, struct evbuffer *out, const char *name,
	const char *label, const char *help, size_t offset)
{
	if (help != NULL)
		metric_head(out, name, "gauge", help);
	for (size_t i = 0; i < report->settings->service_count; i++) {
		const char *standing = (const char *)&report->standings[i];
		if (!is_of_registry(report, i))
			continue;
		evbuffer_add_printf(out, "%s{", name);
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(out, "%s} %llu\n", label,
			(unsigned long long)standing_value(
				(const _Atomic uint64_t *)(const void *)(standing + offset)));
	}
}

/* What the registry has to say of the services that are in it. */
static void metrics_of_standings(const struct report *report, struct evbuffer *out)
{
	metric_head(out, "srsd_proxy_service_confirmed_age_seconds", "gauge",
		"Time since ZooKeeper held the set of backends for certain; -1 while there is none.");
	for (size_t i = 0; i < report->settings->service_count; i++) {
		int64_t age_ms = confirmed_age_ms(&report->standings[i]);
		if (!is_of_registry(report, i))
			continue;
		evbuffer_add_printf(out, "srsd_proxy_service_confirmed_age_seconds{");
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(out, "} %.3f\n", age_ms < 0 ? -1.0 : (double)age_ms / 1000);
	}
#define STANDING_WRITE(field, name, label, help)                                                             \
	metric_of_standing(report, out, name, label, help, offsetof(struct standing, field));
	STANDING_GAUGES(STANDING_WRITE)
#undef STANDING_WRITE
}

static void metric_of_state(
	const struct report *report, struct evbuffer *out, size_t service, enum belief_state state)
{
	evbuffer_add_printf(out, "srsd_proxy_service_backends_in_state{");
	metric_label(out, "service", report->settings->services[service].name);
	metric_label(out, ",state", belief_state_text(state));
	evbuffer_add_printf(out, "} %u\n",
		atomic_load_explicit(&report->verdicts[service].in_state[state], memory_order_relaxed));
}

/* Only of what has happened: most evidence never leads to most states. */
static void metrics_of_changes(const struct report *report, struct evbuffer *out, size_t service)
{
	const struct verdicts *verdicts = &report->verdicts[service];
	for (size_t state = 0; state < BELIEF_STATE_COUNT; state++)
		for (size_t evidence = 0; evidence < EVIDENCE_COUNT; evidence++) {
			uint64_t count = atomic_load_explicit(
				&verdicts->entered[state][evidence], memory_order_relaxed);
			if (count == 0)
				continue;
			evbuffer_add_printf(out, "srsd_proxy_backend_changes_total{");
			metric_label(out, "service", report->settings->services[service].name);
			metric_label(out, ",to", belief_state_text((enum belief_state)state));
			metric_label(out, ",evidence", evidence_row((enum evidence)evidence)->code);
			evbuffer_add_printf(out, "} %llu\n", (unsigned long long)count);
		}
}

/* Of each result of a probe: so that a rate can be asked for before the first one. */
static void metrics_of_probes(const struct report *report, struct evbuffer *out)
{
	metric_head(out, "srsd_proxy_probes_total", "counter", "Probes of backends, by what came of them.");
	for (size_t i = 0; i < report->settings->service_count; i++)
		for (size_t evidence = 0; evidence < EVIDENCE_COUNT; evidence++) {
			if (!evidence_is_probe((enum evidence)evidence) || evidence == EVIDENCE_NOT_PROBED)
				continue;
			evbuffer_add_printf(out, "srsd_proxy_probes_total{");
			metric_label(out, "service", report->settings->services[i].name);
			metric_label(out, ",result", evidence_row((enum evidence)evidence)->code);
			evbuffer_add_printf(out, "} %llu\n",
				(unsigned long long)atomic_load_explicit(
					&report->verdicts[i].probes[evidence], memory_order_relaxed));
		}
}

static void metric_of_verdicts(
	const struct report *report, struct evbuffer *out, const char *name, const char *help, size_t offset)
{
	metric_head(out, name, "counter", help);
	for (size_t i = 0; i < report->settings->service_count; i++) {
		const char *verdicts = (const char *)&report->verdicts[i];
		evbuffer_add_printf(out, "%s{", name);
		metric_label(out, "service", report->settings->services[i].name);
		evbuffer_add_printf(out, "} %llu\n",
			(unsigned long long)standing_value(
				(const _Atomic uint64_t *)(const void *)(verdicts + offset)));
	}
}

/* What is believed of a service's backends, and what changed it. */
static void metrics_of_verdicts(const struct report *report, struct evbuffer *out)
{
	size_t count = report->settings->service_count;
	metric_head(out, "srsd_proxy_service_backends_in_state", "gauge",
		"Backends by what is believed of them; those that left the set count until their last "
		"request ends.");
	for (size_t i = 0; i < count; i++)
		for (size_t state = 0; state < BELIEF_STATE_COUNT; state++)
			metric_of_state(report, out, i, (enum belief_state)state);
	metric_head(out, "srsd_proxy_backend_changes_total", "counter",
		"Changes of what is believed of backends, by the new state and the evidence that led to it.");
	for (size_t i = 0; i < count; i++)
		metrics_of_changes(report, out, i);
	metric_of_verdicts(report, out, "srsd_proxy_service_ejections_denied_total",
		"Backends that failed or were silent and were not ejected: health.ejected_share was reached.",
		offsetof(struct verdicts, denied));
	metric_of_verdicts(report, out, "srsd_proxy_service_backends_flapped_total",
		"Backends that had come and gone so often that they had to wait when they came back.",
		offsetof(struct verdicts, flapped));
	metrics_of_probes(report, out);
}

struct backend_metric {
	const char *name;
	const char *type;
	const char *help;
	size_t offset; /* in struct backend_totals */
};

static const struct backend_metric backend_metrics[] = {
	{"srsd_proxy_backend_requests_total", "counter", "Attempts that were given to a backend.",
		offsetof(struct backend_totals, requests)},
	{"srsd_proxy_backend_failures_total", "counter", "Attempts that brought no response.",
		offsetof(struct backend_totals, failures)},
	{"srsd_proxy_backend_requests_active", "gauge", "Attempts under way.",
		offsetof(struct backend_totals, in_flight)},
};

static void metrics_of_backends(
	const struct report *report, const struct backend_metric *metric, struct evbuffer *out)
{
	metric_head(out, metric->name, metric->type, metric->help);
	for (size_t i = 0; i < report->settings->service_count; i++) {
		const struct fleet *fleet = report->fleets[i];
		for (size_t b = 0; fleet != NULL && b < fleet->count; b++) {
			struct backend_totals totals = backend_totals(fleet->entries[b].backend);
			uint64_t value;
			memcpy(&value, (const char *)&totals + metric->offset, sizeof(value));
			evbuffer_add_printf(out, "%s{", metric->name);
			metric_label(out, "service", report->settings->services[i].name);
			metric_label(out, ",backend", fleet->entries[b].backend->name);
			evbuffer_add_printf(out, "} %llu\n", (unsigned long long)value);
		}
	}
}

struct duration_metric {
	const char *name;
	const char *help;
	size_t offset; /* in struct latencies */
};

static const struct duration_metric duration_metrics[] = {
	{"srsd_proxy_request_duration_seconds",
		"From a request's head complete to the end of its response, all attempts and waits included.",
		offsetof(struct latencies, requests)},
	{"srsd_proxy_backend_response_seconds",
		"From a request sent to a backend to the head of its answer, below 500.",
		offsetof(struct latencies, answers)},
};

static uint64_t duration_sum(
	const struct report *report, size_t service, const struct duration_metric *metric, size_t offset)
{
	uint64_t sum = 0;
	for (size_t w = 0; w < report->worker_count; w++) {
		const struct latencies *latencies =
			report->latencies[w * report->settings->service_count + service];
		const char *at = (const char *)latencies + metric->offset + offset;
		sum += atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_relaxed);
	}
	return sum;
}

/* A bound for each doubling: four times as many would be more than is looked at. */
static void duration_of_service(const struct report *report, size_t service,
	const struct duration_metric *metric, struct evbuffer *out)
{
	const char *name = report->settings->services[service].name;
	uint64_t count = 0;
	for (uint32_t bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
		uint64_t end_us = latency_bucket_end_us(bucket);
		count += duration_sum(report, service, metric,
			offsetof(struct latency_histogram, counts) + bucket * sizeof(_Atomic uint64_t));
		if (end_us != UINT64_MAX && bucket % LATENCY_PER_OCTAVE != 0)
			continue;
		evbuffer_add_printf(out, "%s_bucket{", metric->name);
		metric_label(out, "service", name);
		if (end_us == UINT64_MAX)
			evbuffer_add_printf(out, ",le=\"+Inf\"} %llu\n", (unsigned long long)count);
		else
			evbuffer_add_printf(
				out, ",le=\"%.6f\"} %llu\n", (double)end_us / 1e6, (unsigned long long)count);
	}
	evbuffer_add_printf(out, "%s_sum{", metric->name);
	metric_label(out, "service", name);
	evbuffer_add_printf(out, "} %.6f\n%s_count{",
		(double)duration_sum(report, service, metric, offsetof(struct latency_histogram, sum_us)) /
			1e6,
		metric->name);
	metric_label(out, "service", name);
	evbuffer_add_printf(out, "} %llu\n", (unsigned long long)count);
}

static void metrics_of_durations(const struct report *report, struct evbuffer *out)
{
	if (report->latencies == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(duration_metrics); i++) {
		metric_head(out, duration_metrics[i].name, "histogram", duration_metrics[i].help);
		for (size_t s = 0; s < report->settings->service_count; s++)
			duration_of_service(report, s, &duration_metrics[i], out);
	}
}

void report_metrics(const struct report *report, struct evbuffer *out)
{
	metric_head(out, "srsd_proxy_build_info", "gauge", "Always 1; the version stands in the label.");
	evbuffer_add_printf(out, "srsd_proxy_build_info{version=\"%s\"} 1\n", srsd_version());
	metric_head(out, "srsd_proxy_uptime_seconds", "gauge", "Time since the proxy started.");
	evbuffer_add_printf(out, "srsd_proxy_uptime_seconds %.3f\n",
		(double)(clock_coarse_ms() - report->started_ms) / 1000);
	metric_head(out, "srsd_proxy_workers", "gauge", "Worker threads.");
	evbuffer_add_printf(out, "srsd_proxy_workers %zu\n", report->worker_count);
	metric_head(out, "srsd_proxy_registry_connected", "gauge", "Is the session with ZooKeeper up?");
	evbuffer_add_printf(
		out, "srsd_proxy_registry_connected %d\n", report->registry_state == SRSD_CONNECTED ? 1 : 0);
	metrics_of_workers(report, out);
	metrics_by_worker(report, out);
	metrics_of_services(report, out);
	metrics_of_standings(report, out);
	metrics_of_verdicts(report, out);
	metrics_of_durations(report, out);
	for (size_t i = 0; i < ARRAY_SIZE(backend_metrics); i++)
		metrics_of_backends(report, &backend_metrics[i], out);
}

/* ---- Backends as JSON ------------------------------------------------------------------------ */

static void json_text(struct evbuffer *out, const char *text)
{
	evbuffer_add(out, "\"", 1);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			evbuffer_add_printf(out, "\\%c", c);
		else if (c < 0x20)
			evbuffer_add_printf(out, "\\u%04x", c);
		else
			evbuffer_add(out, text, 1);
	}
	evbuffer_add(out, "\"", 1);
}

static void json_member(struct evbuffer *out, const char *key, const char *value)
{
	evbuffer_add_printf(out, ",\"%s\":", key);
	json_text(out, value);
}

static void json_labels(struct evbuffer *out, const struct srsd_endpoint *endpoint)
{
	size_t count = srsd_endpoint_label_count(endpoint);
	for (size_t i = 0; i < count; i++) {
		const char *key, *value;
		srsd_endpoint_label_at(endpoint, i, &key, &value);
		evbuffer_add_printf(out, "%s", i == 0 ? ",\"labels\":{" : ",");
		json_text(out, key);
		evbuffer_add(out, ":", 1);
		json_text(out, value);
	}
	if (count > 0)
		evbuffer_add(out, "}", 1);
}

/* What its node says beside the address. */
static void json_endpoint(struct evbuffer *out, const struct fleet_entry *entry)
{
	const char *node = srsd_endpoint_name(entry->endpoint);
	const char *zone = srsd_endpoint_zone(entry->endpoint);
	if (strcmp(node, entry->backend->name) != 0)
		json_member(out, "node", node);
	if (zone[0] != '\0')
		json_member(out, "zone", zone);
	json_labels(out, entry->endpoint);
}

/* In the order in which they are tried. */
static void json_addresses(struct evbuffer *out, const struct backend *backend)
{
	char text[ADDRESS_TEXT_MAX];
	uint32_t first = backend_preferred(backend);
	evbuffer_add_printf(out, ",\"addresses\":[");
	for (uint32_t i = 0; i < backend->address_count; i++) {
		address_format(&backend->addresses[(first + i) % backend->address_count], text);
		evbuffer_add_printf(out, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	evbuffer_add_printf(out, "]");
}

/* What is believed of it, why, and for how long. */
static void json_belief(struct evbuffer *out, const struct belief *belief)
{
	uint64_t word = atomic_load_explicit(&belief->word, memory_order_acquire);
	uint64_t now_ms = clock_coarse_ms(), since_ms = word >> BELIEF_WORD_SINCE;
	json_member(out, "state", belief_state_text(belief_word_state(word)));
	json_member(out, "evidence", evidence_row(belief_word_reason(word))->code);
	evbuffer_add_printf(
		out, ",\"state_ms\":%llu", (unsigned long long)(now_ms > since_ms ? now_ms - since_ms : 0));
}

static void json_backend(struct evbuffer *out, const struct fleet_entry *entry)
{
	struct backend_totals totals = backend_totals(entry->backend);
	evbuffer_add_printf(out, "{\"address\":");
	json_text(out, entry->backend->name);
	evbuffer_add_printf(out, ",\"weight\":%u", entry->weight);
	json_belief(out, &entry->backend->belief);
	if (entry->endpoint != NULL)
		json_endpoint(out, entry);
	evbuffer_add_printf(out, ",\"requests\":%llu,\"failures\":%llu,\"in_flight\":%llu",
		(unsigned long long)totals.requests, (unsigned long long)totals.failures,
		(unsigned long long)totals.in_flight);
	json_addresses(out, entry->backend);
	evbuffer_add_printf(out, "}");
}

static const char *source_text(const struct service_settings *settings, const struct fleet *fleet)
{
	if (settings->static_count > 0)
		return "static";
	if (fleet != NULL && fleet->snapshot != NULL)
		return srsd_source_text(srsd_snapshot_source(fleet->snapshot));
	return srsd_source_text(SRSD_SOURCE_REGISTRY);
}

static void json_confirmed(
	struct evbuffer *out, const struct standing *standing, const struct service_settings *settings)
{
	int64_t age_ms = settings->static_count > 0 ? -1 : confirmed_age_ms(standing);
	if (age_ms < 0)
		evbuffer_add_printf(out, ",\"confirmed_age_ms\":null");
	else
		evbuffer_add_printf(out, ",\"confirmed_age_ms\":%lld", (long long)age_ms);
}

static void json_service(const struct report *report, size_t index, struct evbuffer *out)
{
	const struct fleet *fleet = report->fleets[index];
	const struct service_settings *settings = &report->settings->services[index];
	evbuffer_add_printf(out, "{\"name\":");
	json_text(out, settings->name);
	evbuffer_add_printf(out,
		",\"source\":\"%s\",\"format\":\"%s\",\"is_known\":%s,\"version\":%llu,\"age_ms\":%llu",
		source_text(settings, fleet), srsd_format_text(settings->format),
		fleet != NULL ? "true" : "false", fleet != NULL ? (unsigned long long)fleet->version : 0,
		fleet != NULL ? (unsigned long long)(clock_coarse_ms() - fleet->taken_ms) : 0);
	json_confirmed(out, &report->standings[index], settings);
	if (settings->subset.size > 0)
		evbuffer_add_printf(out, ",\"subset\":{\"size\":%llu,\"registered\":%zu}",
			(unsigned long long)settings->subset.size,
			fleet != NULL && fleet->snapshot != NULL ? srsd_snapshot_count(fleet->snapshot) : 0);
	evbuffer_add_printf(out, ",\"backends\":[");
	for (size_t b = 0; fleet != NULL && b < fleet->count; b++) {
		if (b > 0)
			evbuffer_add(out, ",", 1);
		json_backend(out, &fleet->entries[b]);
	}
	evbuffer_add_printf(out, "],\"refused\":[");
	for (size_t r = 0; fleet != NULL && r < fleet->refused_count; r++) {
		if (r > 0)
			evbuffer_add(out, ",", 1);
		json_text(out, fleet->refused[r]);
	}
	evbuffer_add_printf(out, "]}");
}

void report_backends(const struct report *report, struct evbuffer *out)
{
	evbuffer_add_printf(out, "{\"registry\":{\"state\":\"%s\"},\"services\":[",
		srsd_state_text((enum srsd_state)report->registry_state));
	for (size_t i = 0; i < report->settings->service_count; i++) {
		if (i > 0)
			evbuffer_add(out, ",", 1);
		json_service(report, i, out);
	}
	evbuffer_add_printf(out, "]}\n");
}
