/* client_test - what libsrsd asks of the ZooKeeper client, and how it takes the client's habits: watches that
 * cannot be relied on, answers that never come. The linker sends the library's calls through the functions
 * below (--wrap). */
#include <stdio.h>

#include "lab.h"
#include "srsd/session/session.h"

#define ADDRESS	   "192.0.2.1:8888"
#define LABEL_PATH LAB_REGISTRY "/app"

int __real_zoo_awget_children2(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	strings_stat_completion_t completion, const void *data);
int __wrap_zoo_awget_children2(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	strings_stat_completion_t completion, const void *data);
int __real_zoo_awexists(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	stat_completion_t completion, const void *data);
int __wrap_zoo_awexists(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	stat_completion_t completion, const void *data);

static size_t lists;
static bool are_watches_lost;
static bool are_node_watches_lost;
static bool are_answers_lost;
static void (*before_exists)(void);

static void on_lost_answer(
	int rc, const struct String_vector *names, const struct Stat *stat, const void *data)
{
	(void)rc;
	(void)names;
	(void)stat;
	(void)data;
}

int __wrap_zoo_awget_children2(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	strings_stat_completion_t completion, const void *data)
{
	lists++;
	return __real_zoo_awget_children2(handle, path, are_watches_lost ? NULL : watcher, context,
		are_answers_lost ? on_lost_answer : completion, data);
}

int __wrap_zoo_awexists(zhandle_t *handle, const char *path, watcher_fn watcher, void *context,
	stat_completion_t completion, const void *data)
{
	if (before_exists != NULL)
		before_exists();
	return __real_zoo_awexists(
		handle, path, are_node_watches_lost ? NULL : watcher, context, completion, data);
}

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;

Test(client, lists_again_at_each_reconnect)
{
	struct lab_watch watch;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	are_watches_lost = true;
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	for (size_t round = 1; round <= 2; round++) {
		char path[128];

		zk_server_kill(&server);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
		zk_server_start(&server);
		zk_peer_open(&peer, server.port, NULL);
		snprintf(path, sizeof(path), LABEL_PATH "/192.0.2.%zu:80", round);
		cr_assert_eq(zk_peer_create(&peer, path, ZOO_PERSISTENT), ZOK);
		zk_peer_close(&peer);
		lists = 0;
		LAB_WAIT(&lab, lab_watch_count(&watch) == round);
		lab_run_ms(&lab, 300);
		cr_assert_leq(lists, 3, "%zu lists for one reconnect", lists);
	}
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(client, finds_a_change_of_which_it_never_heard)
{
	struct lab_watch watch;
	char servers[32];

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	lab_prepare(&lab, servers);
	lab.config.recheck_ms = 1000;
	are_watches_lost = true;
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(zk_peer_create(&peer, LABEL_PATH "/" ADDRESS, ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
	cr_assert_eq(zk_peer_delete(&peer, LABEL_PATH "/" ADDRESS), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 0);
	cr_assert_eq(lab_state_count(&lab, SRSD_CONNECTED), 1, "over one connection");
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

Test(client, lists_little_in_a_burst)
{
	struct lab_watch watch;
	uint64_t before_ms;
	uint64_t took_ms;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_eq(zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT), ZOK);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	lab_run_ms(&lab, 500);
	cr_assert_eq(lists, 1, "nothing changes, nothing is asked");
	before_ms = lab_now_ms();
	for (int i = 0; i < 300; i++) {
		char path[128];

		snprintf(path, sizeof(path), LABEL_PATH "/198.51.100.1:%d", 1000 + i);
		cr_assert_eq(zk_peer_create(&peer, path, ZOO_PERSISTENT), ZOK);
		lab_turn(&lab);
	}
	LAB_WAIT(&lab, lab_watch_count(&watch) == 300);
	took_ms = lab_now_ms() - before_ms;
	/* A few come at once, the others no closer than half of what a small label has to wait for. */
	cr_assert_leq(lists, took_ms / 7 + 9, "%zu lists in %llu ms", lists, (unsigned long long)took_ms);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

static unsigned appearances;

static void make_label(void)
{
	if (appearances++ == 0)
		cr_assert_eq(zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT), ZOK);
}

/* The list says that there is no such node; before the watch on its coming is set, it comes. */
Test(client, sees_a_label_that_comes_between_two_questions)
{
	struct lab_watch watch;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	before_exists = make_label;
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(appearances, 1);
	cr_assert_eq(zk_peer_create(&peer, LABEL_PATH "/" ADDRESS, ZOO_PERSISTENT), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

/* Nothing tells of what happens to the node: it is looked at from time to time all the same. */
Test(client, looks_at_a_registration_that_no_watch_tells_of)
{
	const char *path = LABEL_PATH "/" ADDRESS;
	struct lab_registration registration;
	char servers[32];
	int64_t owner;

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	are_node_watches_lost = true;
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	lab_prepare(&lab, servers);
	lab.config.recheck_ms = 1000;
	lab_start(&lab);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, registration.state_count == 1);
	lab_run_ms(&lab, 200);

	/* It is gone. */
	cr_assert_eq(zk_peer_delete(&peer, path), ZOK);
	LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == 2);
	cr_assert(zk_peer_exists(&peer, path, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id);
	lab_run_ms(&lab, 200);

	/* Somebody else has it, for a while. */
	cr_assert_eq(zk_peer_delete(&peer, path), ZOK);
	cr_assert_eq(zk_peer_create(&peer, path, ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_CONFLICT));
	cr_assert_eq(zk_peer_delete(&peer, path), ZOK);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	cr_assert(zk_peer_exists(&peer, path, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id);
	lab_close(&lab);
	zk_peer_close(&peer);
	zk_server_end(&server);
}

/* Contexts that the client never hands back are freed with the session; LeakSanitizer looks. */
Test(client, may_never_answer)
{
	struct lab_watch watches[3];

	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	are_answers_lost = true;
	for (int i = 0; i < 3; i++)
		lab_watch(&lab, &watches[i], "app");
	lab_run_ms(&lab, 300);
	srsd_watch_end(&watches[1].watch);
	lab_expire(&lab, &server);
	are_answers_lost = false;
	LAB_WAIT(&lab, watches[0].changes == 1 && watches[2].changes == 1);
	are_answers_lost = true;
	lab_watch(&lab, &watches[1], "app");
	lab_run_ms(&lab, 100);
	lab_close(&lab);
	cr_assert_eq(watches[1].changes, 0);
	lab_watch_clear(&watches[0]);
	lab_watch_clear(&watches[2]);
	zk_server_end(&server);
}
