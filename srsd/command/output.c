/* output - lines on standard output and standard error. Owns how much is said there. */
#include "srsd/command/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Bytes of the UTF-8 character at `text` (RFC 3629 section 4), or 0 when there is none: overlong forms,
 * surrogates and code points above U+10FFFF are none. */
static size_t utf8_character(const unsigned char *text)
{
	unsigned char first = text[0], low = 0x80, high = 0xBF;
	size_t bytes;

	if (first < 0x80)
		return 1;
	if (first >= 0xC2 && first <= 0xDF)
		bytes = 2;
	else if (first >= 0xE0 && first <= 0xEF)
		bytes = 3;
	else if (first >= 0xF0 && first <= 0xF4)
		bytes = 4;
	else
		return 0;
	if (first == 0xE0)
		low = 0xA0;
	else if (first == 0xED)
		high = 0x9F;
	else if (first == 0xF0)
		low = 0x90;
	else if (first == 0xF4)
		high = 0x8F;
	/* The terminating NUL is no continuation byte: nothing is read behind it. */
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < bytes; i++)
		if (text[i] < 0x80 || text[i] > 0xBF)
			return 0;
	return bytes;
}

static void json_string(FILE *out, const char *value)
{
	fputc('"', out);
	for (const unsigned char *at = (const unsigned char *)value; *at != 0;) {
		size_t bytes = utf8_character(at);

		if (bytes == 0) {
			fputs("\\ufffd", out);
			at++;
			continue;
		}
		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7F)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, bytes, out);
		at += bytes;
	}
	fputc('"', out);
}

static void json_key(struct json *json, const char *key)
{
	if (json->has_member)
		fputc(',', json->out);
	json->has_member = true;
	json_string(json->out, key);
	fputc(':', json->out);
}

void json_begin(struct json *json, FILE *out)
{
	*json = (struct json){.out = out};
	fputc('{', out);
}

void json_text(struct json *json, const char *key, const char *value)
{
	json_key(json, key);
	json_string(json->out, value);
}

void json_whole(struct json *json, const char *key, int64_t value)
{
	json_key(json, key);
	fprintf(json->out, "%lld", (long long)value);
}

void json_end(struct json *json)
{
	fputs("}\n", json->out);
}

const char *time_write(int64_t ms, char out[TIME_TEXT_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts = {0};
	char text[TIME_TEXT_MAX - 8];

	gmtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(out, TIME_TEXT_MAX, "%s.%03dZ", text, (int)(ms % 1000));
	return out;
}

int64_t time_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void json_time(struct json *json, const char *key, int64_t ms)
{
	char text[TIME_TEXT_MAX];

	json_text(json, key, time_write(ms, text));
}

void json_session(struct json *json, const char *key, int64_t session)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, (uint64_t)session);
	json_text(json, key, text);
}

void json_address(struct json *json, const char *label, const struct srsd_address *address)
{
	char text[SRSD_ADDRESS_MAX];

	srsd_address_format(address, text, sizeof(text));
	json_text(json, "label", label);
	json_text(json, "address", text);
	json_text(json, "host", address->host);
	json_whole(json, "port", address->port);
}

static void json_labels(struct json *json, const struct srsd_endpoint *endpoint)
{
	size_t count = srsd_endpoint_label_count(endpoint);
	struct json labels = {.out = json->out};
	const char *key, *value;

	if (count == 0)
		return;
	json_key(json, "labels");
	fputc('{', json->out);
	for (size_t i = 0; i < count; i++) {
		srsd_endpoint_label_at(endpoint, i, &key, &value);
		json_text(&labels, key, value);
	}
	fputc('}', json->out);
}

void json_endpoint(struct json *json, const struct srsd_endpoint *endpoint)
{
	struct srsd_address address;
	char text[SRSD_ADDRESS_MAX];

	srsd_endpoint_address(endpoint, &address);
	srsd_address_format(&address, text, sizeof(text));
	if (strcmp(text, srsd_endpoint_name(endpoint)) != 0)
		json_text(json, "node", srsd_endpoint_name(endpoint));
	if (srsd_endpoint_weight(endpoint) != 1)
		json_whole(json, "weight", srsd_endpoint_weight(endpoint));
	if (*srsd_endpoint_zone(endpoint) != '\0')
		json_text(json, "zone", srsd_endpoint_zone(endpoint));
	json_labels(json, endpoint);
	if (srsd_endpoint_created_ms(endpoint) != 0) {
		json_session(json, "owner", srsd_endpoint_owner(endpoint));
		json_time(json, "created", srsd_endpoint_created_ms(endpoint));
	}
}

/* ---- Standard output ------------------------------------------------------------------------- */

enum output_result output_flush(void)
{
	if (fflush(stdout) == 0)
		return OUTPUT_WRITTEN;
	if (errno == EPIPE)
		return OUTPUT_UNWANTED;
	complain("cannot write to standard output: %s", strerror(errno));
	return OUTPUT_FAILED;
}

enum exit_status output_end(enum output_result result)
{
	return result == OUTPUT_FAILED ? EXIT_STATUS_OUTPUT : EXIT_STATUS_DONE;
}

/* ---- Standard error -------------------------------------------------------------------------- */

static bool is_verbose;

void output_be_verbose(void)
{
	is_verbose = true;
}

/* One write per line: the lines of programs that share a terminal or a log file do not mix. */
static void write_line(const char *prefix, const char *text)
{
	char line[1024];
	int bytes = snprintf(line, sizeof(line) - 1, "srsd: %s%s", prefix, text);

	if (bytes < 0)
		return;
	if ((size_t)bytes > sizeof(line) - 2)
		bytes = sizeof(line) - 2;
	for (int i = 0; i < bytes; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7F)
			line[i] = '?'; /* names in ZooKeeper are anybody's: none shall drive the terminal */
	line[bytes] = '\n';
	fwrite(line, 1, (size_t)bytes + 1, stderr);
}

void complain(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	int bytes = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (bytes >= 0)
		write_line("", text);
}

void output_log(void *arg, enum srsd_log_level level, const char *text)
{
	static const char *const prefixes[] = {[SRSD_LOG_ERROR] = "error: ",
		[SRSD_LOG_WARNING] = "warning: ",
		[SRSD_LOG_INFO] = "info: ",
		[SRSD_LOG_DEBUG] = "debug: "};

	(void)arg;
	if (level <= SRSD_LOG_WARNING || is_verbose)
		write_line(prefixes[level], text);
}
