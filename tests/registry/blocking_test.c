/* blocking_test - the calls for programs without an event loop, from plain threads. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define ADDRESS	     "192.0.2.1:8888"
#define ADDRESS_PATH LAB_REGISTRY "/app/" ADDRESS

static struct zk_server server;
static struct zk_peer peer;
static char servers[32];
static struct srsd_config config;
static struct srsd_error error;

static void setup(void)
{
	zk_server_prepare(&server);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	config = (struct srsd_config)SRSD_CONFIG_DEFAULT;
	config.servers = servers;
	config.session_timeout_ms = 2000;
}

static void start(void)
{
	zk_server_start(&server);
	zk_peer_open(&peer, server.port, NULL);
}

static void teardown(void)
{
	if (peer.handle != NULL)
		zk_peer_close(&peer);
	zk_server_end(&server);
}

static size_t count_entries(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;

	cr_assert_not_null(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

Test(blocking, registers_and_discovers)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_hold *hold = NULL;
	struct srsd_address address;
	size_t threads;
	size_t files;

	setup();
	start();
	threads = count_entries("/proc/self/task");
	files = count_entries("/proc/self/fd");
	cr_assert_eq(srsd_discover_one_wait(&config, "app", NULL, 20000, &address, &error), SRSD_NOT_FOUND);
	cr_assert_eq(srsd_discover_wait(&config, "app", NULL, 20000, &snapshot, &error), SRSD_OK, "%s",
		error.text);
	cr_assert_str_eq(error.text, "");
	cr_assert_eq(srsd_snapshot_count(snapshot), 0);
	srsd_snapshot_unref(&snapshot);

	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_OK, "%s",
		error.text);
	cr_assert_str_eq(error.text, "");
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	cr_assert_eq(srsd_discover_one_wait(&config, "app", NULL, 20000, &address, &error), SRSD_OK, "%s",
		error.text);
	cr_assert_eq(address.port, 8888);
	cr_assert_str_eq(address.host, "192.0.2.1");
	srsd_hold_release(&hold);
	cr_assert_null(hold);
	srsd_hold_release(&hold);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	cr_assert_eq(count_entries("/proc/self/task"), threads);
	cr_assert_eq(count_entries("/proc/self/fd"), files);
	teardown();
}

Test(blocking, keeps_a_hold_over_expiry)
{
	struct srsd_hold *hold = NULL;
	struct srsd_hold *other = NULL;
	clientid_t id = {0};
	uint64_t deadline_ms = lab_now_ms() + LAB_PATIENCE_MS;
	int64_t owner;

	setup();
	start();
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_OK, "%s",
		error.text);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &id.client_id, NULL));

	/* Another one cannot have it. */
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 300, &other, &error), SRSD_CONFLICT);
	cr_assert(strstr(error.text, "another session") != NULL, "%s", error.text);
	cr_assert_null(other);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
	cr_assert_eq(owner, id.client_id);

	/* Its server is away for longer than the session lives. */
	zk_peer_close(&peer);
	zk_server_kill(&server);
	zk_server_wipe(&server);
	zk_server_start(&server);
	zk_peer_open(&peer, server.port, NULL);
	while (!zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL)) {
		cr_assert_lt(lab_now_ms(), deadline_ms, "it does not come back");
		usleep(20000);
	}
	cr_assert_neq(owner, id.client_id);
	srsd_hold_release(&hold);
	cr_assert_not(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));
	teardown();
}

/* A service that is killed and started again at once. */
Test(blocking, waits_for_the_session_of_a_killed_predecessor)
{
	struct srsd_hold *hold = NULL;
	pid_t predecessor;
	int status;

	setup();
	start();
	config.session_timeout_ms = 1000;
	predecessor = fork();
	if (predecessor == 0)
		_exit(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error) == SRSD_OK ? 0
													 : 1);
	cr_assert_eq(waitpid(predecessor, &status, 0), predecessor);
	cr_assert_eq(status, 0);
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_OK, "%s",
		error.text);
	srsd_hold_release(&hold);
	teardown();
}

Test(blocking, does_not_wait_for_a_persistent_node)
{
	struct srsd_hold *hold = NULL;

	setup();
	start();
	cr_assert_eq(zk_peer_create(&peer, ADDRESS_PATH, ZOO_PERSISTENT), ZOK);
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, LAB_PATIENCE_MS, &hold, &error),
		SRSD_CONFLICT);
	cr_assert_str_eq(error.text, "the node is persistent and belongs to no session; remove it");
	teardown();
}

Test(blocking, gives_up_in_time)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_hold *hold = NULL;
	uint64_t before_ms;

	setup();
	before_ms = lab_now_ms();
	cr_assert_eq(srsd_discover_wait(&config, "app", NULL, 300, &snapshot, &error), SRSD_TIMEOUT);
	cr_assert(strstr(error.text, servers) != NULL, "%s", error.text);
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 300, &hold, &error), SRSD_TIMEOUT);
	cr_assert_lt(lab_now_ms() - before_ms, 10000);

	start();
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_OK, "%s",
		error.text);
	zk_server_freeze(&server);
	before_ms = lab_now_ms();
	srsd_hold_release(&hold);
	cr_assert_lt(lab_now_ms() - before_ms, 10000, "a frozen server holds nobody up");
	before_ms = lab_now_ms();
	cr_assert_eq(srsd_discover_wait(&config, "app", NULL, 300, &snapshot, &error), SRSD_TIMEOUT);
	cr_assert_lt(lab_now_ms() - before_ms, 10000);
	cr_assert_null(snapshot);
	cr_assert_null(hold);
	zk_server_thaw(&server);
	teardown();
}

Test(blocking, refuses_bad_arguments)
{
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_hold *hold = NULL;
	struct srsd_address address;

	setup();
	cr_assert_eq(srsd_discover_wait(&config, "a/b", NULL, 100, &snapshot, &error), SRSD_BAD_ARGUMENT);
	cr_assert_eq(srsd_discover_one_wait(&config, "", NULL, 100, &address, &error), SRSD_BAD_ARGUMENT);
	cr_assert_eq(srsd_register_hold(&config, "app", "x", NULL, 100, &hold, &error), SRSD_BAD_ARGUMENT);
	config.servers = "127.0.0.1";
	cr_assert_eq(srsd_discover_wait(&config, "app", NULL, 100, &snapshot, &error), SRSD_BAD_ARGUMENT);
	cr_assert_eq(
		srsd_register_hold(&config, "app", ADDRESS, NULL, 100, &hold, &error), SRSD_BAD_ARGUMENT);
	cr_assert_null(snapshot);
	cr_assert_null(hold);
	teardown();
}

Test(blocking, says_that_it_is_denied)
{
	static struct ACL entries[1];
	struct ACL_vector acl = {.count = 1, .data = entries};
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_hold *hold = NULL;

	setup();
	start();
	entries[0].perms = ZOO_PERM_ADMIN;
	entries[0].id = ZOO_ANYONE_ID_UNSAFE;
	cr_assert_eq(zk_peer_create_acl(&peer, LAB_REGISTRY "/app", ZOO_PERSISTENT, &acl), ZOK);
	cr_assert_eq(srsd_discover_wait(&config, "app", NULL, 20000, &snapshot, &error), SRSD_DENIED);
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_DENIED);
	teardown();
}

/* ---- Threads --------------------------------------------------------------------------------- */

/* Threads that block every signal are counted, so that one handler of the program's is not run in ours. */
static size_t threads_that_take_no_signal(void)
{
	DIR *folder = opendir("/proc/self/task");
	struct dirent *entry;
	size_t count = 0;

	cr_assert_not_null(folder);
	while ((entry = readdir(folder)) != NULL) {
		char path[300];
		char line[256];
		unsigned long long blocked;
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		status = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1 && (blocked & 0x4003) == 0x4003)
				count++; /* SIGHUP, SIGINT, SIGTERM */
		}
		if (status != NULL)
			fclose(status);
	}
	closedir(folder);
	return count;
}

Test(blocking, takes_no_signal)
{
	struct srsd_hold *hold = NULL;
	size_t before = threads_that_take_no_signal();

	setup();
	start();
	cr_assert_eq(srsd_register_hold(&config, "app", ADDRESS, NULL, 20000, &hold, &error), SRSD_OK, "%s",
		error.text);
	cr_assert_eq(threads_that_take_no_signal(), before + 1);
	srsd_hold_release(&hold);
	teardown();
}

static void *hold_and_release(void *arg)
{
	int number = *(int *)arg;

	for (int i = 0; i < 5; i++) {
		struct srsd_snapshot *snapshot = NULL;
		struct srsd_hold *hold = NULL;
		struct srsd_error own_error;
		char address[32];

		snprintf(address, sizeof(address), "192.0.2.%d:%d", number, 1000 + i);
		if (srsd_register_hold(&config, "app", address, NULL, 30000, &hold, &own_error) != SRSD_OK)
			return strdup(own_error.text);
		if (srsd_discover_wait(&config, "app", NULL, 30000, &snapshot, &own_error) != SRSD_OK)
			return strdup(own_error.text);
		if (srsd_snapshot_count(snapshot) == 0)
			return strdup("nothing was discovered");
		srsd_snapshot_unref(&snapshot);
		srsd_hold_release(&hold);
	}
	return NULL;
}

Test(blocking, works_in_many_threads)
{
	pthread_t threads[6];
	int numbers[6];

	setup();
	start();
	for (int i = 0; i < 6; i++) {
		numbers[i] = i + 1;
		cr_assert_eq(pthread_create(&threads[i], NULL, hold_and_release, &numbers[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		void *fault = NULL;

		pthread_join(threads[i], &fault);
		cr_assert_null(fault, "thread %d: %s", i, (const char *)fault);
	}
	cr_assert_eq(zk_peer_count(&peer, LAB_REGISTRY "/app"), 0);
	teardown();
}
