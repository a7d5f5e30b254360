/* sink - the thread that writes the access log (see sink.h). */
#include "access/sink.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A reader that takes nothing is looked at again so often, for the end may have come. */
#define SINK_WAIT_MS 200

/* At the end, a reader that takes nothing is waited for so long. */
#define SINK_PATIENCE_MS 1000

#define SINK_FILE_MODE 0640

struct access_sink {
	const char *where;
	bool is_path;
	bool is_started;
	pthread_t thread;
	pthread_mutex_t mutex; /* of all below, but what is the thread's own */
	pthread_cond_t wake;
	struct access_buffers queue;
	struct access_buffer *writing; /* off the queue, and not back yet */
	bool is_reopening;
	bool is_stopping;
	/* the thread's own */
	int fd;
	bool is_file;	   /* a regular one: takes whatever fits on the disk, and never blocks for a reader */
	bool is_failing;   /* the last write failed: it was said */
	bool is_cut;	   /* the last line written has no end yet */
	uint64_t stuck_ms; /* since when nothing was taken; 0: it was */
};

/* ---- Opening --------------------------------------------------------------------------------- */

static int sink_open_path(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, SINK_FILE_MODE);
}

static void sink_look_at(struct access_sink *sink)
{
	struct stat stat;
	sink->is_file = fstat(sink->fd, &stat) == 0 && S_ISREG(stat.st_mode);
}

static enum exit_code sink_cannot_open(struct access_sink *sink, const char *where, int error)
{
	log_event(LOG_ERROR, "access log not opened: correct log.access, or make it writable for this user",
		LOG_TEXT("path", where), LOG_TEXT("reason", strerror(error)));
	free(sink);
	return error == EMFILE || error == ENFILE || error == ENOMEM ? EXIT_CODE_RESOURCES
								     : EXIT_CODE_CANNOT_CREATE;
}

enum exit_code access_sink_open(const char *where, struct access_sink **out)
{
	struct access_sink *sink = calloc(1, sizeof(*sink));
	*out = NULL;
	if (sink == NULL)
		return EXIT_CODE_RESOURCES;
	sink->where = where;
	if (strcmp(where, "stdout") == 0) {
		sink->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	} else if (strcmp(where, "stderr") == 0) {
		sink->fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	} else {
		sink->is_path = true;
		sink->fd = sink_open_path(where);
	}
	if (sink->fd < 0)
		return sink_cannot_open(sink, where, errno);
	sink_look_at(sink);
	STAILQ_INIT(&sink->queue);
	pthread_mutex_init(&sink->mutex, NULL);
	pthread_cond_init(&sink->wake, NULL);
	*out = sink;
	return EXIT_CODE_OK;
}

static void sink_open_anew(struct access_sink *sink)
{
	int fd = sink_open_path(sink->where);
	if (fd < 0) {
		log_event(LOG_ERROR, "access log not opened anew: the file that was open is written on",
			LOG_TEXT("path", sink->where), LOG_TEXT("reason", strerror(errno)));
		return;
	}
	close(sink->fd);
	sink->fd = fd;
	sink->is_cut = false;
	sink_look_at(sink);
	log_event(LOG_INFO, "access log opened anew", LOG_TEXT("path", sink->where));
}

/* ---- Writing --------------------------------------------------------------------------------- */

static bool sink_is_stopping(struct access_sink *sink)
{
	pthread_mutex_lock(&sink->mutex);
	bool is_stopping = sink->is_stopping;
	pthread_mutex_unlock(&sink->mutex);
	return is_stopping;
}

static void sink_failed(struct access_sink *sink, int error)
{
	if (!sink->is_failing)
		log_event(LOG_ERROR, "access log not written: lines are lost until it can be",
			LOG_TEXT("path", sink->where), LOG_TEXT("reason", strerror(error)));
	sink->is_failing = true;
}

/* Wait until something is taken. False: the end has come, and nothing was for too long. */
MUST_CHECK static bool sink_wait(struct access_sink *sink)
{
	struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
	if (sink->is_file)
		return true;
	while (poll(&ready, 1, SINK_WAIT_MS) <= 0) {
		uint64_t now_ms = clock_coarse_ms();
		bool is_stopping = sink_is_stopping(sink);
		if (sink->stuck_ms == 0 || !is_stopping)
			sink->stuck_ms = now_ms;
		if (is_stopping && now_ms - sink->stuck_ms > SINK_PATIENCE_MS) {
			sink_failed(sink, ETIMEDOUT);
			return false;
		}
	}
	return true;
}

/* What goes into one write(): a pipe that is ready takes PIPE_BUF bytes without blocking, and in one piece,
 * so that nothing that others write gets in between; whole lines, if it can be. */
static size_t sink_portion(const struct access_sink *sink, const char *at, size_t bytes)
{
	if (sink->is_file || bytes <= PIPE_BUF)
		return bytes;
	const char *newline = memrchr(at, '\n', PIPE_BUF);
	return newline != NULL ? (size_t)(newline + 1 - at) : PIPE_BUF;
}

/* Returns the bytes that were written: less than all where it fails. */
static size_t sink_write_all(struct access_sink *sink, const char *at, size_t bytes)
{
	size_t done = 0;
	while (done < bytes && sink_wait(sink)) {
		ssize_t written = write(sink->fd, at + done, sink_portion(sink, at + done, bytes - done));
		if (written < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (written <= 0) {
			sink_failed(sink, errno);
			break;
		}
		sink->stuck_ms = 0;
		done += (size_t)written;
	}
	return done;
}

static uint32_t count_lines(const char *at, size_t bytes)
{
	uint32_t lines = 0;
	const char *end = at + bytes;
	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		lines++;
		at++;
	}
	return lines;
}

/* A line that was cut when the disk was full is ended before others follow. */
static bool sink_end_cut_line(struct access_sink *sink)
{
	if (sink->is_cut)
		sink->is_cut = sink_write_all(sink, "\n", 1) == 0;
	return !sink->is_cut;
}

static void sink_write(struct access_sink *sink, struct access_buffer *buffer)
{
	size_t written = sink_end_cut_line(sink) ? sink_write_all(sink, buffer->text, buffer->used) : 0;
	buffer->lost = buffer->lines - count_lines(buffer->text, written);
	if (written > 0)
		sink->is_cut = buffer->text[written - 1] != '\n';
	if (buffer->lost == 0 && sink->is_failing) {
		sink->is_failing = false;
		log_event(LOG_INFO, "access log written again", LOG_TEXT("path", sink->where));
	}
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void *sink_run(void *arg)
{
	struct access_sink *sink = arg;
	pthread_setname_np(pthread_self(), "access-log");
	pthread_mutex_lock(&sink->mutex);
	for (;;) {
		struct access_buffer *buffer = STAILQ_FIRST(&sink->queue);
		bool is_reopening = sink->is_reopening;
		if (buffer == NULL && !is_reopening) {
			if (sink->is_stopping)
				break;
			pthread_cond_wait(&sink->wake, &sink->mutex);
			continue;
		}
		sink->is_reopening = false;
		if (buffer != NULL)
			STAILQ_REMOVE_HEAD(&sink->queue, link);
		sink->writing = buffer;
		pthread_mutex_unlock(&sink->mutex);
		if (is_reopening)
			sink_open_anew(sink);
		if (buffer != NULL)
			sink_write(sink, buffer);
		pthread_mutex_lock(&sink->mutex);
		sink->writing = NULL;
		if (buffer != NULL && buffer->home != NULL)
			STAILQ_INSERT_TAIL(buffer->home, buffer, link);
		else
			free(buffer);
	}
	pthread_mutex_unlock(&sink->mutex);
	return NULL;
}

int access_sink_start(struct access_sink *sink)
{
	int error = pthread_create(&sink->thread, NULL, sink_run, sink);
	sink->is_started = error == 0;
	return error;
}

void access_sink_reopen(struct access_sink *sink)
{
	if (!sink->is_path)
		return;
	pthread_mutex_lock(&sink->mutex);
	sink->is_reopening = true;
	pthread_cond_signal(&sink->wake);
	pthread_mutex_unlock(&sink->mutex);
}

void access_sink_give(struct access_sink *sink, struct access_buffer *buffer)
{
	pthread_mutex_lock(&sink->mutex);
	STAILQ_INSERT_TAIL(&sink->queue, buffer, link);
	pthread_cond_signal(&sink->wake);
	pthread_mutex_unlock(&sink->mutex);
}

void access_sink_take_back(struct access_sink *sink, struct access_buffers *home, struct access_buffers *to)
{
	pthread_mutex_lock(&sink->mutex);
	STAILQ_CONCAT(to, home);
	pthread_mutex_unlock(&sink->mutex);
}

void access_sink_leave(struct access_sink *sink, struct access_buffers *home, struct access_buffers *to)
{
	struct access_buffer *buffer;
	pthread_mutex_lock(&sink->mutex);
	STAILQ_CONCAT(to, home);
	STAILQ_FOREACH(buffer, &sink->queue, link)
	if (buffer->home == home)
		buffer->home = NULL;
	if (sink->writing != NULL && sink->writing->home == home)
		sink->writing->home = NULL;
	pthread_mutex_unlock(&sink->mutex);
}

void access_sink_free(struct access_sink **sink_pointer)
{
	struct access_sink *sink = *sink_pointer;
	*sink_pointer = NULL;
	if (sink == NULL)
		return;
	if (sink->is_started) {
		pthread_mutex_lock(&sink->mutex);
		sink->is_stopping = true;
		pthread_cond_signal(&sink->wake);
		pthread_mutex_unlock(&sink->mutex);
		pthread_join(sink->thread, NULL);
	}
	pthread_cond_destroy(&sink->wake);
	pthread_mutex_destroy(&sink->mutex);
	close(sink->fd);
	free(sink);
}
