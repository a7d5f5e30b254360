/* log_test - lines reach a file or a pipe whole and in order, in spite of renames, full disks and readers
 * that do not read; what is lost is counted. */
#include "access/log.h"

#include "base/clock.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static char folder[] = "/tmp/access-log-XXXXXX";
static char path[64];

static void set_up(void)
{
	log_configure(LOG_KEY_VALUE, LOG_ERROR);
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/access.log", folder);
}

static void tear_down(void)
{
	char command[96];
	snprintf(command, sizeof(command), "rm -r %s", folder);
	cr_assert_eq(system(command), 0);
}

TestSuite(access_log, .init = set_up, .fini = tear_down);

struct rig {
	struct loop loop;
	struct counters counters;
	struct access_sink *sink;
	struct access_log log;
};

static void rig_open(struct rig *rig, const char *where, struct access_log_settings settings)
{
	memset(rig, 0, sizeof(*rig));
	cr_assert(loop_init(&rig->loop, 1024));
	cr_assert_eq(access_sink_open(where, &rig->sink), EXIT_CODE_OK);
	cr_assert_eq(access_sink_start(rig->sink), 0);
	access_log_init(&rig->log, rig->sink, &settings, &rig->loop, &rig->counters);
}

static void rig_close(struct rig *rig)
{
	access_log_finish(&rig->log);
	access_sink_free(&rig->sink);
	loop_finish(&rig->loop);
}

static void write_line(struct rig *rig, const char *request_id)
{
	struct access_record record = {.status = 200, .request_id = str_of(request_id)};
	access_log_write(&rig->log, &record);
}

/* Let a worker's time go by. */
static void pass_time(struct rig *rig, uint64_t ms)
{
	wheel_advance(&rig->loop.wheel, clock_coarse_ms() + ms);
}

static size_t file_lines(const char *file)
{
	FILE *in = fopen(file, "r");
	size_t lines = 0;
	int c;
	while (in != NULL && (c = fgetc(in)) != EOF)
		lines += c == '\n';
	if (in != NULL)
		fclose(in);
	return lines;
}

static void await_lines(const char *file, size_t lines)
{
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;
	while (file_lines(file) < lines && clock_coarse_ms() < end_ms)
		usleep(2000);
	cr_assert_eq(file_lines(file), lines, "%s has %zu lines, not %zu", file, file_lines(file), lines);
}

static uint64_t lost(const struct rig *rig)
{
	return atomic_load(&rig->counters.access_lines_lost);
}

static uint64_t made(const struct rig *rig)
{
	return atomic_load(&rig->counters.access_lines);
}

Test(access_log, lines_are_written_when_a_moment_has_gone_by)
{
	struct rig rig;
	rig_open(&rig, path, (struct access_log_settings){0});
	write_line(&rig, "one");
	write_line(&rig, "two");
	cr_expect_eq(file_lines(path), 0U);
	pass_time(&rig, 200);
	await_lines(path, 2);
	write_line(&rig, "three");
	rig_close(&rig);
	cr_expect_eq(file_lines(path), 3U, "the last one is written at the end");
	cr_expect_eq(made(&rig), 3U);
	cr_expect_eq(lost(&rig), 0U);
	struct stat stat_of_it;
	cr_assert_eq(stat(path, &stat_of_it), 0);
	cr_expect_eq(stat_of_it.st_mode & 0777 & ~0640U, 0U, "strangers may not read it");
}

Test(access_log, full_buffers_are_written_at_once)
{
	struct rig rig;
	rig_open(&rig, path, (struct access_log_settings){.is_json = true});
	for (int i = 0; i < 3000; i++)
		write_line(&rig, "0123456789abcdef0123456789abcdef");
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;
	while (file_lines(path) < 1000 && clock_coarse_ms() < end_ms)
		usleep(2000);
	cr_expect_geq(file_lines(path), 1000U);
	rig_close(&rig);
	cr_expect_eq(file_lines(path), 3000 - lost(&rig));
}

Test(access_log, only_what_failed)
{
	struct rig rig;
	struct access_record records[] = {{.status = 200}, {.status = 404}, {.status = 503},
		{.status = 404, .problem = PROBLEM_NO_ROUTE}, {.status = 200, .duration_us = 5000}};
	rig_open(&rig, path, (struct access_log_settings){.condition = ACCESS_FAILED});
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		access_log_write(&rig.log, &records[i]);
	rig_close(&rig);
	cr_expect_eq(file_lines(path), 2U);
}

Test(access_log, only_what_failed_or_was_slow)
{
	struct rig rig;
	struct access_record records[] = {
		{.status = 200, .duration_us = 4999}, {.status = 503}, {.status = 200, .duration_us = 5000}};
	rig_open(&rig, path, (struct access_log_settings){.condition = ACCESS_SLOW, .slow_us = 5000});
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		access_log_write(&rig.log, &records[i]);
	rig_close(&rig);
	cr_expect_eq(file_lines(path), 2U);
}

Test(access_log, a_renamed_file_is_made_anew)
{
	struct rig rig;
	char old[sizeof(path) + 4];
	snprintf(old, sizeof(old), "%s.1", path);
	rig_open(&rig, path, (struct access_log_settings){0});
	write_line(&rig, "before");
	pass_time(&rig, 200);
	await_lines(path, 1);
	cr_assert_eq(rename(path, old), 0);
	write_line(&rig, "between");
	pass_time(&rig, 400);
	await_lines(old, 2);
	access_sink_reopen(rig.sink);
	write_line(&rig, "after");
	rig_close(&rig);
	cr_expect_eq(file_lines(old), 2U);
	cr_expect_eq(file_lines(path), 1U);
}

Test(access_log, a_folder_that_is_gone_leaves_the_old_file)
{
	struct rig rig;
	char there[64], elsewhere[64], file[80];
	snprintf(there, sizeof(there), "%s/there", folder);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", folder);
	snprintf(file, sizeof(file), "%s/access.log", there);
	cr_assert_eq(mkdir(there, 0700), 0);
	rig_open(&rig, file, (struct access_log_settings){0});
	cr_assert_eq(rename(there, elsewhere), 0);
	access_sink_reopen(rig.sink);
	write_line(&rig, "one");
	rig_close(&rig);
	snprintf(file, sizeof(file), "%s/access.log", elsewhere);
	cr_expect_eq(file_lines(file), 1U);
}

/* /dev/full: each write fails for want of room. */
Test(access_log, a_full_disk_costs_lines_and_nothing_else)
{
	struct rig rig;
	rig_open(&rig, "/dev/full", (struct access_log_settings){0});
	write_line(&rig, "one");
	write_line(&rig, "two");
	uint64_t end_ms = clock_coarse_ms() + PATIENCE_MS;
	for (uint64_t ms = 200; lost(&rig) < 2 && clock_coarse_ms() < end_ms; ms += 200) {
		pass_time(&rig, ms);
		usleep(2000);
	}
	cr_expect_eq(made(&rig), 2U);
	cr_expect_eq(lost(&rig), 2U);
	rig_close(&rig);
}

Test(access_log, a_folder_is_no_file)
{
	struct access_sink *sink;
	cr_expect_eq(access_sink_open(folder, &sink), EXIT_CODE_CANNOT_CREATE);
	cr_expect_null(sink);
}

/* Nobody reads the pipe: a worker goes on, memory is bounded, the end comes. */
Test(access_log, a_reader_that_does_not_read)
{
	struct rig rig;
	cr_assert_eq(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	rig_open(&rig, path, (struct access_log_settings){.is_json = true});
	uint64_t begun_ms = clock_coarse_ms();
	for (int i = 0; i < 20000; i++)
		write_line(&rig, "0123456789abcdef0123456789abcdef");
	cr_expect_eq(made(&rig), 20000U);
	cr_expect_gt(lost(&rig), 10000U);
	rig_close(&rig);
	cr_expect_lt(clock_coarse_ms() - begun_ms, (uint64_t)PATIENCE_MS);
	char text[65536], last = 0;
	for (ssize_t bytes; (bytes = read(reader, text, sizeof(text))) > 0;)
		last = text[bytes - 1];
	cr_expect_eq(last, '\n', "what could be written was whole lines");
	close(reader);
}

#define WORKERS 4
#define LINES	4000

struct writer_of_many {
	struct access_sink *sink;
	int index;
	uint64_t lost;
};

static void *write_many(void *arg)
{
	struct writer_of_many *self = arg;
	struct loop loop;
	struct counters *counters = calloc(1, sizeof(*counters));
	struct access_log log;
	char id[32];
	if (counters == NULL || !loop_init(&loop, 1024))
		abort();
	access_log_init(&log, self->sink, &(struct access_log_settings){0}, &loop, counters);
	for (int i = 0; i < LINES; i++) {
		snprintf(id, sizeof(id), "w%d-%05d-end", self->index, i);
		struct access_record record = {.request_id = str_of(id)};
		access_log_write(&log, &record);
	}
	access_log_finish(&log);
	self->lost = atomic_load(&counters->access_lines_lost);
	free(counters);
	loop_finish(&loop);
	return NULL;
}

/* Into a pipe, where long writes may be mixed by the kernel. */
Test(access_log, lines_of_workers_never_mix)
{
	struct access_sink *sink;
	struct writer_of_many workers[WORKERS];
	pthread_t threads[WORKERS];
	char line[256];
	uint64_t lines = 0, lost_lines = 0;
	int next[WORKERS] = {0};
	cr_assert_eq(mkfifo(path, 0600), 0);
	int reader_fd = open(path, O_RDONLY | O_NONBLOCK);
	cr_assert_eq(access_sink_open(path, &sink), EXIT_CODE_OK);
	cr_assert_eq(access_sink_start(sink), 0);
	cr_assert_eq(fcntl(reader_fd, F_SETFL, 0), 0);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct writer_of_many){.sink = sink, .index = i};
		cr_assert_eq(pthread_create(&threads[i], NULL, write_many, &workers[i]), 0);
	}
	FILE *reader = fdopen(reader_fd, "r");
	/* A worker has room for all of its lines: none is lost. */
	for (int ended = 0; ended < WORKERS && fgets(line, sizeof(line), reader) != NULL; lines++) {
		int worker, number, end = 0;
		const char *id = strstr(line, "request_id=");
		cr_assert_not_null(id, "%s", line);
		cr_assert(sscanf(id, "request_id=w%d-%d-end%n", &worker, &number, &end) == 2 &&
				  id[end] == '\n' && strncmp(line, "time=", 5) == 0,
			"%s", line);
		cr_assert_geq(number, next[worker], "in order");
		next[worker] = number + 1;
		ended += number == LINES - 1;
	}
	for (int i = 0; i < WORKERS; i++) {
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
		lost_lines += workers[i].lost;
	}
	access_sink_free(&sink);
	cr_expect_eq(lines, (uint64_t)WORKERS * LINES);
	cr_expect_eq(lost_lines, 0U);
	fclose(reader);
}
