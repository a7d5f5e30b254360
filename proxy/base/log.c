/* log - writes one structured line per event to standard error. Owns the format and the level, set once at
 * start. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES 2048

/* Kept free for what closes a line: quote, brace, newline. */
#define LOG_CLOSING_BYTES 3

/* A field is begun only where its shortest value fits: an integer, or two quotes around nothing. */
#define LOG_VALUE_BYTES 24

static enum log_format log_line_format = LOG_KEY_VALUE;
static enum log_level log_line_level = LOG_INFO;

static const char *const log_level_names[] = {"error", "warning", "info", "debug"};

/* A line under construction. It ends where something did not fit: in a value, which is then shorter, or
 * between two fields. What was begun is closed: the line is well-formed whatever it was to hold. */
struct log_line {
	char text[LOG_LINE_BYTES];
	size_t used;
	bool is_full;
};

void log_configure(enum log_format format, enum log_level level)
{
	log_line_format = format;
	log_line_level = level;
}

bool log_is_on(enum log_level level)
{
	return level <= log_line_level;
}

/* All of it, or nothing from here on. */
static void log_put(struct log_line *line, const char *text, size_t bytes)
{
	if (line->used + bytes > sizeof(line->text) - LOG_CLOSING_BYTES)
		line->is_full = true;
	if (line->is_full)
		return;
	memcpy(line->text + line->used, text, bytes);
	line->used += bytes;
}

static void log_put_text(struct log_line *line, const char *text)
{
	log_put(line, text, strlen(text));
}

/* Escapes work for both formats: a JSON string is also a readable quoted value. */
static void log_put_escaped(struct log_line *line, struct str value)
{
	for (size_t i = 0; i < value.bytes && !line->is_full; i++) {
		unsigned char c = (unsigned char)value.at[i];
		char escape[8];
		if (c == '"' || c == '\\') {
			escape[0] = '\\';
			escape[1] = (char)c;
			log_put(line, escape, 2);
		} else if (c < 0x20 || c >= 0x7f) {
			log_put(line, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", c));
		} else {
			log_put(line, value.at + i, 1);
		}
	}
}

static bool log_is_bare_word(struct str value)
{
	for (size_t i = 0; i < value.bytes; i++) {
		unsigned char c = (unsigned char)value.at[i];
		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return value.bytes > 0;
}

static void log_put_value(struct log_line *line, struct str value)
{
	if (line->is_full)
		return;
	if (log_line_format == LOG_KEY_VALUE && log_is_bare_word(value)) {
		for (size_t i = 0; i < value.bytes && !line->is_full; i++)
			log_put(line, value.at + i, 1);
		return;
	}
	log_put(line, "\"", 1);
	log_put_escaped(line, value);
	line->text[line->used++] = '"'; /* there is room for it even in a full line */
}

static void log_put_key(struct log_line *line, const char *key)
{
	if (line->used + strlen(key) + 4 + LOG_VALUE_BYTES > sizeof(line->text) - LOG_CLOSING_BYTES)
		line->is_full = true;
	if (log_line_format == LOG_JSON) {
		log_put_text(line, line->used == 0 ? "{\"" : ",\"");
		log_put_text(line, key);
		log_put_text(line, "\":");
		return;
	}
	if (line->used > 0)
		log_put(line, " ", 1);
	log_put_text(line, key);
	log_put(line, "=", 1);
}

static void log_put_time(struct log_line *line)
{
	struct timespec now;
	struct tm utc;
	char text[48];
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t bytes = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	bytes += (size_t)snprintf(text + bytes, sizeof(text) - bytes, ".%03ldZ", now.tv_nsec / 1000000);
	log_put_key(line, "time");
	log_put_value(line, (struct str){text, bytes});
}

static void log_put_field(struct log_line *line, const struct log_field *field)
{
	char number[24];
	log_put_key(line, field->key);
	switch (field->kind) {
	case LOG_FIELD_TEXT:
		log_put_value(line, str_of(field->text != NULL ? field->text : ""));
		break;
	case LOG_FIELD_STR:
		log_put_value(line, field->str);
		break;
	case LOG_FIELD_INTEGER:
		log_put(line, number,
			(size_t)snprintf(number, sizeof(number), "%lld", (long long)field->integer));
		break;
	case LOG_FIELD_END:
		break;
	}
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
	struct log_line line = {.used = 0};
	if (!log_is_on(level))
		return;
	log_put_time(&line);
	log_put_key(&line, "level");
	log_put_value(&line, str_of(log_level_names[level]));
	log_put_key(&line, "event");
	log_put_value(&line, str_of(event));
	for (; fields->kind != LOG_FIELD_END; fields++)
		log_put_field(&line, fields);
	if (log_line_format == LOG_JSON)
		line.text[line.used++] = '}';
	line.text[line.used++] = '\n';
	/* A log that cannot be written has nobody to be reported to. */
	ssize_t written = write(STDERR_FILENO, line.text, line.used);
	(void)written;
}
