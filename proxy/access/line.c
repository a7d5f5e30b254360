/* line - writes lines of the access log (see line.h). */
#include "access/line.h"

#include "http/writer.h"

#include <time.h>

struct line {
	struct writer writer;
	bool is_json;
	bool is_begun; /* a key stands in the object that is open */
};

enum {
	BYTE_PLAIN = 1, /* stands in a quoted value of either format as it is */
	BYTE_BARE = 2	/* and in a value without quotes */
};

/* Printable ASCII but quote and backslash is plain; but for space and '=' it is bare, too. */
static const uint8_t byte_kinds[256] = {
	[' '] = BYTE_PLAIN,
	['!'] = BYTE_PLAIN | BYTE_BARE,
	['#' ... '<'] = BYTE_PLAIN | BYTE_BARE,
	['='] = BYTE_PLAIN,
	['>' ... '['] = BYTE_PLAIN | BYTE_BARE,
	[']' ... '~'] = BYTE_PLAIN | BYTE_BARE,
};

/* What all bytes of a text have in common. */
static uint8_t kinds_of(struct str text)
{
	uint8_t kinds = BYTE_PLAIN | BYTE_BARE;
	for (size_t i = 0; i < text.bytes; i++)
		kinds &= byte_kinds[(unsigned char)text.at[i]];
	return kinds;
}

static void put_escape(struct writer *out, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	if (c == '"' || c == '\\') {
		const char text[] = {'\\', (char)c};
		put(out, text, sizeof(text));
		return;
	}
	const char text[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
	put(out, text, sizeof(text));
}

static void put_escaped(struct writer *out, struct str value)
{
	size_t run = 0;
	for (size_t i = 0; i < value.bytes; i++) {
		unsigned char c = (unsigned char)value.at[i];
		if (LIKELY(byte_kinds[c] & BYTE_PLAIN))
			continue;
		put(out, value.at + run, i - run);
		put_escape(out, c);
		run = i + 1;
	}
	put(out, value.at + run, value.bytes - run);
}

static struct str clip(struct str text, size_t bytes_max)
{
	return (struct str){text.at, text.bytes < bytes_max ? text.bytes : bytes_max};
}

/* ---- Keys and values --------------------------------------------------------------------------- */

/* A key as it stands in either format, behind what parts it from the value before. */
struct key {
	struct str words;
	struct str json;
};

#define KEY(name) ((struct key){STR(" " name "="), STR(",\"" name "\":")})

static inline void put_key(struct line *line, struct key key)
{
	struct str text = line->is_json ? key.json : key.words;
	size_t skipped = line->is_begun ? 0 : 1;
	put(&line->writer, text.at + skipped, text.bytes - skipped);
	line->is_begun = true;
}

static void put_quoted(struct line *line, struct str value, uint8_t kinds)
{
	PUT_LITERAL(&line->writer, "\"");
	if (LIKELY(kinds & BYTE_PLAIN))
		put_text(&line->writer, value);
	else
		put_escaped(&line->writer, value);
	PUT_LITERAL(&line->writer, "\"");
}

static inline void put_value(struct line *line, struct key key, struct str value, size_t bytes_max)
{
	if (value.bytes == 0)
		return;
	put_key(line, key);
	value = clip(value, bytes_max);
	uint8_t kinds = kinds_of(value);
	if (!line->is_json && (kinds & BYTE_BARE))
		put_text(&line->writer, value);
	else
		put_quoted(line, value, kinds);
}

static inline void put_word(struct line *line, struct key key, struct str value)
{
	put_value(line, key, value, ACCESS_TEXT_BYTES_MAX);
}

static inline void put_number(struct line *line, struct key key, uint64_t value)
{
	put_key(line, key);
	put_integer(&line->writer, value);
}

/* ---- Time -------------------------------------------------------------------------------------- */

static void put_digits(char *at, int value, int digits)
{
	while (digits-- > 0) {
		at[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

static void calendar_turn_to(struct access_calendar *calendar, int64_t second)
{
	struct tm utc = {0};
	time_t when = (time_t)second;
	if (calendar->second == second && calendar->text[0] != '\0')
		return;
	(void)gmtime_r(&when, &utc);
	memcpy(calendar->text, "0000-00-00T00:00:00", sizeof(calendar->text));
	put_digits(calendar->text, utc.tm_year + 1900, 4);
	put_digits(calendar->text + 5, utc.tm_mon + 1, 2);
	put_digits(calendar->text + 8, utc.tm_mday, 2);
	put_digits(calendar->text + 11, utc.tm_hour, 2);
	put_digits(calendar->text + 14, utc.tm_min, 2);
	put_digits(calendar->text + 17, utc.tm_sec, 2);
	calendar->second = second;
}

static void put_time(struct line *line, struct access_calendar *calendar, int64_t time_ms)
{
	char text[] = "0000-00-00T00:00:00.000Z";
	calendar_turn_to(calendar, time_ms / 1000);
	memcpy(text, calendar->text, sizeof(calendar->text) - 1);
	put_digits(text + sizeof(calendar->text), (int)(time_ms % 1000), 3);
	put_word(line, KEY("time"), (struct str){text, sizeof(text) - 1});
}

/* ---- Tries and notes ----------------------------------------------------------------------------- */

/* 127.0.0.1:9001 connect_refused 0..152 hedge */
static void put_try_in_words(struct line *line, const struct access_try *try)
{
	struct writer *out = &line->writer;
	put_escaped(out, clip(try->endpoint, ACCESS_ENDPOINT_BYTES_MAX));
	PUT_LITERAL(out, " ");
	put_text(out, str_of(try->evidence));
	PUT_LITERAL(out, " ");
	put_integer(out, try->begun_us);
	PUT_LITERAL(out, "..");
	put_integer(out, try->ended_us);
	if (try->is_hedge)
		PUT_LITERAL(out, " hedge");
}

static void put_try_as_object(struct line *line, const struct access_try *try)
{
	PUT_LITERAL(&line->writer, "{");
	line->is_begun = false;
	put_value(line, KEY("endpoint"), try->endpoint, ACCESS_ENDPOINT_BYTES_MAX);
	put_word(line, KEY("evidence"), str_of(try->evidence));
	put_number(line, KEY("begun_us"), try->begun_us);
	put_number(line, KEY("ended_us"), try->ended_us);
	if (try->is_hedge) {
		put_key(line, KEY("hedge"));
		PUT_LITERAL(&line->writer, "true");
	}
	PUT_LITERAL(&line->writer, "}");
}

static void put_tries(struct line *line, const struct access_record *record)
{
	if (record->try_count == 0)
		return;
	put_key(line, KEY("tries"));
	put(&line->writer, line->is_json ? "[" : "\"", 1);
	for (size_t i = 0; i < record->try_count && i < ACCESS_TRIES_MAX; i++) {
		if (i > 0)
			put_text(&line->writer, line->is_json ? STR(",") : STR(", "));
		if (line->is_json)
			put_try_as_object(line, &record->tries[i]);
		else
			put_try_in_words(line, &record->tries[i]);
	}
	put(&line->writer, line->is_json ? "]" : "\"", 1);
	line->is_begun = true;
}

static void put_notes(struct line *line, uint32_t notes)
{
#define ACCESS_NOTE_CODE(name, code) {(code), sizeof(code) - 1},
	static const struct str codes[ACCESS_NOTE_COUNT] = {ACCESS_NOTES(ACCESS_NOTE_CODE)};
#undef ACCESS_NOTE_CODE
	bool is_first = true;
	if (LIKELY(notes == 0))
		return;
	put_key(line, KEY("notes"));
	if (line->is_json)
		PUT_LITERAL(&line->writer, "[");
	for (uint32_t i = 0; i < ACCESS_NOTE_COUNT; i++) {
		if ((notes & BIT(i)) == 0)
			continue;
		if (!is_first)
			PUT_LITERAL(&line->writer, ",");
		is_first = false;
		if (line->is_json)
			put_quoted(line, codes[i], BYTE_PLAIN);
		else
			put_text(&line->writer, codes[i]);
	}
	if (line->is_json)
		PUT_LITERAL(&line->writer, "]");
}

/* ---- The line ------------------------------------------------------------------------------------ */

static void put_request(struct line *line, const struct access_record *record)
{
	put_word(line, KEY("client"), record->client);
	put_word(line, KEY("method"), record->method);
	put_word(line, KEY("host"), record->host);
	put_value(line, KEY("path"), record->path, ACCESS_PATH_BYTES_MAX);
	if (record->status != 0)
		put_number(line, KEY("status"), (uint64_t)record->status);
	if (record->problem != PROBLEM_NONE)
		put_word(line, KEY("problem"), str_of(problem_row(record->problem)->code));
	put_number(line, KEY("duration_us"), record->duration_us);
	if (record->has_head)
		put_number(line, KEY("head_us"), record->head_us);
	put_number(line, KEY("bytes_in"), record->bytes_in);
	put_number(line, KEY("bytes_out"), record->bytes_out);
}

size_t access_line_write(const struct access_record *record, bool is_json, struct access_calendar *calendar,
	char *out, size_t size)
{
	struct line line = {.writer = {.at = out, .end = out + size}, .is_json = is_json};
	uint32_t notes = record->notes;
	if (record->path.bytes > ACCESS_PATH_BYTES_MAX)
		notes |= BIT(ACCESS_NOTE_PATH_CUT);
	if (is_json)
		PUT_LITERAL(&line.writer, "{");
	put_time(&line, calendar, record->time_ms);
	put_request(&line, record);
	put_word(&line, KEY("service"), record->service);
	put_word(&line, KEY("route"), record->route);
	put_word(&line, KEY("endpoint"), record->endpoint);
	put_word(&line, KEY("request_id"), record->request_id);
	put_tries(&line, record);
	put_notes(&line, notes);
	if (is_json)
		PUT_LITERAL(&line.writer, "}");
	PUT_LITERAL(&line.writer, "\n");
	return line.writer.is_full ? 0 : (size_t)(line.writer.at - out);
}
