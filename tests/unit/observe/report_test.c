/* report_test - what the proxy says of itself: metrics that Prometheus' own checker takes, backends as strict
 * JSON, readiness with its reason. */
#include "observe/report.h"

#include "base/clock.h"
#include "feed.h"
#include "srsd/node/endpoint.h"
#include "support.h"

#include <ctype.h>
#include <srsd.h>
#include <stdlib.h>
#include <unistd.h>

static struct report report;
static struct evbuffer *out;

static void start(void)
{
	memset(observed_counters, 0, sizeof(observed_counters));
	memset(observed_standings, 0, sizeof(observed_standings));
	memset(observed_verdicts, 0, sizeof(observed_verdicts));
	cr_assert(report_init(
		&report, &observed_settings, observed_lists, WORKERS, observed_standings, observed_verdicts));
	out = evbuffer_new();
	cr_assert_not_null(out);
}

static void finish(void)
{
	evbuffer_free(out);
	report_finish(&report);
}

TestSuite(report, .init = start, .fini = finish);

static void fill(void)
{
	static const char *const names[] = {"192.0.2.1:80", "[2001:db8::1]:80", "name.example:80"};
	struct fleet *fleet = observed_fleet(0, clock_coarse_ms() - 5000, names, 3);
	cr_assert(fleet_refuse(fleet, "169.254.169.254:80") && fleet_refuse(fleet, "x\"\\y:80"));
	report_set_fleet(&report, fleet);
	report_set_fleet(&report, observed_fleet(1, clock_coarse_ms(), NULL, 0));
}

/* ---- Metrics --------------------------------------------------------------------------------- */

/* The value of the series that is written exactly so. */
static double value_of(const char *text, const char *series)
{
	char line[256];
	snprintf(line, sizeof(line), "\n%s ", series);
	const char *found = strstr(text, line);
	cr_assert(found != NULL, "no %s in\n%s", series, text);
	cr_assert_null(strstr(found + 1, line), "%s stands there twice", series);
	return strtod(found + strlen(line), NULL);
}

Test(report, metrics_add_up_what_workers_count)
{
	observed_counters[0].requests = 40;
	observed_counters[1].requests = 2;
	observed_counters[0].connections_open = 7;
	counter_subtract(&observed_counters[0], connections_open, 4);
	counter_add(&observed_counters[1], statuses[2], 30);
	counter_add(&observed_counters[0], statuses[5], 3);
	counter_add(&observed_counters[1], problems[PROBLEM_CONNECT_REFUSED], 9);
	report.registry_state = SRSD_CONNECTED;
	report_metrics(&report, out);
	const char *text = buffer_text(out);
	cr_expect_eq(value_of(text, "srsd_proxy_requests_total"), 42);
	cr_expect_eq(value_of(text, "srsd_proxy_client_connections"), 3);
	cr_expect_eq(value_of(text, "srsd_proxy_worker_client_connections{worker=\"0\"}"), 3);
	cr_expect_eq(value_of(text, "srsd_proxy_worker_client_connections{worker=\"1\"}"), 0);
	cr_expect_eq(value_of(text, "srsd_proxy_responses_total{class=\"2xx\"}"), 30);
	cr_expect_eq(value_of(text, "srsd_proxy_responses_total{class=\"5xx\"}"), 3);
	cr_expect_eq(value_of(text, "srsd_proxy_problems_total{reason=\"connect_refused\"}"), 9);
	cr_expect_eq(value_of(text, "srsd_proxy_problems_total{reason=\"client_gone\"}"), 0);
	cr_expect_eq(value_of(text, "srsd_proxy_workers"), WORKERS);
	cr_expect_eq(value_of(text, "srsd_proxy_registry_connected"), 1);
	cr_expect(value_of(text, "srsd_proxy_uptime_seconds") >= 0);
}

Test(report, durations_are_histograms_over_all_workers)
{
	static struct latencies learned[WORKERS * SERVICES];
	const struct latencies *list[WORKERS * SERVICES];
	for (size_t i = 0; i < WORKERS * SERVICES; i++)
		list[i] = &learned[i];
	cr_assert(report_set_latencies(&report, list));
	latency_count(&learned[0].requests, 100);
	latency_count(&learned[SERVICES].requests, 1000);
	latency_count(&learned[SERVICES].requests, 1024);
	latency_count(&learned[SERVICES].requests, 100000000);
	latency_count(&learned[1].answers, 70000);
	report_metrics(&report, out);
	const char *text = buffer_text(out);
#define DURATION(what) "srsd_proxy_request_duration_seconds_" what "service=\"tornado_app\""
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"0.000064\"}"), 0);
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"0.000128\"}"), 1);
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"0.001024\"}"), 2);
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"0.002048\"}"), 3);
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"67.108864\"}"), 3);
	cr_expect_eq(value_of(text, DURATION("bucket{") ",le=\"+Inf\"}"), 4);
	cr_expect_eq(value_of(text, DURATION("count{") "}"), 4);
	double sum = value_of(text, DURATION("sum{") "}");
	cr_expect(sum > 100.0021 && sum < 100.0022, "%f", sum);
	cr_expect_eq(
		value_of(text, "srsd_proxy_backend_response_seconds_count{service=\"we\\\"ird\\\\label}\"}"),
		1);
}

Test(report, metrics_tell_of_services_and_backends)
{
	report_metrics(&report, out);
	const char *text = buffer_text(out);
	cr_expect_eq(value_of(text, "srsd_proxy_service_backends{service=\"tornado_app\"}"), 0);
	cr_expect_eq(value_of(text, "srsd_proxy_service_set_age_seconds{service=\"tornado_app\"}"), -1);
	evbuffer_drain(out, evbuffer_get_length(out));
	fill();
	report_metrics(&report, out);
	text = buffer_text(out);
	cr_expect_eq(value_of(text, "srsd_proxy_service_backends{service=\"tornado_app\"}"), 3);
	double age = value_of(text, "srsd_proxy_service_set_age_seconds{service=\"tornado_app\"}");
	cr_expect(age >= 5 && age < 60, "%f s", age);
	cr_expect_eq(value_of(text, "srsd_proxy_service_backends_refused{service=\"tornado_app\"}"), 2);
	cr_expect_eq(value_of(text, "srsd_proxy_service_backends{service=\"we\\\"ird\\\\label}\"}"), 0);
#define ABOUT "{service=\"tornado_app\",backend=\"[2001:db8::1]:80\"}"
	cr_expect_eq(value_of(text, "srsd_proxy_backend_requests_total" ABOUT), 20);
	cr_expect_eq(value_of(text, "srsd_proxy_backend_failures_total" ABOUT), 2);
	cr_expect_eq(value_of(text, "srsd_proxy_backend_requests_active" ABOUT), 4);
}

static void expect_json(const char *condition);

/* How services stand with the registry: of those in the configuration it has nothing to say. */
Test(report, metrics_tell_how_services_stand_with_the_registry)
{
	static const char *const of_static[] = {"srsd_proxy_registry_nodes{service=\"we",
		"srsd_proxy_service_confirmed_age_seconds{service=\"we",
		"srsd_proxy_registry_over_limit{service=\"we"};
	report_metrics(&report, out);
	const char *text = buffer_text(out);
	cr_expect_eq(value_of(text, "srsd_proxy_service_confirmed_age_seconds{service=\"tornado_app\"}"), -1);
	evbuffer_drain(out, evbuffer_get_length(out));
	struct standing *standing = &observed_standings[0];
	standing->is_known = 1;
	standing->confirmed_ms =
		clock_coarse_ms() - UINT64_C(31536000000); /* before the machine was started */
	standing->is_from_file = 1;
	standing->nodes = 12;
	standing->skipped = 3;
	standing->names_over = 1;
	report_metrics(&report, out);
	text = buffer_text(out);
	double age = value_of(text, "srsd_proxy_service_confirmed_age_seconds{service=\"tornado_app\"}");
	cr_expect(age >= 31536000 && age < 31536060, "%f", age);
	cr_expect_eq(value_of(text, "srsd_proxy_service_from_file{service=\"tornado_app\"}"), 1);
	cr_expect_eq(value_of(text, "srsd_proxy_registry_unreadable{service=\"tornado_app\"}"), 0);
	cr_expect_eq(value_of(text, "srsd_proxy_registry_nodes{service=\"tornado_app\"}"), 12);
	cr_expect_eq(value_of(text, "srsd_proxy_registry_nodes_skipped{service=\"tornado_app\"}"), 3);
#define OVER "srsd_proxy_registry_over_limit{service=\"tornado_app\",limit="
	cr_expect_eq(value_of(text, OVER "\"children\"}"), 0);
	cr_expect_eq(value_of(text, OVER "\"name\"}"), 1);
	cr_expect_eq(value_of(text, OVER "\"node_data\"}"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(of_static); i++)
		cr_expect_null(strstr(text, of_static[i]), "%s", of_static[i]);
	cr_expect(strstr(text, "confirmed_age_seconds{service=\"tornado_app\"} 31536") != NULL);
	expect_json("31536000000 <= s[0][\"confirmed_age_ms\"] < 31536060000");
	expect_json("s[1][\"confirmed_age_ms\"] is None");
}

/* One line of the text format: a comment, or name{labels} value, whose family was introduced before. */
static void expect_metric_line(char *line, char *family)
{
	char name[128], kind[8], type[16];
	double value;
	if (sscanf(line, "# %7s %127s %15s", kind, name, type) == 3) {
		if (strcmp(kind, "HELP") == 0) {
			snprintf(family, 128, "%s", name);
			return;
		}
		cr_expect_str_eq(kind, "TYPE");
		cr_expect_str_eq(name, family);
		cr_expect(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0, "%s", line);
		bool is_total = strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0;
		cr_expect_eq(is_total, strcmp(type, "counter") == 0, "%s", line);
		return;
	}
	size_t bytes = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");
	cr_expect(bytes == strlen(family) && strncmp(line, family, bytes) == 0, "%s is not of %s", line,
		family);
	const char *last = strrchr(line, ' ');
	cr_assert(last != NULL && sscanf(last, " %lf", &value) == 1, "no value: %s", line);
	cr_expect(line[bytes] == ' ' || (line[bytes] == '{' && last[-1] == '}'), "%s", line);
}

Test(report, metrics_are_of_the_text_format)
{
	char family[128] = "";
	size_t lines = 0;
	fill();
	report_metrics(&report, out);
	char *text = strdup(buffer_text(out));
	cr_assert_not_null(text);
	cr_expect_eq(text[strlen(text) - 1], '\n');
	char *rest = NULL;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest), lines++)
		expect_metric_line(line, family);
	cr_expect_gt(lines, 60);
	free(text);
}

Test(report, metrics_pass_the_check_of_prometheus)
{
	fill();
	report_metrics(&report, out);
	const char *text = buffer_text(out);
	if (system("command -v promtool >/dev/null") != 0)
		cr_skip_test("promtool (package prometheus) is not installed");
	cr_expect_eq(feed("promtool check metrics", text, strlen(text)), 0);
}

/* ---- Backends -------------------------------------------------------------------------------- */

/* Python reads it as `d` and says whether `condition` is true. `s` is its services, `b` their backends
 * without what is believed of them, which has a test of its own. */
static void expect_json(const char *condition)
{
	char command[1024];
	evbuffer_drain(out, evbuffer_get_length(out));
	report_backends(&report, out);
	const char *text = buffer_text(out);
	snprintf(command, sizeof(command),
		"/usr/bin/python3 -c 'import json,sys; d=json.load(sys.stdin); s=d[\"services\"]; "
		"b=[[{k: v for k, v in x.items() if k not in (\"state\", \"evidence\", \"state_ms\")} "
		"for x in y[\"backends\"]] for y in s]; "
		"sys.exit(not (%s))'",
		condition);
	cr_expect_eq(feed(command, text, strlen(text)), 0, "%s in %s", condition, text);
}

Test(report, backends_are_json)
{
	expect_json("d[\"registry\"][\"state\"] == \"connecting\"");
	expect_json("[x[\"name\"] for x in s] == [\"tornado_app\", \"we\\\"ird\\\\label}\"]");
	expect_json("[x[\"source\"] for x in s] == [\"registry\", \"static\"]");
	expect_json("not s[0][\"is_known\"] and s[0][\"backends\"] == [] and s[0][\"version\"] == 0");
	fill();
	report.registry_state = SRSD_SUSPENDED;
	expect_json("d[\"registry\"][\"state\"] == \"suspended\"");
	expect_json("s[0][\"is_known\"] and s[0][\"version\"] == 41 and 5000 <= s[0][\"age_ms\"] < 60000");
	expect_json("[b[\"address\"] for b in s[0][\"backends\"]] == "
		    "[\"192.0.2.1:80\", \"[2001:db8::1]:80\", \"name.example:80\"]");
	expect_json("b[0][2] == "
		    "{\"address\": \"name.example:80\", \"weight\": 1, \"requests\": 20, \"failures\": 2, "
		    "\"in_flight\": 4, \"addresses\": [\"0.0.0.0:0\"]}");
	expect_json("s[0][\"refused\"] == [\"169.254.169.254:80\", \"x\\\"\\\\y:80\"]");
	expect_json("s[1][\"refused\"] == []");
	expect_json("s[1][\"is_known\"] and s[1][\"backends\"] == []");
	expect_json("[x[\"format\"] for x in s] == [\"name\", \"name\"]");
}

static void ignore_doubt(void *arg, struct belief *belief)
{
	(void)arg;
	(void)belief;
}

/* A backend that answered once, and then refused a connection. */
Test(report, what_is_believed_of_backends_and_why)
{
	static const struct belief_rules rules = {.errors_max = 3, .ejected_share = 50};
	const union address address = {.ipv4.sin_family = AF_INET};
	uint64_t now_ms = clock_coarse_ms();
	verdicts_init(&observed_verdicts[0], "tornado_app", &rules);
	observed_verdicts[0].on_doubt = ignore_doubt;
	observed_verdicts[0].probes[EVIDENCE_PROBE_REFUSED] = 3;
	struct fleet *fleet = fleet_new(0, 1, now_ms, 1);
	struct backend *backend = backend_new("a:1", &address, 1, WORKERS, &observed_verdicts[0]);
	cr_assert(fleet != NULL && backend != NULL);
	fleet_append(fleet, backend, 1, NULL);
	report_set_fleet(&report, fleet);
	expect_json("(s[0][\"backends\"][0][\"state\"], s[0][\"backends\"][0][\"evidence\"]) == (\"new\", "
		    "\"none\")");
	belief_weigh(&backend->belief, EVIDENCE_PROBE_PASSED, now_ms, now_ms);
	belief_weigh(&backend->belief, EVIDENCE_CONNECT_REFUSED, now_ms, now_ms);
	expect_json("(s[0][\"backends\"][0][\"state\"], s[0][\"backends\"][0][\"evidence\"]) == "
		    "(\"ejected\", \"connect_refused\")");
	evbuffer_drain(out, evbuffer_get_length(out));
	report_metrics(&report, out);
	const char *text = buffer_text(out);
#define IN_STATE "srsd_proxy_service_backends_in_state{service=\"tornado_app\",state="
#define CHANGES	 "srsd_proxy_backend_changes_total{service=\"tornado_app\",to="
	cr_expect_eq(value_of(text, IN_STATE "\"ejected\"}"), 1);
	cr_expect_eq(value_of(text, IN_STATE "\"live\"}"), 0);
	cr_expect_eq(value_of(text, CHANGES "\"live\",evidence=\"probe_passed\"}"), 1);
	cr_expect_eq(value_of(text, CHANGES "\"ejected\",evidence=\"connect_refused\"}"), 1);
	cr_expect_eq(value_of(text, "srsd_proxy_service_ejections_denied_total{service=\"tornado_app\"}"), 0);
	cr_expect_null(strstr(text, "\"suspect\",evidence="), "what never happened has no line");
	cr_expect_eq(value_of(text, "srsd_proxy_service_backends_flapped_total{service=\"tornado_app\"}"), 0);
#define PROBES "srsd_proxy_probes_total{service=\"tornado_app\",result="
	cr_expect_eq(value_of(text, PROBES "\"probe_refused\"}"), 3);
	cr_expect_eq(value_of(text, PROBES "\"probe_passed\"}"), 0);
	backend_unref(&backend);
}

static struct srsd_endpoint *make_endpoint(const char *name, const char *data)
{
	const struct srsd_read_options options = {.format = SRSD_FORMAT_SMARTSTACK};
	const struct srsd_node node = {.name = name};
	struct srsd_node_data said;
	const char *why;
	cr_assert_eq(srsd_node_data_read(&options, name, data, strlen(data), &said, &why), SRSD_NODE_MEMBER);
	struct srsd_endpoint *endpoint = srsd_endpoint_new(&node, &said);
	cr_assert_not_null(endpoint);
	return endpoint;
}

/* The second address worked last. */
static struct backend *make_host_backend(void)
{
	union address addresses[2] = {{.ipv4 = {.sin_family = AF_INET, .sin_port = htons(1)}},
		{.ipv6 = {.sin6_family = AF_INET6,
			 .sin6_port = htons(1),
			 .sin6_addr = IN6ADDR_LOOPBACK_INIT}}};
	addresses[0].ipv4.sin_addr.s_addr = htonl(0xc0000201);
	struct backend *backend = backend_new("h:1", addresses, 2, WORKERS, NULL);
	cr_assert_not_null(backend);
	backend_prefer(backend, 1);
	return backend;
}

/* What nodes say is for strangers to write: it is escaped, and left out where nothing was said. */
Test(report, backends_have_what_their_nodes_say)
{
	struct backend *backend = make_host_backend();
	struct srsd_endpoint *full =
		make_endpoint("a_0\"1", "{\"host\":\"h\",\"port\":1,\"weight\":7,\"labels\":{\"az\":"
					"\"\\u00e9\\n\",\"b\\\"\":\"\\\\\"}}");
	struct srsd_endpoint *least = make_endpoint("h:1", "{\"host\":\"h\",\"port\":1}");
	struct fleet *fleet = fleet_new(0, 1, clock_coarse_ms(), 2);
	fleet_append(fleet, backend, srsd_endpoint_weight(full), full);
	fleet_append(fleet, backend, srsd_endpoint_weight(least), least);
	report_set_fleet(&report, fleet);
	expect_json("b[0][0] == {\"address\": \"h:1\", \"weight\": 7, \"node\": \"a_0\\\"1\", "
		    "\"zone\": \"\\u00e9\\n\", \"labels\": {\"az\": \"\\u00e9\\n\", \"b\\\"\": \"\\\\\"}, "
		    "\"requests\": 0, \"failures\": 0, \"in_flight\": 0, "
		    "\"addresses\": [\"[::1]:1\", \"192.0.2.1:1\"]}");
	expect_json("b[0][1] == {\"address\": \"h:1\", \"weight\": 1, "
		    "\"requests\": 0, \"failures\": 0, \"in_flight\": 0, "
		    "\"addresses\": [\"[::1]:1\", \"192.0.2.1:1\"]}");
	report_set_fleet(&report, observed_fleet(0, clock_coarse_ms(), NULL, 0));
	srsd_endpoint_unref(full);
	srsd_endpoint_unref(least);
	backend_unref(&backend);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

Test(report, ready_once_every_service_has_had_a_set_even_an_empty_one)
{
	const char *why = report_why_not_ready(&report);
	cr_assert_not_null(why);
	cr_expect(strstr(why, "tornado_app") != NULL && strstr(why, "connecting") != NULL, "%s", why);
	cr_expect_null(strstr(why, "cannot be read"), "%s", why);
	report_set_fleet(&report, observed_fleet(0, 0, NULL, 0));
	why = report_why_not_ready(&report);
	cr_assert_not_null(why);
	cr_expect(strstr(why, "ird") != NULL && why[strlen(why) - 1] == '\n', "%s", why);
	report_set_fleet(&report, observed_fleet(1, 0, NULL, 0));
	cr_expect_null(report_why_not_ready(&report));
	report_set_fleet(&report, observed_fleet(1, 0, NULL, 0));
	cr_expect_null(report_why_not_ready(&report), "and stays so");
	report.is_draining = true;
	why = report_why_not_ready(&report);
	cr_assert_not_null(why);
	cr_expect(strstr(why, "draining") != NULL, "%s", why);
}
