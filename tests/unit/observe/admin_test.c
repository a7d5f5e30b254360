/* admin_test - the operators' endpoint over its socket: what each path answers, and when it says it is ready.
 */
#include "observe/admin.h"

#include "base/clock.h"
#include "peer.h"
#include "support.h"

#include <event2/event.h>
#include <srsd.h>
#include <stdio.h>

#define WAIT_LIMIT_MS 60000

static struct event_base *base;
static struct admin *admin;
static struct shelf shelf;
static struct sockaddr_in address;
static struct peer peer;

/* A port that was free a moment ago: start() tries another one if somebody took it meanwhile. */
static void find_port(char *text, size_t size)
{
	int fd = peer_listen(&address, false);
	snprintf(text, size, "127.0.0.1:%u", ntohs(address.sin_port));
	close(fd);
}

static void start(void)
{
	static char text[32];
	const struct admin_context context = {.settings = &observed_settings,
		.counters = observed_lists,
		.worker_count = WORKERS,
		.standings = observed_standings,
		.verdicts = observed_verdicts,
		.shelf = &shelf};
	enum exit_code code = EXIT_CODE_FAILURE;
	base = event_base_new();
	cr_assert_not_null(base);
	cr_assert(shelf_init(&shelf, SERVICES));
	for (int try = 0; try < 10 && code != EXIT_CODE_OK; try++) {
		find_port(text, sizeof(text));
		observed_settings.admin.address = text;
		code = admin_new(base, &context, &admin);
	}
	cr_assert_eq(code, EXIT_CODE_OK);
}

static void finish(void)
{
	peer_close(&peer);
	admin_free(&admin);
	cr_expect_null(admin);
	shelf_finish(&shelf);
	event_base_free(base);
}

TestSuite(admin, .init = start, .fini = finish);

/* What is answered to a request of this method for this path; the connection is closed after it. */
static const char *ask(const char *method, const char *path)
{
	char request[256];
	uint64_t end_ms = clock_coarse_ms() + WAIT_LIMIT_MS;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (peer.received != NULL)
		peer_close(&peer);
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	peer_adopt(&peer, fd);
	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method,
		path);
	peer_say(&peer, request);
	while (!peer.is_ended && !peer.is_reset && clock_coarse_ms() < end_ms) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		peer_poll(&peer);
	}
	cr_assert(peer.is_ended, "no answer to %s %s", method, path);
	return peer.received;
}

static void expect_answer(const char *method, const char *path, const char *status, const char *part)
{
	const char *answer = ask(method, path);
	char line[64];
	snprintf(line, sizeof(line), "HTTP/1.1 %s", status);
	cr_expect_eq(strncmp(answer, line, strlen(line)), 0, "%s %s: %s", method, path, answer);
	cr_expect(strstr(answer, part) != NULL, "%s %s: no %s in %s", method, path, part, answer);
}

Test(admin, each_path_has_its_answer)
{
	static const struct {
		const char *method, *path, *status, *part;
	} cases[] = {
		{"GET", "/healthz", "200", "\r\n\r\nok\n"},
		{"GET", "/healthz?verbose", "200", "\r\n\r\nok\n"},
		{"GET", "/metrics", "200", "\r\nContent-Type: text/plain; version=0.0.4"},
		{"GET", "/metrics", "200", "\n# TYPE srsd_proxy_requests_total counter\n"},
		{"GET", "/backends", "200", "\r\nContent-Type: application/json\r\n"},
		{"GET", "/backends", "200", "\r\n\r\n{\"registry\""},
		{"GET", "/backends", "200", "\r\nCache-Control: no-store\r\n"},
		{"GET", "/", "404", "/healthz"},
		{"GET", "/metricss", "404", "/metrics"},
		{"HEAD", "/healthz", "200", "\r\nContent-Type: text/plain"},
		{"POST", "/healthz", "501", ""},
		{"DELETE", "/backends", "501", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_answer(cases[i].method, cases[i].path, cases[i].status, cases[i].part);
}

Test(admin, ready_follows_what_it_is_told)
{
	expect_answer("GET", "/ready", "503", "tornado_app are not known yet; zookeeper session: connecting");
	admin_set_registry_state(admin, SRSD_SUSPENDED);
	expect_answer("GET", "/ready", "503", "zookeeper session: suspended");
	shelf_put(&shelf, observed_fleet(0, 0, NULL, 0));
	expect_answer("GET", "/ready", "503", "are not known yet");
	shelf_put(&shelf, observed_fleet(1, 0, NULL, 0));
	expect_answer("GET", "/ready", "200", "ready\n");
	expect_answer("GET", "/ready", "200", "ready\n");
	admin_set_draining(admin);
	expect_answer("GET", "/ready", "503", "draining");
	expect_answer("GET", "/healthz", "200", "ok\n");
}

Test(admin, tells_the_newest_set_and_keeps_none_that_has_gone)
{
	static const char *const before[] = {"10.0.0.1:80"}, *const after[] = {"10.0.0.2:80"};
	struct fleet *first = observed_fleet(0, 0, before, 1);
	shelf_put(&shelf, fleet_ref(first));
	expect_answer("GET", "/backends", "200", "10.0.0.1:80");
	expect_answer("GET", "/metrics", "200", "10.0.0.1:80");
	shelf_put(&shelf, observed_fleet(0, 0, after, 1));
	cr_expect_not(fleet_is_shared(first));
	expect_answer("GET", "/backends", "200", "10.0.0.2:80");
	fleet_unref(&first);
}

Test(admin, a_taken_address_is_told_and_off_is_no_listener)
{
	struct admin *other;
	const struct admin_context context = {.settings = &observed_settings,
		.counters = observed_lists,
		.worker_count = WORKERS,
		.standings = observed_standings,
		.verdicts = observed_verdicts,
		.shelf = &shelf};
	cr_expect_eq(admin_new(base, &context, &other), EXIT_CODE_ADDRESS_TAKEN);
	cr_expect_null(other);

	char *address_text = observed_settings.admin.address;
	observed_settings.admin.address = NULL;
	cr_expect_eq(admin_new(base, &context, &other), EXIT_CODE_OK);
	cr_assert_not_null(other);
	admin_set_registry_state(other, SRSD_CONNECTED); /* takes what it is told all the same */
	admin_free(&other);
	observed_settings.admin.address = address_text;
	expect_answer("GET", "/healthz", "200", "ok\n");
}
