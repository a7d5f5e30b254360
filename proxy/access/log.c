/* log - a worker's lines on their way to the sink (see log.h). */
#include "access/log.h"

#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

/* A line is written that much later at most. */
#define ACCESS_FLUSH_MS 100

/* Buffers of a worker: one to fill, the others with a sink that is late. */
#define ACCESS_BUFFERS_MAX 8

_Static_assert(ACCESS_LINE_BYTES <= ACCESS_BUFFER_BYTES, "a buffer holds the longest line");

static void access_log_on_timer(struct wheel_timer *timer);

void access_log_init(struct access_log *log, struct access_sink *sink,
	const struct access_log_settings *settings, struct loop *loop, struct counters *counters)
{
	*log = (struct access_log){.sink = sink, .loop = loop, .counters = counters, .settings = *settings};
	STAILQ_INIT(&log->idle);
	STAILQ_INIT(&log->returned);
	wheel_timer_init(&log->timer, access_log_on_timer);
}

/* Those that the sink is done with, and what became of their lines. */
static void access_log_take_back(struct access_log *log)
{
	struct access_buffers back = STAILQ_HEAD_INITIALIZER(back);
	struct access_buffer *buffer;
	if (log->away_count == 0)
		return;
	access_sink_take_back(log->sink, &log->returned, &back);
	while ((buffer = STAILQ_FIRST(&back)) != NULL) {
		STAILQ_REMOVE_HEAD(&back, link);
		STAILQ_INSERT_HEAD(&log->idle, buffer, link);
		counter_add(log->counters, access_lines_lost, buffer->lost);
		log->away_count--;
	}
}

/* An empty one as the current one, if there is any to be had. */
static void access_log_take_buffer(struct access_log *log)
{
	access_log_take_back(log);
	struct access_buffer *buffer = STAILQ_FIRST(&log->idle);
	if (buffer != NULL) {
		STAILQ_REMOVE_HEAD(&log->idle, link);
	} else if (log->buffer_count < ACCESS_BUFFERS_MAX) {
		buffer = malloc(sizeof(*buffer));
		log->buffer_count += buffer != NULL;
	}
	if (buffer == NULL)
		return;
	buffer->home = &log->returned;
	buffer->used = 0;
	buffer->lines = 0;
	buffer->lost = 0;
	log->current = buffer;
}

static void access_log_flush(struct access_log *log)
{
	if (log->current == NULL || log->current->used == 0)
		return;
	log->away_count++;
	access_sink_give(log->sink, log->current);
	log->current = NULL;
}

/* Lines wait, or buffers are away whose fate is not known yet. */
static void access_log_on_timer(struct wheel_timer *timer)
{
	struct access_log *log = CONTAINER_OF(timer, struct access_log, timer);
	access_log_take_back(log);
	access_log_flush(log);
	if (log->away_count > 0)
		wheel_arm(&log->loop->wheel, timer, clock_coarse_ms() + ACCESS_FLUSH_MS);
}

static bool access_log_is_wanted(const struct access_log *log, const struct access_record *record)
{
	bool is_failed = record->problem != PROBLEM_NONE || record->status >= 500;
	switch (log->settings.condition) {
	case ACCESS_FAILED:
		return is_failed;
	case ACCESS_SLOW:
		return is_failed || record->duration_us >= log->settings.slow_us;
	case ACCESS_ALL:
		break;
	}
	return true;
}

/* Put the line into the current buffer. False: it does not fit there, or there is none. */
static bool access_log_put(struct access_log *log, const struct access_record *record)
{
	struct access_buffer *buffer = log->current;
	if (buffer == NULL)
		return false;
	size_t bytes = access_line_write(record, log->settings.is_json, &log->calendar,
		buffer->text + buffer->used, sizeof(buffer->text) - buffer->used);
	if (bytes == 0)
		return false;
	if (buffer->used == 0)
		wheel_arm(&log->loop->wheel, &log->timer, clock_coarse_ms() + ACCESS_FLUSH_MS);
	buffer->used += bytes;
	buffer->lines++;
	counter_add(log->counters, access_lines, 1);
	return true;
}

void access_log_write(struct access_log *log, struct access_record *record)
{
	struct timespec now;
	if (!access_log_is_wanted(log, record))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	record->time_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (LIKELY(access_log_put(log, record)))
		return;
	access_log_flush(log);
	access_log_take_buffer(log);
	if (!access_log_put(log, record)) {
		counter_add(log->counters, access_lines, 1);
		counter_add(log->counters, access_lines_lost, 1);
	}
}

void access_log_finish(struct access_log *log)
{
	struct access_buffers left = STAILQ_HEAD_INITIALIZER(left);
	struct access_buffer *buffer;
	if (!access_log_is_on(log))
		return;
	access_log_flush(log);
	access_sink_leave(log->sink, &log->returned, &left);
	STAILQ_CONCAT(&left, &log->idle);
	while ((buffer = STAILQ_FIRST(&left)) != NULL) {
		STAILQ_REMOVE_HEAD(&left, link);
		free(buffer);
	}
	free(log->current);
	log->current = NULL;
}
