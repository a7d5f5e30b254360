/* log_test - one line per event, whatever the values hold: nothing a client sends can forge or break a line.
 */
#include "base/log.h"

#include "feed.h"
#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_BYTES_MAX 2048

static int real_stderr, captured;
static char *text; /* what was logged since start(), NUL-terminated */
static size_t text_bytes;

static void start(void)
{
	real_stderr = dup(STDERR_FILENO);
	captured = memfd_create("log", MFD_CLOEXEC);
	cr_assert(real_stderr >= 0 && captured >= 0 && dup2(captured, STDERR_FILENO) >= 0);
	fcntl(captured, F_SETFL, O_APPEND);
}

/* Criterion reports to standard error: give it back before anything is expected. */
static void take(void)
{
	cr_assert(dup2(real_stderr, STDERR_FILENO) >= 0);
	off_t bytes = lseek(captured, 0, SEEK_END);
	text_bytes = (size_t)bytes;
	text = realloc(text, text_bytes + 1);
	cr_assert(text != NULL && pread(captured, text, text_bytes, 0) == bytes);
	text[text_bytes] = '\0';
	cr_assert(ftruncate(captured, 0) == 0 && dup2(captured, STDERR_FILENO) >= 0);
	cr_assert(dup2(real_stderr, STDERR_FILENO) >= 0);
}

/* Log again. */
static void go_on(void)
{
	cr_assert(dup2(captured, STDERR_FILENO) >= 0);
}

static void finish(void)
{
	free(text);
	close(captured);
	close(real_stderr);
}

TestSuite(log, .init = start, .fini = finish);

static void expect_line(const char *pattern)
{
	regex_t regex;
	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_expect_eq(regexec(&regex, text, 0, NULL, 0), 0, "wanted %s, got %s", pattern, text);
	regfree(&regex);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

Test(log, key_value_lines)
{
	log_configure(LOG_KEY_VALUE, LOG_INFO);
	log_event(LOG_INFO, "backend added", LOG_TEXT("service", "app"), LOG_INT("port", 8080),
		LOG_INT("below", -1));
	take();
	expect_line("^time=" TIME " level=info event=\"backend added\" service=app port=8080 below=-1\n$");
	go_on();
	log_event(LOG_ERROR, "done");
	take();
	expect_line("^time=" TIME " level=error event=done\n$");
}

Test(log, json_lines)
{
	log_configure(LOG_JSON, LOG_INFO);
	log_event(LOG_WARNING, "backend added", LOG_TEXT("service", "app"), LOG_INT("port", INT64_MIN));
	take();
	expect_line("^\\{\"time\":\"" TIME "\",\"level\":\"warning\",\"event\":\"backend added\","
		    "\"service\":\"app\",\"port\":-9223372036854775808\\}\n$");
	cr_expect_eq(feed(FEED_JSON_LINES, text, text_bytes), 0);
}

Test(log, levels_above_the_configured_one_are_silent)
{
	for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
		int lines = 0;
		go_on();
		log_configure(LOG_KEY_VALUE, (enum log_level)level);
		for (int other = LOG_ERROR; other <= LOG_DEBUG; other++) {
			log_event((enum log_level)other, "x");
			cr_expect_eq(log_is_on((enum log_level)other), other <= level);
		}
		take();
		for (size_t i = 0; i < text_bytes; i++)
			lines += text[i] == '\n';
		cr_expect_eq(lines, level + 1);
	}
}

/* A value, and how it stands behind "v=". */
struct hostile {
	struct str value;
	const char *key_value;
	const char *json;
};

static const struct hostile hostiles[] = {
	{STR("plain"), "plain", "\"plain\""},
	{STR("/a/b?c&d:[e]{f}#'%"), "/a/b?c&d:[e]{f}#'%", "\"/a/b?c&d:[e]{f}#'%\""},
	{STR(""), "\"\"", "\"\""},
	{STR(" "), "\" \"", "\" \""},
	{STR("a=b"), "\"a=b\"", "\"a=b\""},
	{STR("say \"hi\""), "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
	{STR("back\\slash"), "\"back\\\\slash\"", "\"back\\\\slash\""},
	{STR("x\nlevel=error event=forged"), "\"x\\u000alevel=error event=forged\"",
		"\"x\\u000alevel=error event=forged\""},
	{STR("\r\n\t"), "\"\\u000d\\u000a\\u0009\"", "\"\\u000d\\u000a\\u0009\""},
	{STR("nul\0nul"), "\"nul\\u0000nul\"", "\"nul\\u0000nul\""},
	{STR("\033[31mred"), "\"\\u001b[31mred\"", "\"\\u001b[31mred\""},
	{STR("\177"), "\"\\u007f\"", "\"\\u007f\""},
	{STR("\303\251 \377\376"), "\"\\u00c3\\u00a9 \\u00ff\\u00fe\"", "\"\\u00c3\\u00a9 \\u00ff\\u00fe\""},
	{STR("\"}\n{\"level\":\"forged"), "\"\\\"}\\u000a{\\\"level\\\":\\\"forged\"",
		"\"\\\"}\\u000a{\\\"level\\\":\\\"forged\""},
};

Test(log, hostile_values_are_escaped)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostiles); i++) {
		for (int format = LOG_KEY_VALUE; format <= LOG_JSON; format++) {
			char wanted[256];
			bool is_json = format == LOG_JSON;
			log_configure((enum log_format)format, LOG_INFO);
			go_on();
			log_event(LOG_INFO, "x", LOG_SLICE("v", hostiles[i].value), LOG_TEXT("w", "end"));
			take();
			snprintf(wanted, sizeof(wanted),
				is_json ? "\"v\":%s,\"w\":\"end\"}\n" : " v=%s w=end\n",
				is_json ? hostiles[i].json : hostiles[i].key_value);
			cr_expect(strlen(text) == text_bytes && strstr(text, wanted) != NULL,
				"wanted %s, got %s", wanted, text);
			cr_expect_eq(strchr(text, '\n'), text + text_bytes - 1, "one line");
			if (is_json)
				cr_expect_eq(feed(FEED_JSON_LINES, text, text_bytes), 0, "%s", text);
		}
	}
}

Test(log, a_text_that_is_missing_is_an_empty_one)
{
	log_configure(LOG_KEY_VALUE, LOG_INFO);
	log_event(LOG_INFO, "x", LOG_TEXT("v", NULL), LOG_SLICE("w", ((struct str){NULL, 0})));
	take();
	expect_line(" v=\"\" w=\"\"\n$");
}

/* ---- Lines that are too long ----------------------------------------------------------------- */

/* Lengths around the limit with each of the values: every place where a line can be cut. */
static void log_long_lines(enum log_format format, char unit)
{
	char *value = malloc(LINE_BYTES_MAX + 600);
	cr_assert(value != NULL);
	memset(value, unit, LINE_BYTES_MAX + 600);
	log_configure(format, LOG_INFO);
	go_on();
	for (size_t bytes = 200; bytes < LINE_BYTES_MAX + 600; bytes++)
		log_event(LOG_INFO, "long", LOG_SLICE("v", ((struct str){value, bytes})),
			LOG_INT("number", 12345), LOG_TEXT("w", "text with space"), LOG_TEXT("x", "\n"));
	take();
	free(value);
}

/* Quotes outside of escapes come in pairs. */
static bool is_closed(const char *line, size_t bytes)
{
	bool is_quoted = false;
	for (size_t i = 0; i < bytes; i++) {
		if (is_quoted && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			is_quoted = !is_quoted;
	}
	return !is_quoted;
}

Test(log, a_line_that_is_too_long_is_cut_and_still_whole)
{
	static const char units[] = {'x', ' ', '"', '\\', '\n', '\377'};
	for (size_t i = 0; i < sizeof(units); i++) {
		for (int format = LOG_KEY_VALUE; format <= LOG_JSON; format++) {
			log_long_lines((enum log_format)format, units[i]);
			size_t lines = 0;
			char *next;
			for (char *line = text; line < text + text_bytes; line = next + 1, lines++) {
				next = strchr(line, '\n');
				cr_assert_not_null(next);
				size_t bytes = (size_t)(next - line);
				cr_assert_lt(bytes, LINE_BYTES_MAX);
				cr_assert(
					is_closed(line, bytes), "unit %d: %.*s", units[i], (int)bytes, line);
			}
			cr_expect_eq(lines, LINE_BYTES_MAX + 400);
			if (format == LOG_JSON)
				cr_expect_eq(feed(FEED_JSON_LINES, text, text_bytes), 0, "unit %d", units[i]);
		}
	}
}

Test(log, many_fields_are_cut_between_two)
{
	struct log_field fields[200];
	for (size_t i = 0; i < 199; i++)
		fields[i] = i % 2 == 0 ? LOG_TEXT("some_key", "value") : LOG_INT("some_number", INT64_MAX);
	fields[199] = (struct log_field){0};
	for (size_t first = 0; first < 199; first++) {
		log_configure(LOG_JSON, LOG_INFO);
		go_on();
		log_write(LOG_INFO, "many", fields + first);
		take();
		cr_assert_leq(text_bytes, LINE_BYTES_MAX);
		if (first % 20 == 0)
			cr_expect_eq(feed(FEED_JSON_LINES, text, text_bytes), 0, "%s", text);
	}
}

/* ---- Threads --------------------------------------------------------------------------------- */

#define THREADS	     4
#define THREAD_LINES 500

static void *log_from_thread(void *arg)
{
	char value[100];
	memset(value, *(const char *)arg, sizeof(value));
	for (int i = 0; i < THREAD_LINES; i++)
		log_event(LOG_INFO, "x", LOG_SLICE("v", ((struct str){value, sizeof(value)})));
	return NULL;
}

Test(log, lines_of_several_threads_do_not_mix)
{
	static char names[] = "abcd";
	pthread_t threads[THREADS];
	int lines = 0;
	log_configure(LOG_KEY_VALUE, LOG_INFO);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, log_from_thread, &names[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	take();
	for (char *line = text, *next; (next = strchr(line, '\n')) != NULL; line = next + 1, lines++) {
		const char *value = strstr(line, " v=");
		cr_assert(value != NULL && value + 3 + 100 == next);
		for (const char *at = value + 3; at < next; at++)
			cr_assert_eq(*at, value[3]);
	}
	cr_expect_eq(lines, THREADS * THREAD_LINES);
}
