/* allocation_test - each allocation of libsrsd fails once: the call says so, or what was asked for comes all
 * the same; without a crash or a leak. The linker sends the library's allocations through the functions below
 * (--wrap); those of the ZooKeeper client and of libevent are their own. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define ADDRESS		"192.0.2.1:8888"
#define ALLOCATIONS_MAX 500

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t bytes);

static atomic_bool is_counting;
static atomic_size_t allocations; /* since counting began */
static atomic_size_t fails_at;	  /* the number of the one that fails */

static bool may_allocate(void)
{
	return !is_counting || atomic_fetch_add(&allocations, 1) + 1 != fails_at;
}

void *__wrap_malloc(size_t bytes)
{
	return may_allocate() ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	return may_allocate() ? __real_realloc(memory, bytes) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? __real_strdup(text) : NULL;
}

char *__wrap_strndup(const char *text, size_t bytes)
{
	return may_allocate() ? __real_strndup(text, bytes) : NULL;
}

static void fail_allocation(size_t number)
{
	allocations = 0;
	fails_at = number;
	is_counting = true;
}

/* Did one fail? */
static bool stop_counting(void)
{
	is_counting = false;
	return allocations >= fails_at;
}

static struct lab lab;
static struct zk_server server;

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	(void)arg;
	(void)snapshot;
}

static void on_discovered(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	(void)arg;
	(void)status;
	(void)snapshot;
}

static enum srsd_status ask_for_all(
	const char *directory, struct event_base *base, struct srsd **srsd, struct srsd_error *error)
{
	static const struct srsd_label labels[] = {{"rack", "7"}};
	const struct srsd_register_options options = {.zone = "a", .labels = labels, .label_count = 1};
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct srsd_registration *registration;
	struct srsd_watch *watch;
	enum srsd_status status;

	config.auth = "user:password";
	config.state_directory = directory;
	status = srsd_open(base, &config, srsd, error);

	if (status == SRSD_OK)
		status = srsd_watch(*srsd, "app", NULL, on_change, NULL, &watch, error);
	if (status == SRSD_OK)
		status = srsd_register(*srsd, "app", ADDRESS, &options, NULL, NULL, &registration, error);
	if (status == SRSD_OK)
		status = srsd_discover(*srsd, "app", NULL, 1000, on_discovered, NULL, error);
	return status;
}

Test(allocation, may_fail_in_each_call)
{
	struct event_base *base = event_base_new();
	char directory[] = "/tmp/srsd-state-test-XXXXXX";
	bool has_failed = true;
	size_t number;

	cr_assert_not_null(mkdtemp(directory));
	for (number = 1; has_failed; number++) {
		struct srsd_error error;
		struct srsd *srsd = NULL;
		enum srsd_status status;

		cr_assert_lt(number, ALLOCATIONS_MAX);
		fail_allocation(number);
		status = ask_for_all(directory, base, &srsd, &error);
		has_failed = stop_counting();
		cr_assert_eq(status, has_failed ? SRSD_NO_MEMORY : SRSD_OK, "allocation %zu: %s", number,
			srsd_status_text(status));
		cr_assert_eq(error.text[0] != '\0', has_failed);
		srsd_close(&srsd);
	}
	cr_assert_gt(number, 10);
	cr_expect_eq(rmdir(directory), 0);
	event_base_free(base);
}

Test(allocation, may_fail_in_a_snapshot)
{
	static const char *const names[] = {"a:1", "b:1", "c:1"};
	bool has_failed = true;
	size_t number;

	for (number = 1; has_failed; number++) {
		struct srsd_snapshot *snapshot = NULL;
		struct srsd_error error;
		enum srsd_status status;

		fail_allocation(number);
		status = srsd_snapshot_from_names(names, 3, &snapshot, &error);
		has_failed = stop_counting();
		cr_assert_eq(status, has_failed ? SRSD_NO_MEMORY : SRSD_OK);
		cr_assert_eq(snapshot == NULL, has_failed);
		srsd_snapshot_unref(&snapshot);
	}
	cr_assert_gt(number, 4);
}

struct outcome {
	unsigned calls;
	enum srsd_status status;
};

static void on_outcome(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	struct outcome *outcome = arg;

	(void)snapshot;
	outcome->calls++;
	outcome->status = status;
}

/* The calls have succeeded; then one allocation fails while the loop works on them. False: none failed. */
static bool work_with_failure(size_t number, struct zk_peer *peer)
{
	struct lab_registration registration;
	static const struct srsd_read_options with_data = {.format = SRSD_FORMAT_JSON, .port_name = "http"};
	struct outcome outcome = {0};
	struct lab_watch watch;
	struct lab_watch reader;
	char label[32];
	char path[128];
	bool has_failed;

	snprintf(label, sizeof(label), "app%zu", number);
	snprintf(path, sizeof(path), LAB_REGISTRY "/%s/192.0.2.2:80", label);
	cr_assert_eq(zk_peer_create(peer, path, ZOO_PERSISTENT), ZOK);
	snprintf(path, sizeof(path), LAB_REGISTRY "/%s/nonsense", label);
	cr_assert_eq(zk_peer_create(peer, path, ZOO_PERSISTENT), ZOK);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, label);
	lab_watch_with(&lab, &reader, label, &with_data);
	lab_register(&lab, &registration, label, ADDRESS);
	cr_assert_eq(
		srsd_discover(lab.srsd, label, &with_data, 20000, on_outcome, &outcome, &lab.error), SRSD_OK);
	fail_allocation(number);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2 && lab_watch_count(&reader) == 2 &&
			       lab_registration_is(&registration, SRSD_REGISTRATION_HELD) &&
			       outcome.calls > 0);
	srsd_deregister(&registration.registration, 20000);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && lab_watch_count(&reader) == 1);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_RELEASED));
	has_failed = stop_counting();
	cr_assert(outcome.status == SRSD_OK || (has_failed && outcome.status == SRSD_NO_MEMORY), "%s",
		srsd_status_text(outcome.status));
	lab_close(&lab);
	lab_watch_clear(&watch);
	lab_watch_clear(&reader);
	return has_failed;
}

Test(allocation, may_fail_in_the_loop)
{
	struct zk_peer peer;
	size_t number = 1;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	while (work_with_failure(number, &peer)) {
		number++;
		cr_assert_lt(number, ALLOCATIONS_MAX);
	}
	cr_assert_gt(number, 10);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

/* The set is kept, at the next reading at the latest. */
static void keep_with_failure(size_t number)
{
	struct lab_watch watch;

	lab_prepare(&lab, "");
	snprintf(lab.servers, sizeof(lab.servers), "127.0.0.1:%u", (unsigned)server.port);
	lab.config.state_directory = server.directory;
	lab.config.recheck_ms = 1000;
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes > 0);
	fail_allocation(number);
	LAB_WAIT(&lab, allocations >= fails_at);
	LAB_WAIT(&lab, lab_log_count(&lab, "is not kept in") == lab_log_count(&lab, "is kept in"));
	stop_counting();
	lab_close(&lab);
	lab_watch_clear(&watch);
}

/* A start without ZooKeeper has the set, or says why it has not. */
static bool start_with_failure(size_t number)
{
	struct lab_watch watch;
	bool has_failed;

	lab_prepare(&lab, "");
	snprintf(lab.servers, sizeof(lab.servers), "127.0.0.1:%u", (unsigned)server.port);
	lab.config.state_directory = server.directory;
	lab.config.state_wait_ms = 0;
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	fail_allocation(number);
	LAB_WAIT(&lab, watch.changes > 0 || lab_log_count(&lab, "is not used: ") > 0);
	has_failed = stop_counting();
	cr_expect(has_failed || lab_watch_count(&watch) == 3, "%s", lab.log);
	lab_close(&lab);
	lab_watch_clear(&watch);
	return has_failed;
}

Test(allocation, may_fail_while_a_set_is_kept_or_read, .timeout = 120)
{
	struct zk_peer peer;
	size_t number = 1;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_eq(zk_peer_create(&peer, LAB_REGISTRY "/app/192.0.2.1:80", ZOO_PERSISTENT), ZOK);
	zk_peer_create_many(&peer, LAB_REGISTRY "/app", "192.0.2.2:%d", 1, 2);
	for (number = 1; number <= 8; number++)
		keep_with_failure(number);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	for (number = 1; start_with_failure(number); number++)
		cr_assert_lt(number, ALLOCATIONS_MAX);
	cr_assert_gt(number, 5);
	zk_server_end(&server);
}

Test(allocation, may_fail_while_a_name_is_looked_up)
{
	bool has_failed = true;
	char servers[32];
	size_t number;

	zk_server_begin(&server);
	snprintf(servers, sizeof(servers), "localhost:%u", (unsigned)server.port);
	for (number = 1; has_failed; number++) {
		cr_assert_lt(number, ALLOCATIONS_MAX);
		lab_prepare(&lab, servers);
		lab_start(&lab);
		fail_allocation(number);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
		has_failed = stop_counting();
		lab_close(&lab);
	}
	cr_assert_gt(number, 4);
	zk_server_end(&server);
}

Test(allocation, may_fail_in_the_blocking_calls)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	bool has_failed = true;
	char servers[32];
	size_t number;

	zk_server_begin(&server);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	config.servers = servers;
	for (number = 1; has_failed; number++) {
		struct srsd_snapshot *snapshot = NULL;
		struct srsd_hold *hold = NULL;
		struct srsd_error error;
		enum srsd_status status;

		cr_assert_lt(number, ALLOCATIONS_MAX);
		fail_allocation(number);
		status = srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error);
		cr_assert(status == SRSD_OK || status == SRSD_NO_MEMORY, "%s", error.text);
		cr_assert_eq(hold != NULL, status == SRSD_OK);
		status = srsd_discover_wait(&config, "app", NULL, 20000, &snapshot, &error);
		cr_assert(status == SRSD_OK || status == SRSD_NO_MEMORY, "%s", error.text);
		cr_assert_eq(snapshot != NULL, status == SRSD_OK);
		srsd_snapshot_unref(&snapshot);
		srsd_hold_release(&hold);
		has_failed = stop_counting();
	}
	cr_assert_gt(number, 10);
	zk_server_end(&server);
}
