/* discovery_test - watches and readings against what happens to nodes: later, gone, back, many, malformed,
 * forbidden. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"
#include "srsd/session/request.h"

#define LABEL_PATH LAB_REGISTRY "/app"

/* Between the lists of a small label when it changes all the time. */
#define PAUSE_MS_MIN 7

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;

static void setup(void)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
}

static void teardown(void)
{
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static void create(const char *path)
{
	int rc = zk_peer_create(&peer, path, ZOO_PERSISTENT);

	cr_assert_eq(rc, ZOK, "%s: %s", path, zerror(rc));
}

static void delete (const char *path)
{
	int rc = zk_peer_delete(&peer, path);

	cr_assert_eq(rc, ZOK, "%s: %s", path, zerror(rc));
}

/* ---- One set after another ------------------------------------------------------------------- */

Test(discovery, follows_a_label_that_comes_later)
{
	struct lab_watch watch;

	setup();
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 0);
	cr_assert_eq(srsd_snapshot_version(watch.last), 1);
	cr_assert_eq(srsd_watch_current(watch.watch), watch.last);
	/* Not even the registry's own nodes were there. */
	create(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert_eq(srsd_snapshot_version(watch.last), 2);
	create(LABEL_PATH "/192.0.2.2:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	delete (LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert(lab_watch_has(&watch, "192.0.2.2:80"));
	cr_assert_eq(srsd_snapshot_version(watch.last), 4);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, follows_a_label_that_goes_and_comes_back)
{
	struct lab_watch watch;

	setup();
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	for (int round = 0; round < 5; round++) {
		create(LABEL_PATH "/192.0.2.1:80");
		LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
		delete (LABEL_PATH "/192.0.2.1:80");
		delete (LABEL_PATH);
		if (round % 2 == 0)
			delete (LAB_REGISTRY);
		LAB_WAIT(&lab, watch.last != NULL && lab_watch_count(&watch) == 0);
	}
	/* And quicker than we look. */
	for (int round = 0; round < 20; round++) {
		create(LABEL_PATH "/192.0.2.1:80");
		lab_turn(&lab);
		delete (LABEL_PATH "/192.0.2.1:80");
		delete (LABEL_PATH);
		lab_turn(&lab);
	}
	create(LABEL_PATH "/192.0.2.7:80");
	LAB_WAIT(&lab, lab_watch_has(&watch, "192.0.2.7:80"));
	cr_assert_eq(lab_watch_count(&watch), 1);
	cr_assert_eq(lab_log_count(&lab, "cannot be read"), 0, "%s", lab.log);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, shares_the_endpoints_that_stay)
{
	struct lab_watch watch;
	const struct srsd_endpoint *stays;

	setup();
	create(LABEL_PATH "/192.0.2.5:80");
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	stays = srsd_snapshot_at(watch.last, 0);
	create(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	cr_assert_eq(srsd_snapshot_at(watch.last, 1), stays);
	lab_close(&lab);
	/* A set outlives its manager. */
	cr_assert_str_eq(srsd_endpoint_name(srsd_snapshot_at(watch.last, 1)), "192.0.2.5:80");
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, skips_names_that_are_no_address)
{
	struct lab_watch watch;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/nonsense");
	create(LABEL_PATH "/192.0.2.1:080");
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 1);
	cr_assert_eq(srsd_snapshot_skipped(watch.last), 2);
	create(LABEL_PATH "/[::1]:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	create(LABEL_PATH "/caf\xc3\xa9:80");
	create(LABEL_PATH "/192.0.2.3:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 3);
	cr_assert_eq(srsd_snapshot_skipped(watch.last), 3);
	cr_assert_eq(lab_log_count(&lab, "/nonsense cannot be used"), 1, "%s", lab.log);
	cr_assert_eq(lab_log_count(&lab, "the port starts with 0"), 1, "%s", lab.log);
	cr_assert_eq(lab_log_count(&lab, "caf\\xc3\\xa9:80 cannot be used"), 1, "%s", lab.log);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, says_little_of_many_bad_names)
{
	struct lab_watch watch;

	setup();
	zk_peer_create_many(&peer, LABEL_PATH, "bad-%d", 1, 500);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(srsd_snapshot_skipped(watch.last), 500);
	cr_assert_eq(lab_log_count(&lab, "cannot be used: "), 20, "%s", lab.log);
	cr_assert_eq(lab_log_count(&lab, "480 more nodes"), 1, "%s", lab.log);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

/* ---- Who is who ------------------------------------------------------------------------------ */

/* Both at once, as far as the watch can see. */
static void replace(const char *path)
{
	delete (path);
	create(path);
}

Test(discovery, notices_who_was_replaced_by_another_of_the_same_name)
{
	struct lab_watch watch;
	const struct srsd_endpoint *first;
	const struct srsd_endpoint *stays;
	const struct srsd_endpoint *second;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.2:80");
	create(LABEL_PATH "/nonsense");
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	first = srsd_snapshot_at(watch.last, 0);
	stays = srsd_snapshot_at(watch.last, 1);
	replace(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, watch.changes == 2);
	second = srsd_snapshot_at(watch.last, 0);
	cr_assert_neq(second, first);
	cr_assert_gt(srsd_endpoint_created_ms(second), 0);
	cr_assert_eq(srsd_snapshot_at(watch.last, 1), stays);
	/* And again, with others that come and go: the look has to wait for its turn. */
	replace(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.3:80");
	replace(LABEL_PATH "/nonsense");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 3);
	LAB_WAIT(&lab, srsd_snapshot_at(watch.last, 0) != second);
	cr_assert_eq(srsd_snapshot_at(watch.last, 1), stays);
	cr_assert_eq(watch.changes, 4);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, is_not_deceived_by_nodes_that_come_and_go)
{
	struct lab_watch watch;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	for (int i = 0; i < 3; i++) {
		create(LABEL_PATH "/192.0.2.9:80");
		delete (LABEL_PATH "/192.0.2.9:80");
		lab_run_ms(&lab, 500);
	}
	cr_assert_eq(watch.changes, 1);
	/* A label that is made anew counts from the beginning. */
	delete (LABEL_PATH "/192.0.2.1:80");
	delete (LABEL_PATH);
	create(LABEL_PATH "/192.0.2.1:80");
	lab_run_ms(&lab, 500);
	cr_assert_eq(lab_watch_count(&watch), 1);
	replace(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, srsd_endpoint_created_ms(srsd_snapshot_at(watch.last, 0)) > 0);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, reads_the_data_of_who_was_replaced)
{
	static const struct srsd_read_options json = {.format = SRSD_FORMAT_JSON};
	struct lab_watch watch;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	lab_open(&lab, &server);
	lab_watch_with(&lab, &watch, "app", &json);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert_eq(srsd_endpoint_weight(srsd_snapshot_at(watch.last, 0)), 1);
	delete (LABEL_PATH "/192.0.2.1:80");
	cr_assert_eq(zk_peer_create_data(&peer, LABEL_PATH "/192.0.2.1:80", ZOO_PERSISTENT, "{\"weight\":7}"),
		ZOK);
	LAB_WAIT(&lab, srsd_endpoint_weight(srsd_snapshot_at(watch.last, 0)) == 7);
	cr_assert_eq(watch.changes, 2);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

/* ---- Many ------------------------------------------------------------------------------------ */

Test(discovery, gathers_a_burst_of_changes)
{
	struct lab_watch watch;
	uint64_t before_ms;
	uint64_t took_ms;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	lab_run_ms(&lab, 200);
	before_ms = lab_now_ms();
	for (int i = 0; i < 400; i++) {
		char path[128];

		snprintf(path, sizeof(path), LABEL_PATH "/198.51.100.1:%d", 1000 + i);
		create(path);
		lab_turn(&lab);
	}
	LAB_WAIT(&lab, lab_watch_count(&watch) == 401);
	took_ms = lab_now_ms() - before_ms;
	/* A few come at once, the others in turn: see common/pace.h. */
	cr_assert_leq(watch.changes, took_ms / PAUSE_MS_MIN + 9, "%zu changes in %llu ms", watch.changes,
		(unsigned long long)took_ms);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, keeps_the_last_set_above_the_limit)
{
	struct lab_watch watch;
	char servers[32];

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.2:80");
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	lab_prepare(&lab, servers);
	lab.config.children_max = 3;
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	zk_peer_create_many(&peer, LABEL_PATH, "198.51.100.1:%d", 1000, 1003);
	LAB_WAIT(&lab, lab_log_count(&lab, "above the limit of 3") == 1);
	create(LABEL_PATH "/192.0.2.3:80");
	lab_run_ms(&lab, 500);
	cr_assert_eq(lab_log_count(&lab, "above the limit"), 1, "it is said once:\n%s", lab.log);
	cr_assert_eq(lab_watch_count(&watch), 2);
	cr_assert(lab_watch_has(&watch, "192.0.2.2:80"));
	zk_peer_delete_children(&peer, LABEL_PATH);
	create(LABEL_PATH "/192.0.2.9:80");
	LAB_WAIT(&lab, lab_watch_has(&watch, "192.0.2.9:80"));
	cr_assert_eq(lab_watch_count(&watch), 1);
	cr_assert_eq(lab_log_count(&lab, "within the limit again"), 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

Test(discovery, reads_a_hundred_thousand_nodes_and_no_more)
{
	struct lab_watch watch;

	setup();
	for (int network = 0; network < 10; network++) {
		char format[32];

		snprintf(format, sizeof(format), "192.0.2.%d:%%d", network);
		zk_peer_create_many(&peer, LABEL_PATH, format, 10001, 20000);
	}
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 100000);
	create(LABEL_PATH "/192.0.2.77:80");
	LAB_WAIT(&lab, lab_log_count(&lab, "has 100001 nodes, above the limit of 100000") == 1);
	cr_assert_eq(lab_watch_count(&watch), 100000);
	delete (LABEL_PATH "/192.0.2.0:10001");
	LAB_WAIT(&lab, lab_watch_has(&watch, "192.0.2.77:80"));
	cr_assert_eq(lab_watch_count(&watch), 100000);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

/* ---- Many watches ---------------------------------------------------------------------------- */

static struct srsd_watch *own;
static size_t own_changes;

static void on_change_end_self(void *arg, struct srsd_snapshot *snapshot)
{
	(void)arg;
	(void)snapshot;
	own_changes++;
	srsd_watch_end(&own);
	srsd_watch_end(&own);
}

Test(discovery, lets_a_watch_end_in_its_own_callback)
{
	struct lab_watch watches[5];

	setup();
	create(LABEL_PATH);
	lab_open(&lab, &server);
	for (int i = 0; i < 5; i++)
		lab_watch(&lab, &watches[i], "app");
	cr_assert_eq(srsd_watch(lab.srsd, "app", NULL, on_change_end_self, NULL, &own, &lab.error), SRSD_OK);
	for (int i = 0; i < 5; i++)
		LAB_WAIT(&lab, watches[i].changes == 1);
	LAB_WAIT(&lab, own_changes == 1);
	cr_assert_null(own);
	srsd_watch_end(&watches[2].watch);
	create(LABEL_PATH "/192.0.2.1:80");
	for (int i = 0; i < 5; i++) {
		if (i != 2)
			LAB_WAIT(&lab, lab_watch_count(&watches[i]) == 1);
	}
	lab_run_ms(&lab, 200);
	cr_assert_eq(own_changes, 1);
	cr_assert_eq(watches[2].changes, 1, "it was ended");
	lab_close(&lab);
	for (int i = 0; i < 5; i++)
		lab_watch_clear(&watches[i]);
	teardown();
}

Test(discovery, does_not_grow_with_watches_that_come_and_go)
{
	size_t after_ten = 0;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	for (int round = 0; round < 100; round++) {
		struct lab_watch watch;

		lab_watch(&lab, &watch, "app");
		if (round % 3 != 0)
			LAB_WAIT(&lab, watch.changes == 1);
		srsd_watch_end(&watch.watch);
		lab_watch_clear(&watch);
		if (round == 10)
			after_ten = srsd_watchers_count(lab.srsd);
	}
	cr_assert_gt(after_ten, 0);
	cr_assert_eq(srsd_watchers_count(lab.srsd), after_ten);
	lab_close(&lab);
	teardown();
}

/* ---- Permissions ----------------------------------------------------------------------------- */

static struct ACL nobody_entries[] = {{0}};
static struct ACL_vector nobody;

/* An access list that lets everybody see that the node is there, and nothing else. */
static const struct ACL_vector *acl_nobody(void)
{
	nobody_entries[0].perms = ZOO_PERM_ADMIN;
	nobody_entries[0].id = ZOO_ANYONE_ID_UNSAFE;
	nobody = (struct ACL_vector){.count = 1, .data = nobody_entries};
	return &nobody;
}

Test(discovery, tries_on_where_it_is_not_allowed)
{
	struct lab_watch watch;

	setup();
	create(LAB_REGISTRY);
	cr_assert_eq(zk_peer_create_acl(&peer, LABEL_PATH, ZOO_PERSISTENT, acl_nobody()), ZOK);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_log_count(&lab, "cannot be read (not authenticated)") == 1);
	lab_run_ms(&lab, 1000);
	cr_assert_eq(lab_log_count(&lab, "cannot be read"), 1, "it is said once:\n%s", lab.log);
	cr_assert_eq(watch.changes, 0);
	delete (LABEL_PATH);
	create(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

/* ---- One reading ----------------------------------------------------------------------------- */

struct outcome {
	unsigned calls;
	enum srsd_status status;
	size_t count;
};

static void on_discovered(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->status = status;
	cr_assert_eq(snapshot != NULL, status == SRSD_OK);
	outcome->count = snapshot == NULL ? 0 : srsd_snapshot_count(snapshot);
}

static struct outcome discover(const char *label, uint32_t timeout_ms)
{
	struct outcome outcome = {0};

	cr_assert_eq(srsd_discover(lab.srsd, label, NULL, timeout_ms, on_discovered, &outcome, &lab.error),
		SRSD_OK);
	cr_assert_eq(outcome.calls, 0, "never inside the call");
	LAB_WAIT(&lab, outcome.calls > 0);
	lab_run_ms(&lab, 50);
	cr_assert_eq(outcome.calls, 1);
	return outcome;
}

Test(discovery, reads_once)
{
	struct outcome outcome;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.2:80");
	create(LABEL_PATH "/bad");
	cr_assert_eq(zk_peer_create_acl(&peer, LAB_REGISTRY "/secret", ZOO_PERSISTENT, acl_nobody()), ZOK);
	lab_open(&lab, &server);
	outcome = discover("app", 20000); /* before the session is up */
	cr_assert_eq(outcome.status, SRSD_OK);
	cr_assert_eq(outcome.count, 2);
	outcome = discover("app", 20000); /* and after */
	cr_assert_eq(outcome.status, SRSD_OK);
	outcome = discover("no-such-label", 20000);
	cr_assert_eq(outcome.status, SRSD_OK);
	cr_assert_eq(outcome.count, 0);
	outcome = discover("secret", 20000);
	cr_assert_eq(outcome.status, SRSD_DENIED);
	/* Nothing of it stays on the session. */
	cr_assert(TAILQ_EMPTY(&lab.srsd->listeners));
	cr_assert(TAILQ_EMPTY(&lab.srsd->requests));
	cr_assert_eq(srsd_discover(lab.srsd, "a/b", NULL, 1000, on_discovered, NULL, &lab.error),
		SRSD_BAD_ARGUMENT);
	cr_assert_eq(
		srsd_discover(lab.srsd, "", NULL, 1000, on_discovered, NULL, &lab.error), SRSD_BAD_ARGUMENT);
	zk_server_freeze(&server);
	outcome = discover("app", 300);
	cr_assert_eq(outcome.status, SRSD_TIMEOUT);
	zk_server_kill(&server);
	outcome = discover("app", 0);
	cr_assert_eq(outcome.status, SRSD_TIMEOUT);
	lab_close(&lab);
	teardown();
}

/* A turn of the loop in which the user's callback takes longer than a reading may. */
static void stall_and_discover(evutil_socket_t none, short what, void *arg)
{
	(void)none;
	(void)what;
	usleep(600 * 1000);
	cr_assert_eq(srsd_discover(lab.srsd, "app", NULL, 500, on_discovered, arg, &lab.error), SRSD_OK);
}

Test(discovery, waits_in_full_though_the_loop_was_held_up)
{
	const struct timeval at_once = {0};
	struct outcome outcome = {0};
	uint64_t began_ms;

	zk_server_prepare(&server);
	lab_open(&lab, &server);
	cr_assert_eq(event_base_once(lab.base, -1, EV_TIMEOUT, stall_and_discover, &outcome, &at_once), 0);
	began_ms = lab_now_ms();
	LAB_WAIT(&lab, outcome.calls > 0);
	cr_assert_eq(outcome.status, SRSD_TIMEOUT);
	cr_assert_geq(lab_now_ms() - began_ms, 600 + 500 - 50, "but for what libevent's clock is coarse by");
	lab_close(&lab);
	zk_server_end(&server);
}
