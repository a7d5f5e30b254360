/* state_test - the last known set on disk: written as it changes, read when ZooKeeper is not heard, and
 * replaced by the truth when it is. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"
#include "srsd/node/snapshot.h"
#include "srsd/state/state_file.h"

#define LABEL_PATH LAB_REGISTRY "/app"
#define FAULT	   "is not used: "

static struct lab lab;
static struct lab_watch watch;
static struct zk_server server;
static struct zk_peer peer;
static char directory[64];
static char file[64 + SRSD_STATE_NAME_MAX];
static const struct srsd_read_options json = {.format = SRSD_FORMAT_JSON};
static const struct srsd_read_options names_only = {.format = SRSD_FORMAT_NAME};
static char servers[32];
static const struct srsd_state_subject subject = {
	.servers = servers, .path = LABEL_PATH, .options = &names_only};

static void setup(void)
{
	char name[SRSD_STATE_NAME_MAX];

	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	snprintf(directory, sizeof(directory), "/tmp/srsd-state-test-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	cr_assert(srsd_state_file_name(&subject, name));
	snprintf(file, sizeof(file), "%s/%s", directory, name);
}

static void teardown(void)
{
	char command[128];

	lab_watch_clear(&watch);
	zk_peer_close(&peer);
	zk_server_end(&server);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_expect_eq(system(command), 0);
}

static void create(const char *path)
{
	int rc = zk_peer_create(&peer, path, ZOO_PERSISTENT);

	cr_assert_eq(rc, ZOK, "%s: %s", path, zerror(rc));
}

static void prepare(void)
{
	lab_prepare(&lab, servers);
	lab.config.state_directory = directory;
	lab.config.state_wait_ms = 300;
}

static void open_lab(const struct srsd_read_options *options)
{
	lab_watch_clear(&watch);
	lab_start(&lab);
	lab_watch_with(&lab, &watch, "app", options);
}

static void begin(void)
{
	prepare();
	open_lab(NULL);
}

static enum srsd_source source(void)
{
	return srsd_snapshot_source(watch.last);
}

static struct srsd_watch_status status(void)
{
	struct srsd_watch_status out;

	srsd_watch_status(watch.watch, &out);
	return out;
}

/* A manager sees the set with so many members, and is closed: then that is on disk. */
static void keep(size_t count, const struct srsd_read_options *options)
{
	prepare();
	open_lab(options);
	LAB_WAIT(&lab, watch.changes > 0 && lab_watch_count(&watch) == count);
	cr_assert_eq(source(), SRSD_SOURCE_REGISTRY);
	lab_close(&lab);
	cr_assert_eq(access(file, F_OK) == 0, options == NULL);
}

/* Put a file there that was confirmed so long ago. */
static void plant(int64_t age_ms)
{
	static const char *const names[] = {"192.0.2.7:80"};
	struct srsd_snapshot *snapshot = NULL;
	struct timespec now;
	size_t bytes;
	char *text;
	FILE *out = fopen(file, "w");

	clock_gettime(CLOCK_REALTIME, &now);
	cr_assert_eq(srsd_snapshot_from_names(names, 1, &snapshot, NULL), SRSD_OK);
	text = srsd_state_file_write(&subject, snapshot, (int64_t)now.tv_sec * 1000 - age_ms, &bytes);
	cr_assert(out != NULL && text != NULL);
	cr_assert_eq(fwrite(text, 1, bytes, out), bytes);
	cr_assert_eq(fclose(out), 0);
	chmod(file, 0600);
	free(text);
	srsd_snapshot_unref(&snapshot);
}

/* ---- From the file to the truth -------------------------------------------------------------- */

Test(state, a_start_without_zookeeper_has_the_last_set)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.2:80");
	keep(2, NULL);
	zk_server_kill(&server);

	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(source(), SRSD_SOURCE_FILE);
	cr_expect(lab_watch_has(&watch, "192.0.2.1:80") && lab_watch_has(&watch, "192.0.2.2:80"));
	cr_expect_eq(srsd_snapshot_version(watch.last), 1);
	cr_expect(status().is_known && status().source == SRSD_SOURCE_FILE);
	cr_expect(status().age_ms > 0 && status().age_ms < 60000, "%lu", (unsigned long)status().age_ms);
	cr_expect_eq(srsd_watch_current(watch.watch), watch.last);
	cr_expect_eq(lab_log_count(&lab, "the last known set is used, 2 members"), 1, "%s", lab.log);

	/* The same set, and nobody has to be told of another endpoint. */
	struct srsd_snapshot *before = srsd_snapshot_ref(watch.last);
	zk_server_start(&server);
	LAB_WAIT(&lab, watch.changes == 2);
	cr_expect_eq(source(), SRSD_SOURCE_REGISTRY);
	cr_expect_eq(srsd_snapshot_version(watch.last), 2);
	cr_assert_eq(lab_watch_count(&watch), 2);
	for (size_t i = 0; i < 2; i++)
		cr_expect_eq(srsd_snapshot_at(before, i), srsd_snapshot_at(watch.last, i));
	cr_expect(status().source == SRSD_SOURCE_REGISTRY && status().age_ms < 5000);
	srsd_snapshot_unref(&before);
	lab_close(&lab);
	teardown();
}

Test(state, the_truth_replaces_the_file)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	keep(1, NULL);
	zk_peer_close(&peer);
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(source(), SRSD_SOURCE_FILE);
	zk_server_wipe(&server);
	zk_server_start(&server);
	LAB_WAIT(&lab, source() == SRSD_SOURCE_REGISTRY);
	cr_expect_eq(lab_watch_count(&watch), 0, "what ZooKeeper says is so");
	zk_peer_open(&peer, server.port, NULL);
	create(LABEL_PATH "/192.0.2.3:80");
	LAB_WAIT(&lab, lab_watch_has(&watch, "192.0.2.3:80"));
	lab_close(&lab);
	/* And is what the next one starts from. */
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect(lab_watch_count(&watch) == 1 && lab_watch_has(&watch, "192.0.2.3:80"));
	lab_close(&lab);
	teardown();
}

Test(state, a_server_that_hangs_is_one_that_does_not_answer)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	keep(1, NULL);
	zk_server_freeze(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect(source() == SRSD_SOURCE_FILE && lab_watch_count(&watch) == 1);
	zk_server_thaw(&server);
	LAB_WAIT(&lab, source() == SRSD_SOURCE_REGISTRY);
	lab_close(&lab);
	teardown();
}

static void stall_and_watch(evutil_socket_t none, short what, void *arg)
{
	(void)none;
	(void)what;
	(void)arg;
	usleep(400 * 1000);
	lab_watch(&lab, &watch, "app");
}

Test(state, zookeeper_is_waited_for_in_full_though_the_loop_was_held_up)
{
	const struct timeval at_once = {0};
	uint64_t began_ms;

	setup();
	zk_server_kill(&server);
	plant(0);
	prepare();
	lab_start(&lab);
	cr_assert_eq(event_base_once(lab.base, -1, EV_TIMEOUT, stall_and_watch, NULL, &at_once), 0);
	began_ms = lab_now_ms();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_geq(lab_now_ms() - began_ms, 400 + 300 - 50, "but for what libevent's clock is coarse by");
	lab_close(&lab);
	teardown();
}

Test(state, while_zookeeper_answers_the_file_is_not_read)
{
	setup();
	plant(0);
	create(LABEL_PATH "/192.0.2.1:80");
	prepare();
	lab.config.state_wait_ms = LAB_PATIENCE_MS;
	open_lab(NULL);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(source(), SRSD_SOURCE_REGISTRY);
	cr_expect(lab_watch_has(&watch, "192.0.2.1:80"));
	lab_close(&lab);
	teardown();
}

/* A node that was made anew with other data while we were away must not be taken for the one that is known.
 */
Test(state, what_nodes_say_is_read_again_after_the_file)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	create(LABEL_PATH "/192.0.2.2:80");
	cr_assert_eq(zk_peer_set_data(&peer, LABEL_PATH "/192.0.2.1:80", "{\"weight\": 5}"), ZOK);
	cr_assert_eq(zk_peer_set_data(&peer, LABEL_PATH "/192.0.2.2:80", "{\"weight\": 6}"), ZOK);
	keep(2, &json);
	cr_assert_eq(zk_peer_set_data(&peer, LABEL_PATH "/192.0.2.2:80", "{\"weight\": 7}"), ZOK);
	zk_server_kill(&server);
	prepare();
	open_lab(&json);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(source(), SRSD_SOURCE_FILE);
	cr_expect_eq(srsd_endpoint_weight(srsd_snapshot_at(watch.last, 0)), 5);
	cr_expect_eq(srsd_endpoint_weight(srsd_snapshot_at(watch.last, 1)), 6);
	struct srsd_snapshot *before = srsd_snapshot_ref(watch.last);
	zk_server_start(&server);
	LAB_WAIT(&lab, source() == SRSD_SOURCE_REGISTRY);
	cr_expect_eq(srsd_snapshot_at(before, 0), srsd_snapshot_at(watch.last, 0), "it says the same");
	cr_expect_eq(srsd_endpoint_weight(srsd_snapshot_at(watch.last, 1)), 7);
	srsd_snapshot_unref(&before);
	lab_close(&lab);
	teardown();
}

Test(state, an_empty_set_is_knowledge_too)
{
	setup();
	keep(0, NULL);
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect(source() == SRSD_SOURCE_FILE && lab_watch_count(&watch) == 0);
	lab_close(&lab);
	teardown();
}

/* How many members the file has. */
static size_t kept_count(void)
{
	static char text[8192];
	FILE *in = fopen(file, "r");
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms;
	const char *why;
	size_t bytes;
	size_t count;

	cr_assert_not_null(in);
	bytes = fread(text, 1, sizeof(text), in);
	fclose(in);
	cr_assert_eq(srsd_state_file_read(&subject, text, bytes, &snapshot, &confirmed_ms, &why),
		SRSD_STATE_GOOD, "%s", why);
	count = srsd_snapshot_count(snapshot);
	srsd_snapshot_unref(&snapshot);
	return count;
}

Test(state, what_was_lost_in_one_stroke_stays_on_disk)
{
	setup();
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.1:%d", 1, 4);
	keep(4, NULL);
	cr_expect_eq(kept_count(), 4);
	zk_peer_delete_children(&peer, LABEL_PATH);
	keep(0, NULL);
	cr_expect_eq(kept_count(), 4, "a process that only knows the file keeps it");
	create(LABEL_PATH "/192.0.2.1:1");
	keep(1, NULL);
	cr_expect_eq(kept_count(), 4);
	create(LABEL_PATH "/192.0.2.1:2");
	keep(2, NULL);
	cr_expect_eq(kept_count(), 2, "half of it is there");
	lab_watch_clear(&watch);
	teardown();
}

Test(state, a_process_that_sees_the_loss_keeps_the_file)
{
	setup();
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.1:%d", 1, 4);
	begin();
	LAB_WAIT(&lab, watch.changes > 0 && lab_watch_count(&watch) == 4);
	LAB_WAIT(&lab, access(file, F_OK) == 0);
	zk_peer_delete_children(&peer, LABEL_PATH);
	LAB_WAIT(&lab, lab_log_count(&lab, "has lost most of its members, 0 of 4 are left") == 1);
	lab_close(&lab);
	cr_expect_eq(kept_count(), 4);
	teardown();
}

Test(state, a_loss_of_a_while_ago_is_believed)
{
	setup();
	create(LABEL_PATH);
	plant(300000);
	keep(0, NULL);
	cr_expect_eq(kept_count(), 1);
	plant(700000);
	keep(0, NULL);
	cr_expect_eq(kept_count(), 0);
	teardown();
}

Test(state, registries_and_formats_do_not_share_a_file)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	keep(1, NULL);
	zk_server_kill(&server);

	prepare();
	lab.config.registry = "/zk_registry/other";
	open_lab(NULL);
	LAB_WAIT(&lab, lab_log_count(&lab, "no set of it is kept") == 1);
	lab_close(&lab);
	prepare();
	snprintf(lab.servers, sizeof(lab.servers), "%s/chroot", servers);
	open_lab(NULL);
	LAB_WAIT(&lab, lab_log_count(&lab, "no set of it is kept") == 1);
	lab_close(&lab);
	prepare();
	open_lab(&json);
	LAB_WAIT(&lab, lab_log_count(&lab, "no set of it is kept") == 1);
	cr_expect_eq(watch.changes, 0);
	lab_close(&lab);
	teardown();
}

/* ---- Files that are not used ----------------------------------------------------------------- */

/* It is told of once, left alone until ZooKeeper is heard, and then replaced. */
static void expect_not_used(uint64_t max_stale_ms, const char *why)
{
	struct stat before, after;

	cr_assert_eq(lstat(file, &before), 0);
	zk_server_kill(&server);
	prepare();
	lab.config.max_stale_ms = max_stale_ms;
	open_lab(NULL);
	LAB_WAIT(&lab, lab_log_count(&lab, FAULT) == 1);
	cr_expect(strstr(lab.log, why) != NULL, "%s, not %s", lab.log, why);
	lab_run_ms(&lab, 500);
	cr_expect_eq(lab_log_count(&lab, FAULT), 1);
	cr_expect_eq(watch.changes, 0);
	cr_expect_not(status().is_known);
	cr_assert_eq(lstat(file, &after), 0);
	cr_expect_eq(before.st_ino, after.st_ino);
	zk_server_start(&server);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(source(), SRSD_SOURCE_REGISTRY);
	LAB_WAIT(&lab, lstat(file, &after) == 0 && after.st_ino != before.st_ino);
	cr_expect(S_ISREG(after.st_mode));
	cr_expect_eq(after.st_mode & 0777, 0600);
	lab_close(&lab);
}

Test(state, a_damaged_file_is_not_used, .timeout = 120)
{
	char *bytes = NULL;
	size_t room = 0;
	FILE *stream;

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	keep(1, NULL);
	stream = fopen(file, "r+");
	cr_assert_gt(getdelim(&bytes, &room, '{', stream), 0);
	fseek(stream, 10, SEEK_CUR);
	fputc('#', stream);
	fclose(stream);
	free(bytes);
	expect_not_used(0, "it is damaged");
	cr_assert_eq(truncate(file, 40), 0);
	expect_not_used(0, "it is damaged");
	cr_assert_eq(truncate(file, 0), 0);
	expect_not_used(0, "it is empty");
	teardown();
}

Test(state, a_file_of_another_time_is_not_used, .timeout = 120)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	plant(7200000);
	expect_not_used(3600000, "s old, which is more than the limit of 3600 s");
	plant(-7200000);
	expect_not_used(0, "it is of the future");
	/* A year is fine where nobody says otherwise. */
	plant(31536000000);
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect(lab_watch_has(&watch, "192.0.2.7:80"));
	cr_expect_geq(status().age_ms, 31536000000U);
	cr_expect_geq(srsd_snapshot_age_ms(watch.last), 31536000000U);
	lab_close(&lab);
	teardown();
}

Test(state, a_file_that_is_none_of_ours_is_not_used, .timeout = 120)
{
	char other[300];

	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	keep(1, NULL);
	snprintf(other, sizeof(other), "%s.moved", file);
	cr_assert_eq(rename(file, other), 0);
	cr_assert_eq(symlink(other, file), 0);
	expect_not_used(0, "it is a symbolic link");
	cr_assert_eq(chmod(file, 0666), 0);
	expect_not_used(0, "others may write it");
	teardown();
}

/* ---- Writing --------------------------------------------------------------------------------- */

Test(state, no_start_without_the_directory)
{
	setup();
	prepare();
	lab.config.state_directory = "/nonexistent/state";
	cr_expect_eq(srsd_open(lab.base, &lab.config, &lab.srsd, &lab.error), SRSD_BAD_ARGUMENT);
	cr_expect(strstr(lab.error.text, "/nonexistent/state") != NULL, "%s", lab.error.text);
	cr_expect_null(lab.srsd);
	event_free(lab.tick);
	event_base_free(lab.base);
	teardown();
}

Test(state, a_directory_that_goes_stops_nothing)
{
	char moved[80];

	setup();
	begin();
	LAB_WAIT(&lab, watch.changes == 1 && access(file, F_OK) == 0);
	snprintf(moved, sizeof(moved), "%s.moved", directory);
	cr_assert_eq(rename(directory, moved), 0);
	create(LABEL_PATH "/192.0.2.1:80");
	LAB_WAIT(&lab, lab_log_count(&lab, "is not kept in") == 1 && lab_watch_count(&watch) == 1);
	create(LABEL_PATH "/192.0.2.2:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	lab_run_ms(&lab, 1500);
	cr_expect_eq(lab_log_count(&lab, "is not kept in"), 1, "%s", lab.log);
	cr_assert_eq(rename(moved, directory), 0);
	create(LABEL_PATH "/192.0.2.3:80");
	LAB_WAIT(&lab, lab_log_count(&lab, "is kept in") == 1);
	lab_close(&lab);
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, lab_watch_count(&watch) == 3);
	lab_close(&lab);
	teardown();
}

/* Changes come a thousand times a second; the disk hears of it once. What is last is written in any case. */
Test(state, a_flood_of_changes_is_written_now_and_then)
{
	char name[64];
	char events[65536] __attribute__((aligned(8)));
	int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	size_t renames = 0;
	uint64_t began_ms;
	ssize_t bytes;

	setup();
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_geq(inotify_add_watch(notify, directory, IN_MOVED_TO), 0);
	began_ms = lab_now_ms();
	for (int i = 1; i <= 20; i++) {
		snprintf(name, sizeof(name), "192.0.2.%d:%%d", i);
		zk_peer_create_many(&peer, LABEL_PATH, name, 1, 100);
		lab_run_ms(&lab, 100);
	}
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2000);
	lab_close(&lab);
	while ((bytes = read(notify, events, sizeof(events))) > 0)
		for (char *at = events; at < events + bytes;
			at += sizeof(struct inotify_event) + ((struct inotify_event *)(void *)at)->len)
			renames++;
	close(notify);
	/* One per second, one at the beginning, one at the end. */
	cr_expect_leq(renames, (lab_now_ms() - began_ms) / 1000 + 3);
	zk_server_kill(&server);
	begin();
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect_eq(lab_watch_count(&watch), 2000);
	lab_close(&lab);
	teardown();
}

/* What was confirmed again is younger, though nothing changed. */
Test(state, each_recheck_makes_the_set_younger)
{
	struct stat before, after = {0};

	setup();
	prepare();
	lab.config.recheck_ms = 1000;
	open_lab(NULL);
	LAB_WAIT(&lab, watch.changes == 1 && access(file, F_OK) == 0);
	cr_assert_eq(stat(file, &before), 0);
	LAB_WAIT(&lab, stat(file, &after) == 0 && after.st_ino != before.st_ino);
	cr_expect_eq(watch.changes, 1);
	cr_expect_lt(status().age_ms, 20000);
	lab_close(&lab);
	teardown();
}

/* ---- Limits ---------------------------------------------------------------------------------- */

Test(state, more_nodes_than_allowed_are_told_of_and_the_set_stands)
{
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	prepare();
	lab.config.children_max = 2;
	open_lab(NULL);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_expect(!status().is_over_limit && status().nodes == 1 && status().skipped == 0);
	create(LABEL_PATH "/192.0.2.2:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	create(LABEL_PATH "/192.0.2.3:80");
	LAB_WAIT(&lab, status().is_over_limit);
	cr_expect_eq(status().nodes, 3);
	cr_expect_eq(lab_watch_count(&watch), 2);
	cr_expect_eq(lab_log_count(&lab, "above the limit of 2"), 1);
	cr_assert_eq(zk_peer_delete(&peer, LABEL_PATH "/192.0.2.1:80"), ZOK);
	LAB_WAIT(&lab, !status().is_over_limit);
	cr_expect(lab_watch_has(&watch, "192.0.2.3:80"));
	lab_close(&lab);
	teardown();
}

Test(state, too_much_data_and_too_long_names_are_told_of)
{
	char large[200];
	char path[700] = LABEL_PATH "/";
	size_t used = strlen(path);

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	setup();
	create(LABEL_PATH "/192.0.2.1:80");
	prepare();
	lab.config.data_max = 100;
	lab.config.recheck_ms = 1000;
	open_lab(&json);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1);
	/* One that was known stands, one that was not is left out. */
	cr_assert_eq(zk_peer_set_data(&peer, LABEL_PATH "/192.0.2.1:80", large), ZOK);
	create(LABEL_PATH "/192.0.2.2:80");
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	LAB_WAIT(&lab, status().data_too_large == 1);
	cr_expect_eq(lab_watch_count(&watch), 2);
	cr_expect_eq(lab_log_count(&lab, "0 " LABEL_PATH " has nodes with data above the limit of 100 bytes"),
		1, "%s", lab.log);
	memset(path + used, 'n', 600);
	create(path);
	LAB_WAIT(&lab, status().names_too_long == 1);
	cr_expect_eq(status().skipped, 2);
	cr_expect_eq(lab_watch_count(&watch), 2);
	cr_expect_eq(
		lab_log_count(&lab, "has nodes with names above the limit of 512 bytes"), 1, "%s", lab.log);
	cr_assert_eq(zk_peer_delete(&peer, path), ZOK);
	cr_assert_eq(zk_peer_set_data(&peer, LABEL_PATH "/192.0.2.1:80", ""), ZOK);
	LAB_WAIT(&lab, status().names_too_long == 0 && status().data_too_large == 0);
	cr_expect_eq(lab_log_count(&lab, "above the limit any more"), 2);
	lab_close(&lab);
	teardown();
}
