/* log - a worker's part of the access log: decides which requests get a line, and gathers lines until a
 * buffer is full or a tenth of a second has gone by. Owns its buffers. Without memory for one, lines are lost
 * and counted. */
#ifndef ACCESS_LOG_H
#define ACCESS_LOG_H

#include "access/line.h"
#include "access/sink.h"
#include "base/loop.h"
#include "observe/counters.h"

/* Which requests. */
enum access_condition {
	ACCESS_ALL,
	ACCESS_FAILED, /* answered 5xx, or met a problem */
	ACCESS_SLOW    /* those, and what took long */
};

struct access_log_settings {
	bool is_json;
	enum access_condition condition;
	uint64_t slow_us; /* ACCESS_SLOW: from here on */
};

struct access_log {
	struct access_sink *sink; /* of all workers; NULL: there is no access log */
	struct loop *loop;
	struct counters *counters;
	struct access_log_settings settings;
	struct access_calendar calendar;
	struct access_buffer *current; /* being filled; NULL: none is */
	struct access_buffers idle;
	struct access_buffers returned; /* the sink's thread puts them here, under its lock */
	size_t buffer_count;
	size_t away_count; /* of these with the sink */
	struct wheel_timer timer;
};

/* `sink` is NULL for no access log; it outlives this. */
void access_log_init(struct access_log *log, struct access_sink *sink,
	const struct access_log_settings *settings, struct loop *loop, struct counters *counters);

static inline bool access_log_is_on(const struct access_log *log)
{
	return log->sink != NULL;
}

/* A request has ended. Sets the record's time. */
void access_log_write(struct access_log *log, struct access_record *record);

/* No line comes any more: hand over those that there are, and free the rest. */
void access_log_finish(struct access_log *log);

#endif
