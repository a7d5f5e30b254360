/* info - what the example service says of its machine, as JSON. Reads /proc and uname(); owns nothing. */
#include "info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <event2/buffer.h>

enum { LINE_BYTES = 1024, LOCALTIME_BYTES = 40 };

/* A JSON string, quotes included. Bytes that are not ASCII become '?': nobody promises that they are UTF-8.
 */
static bool write_string(struct evbuffer *out, const char *text)
{
	bool is_written = evbuffer_add(out, "\"", 1) == 0;
	for (const char *at = text; *at != '\0' && is_written; at++) {
		unsigned char byte = (unsigned char)*at;
		if (byte == '"' || byte == '\\')
			is_written = evbuffer_add_printf(out, "\\%c", byte) > 0;
		else if (byte < 0x20 || byte == 0x7f)
			is_written = evbuffer_add_printf(out, "\\u%04x", byte) > 0;
		else
			is_written = evbuffer_add(out, byte < 0x80 ? at : "?", 1) == 0;
	}
	return is_written && evbuffer_add(out, "\"", 1) == 0;
}

/* The value of a line "name   : value\n", without the newline, when `line` has that name; else NULL. */
static char *value_of(char *line, const char *name)
{
	if (strncmp(line, name, strlen(name)) != 0)
		return NULL;
	char *value = line + strlen(name);
	value += strspn(value, " \t");
	if (*value != ':')
		return NULL;
	value++;
	value += strspn(value, " \t");
	value[strcspn(value, "\n")] = '\0';
	return value;
}

static bool write_cpu(struct evbuffer *out)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	if (file == NULL)
		return false;
	char line[LINE_BYTES];
	char model[LINE_BYTES] = "unknown"; /* some architectures name no model */
	unsigned count = 0;
	while (fgets(line, sizeof line, file) != NULL) {
		const char *value;
		if (value_of(line, "processor") != NULL)
			count++;
		else if ((value = value_of(line, "model name")) != NULL)
			snprintf(model, sizeof model, "%s", value);
	}
	fclose(file);
	return evbuffer_add_printf(out, "{\"model\":") > 0 && write_string(out, model) &&
	       evbuffer_add_printf(out, ",\"count\":%u}", count) > 0;
}

static bool write_system(struct evbuffer *out)
{
	struct utsname names;
	struct timespec up;
	double load[3] = {0};
	if (uname(&names) != 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0 || getloadavg(load, 3) != 3)
		return false;
	const struct {
		const char *name;
		const char *value;
	} members[] = {{"system", names.sysname}, {"host", names.nodename}, {"release", names.release},
		{"version", names.version}, {"machine", names.machine}};
	bool is_written = evbuffer_add(out, "{", 1) == 0;
	for (size_t i = 0; i < sizeof members / sizeof *members && is_written; i++)
		is_written = evbuffer_add_printf(out, "\"%s\":", members[i].name) > 0 &&
			     write_string(out, members[i].value) && evbuffer_add(out, ",", 1) == 0;
	return is_written && evbuffer_add_printf(out, "\"load\":[%.2f,%.2f,%.2f],\"uptime_s\":%lld}", load[0],
				     load[1], load[2], (long long)up.tv_sec) > 0;
}

/* ISO 8601 with seconds and offset, "2024-02-29T13:37:00+01:00"; strftime's %z lacks the colon. */
static bool write_localtime(struct evbuffer *out)
{
	time_t now = time(NULL);
	struct tm local;
	char text[LOCALTIME_BYTES];
	if (localtime_r(&now, &local) == NULL ||
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &local) == 0)
		return false;
	long offset_minutes = local.tm_gmtoff / 60;
	char sign = offset_minutes < 0 ? '-' : '+';
	offset_minutes = labs(offset_minutes);
	return evbuffer_add_printf(
		       out, "\"%s%c%02ld:%02ld\"", text, sign, offset_minutes / 60, offset_minutes % 60) > 0;
}

bool info_write_json(struct evbuffer *out)
{
	return evbuffer_add_printf(out, "{\"cpu_info\":") > 0 && write_cpu(out) &&
	       evbuffer_add_printf(out, ",\"system_info\":") > 0 && write_system(out) &&
	       evbuffer_add_printf(out, ",\"localtime\":") > 0 && write_localtime(out) &&
	       evbuffer_add(out, "}\n", 2) == 0;
}
