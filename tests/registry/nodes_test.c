/* nodes_test - what a watch reads of nodes beside their names: when, how much of it, and what becomes of
 * nodes that cannot be read. Requests for data go through the function below (--wrap), which counts them. */
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "srsd/session/session.h"

#define LABEL_PATH LAB_REGISTRY "/app"
#define FIRST	   LABEL_PATH "/192.0.2.1:80"
#define SECOND	   LABEL_PATH "/192.0.2.2:80"

int __real_zoo_awget(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	data_completion_t completion, const void *data);
int __wrap_zoo_awget(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	data_completion_t completion, const void *data);

static const struct srsd_read_options with_data = {.format = SRSD_FORMAT_JSON};
static const struct srsd_read_options with_origin = {.wants_origin = true};
static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;
static size_t gets;
static void (*before_get)(void);

int __wrap_zoo_awget(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	data_completion_t completion, const void *data)
{
	gets++;
	cr_assert_null(watcher, "data is not watched");
	if (before_get != NULL)
		before_get();
	return __real_zoo_awget(handle, path, watcher, context, completion, data);
}

static void setup(uint32_t recheck_ms)
{
	char servers[32];

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	lab_prepare(&lab, servers);
	lab.config.recheck_ms = recheck_ms;
	lab_start(&lab);
}

static void teardown(struct lab_watch *watch)
{
	lab_close(&lab);
	lab_watch_clear(watch);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static const struct srsd_endpoint *member(const struct lab_watch *watch, const char *name)
{
	for (size_t i = 0; i < lab_watch_count(watch); i++) {
		const struct srsd_endpoint *endpoint = srsd_snapshot_at(watch->last, i);

		if (strcmp(srsd_endpoint_name(endpoint), name) == 0)
			return endpoint;
	}
	cr_assert_fail("%s is no member; log:\n%s", name, lab.log);
	return NULL;
}

Test(nodes, are_read_when_they_are_new)
{
	struct lab_watch watch;

	setup(600000);
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, "{\"weight\":3}"), ZOK);
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert_eq(srsd_endpoint_weight(member(&watch, "192.0.2.1:80")), 3);
	cr_assert_eq(gets, 1);
	cr_assert_eq(zk_peer_create_data(&peer, SECOND, ZOO_PERSISTENT, ""), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	cr_assert_eq(srsd_endpoint_weight(member(&watch, "192.0.2.2:80")), 1);
	cr_assert_eq(gets, 2, "the first one is known");
	cr_assert_eq(zk_peer_delete(&peer, FIRST), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert_eq(gets, 2);
	teardown(&watch);
}

Test(nodes, are_not_read_where_names_say_all)
{
	struct lab_watch watch;

	setup(1000);
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, "{\"weight\":3}"), ZOK);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	lab_run_ms(&lab, 1500);
	cr_assert_eq(gets, 0);
	cr_assert_eq(srsd_endpoint_owner(member(&watch, "192.0.2.1:80")), 0);
	cr_assert_eq(srsd_endpoint_created_ms(member(&watch, "192.0.2.1:80")), 0);
	cr_assert_eq(watch.changes, 1);
	teardown(&watch);
}

Test(nodes, tell_their_origin)
{
	struct lab_watch watch;

	setup(600000);
	cr_assert_eq(zk_peer_create(&peer, FIRST, ZOO_EPHEMERAL), ZOK);
	cr_assert_eq(zk_peer_create(&peer, SECOND, ZOO_PERSISTENT), ZOK);
	cr_assert_eq(zk_peer_create(&peer, LABEL_PATH "/nonsense", ZOO_EPHEMERAL), ZOK);
	lab_watch_with(&lab, &watch, "app", &with_origin);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	cr_assert_eq(
		srsd_endpoint_owner(member(&watch, "192.0.2.1:80")), zoo_client_id(peer.handle)->client_id);
	cr_assert_gt(srsd_endpoint_created_ms(member(&watch, "192.0.2.1:80")), 1500000000000);
	cr_assert_eq(srsd_endpoint_owner(member(&watch, "192.0.2.2:80")), 0);
	cr_assert_gt(srsd_endpoint_created_ms(member(&watch, "192.0.2.2:80")), 1500000000000);
	cr_assert_eq(srsd_snapshot_outsider_count(watch.last), 1);
	cr_assert_eq(srsd_snapshot_outsider_at(watch.last, 0)->owner, zoo_client_id(peer.handle)->client_id);
	teardown(&watch);
}

Test(nodes, are_read_again_at_each_recheck)
{
	struct lab_watch watch;
	const struct srsd_endpoint *second;

	setup(1000);
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, "{\"weight\":3}"), ZOK);
	cr_assert_eq(zk_peer_create_data(&peer, SECOND, ZOO_PERSISTENT, "{\"zone\":\"a\"}"), ZOK);
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	second = member(&watch, "192.0.2.2:80");
	cr_assert_eq(zk_peer_set_data(&peer, FIRST, "{\"weight\":4}"), ZOK);
	LAB_WAIT(&lab, watch.changes == 2);
	cr_assert_eq(srsd_endpoint_weight(member(&watch, "192.0.2.1:80")), 4);
	cr_assert_eq(member(&watch, "192.0.2.2:80"), second, "the one that stayed is the same object");
	/* What breaks stands as it was, and is said once. */
	cr_assert_eq(zk_peer_set_data(&peer, FIRST, "{\"weight\":"), ZOK);
	LAB_WAIT(&lab, lab_log_count(&lab, "192.0.2.1:80 cannot be used") == 1);
	gets = 0;
	LAB_WAIT(&lab, gets >= 6);
	cr_assert_eq(lab_log_count(&lab, "192.0.2.1:80 cannot be used"), 1, "%s", lab.log);
	cr_assert_eq(watch.changes, 2);
	cr_assert_eq(srsd_endpoint_weight(member(&watch, "192.0.2.1:80")), 4);
	teardown(&watch);
}

Test(nodes, are_left_out_where_they_cannot_be_read)
{
	char world[] = "world";
	char anyone[] = "anyone";
	struct ACL nobody = {.perms = ZOO_PERM_ADMIN, .id = {.scheme = world, .id = anyone}};
	const struct ACL_vector closed = {.count = 1, .data = &nobody};
	struct lab_watch watch;
	char large[20000];

	setup(600000);
	memset(large, ' ', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, large), ZOK);
	cr_assert_eq(zk_peer_create_acl(&peer, SECOND, ZOO_PERSISTENT, &closed), ZOK);
	cr_assert_eq(zk_peer_create_data(&peer, LABEL_PATH "/192.0.2.3:80", ZOO_PERSISTENT, "[]"), ZOK);
	cr_assert_eq(zk_peer_create_data(&peer, LABEL_PATH "/192.0.2.4:80", ZOO_PERSISTENT, "{}"), ZOK);
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 1);
	member(&watch, "192.0.2.4:80");
	cr_assert_eq(srsd_snapshot_skipped(watch.last), 3);
	cr_assert_eq(lab_log_count(&lab, "longer than the limit"), 1, "%s", lab.log);
	cr_assert_eq(lab_log_count(&lab, "no permission to read its data"), 1, "%s", lab.log);
	/* They are not asked for again at each change. */
	gets = 0;
	cr_assert_eq(zk_peer_create_data(&peer, LABEL_PATH "/192.0.2.5:80", ZOO_PERSISTENT, ""), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	cr_assert_eq(gets, 1);
	teardown(&watch);
}

static const struct srsd_watch *rechecked;

static int make_recheck_due(const struct event_base *base, const struct event *event, void *arg)
{
	(void)base;
	(void)arg;
	if (event_get_callback_arg(event) == rechecked && (event_get_events(event) & EV_PERSIST) != 0)
		event_active((struct event *)(uintptr_t)event, EV_TIMEOUT, 1);
	return 0;
}

static void recheck_once(void)
{
	before_get = NULL;
	event_base_foreach_event(lab.base, make_recheck_due, NULL);
}

/* The new node alone is read then, and that must not count for all. */
Test(nodes, are_read_again_when_a_recheck_comes_while_others_are_read)
{
	struct lab_watch watch;

	setup(600000);
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, "{\"weight\":3}"), ZOK);
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	cr_assert_eq(zk_peer_set_data(&peer, FIRST, "{\"weight\":4}"), ZOK);
	rechecked = watch.watch;
	before_get = recheck_once;
	cr_assert_eq(zk_peer_create_data(&peer, SECOND, ZOO_PERSISTENT, ""), ZOK);
	LAB_WAIT(&lab, watch.changes == 3);
	cr_assert_eq(lab_watch_count(&watch), 2);
	cr_assert_eq(srsd_endpoint_weight(member(&watch, "192.0.2.1:80")), 4);
	teardown(&watch);
}

static void delete_first(void)
{
	zk_peer_delete(&peer, FIRST);
}

Test(nodes, may_go_while_they_are_read)
{
	struct lab_watch watch;

	setup(600000);
	cr_assert_eq(zk_peer_create_data(&peer, FIRST, ZOO_PERSISTENT, ""), ZOK);
	cr_assert_eq(zk_peer_create_data(&peer, SECOND, ZOO_PERSISTENT, ""), ZOK);
	before_get = delete_first;
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 1);
	cr_assert_eq(srsd_snapshot_skipped(watch.last), 0);
	member(&watch, "192.0.2.2:80");
	teardown(&watch);
}

static void kill_server(void)
{
	if (gets == 100)
		zk_server_kill(&server);
}

Test(nodes, are_read_anew_when_the_connection_breaks)
{
	struct lab_watch watch;

	setup(600000);
	zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT);
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.1:%d", 1, 500);
	before_get = kill_server;
	lab_watch_with(&lab, &watch, "app", &with_data);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_SUSPENDED) == 1);
	cr_assert_eq(watch.changes, 0, "half a set is no set");
	zk_server_start(&server);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 500);
	teardown(&watch);
}

/* A watch that ends, and a manager that is closed, while requests are on their way. */
Test(nodes, may_be_given_up_while_they_are_read)
{
	struct lab_watch watch;
	struct lab_watch other;

	setup(600000);
	zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT);
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.1:%d", 1, 300);
	lab_watch_with(&lab, &watch, "app", &with_data);
	lab_watch_with(&lab, &other, "app", &with_data);
	LAB_WAIT(&lab, gets >= 100);
	srsd_watch_end(&watch.watch);
	LAB_WAIT(&lab, other.changes == 1);
	cr_assert_eq(watch.changes, 0);
	gets = 0;
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.2:%d", 1, 300);
	LAB_WAIT(&lab, gets >= 1);
	lab_watch_clear(&watch);
	teardown(&other);
}
