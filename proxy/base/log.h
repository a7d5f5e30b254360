/* log - structured lines on standard error, key=value or JSON. One write per line, from any thread.
 * Values are escaped: nothing that a client or a backend sent can forge a line. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/check.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_KEY_VALUE, LOG_JSON };

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_STR, LOG_FIELD_INTEGER };

struct log_field {
	const char *key;
	enum log_field_kind kind;
	union {
		const char *text;
		struct str str;
		int64_t integer;
	};
};

#define LOG_TEXT(name, value)  ((struct log_field){.key = (name), .kind = LOG_FIELD_TEXT, .text = (value)})
#define LOG_SLICE(name, value) ((struct log_field){.key = (name), .kind = LOG_FIELD_STR, .str = (value)})
#define LOG_INT(name, value)                                                                                 \
	((struct log_field){.key = (name), .kind = LOG_FIELD_INTEGER, .integer = (int64_t)(value)})

/* Set before the first thread starts. */
void log_configure(enum log_format format, enum log_level level);

/* Is a line of this level written at all? For callers whose fields cost something to make. */
bool log_is_on(enum log_level level);

/* Write a line: time, level, `event` (a short phrase in plain words), then the fields.
 *   log_event(LOG_INFO, "backend added", LOG_TEXT("service", name), LOG_TEXT("endpoint", address)); */
#define log_event(level, event, ...)                                                                         \
	log_write((level), (event),                                                                          \
		(const struct log_field[]){__VA_ARGS__ __VA_OPT__(, )(struct log_field){0}})

void log_write(enum log_level level, const char *event, const struct log_field *fields);

#endif
