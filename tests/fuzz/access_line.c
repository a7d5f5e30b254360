/* access_line - any bytes as what a request was: JSON is always one object on one line, in which each text is
 * found again; in the other format nothing but its own newline ends a line, and nothing in a value opens
 * another one. */
#include "access/line.h"
#include "require.h"

#include <jansson.h>
#include <string.h>

/* Takes the input apart. */
struct source {
	const uint8_t *at;
	size_t bytes;
};

static uint64_t take_number(struct source *source, size_t bytes)
{
	uint64_t value = 0;
	for (; bytes > 0 && source->bytes > 0; bytes--, source->at++, source->bytes--)
		value = value << 8 | *source->at;
	return value;
}

/* A length, doubled so that some are beyond every bound, and so many bytes. */
static struct str take_text(struct source *source)
{
	size_t wanted = (size_t)take_number(source, 1) * 2;
	size_t bytes = wanted < source->bytes ? wanted : source->bytes;
	struct str text = {(const char *)source->at, bytes};
	source->at += bytes;
	source->bytes -= bytes;
	return text;
}

/* Each byte of the text, up to the bound, is the code point of that number. */
static void check_member(const json_t *object, const char *key, struct str text, size_t bytes_max)
{
	const json_t *member = json_object_get(object, key);
	size_t count = text.bytes < bytes_max ? text.bytes : bytes_max;
	require((member != NULL) == (text.bytes > 0), "a text is missing, or made up");
	if (member == NULL)
		return;
	require(json_is_string(member), "a text is no string");
	const unsigned char *at = (const unsigned char *)json_string_value(member);
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (c < 0x80) {
			require(*at++ == c, "another byte");
		} else {
			require(at[0] == (0xc0 | c >> 6) && at[1] == (0x80 | (c & 0x3f)),
				"another code point");
			at += 2;
		}
	}
	require(at == (const unsigned char *)json_string_value(member) + json_string_length(member),
		"something behind the text");
}

static void check_json(const struct access_record *record, const char *line, size_t bytes)
{
	json_t *object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	require(json_is_object(object), "not an object");
	check_member(object, "client", record->client, ACCESS_TEXT_BYTES_MAX);
	check_member(object, "method", record->method, ACCESS_TEXT_BYTES_MAX);
	check_member(object, "host", record->host, ACCESS_TEXT_BYTES_MAX);
	check_member(object, "path", record->path, ACCESS_PATH_BYTES_MAX);
	check_member(object, "request_id", record->request_id, ACCESS_TEXT_BYTES_MAX);
	const json_t *list = json_object_get(object, "tries");
	require(json_array_size(list) == record->try_count, "another number of tries");
	for (size_t i = 0; i < record->try_count; i++)
		check_member(json_array_get(list, i), "endpoint", record->tries[i].endpoint,
			ACCESS_ENDPOINT_BYTES_MAX);
	json_decref(object);
}

/* Where the value at `at` ends: bare words have no quote in them, quoted ones a backslash before each. */
static const char *value_end(const char *at, const char *end)
{
	if (*at != '"') {
		while (at < end && *at != ' ') {
			require(*at != '"' && *at != '\\', "a bare word that is none");
			at++;
		}
		return at;
	}
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\';
	require(at < end, "a quote is not closed");
	return at + 1;
}

static void check_key_values(const char *line, const char *end)
{
	static const char *const keys[] = {"time", "client", "method", "host", "path", "status", "problem",
		"duration_us", "head_us", "bytes_in", "bytes_out", "service", "route", "endpoint",
		"request_id", "tries", "notes"};
	size_t next = 0;
	for (const char *at = line; at < end;) {
		const char *equals = memchr(at, '=', (size_t)(end - at));
		require(equals != NULL, "a word that is no key");
		while (next < ARRAY_SIZE(keys) && (strlen(keys[next]) != (size_t)(equals - at) ||
							  memcmp(keys[next], at, strlen(keys[next])) != 0))
			next++;
		require(next < ARRAY_SIZE(keys), "a key that is none, or out of turn");
		next++;
		at = value_end(equals + 1, end);
		require(at == end || *at == ' ', "something behind a value");
		at += at < end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static char line[ACCESS_LINE_BYTES];
	static struct access_calendar calendar;
	struct source source = {data, bytes};
	struct access_try tries[ACCESS_TRIES_MAX];
	struct access_record record = {.tries = tries};
	uint64_t choices = take_number(&source, 2);
	record.time_ms = (int64_t)(take_number(&source, 6) % 253402300800000);
	record.client = take_text(&source);
	record.method = take_text(&source);
	record.host = take_text(&source);
	record.request_id = take_text(&source);
	record.status = (int)take_number(&source, 2);
	record.problem = (enum problem)(take_number(&source, 1) % PROBLEM_COUNT);
	record.notes = (uint32_t)take_number(&source, 2);
	record.has_head = (choices & 1) != 0;
	for (record.try_count = 0; record.try_count < (choices >> 1) % (ACCESS_TRIES_MAX + 1) &&
				   record.try_count < ACCESS_TRIES_MAX;
		record.try_count++)
		tries[record.try_count] = (struct access_try){.endpoint = take_text(&source),
			.evidence = "answered",
			.begun_us = (uint32_t)take_number(&source, 4),
			.is_hedge = (choices & BIT(8)) != 0};
	record.path = (struct str){(const char *)source.at, source.bytes};
	for (int is_json = 0; is_json < 2; is_json++) {
		size_t written = access_line_write(&record, is_json != 0, &calendar, line, sizeof(line));
		require(written > 0 && line[written - 1] == '\n', "no line");
		for (size_t i = 0; i < written - 1; i++)
			require(line[i] >= ' ' && line[i] <= '~', "a byte that a terminal would not show");
		if (is_json)
			check_json(&record, line, written);
		else
			check_key_values(line, line + written - 1);
	}
	return 0;
}
