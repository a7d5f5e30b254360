/* option_values - values of options and variables, into struct options, or a complaint. Owns nothing. */
#include "srsd/command/option_values.h"

#include "srsd/command/doctor/diagnosis.h"
#include "srsd/command/duration.h"
#include "srsd/command/nearest.h"
#include "srsd/command/output.h"

#include <stdlib.h>
#include <string.h>

bool value_duration(
	const char *name, const char *value, uint32_t least_ms, uint32_t most_ms, uint32_t *out_ms)
{
	const char *why;
	uint32_t ms;

	if (!duration_parse(value, &ms, &why)) {
		complain("--%s: \"%s\" %s; write a length of time like 500ms, 5s or 2m", name, value, why);
		return false;
	}
	if (ms < least_ms || ms > most_ms) {
		complain("--%s: %s is out of bounds; give %u ms to %u s", name, value, least_ms,
			most_ms / 1000);
		return false;
	}
	*out_ms = ms;
	return true;
}

bool value_servers(const char *source, const char *value, struct options *options)
{
	struct srsd_error error = {""};

	options->config.servers = value;
	if (srsd_servers_check(value, &error) == SRSD_OK)
		return true;
	complain("%s: %s", source, error.text);
	return false;
}

bool value_registry(const char *value, struct options *options)
{
	struct srsd_error error = {""};

	options->config.registry = value;
	if (srsd_registry_check(value, &error) == SRSD_OK)
		return true;
	complain("--registry: %s", error.text);
	return false;
}

bool value_number(const char *name, const char *value, uint32_t least, uint32_t most, uint32_t *out)
{
	uint64_t number = 0;
	const char *at = value;

	for (; *at >= '0' && *at <= '9' && number <= most; at++)
		number = number * 10 + (uint64_t)(*at - '0');
	if (at == value || *at != '\0' || number < least || number > most) {
		complain("--%s: \"%s\" will not do; write a number of %u to %u", name, value, least, most);
		return false;
	}
	*out = (uint32_t)number;
	return true;
}

bool value_format(const char *value, struct options *options)
{
	if (srsd_format_parse(value, &options->reading.format) == SRSD_OK)
		return true;
	complain("--format: \"%s\" is unknown; write one of " FORMAT_WORDS, value);
	return false;
}

static void complain_of_finding(const char *word, size_t bytes)
{
	const char *names[FINDING_KINDS];
	char typed[32];

	snprintf(typed, sizeof(typed), "%.*s", (int)bytes, word);
	for (int i = 0; i < FINDING_KINDS; i++)
		names[i] = finding_word((enum finding_kind)i);
	const char *nearest = nearest_name(typed, names, FINDING_KINDS);
	if (nearest != NULL)
		complain("--ignore: unknown finding \"%s\", did you mean %s?", typed, nearest);
	else
		complain("--ignore: unknown finding \"%s\"; \"srsd check --help\" lists them", typed);
}

bool value_ignored(const char *value, struct options *options)
{
	for (const char *at = value;;) {
		size_t bytes = strcspn(at, ",");
		enum finding_kind kind;

		if (!finding_parse(at, bytes, &kind)) {
			complain_of_finding(at, bytes);
			return false;
		}
		options->ignored_findings |= 1U << kind;
		if (at[bytes] == '\0')
			return true;
		at += bytes + 1;
	}
}

bool value_count(const char *name, const char *value, uint32_t *out)
{
	char *end;
	unsigned long count = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || count < 1 || count > CHECKS_IN_A_ROW_MAX) {
		complain("--%s: \"%s\" is no number of checks; give 1 to %d", name, value,
			CHECKS_IN_A_ROW_MAX);
		return false;
	}
	*out = (uint32_t)count;
	return true;
}

bool value_check(const char *value, struct register_options *options)
{
	const char *why;

	if (check_way_parse(value, &options->check, &why))
		return true;
	complain("--check: \"%s\" %s; write tcp, http:/PATH or none", value, why);
	return false;
}

bool value_check_address(const char *value, struct register_options *options)
{
	const char *why;

	options->has_check_address = true;
	if (srsd_address_parse(value, strlen(value), &options->check_address, &why) == SRSD_OK)
		return true;
	complain("--check-address: \"%s\": %s; write HOST:PORT, like 127.0.0.1:80", value, why);
	return false;
}

bool value_auth_file(const char *path, struct options *options)
{
	struct srsd_error error = {""};

	options->config.auth = options->auth;
	if (srsd_auth_read(path, options->auth, &error) == SRSD_OK)
		return true;
	complain("--auth-file: %s", error.text);
	return false;
}

bool value_auth_variable(struct options *options)
{
	struct srsd_error error = {""};
	char *auth = getenv(AUTH_VARIABLE);

	if (auth == NULL || *auth == '\0')
		return true;
	if (srsd_auth_check(auth, &error) != SRSD_OK) {
		complain(AUTH_VARIABLE ": %s", error.text);
		return false;
	}
	if (options->config.auth == NULL) {
		snprintf(options->auth, sizeof(options->auth), "%s", auth);
		options->config.auth = options->auth;
	}
	explicit_bzero(auth, strlen(auth));
	unsetenv(AUTH_VARIABLE);
	return true;
}

bool value_servers_variable(struct options *options)
{
	const char *servers = getenv(ZOOKEEPER_VARIABLE);

	return servers == NULL || *servers == '\0' || value_servers(ZOOKEEPER_VARIABLE, servers, options);
}
