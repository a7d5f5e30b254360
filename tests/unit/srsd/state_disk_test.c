/* state_disk_test - files of the state directory: whole or not at all, whichever call fails, and only our
 * own. */
#include "srsd/state/state_disk.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "srsd/state/state_write.h"

/* ---- Calls that fail ------------------------------------------------------------------------- */

/* The one that fails once, if any, with this error. A write may also take only one byte. */
enum call { NONE, WRITE, FSYNC, RENAME };
static enum call failing;
static int failing_after; /* so many calls of it succeed */
static int failing_error;
static bool writes_are_short;
static int killed_at; /* the number of the call at which the process is; 0: none */
static int sleeping_s;

ssize_t __real_write(int descriptor, const void *bytes, size_t count);
ssize_t __wrap_write(int descriptor, const void *bytes, size_t count);
int __real_fsync(int descriptor);
int __wrap_fsync(int descriptor);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

/* As by somebody else, between two calls. */
static void count_to_the_end(void)
{
	if (killed_at > 0 && --killed_at == 0)
		kill(getpid(), SIGKILL);
}

static bool fails(enum call call)
{
	count_to_the_end();
	if (failing != call || failing_after-- > 0)
		return false;
	failing = NONE;
	errno = failing_error;
	return true;
}

ssize_t __wrap_write(int descriptor, const void *bytes, size_t count)
{
	if (fails(WRITE))
		return -1;
	return __real_write(descriptor, bytes, writes_are_short && count > 1 ? 1 : count);
}

int __wrap_fsync(int descriptor)
{
	if (sleeping_s > 0)
		sleep((unsigned)sleeping_s);
	return fails(FSYNC) ? -1 : __real_fsync(descriptor);
}

int __wrap_rename(const char *from, const char *to)
{
	return fails(RENAME) ? -1 : __real_rename(from, to);
}

/* ---- A directory of the test's own ----------------------------------------------------------- */

static char directory[64];
static char path[128];

static void start(void)
{
	snprintf(directory, sizeof(directory), "/tmp/srsd-state-test-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/label-0123.state", directory);
}

/* The only file in the directory, or NULL when there is none. */
static const char *only_file(void)
{
	static char found[256];
	DIR *listing = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	cr_assert_not_null(listing);
	while ((entry = readdir(listing)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		cr_expect_eq(count++, 0, "%s is there, too", entry->d_name);
		snprintf(found, sizeof(found), "%s", entry->d_name);
	}
	closedir(listing);
	return count == 0 ? NULL : found;
}

static void finish(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(state_disk, .init = start, .fini = finish);

static void expect_file(const char *wanted)
{
	struct srsd_error why;
	size_t bytes = 0;
	char *text = srsd_state_disk_read(path, &bytes, &why);

	cr_assert_not_null(text, "%s", why.text);
	cr_expect_eq(bytes, strlen(wanted));
	cr_expect(memcmp(text, wanted, strlen(wanted)) == 0, "%.*s", (int)bytes, text);
	free(text);
}

static void put(const char *text)
{
	const char *step;

	cr_assert_eq(srsd_state_disk_write(path, text, strlen(text), &step), 0, "%s", step);
}

static void expect_refused(const char *wanted)
{
	struct srsd_error why;
	size_t bytes;
	char *text = srsd_state_disk_read(path, &bytes, &why);

	cr_expect_null(text);
	cr_expect(strstr(why.text, wanted) != NULL, "\"%s\", not \"%s\"", why.text, wanted);
	free(text);
}

Test(state_disk, a_file_is_written_and_replaced)
{
	struct srsd_error why;
	size_t bytes;
	struct stat stat_of;

	cr_expect_null(srsd_state_disk_read(path, &bytes, &why));
	cr_expect_str_eq(why.text, "", "that there is none is no fault");
	put("one");
	expect_file("one");
	put("another");
	expect_file("another");
	cr_expect_str_eq(only_file(), "label-0123.state");
	cr_assert_eq(stat(path, &stat_of), 0);
	cr_expect_eq(stat_of.st_mode & 0777, 0600);
	writes_are_short = true;
	put("in small pieces");
	expect_file("in small pieces");
}

/* Whatever fails, the file is the old one, and nothing is left of the new one. */
Test(state_disk, a_write_that_fails_leaves_the_old_file)
{
	static const struct {
		enum call call;
		int after;
		int error;
		const char *step;
	} rows[] = {{WRITE, 0, ENOSPC, "write"}, {WRITE, 3, EIO, "write"}, {WRITE, 0, EDQUOT, "write"},
		{FSYNC, 0, EIO, "fsync"}, {RENAME, 0, EROFS, "rename"}};
	const char *step;

	put("the old one");
	writes_are_short = true;
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(rows); i++) {
		failing = rows[i].call;
		failing_after = rows[i].after;
		failing_error = rows[i].error;
		cr_expect_eq(srsd_state_disk_write(path, "the new one", 11, &step), rows[i].error);
		cr_expect_str_eq(step, rows[i].step);
		expect_file("the old one");
		cr_expect_str_eq(only_file(), "label-0123.state");
	}
	put("the new one");
	expect_file("the new one");
}

/* Killed before each of its calls, and byte by byte in between: the file is the old one or the new one. */
Test(state_disk, a_writer_that_is_killed_leaves_one_file_or_the_other)
{
	int status = 0;
	int kills = 0;

	put("the old one");
	do {
		pid_t child = fork();
		struct srsd_error why;
		size_t bytes = 0;
		const char *step;
		char *text;

		cr_assert_geq(child, 0);
		if (child == 0) {
			writes_are_short = true;
			killed_at = kills + 1;
			_exit(srsd_state_disk_write(path, "the new one", 11, &step) == 0 ? 0 : 1);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		text = srsd_state_disk_read(path, &bytes, &why);
		cr_assert(text != NULL && bytes == 11, "%s", why.text);
		cr_expect(memcmp(text, "the old one", bytes) == 0 || memcmp(text, "the new one", bytes) == 0,
			"%.*s", (int)bytes, text);
		free(text);
		kills += WIFSIGNALED(status);
		cr_assert_lt(kills, 100);
	} while (WIFSIGNALED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
	cr_expect_eq(kills, 11 + 3, "each byte, two fsync, one rename");
	expect_file("the new one");
}

Test(state_disk, a_directory_that_cannot_be_synced_is_told_of)
{
	const char *step;

	failing = FSYNC;
	failing_after = 1;
	failing_error = EIO;
	cr_expect_eq(srsd_state_disk_write(path, "text", 4, &step), EIO);
	cr_expect_str_eq(step, "fsync of the directory");
	expect_file("text");
}

Test(state_disk, a_write_that_is_interrupted_goes_on)
{
	writes_are_short = true;
	failing = WRITE;
	failing_after = 2;
	failing_error = EINTR;
	put("text");
	cr_expect_eq(failing, NONE);
	expect_file("text");
}

Test(state_disk, a_directory_that_is_gone_is_an_error_until_it_is_back)
{
	const char *step;

	cr_assert_eq(rmdir(directory), 0);
	cr_expect_eq(srsd_state_disk_write(path, "text", 4, &step), ENOENT);
	cr_expect_str_eq(step, "open");
	cr_assert_eq(mkdir(directory, 0700), 0);
	put("text");
	expect_file("text");
}

/* ---- What is not read ------------------------------------------------------------------------ */

Test(state_disk, only_a_regular_file_of_our_own_is_read)
{
	char other[160];

	put("text");
	cr_assert_eq(chmod(path, 0622), 0);
	expect_refused("others may write it");
	cr_assert_eq(chmod(path, 0644), 0);
	expect_file("text");

	snprintf(other, sizeof(other), "%s.other", path);
	cr_assert_eq(rename(path, other), 0);
	cr_assert_eq(symlink(other, path), 0);
	expect_refused("symbolic link");
	/* A write takes the link's place and leaves alone what it points to. */
	put("new");
	expect_file("new");
	cr_assert_eq(unlink(other), 0);

	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkdir(path, 0700), 0);
	expect_refused("no regular file");
	cr_assert_eq(rmdir(path), 0);

	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refused("no regular file"); /* and does not wait for a writer */
	cr_assert_eq(unlink(path), 0);
}

Test(state_disk, a_file_of_another_user_is_not_read)
{
	put("text");
	if (chown(path, 12345, (gid_t)-1) != 0)
		cr_skip_test("needs root");
	expect_refused("another user");
}

Test(state_disk, a_file_of_no_sensible_size_is_not_read)
{
	put("text");
	cr_assert_eq(truncate(path, (off_t)1 << 40), 0);
	expect_refused("larger than any");
}

/* ---- The directory --------------------------------------------------------------------------- */

static void expect_no_directory(const char *wrong, const char *wanted)
{
	struct srsd_error error;

	cr_expect_eq(srsd_state_directory_check(wrong, &error), SRSD_BAD_ARGUMENT, "%s", wrong);
	cr_expect(strstr(error.text, wanted) != NULL, "%s", error.text);
	cr_expect_eq(srsd_state_directory_check(wrong, NULL), SRSD_BAD_ARGUMENT);
}

Test(state_disk, a_directory_is_checked)
{
	struct srsd_error error;

	cr_expect_eq(srsd_state_directory_check(directory, &error), SRSD_OK, "%s", error.text);
	expect_no_directory("relative", "no absolute path");
	expect_no_directory("", "no absolute path");
	expect_no_directory(NULL, "no absolute path");
	expect_no_directory("/nonexistent/state", "No such file or directory");
	put("text");
	expect_no_directory(path, "is no directory");
	expect_no_directory("/proc/self", "cannot be written"); /* for root, too */
}

Test(state_disk, what_a_killed_writer_left_is_removed)
{
	static const char *const names[] = {"a-1.state.1-1.tmp", "b-1.state.99-12.tmp"};
	static const char *const kept[] = {"a-1.state", "mine.tmp", "fresh-1.state.1-1.tmp"};
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char name[160];

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", directory, names[i]);
		close(open(name, O_CREAT | O_WRONLY, 0600));
		cr_assert_eq(utimensat(AT_FDCWD, name, old, 0), 0);
	}
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(kept); i++) {
		snprintf(name, sizeof(name), "%s/%s", directory, kept[i]);
		close(open(name, O_CREAT | O_WRONLY, 0600));
		if (i < 2)
			cr_assert_eq(utimensat(AT_FDCWD, name, old, 0), 0);
	}
	srsd_state_disk_clean(directory);
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", directory, names[i]);
		cr_expect_neq(access(name, F_OK), 0, "%s", name);
	}
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(kept); i++) {
		snprintf(name, sizeof(name), "%s/%s", directory, kept[i]);
		cr_expect_eq(access(name, F_OK), 0, "%s", name);
	}
	srsd_state_disk_clean("/nonexistent");
}

/* ---- Written by a thread --------------------------------------------------------------------- */

struct outcome {
	struct event_base *base;
	int calls;
	int fault;
	const char *step;
};

static void on_done(void *owner, int fault, const char *step)
{
	struct outcome *outcome = owner;

	outcome->calls++;
	outcome->fault = fault;
	outcome->step = step;
	event_base_loopbreak(outcome->base);
}

static struct srsd_state_write *begin(struct outcome *outcome, const char *text)
{
	struct srsd_state_write *writing =
		srsd_state_write_begin(outcome->base, path, strdup(text), strlen(text), on_done, outcome);

	cr_assert_not_null(writing);
	cr_assert_eq(outcome->calls, 0, "never inside that call");
	return writing;
}

Test(state_disk, a_thread_writes_and_the_loop_is_told)
{
	struct outcome outcome = {.base = event_base_new()};
	struct srsd_state_write *writing = begin(&outcome, "text");

	cr_assert_eq(event_base_dispatch(outcome.base), 0);
	cr_expect(outcome.calls == 1 && outcome.fault == 0);
	expect_file("text");
	outcome.calls = 0;
	failing = RENAME;
	failing_error = EIO;
	writing = begin(&outcome, "other");
	cr_assert_eq(event_base_dispatch(outcome.base), 0);
	cr_expect(outcome.calls == 1 && outcome.fault == EIO);
	cr_expect_str_eq(outcome.step, "rename");
	(void)writing;
	event_base_free(outcome.base);
}

Test(state_disk, a_disk_that_hangs_is_not_waited_for)
{
	struct outcome outcome = {.base = event_base_new()};
	uint64_t before_ms = srsd_now_ms();
	struct srsd_state_write *writing;

	sleeping_s = 3;
	writing = begin(&outcome, "text");
	cr_expect_not(srsd_state_write_let_go(&writing, 0));
	cr_expect_null(writing);
	writing = begin(&outcome, "text");
	cr_expect_not(srsd_state_write_let_go(&writing, 100));
	cr_expect_lt(srsd_now_ms() - before_ms, 2500);
	event_base_loop(outcome.base, EVLOOP_NONBLOCK);
	cr_expect_eq(outcome.calls, 0);
	event_base_free(outcome.base);
	sleeping_s = 0;
	/* It goes on by itself. */
	for (int i = 0; i < 200 && access(path, F_OK) != 0; i++)
		usleep(100000);
	expect_file("text");
	sleep(1);
	cr_expect(srsd_state_write_let_go(&writing, 0), "nothing is nothing");
}

Test(state_disk, its_end_can_be_waited_for)
{
	struct outcome outcome = {.base = event_base_new()};
	struct srsd_state_write *writing = begin(&outcome, "text");

	cr_expect(srsd_state_write_let_go(&writing, 30000));
	expect_file("text");
	event_base_free(outcome.base);
}
