/* text - the words that libsrsd speaks: names of states, errors, log lines; and its clock. Owns nothing. */
#include "common/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/* Names of nodes and what users wrote stand in what is said: it is made one printable line here. */
#define LINE_MAX_BYTES 1024

uint64_t srsd_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t srsd_now_ms(void)
{
	return srsd_now_us() / 1000;
}

int64_t srsd_wall_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *srsd_version(void)
{
	return SRSD_VERSION;
}

const char *srsd_status_text(enum srsd_status status)
{
	static const char *const words[] = {
		[SRSD_OK] = "ok",
		[SRSD_BAD_ARGUMENT] = "bad argument",
		[SRSD_NO_MEMORY] = "no memory",
		[SRSD_TIMEOUT] = "timeout",
		[SRSD_NOT_FOUND] = "not found",
		[SRSD_CONFLICT] = "conflict",
		[SRSD_DENIED] = "denied",
		[SRSD_SYSTEM] = "system failure",
	};

	return (size_t)status < SRSD_ARRAY_SIZE(words) ? words[status] : "unknown status";
}

const char *srsd_state_text(enum srsd_state state)
{
	static const char *const words[] = {
		[SRSD_CONNECTING] = "connecting",
		[SRSD_CONNECTED] = "connected",
		[SRSD_SUSPENDED] = "suspended",
		[SRSD_EXPIRED] = "expired",
	};

	return (size_t)state < SRSD_ARRAY_SIZE(words) ? words[state] : "unknown";
}

const char *srsd_source_text(enum srsd_source source)
{
	static const char *const words[] = {
		[SRSD_SOURCE_REGISTRY] = "registry",
		[SRSD_SOURCE_FILE] = "file",
		[SRSD_SOURCE_NAMES] = "names",
	};

	return (size_t)source < SRSD_ARRAY_SIZE(words) ? words[source] : "unknown";
}

const char *srsd_registration_state_text(enum srsd_registration_state state)
{
	static const char *const words[] = {
		[SRSD_REGISTRATION_PENDING] = "pending",
		[SRSD_REGISTRATION_HELD] = "held",
		[SRSD_REGISTRATION_CONFLICT] = "conflict",
		[SRSD_REGISTRATION_DENIED] = "denied",
		[SRSD_REGISTRATION_RELEASED] = "released",
	};

	return (size_t)state < SRSD_ARRAY_SIZE(words) ? words[state] : "unknown";
}

enum srsd_status srsd_fail(struct srsd_error *error, enum srsd_status status, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list arguments;

	if (error == NULL)
		return status;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	srsd_printable(text, error->text, sizeof(error->text));
	return status;
}

const char *srsd_printable(const char *text, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	assert(size > 0);
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		bool is_plain = byte >= 0x20 && byte < 0x7f;

		if (used + (is_plain ? 1 : 4) >= size)
			break;
		if (is_plain) {
			out[used++] = *text;
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[byte >> 4];
		out[used++] = digits[byte & 15];
	}
	out[used] = '\0';
	return out;
}

void srsd_log(const struct srsd_logger *logger, enum srsd_log_level level, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES];
	va_list arguments;

	if (logger->log == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	logger->log(logger->arg, level, srsd_printable(text, line, sizeof(line)));
}
