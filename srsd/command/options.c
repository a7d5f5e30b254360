/* options - the command line and the environment, into struct options. Owns nothing: it points into both.
 *
 * One table makes what getopt_long reads, what belongs to which sub-command, what is suggested, the help. */
#include "srsd/command/options.h"

#include "srsd/command/duration.h"
#include "srsd/command/nearest.h"
#include "srsd/command/output.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_VERBOSE = 'v',
	OPTION_ZOOKEEPER = 256,
	OPTION_REGISTRY,
	OPTION_SESSION_TIMEOUT,
	OPTION_JSON,
	OPTION_ONE,
	OPTION_TIMEOUT,
	OPERAND = 1, /* what getopt_long returns for a word that is no option */
	HELP_COLUMN = 28
};

static const struct row {
	int id;
	unsigned commands;
	const char *name;
	const char *argument; /* NULL: takes none */
	const char *help;
} rows[] = {
	{OPTION_ZOOKEEPER, COMMAND_ALL, "zookeeper", "SERVERS",
		"host:port of each ZooKeeper server, with commas\nbetween them; a /path at the end is a "
		"chroot\n"
		"(default: the environment variable\n" ZOOKEEPER_VARIABLE ", or else 127.0.0.1:2181)"},
	{OPTION_REGISTRY, COMMAND_ALL, "registry", "PATH",
		"the node above the labels\n(default: /zk_registry/data)"},
	{OPTION_SESSION_TIMEOUT, COMMAND_ALL, "session-timeout", "DURATION",
		"how long ZooKeeper keeps a registration whose\nowner is silent, 1s to 10m; the server has\n"
		"bounds of its own, often 4s to 40s (default: 10s)"},
	{OPTION_ONE, COMMAND_DISCOVER, "one", NULL, "discover: print one of them, picked at random"},
	{OPTION_TIMEOUT, COMMAND_DISCOVER, "timeout", "DURATION",
		"discover: how long to wait for ZooKeeper\n(default: 5s)"},
	{OPTION_JSON, COMMAND_ALL, "json", NULL, "print one JSON object per line"},
	{OPTION_VERBOSE, COMMAND_ALL, "verbose", NULL, "say on standard error what is going on"},
	{OPTION_HELP, COMMAND_ALL, "help", NULL, "print this help"},
	{OPTION_VERSION, COMMAND_ALL, "version", NULL, "print the version"},
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static const struct row *row_find(int id)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].id == id)
			return &rows[i];
	return NULL;
}

void options_help_write(FILE *out, unsigned command_bit)
{
	for (const struct row *row = rows; row < rows + ROW_COUNT; row++) {
		if ((row->commands & command_bit) == 0)
			continue;
		int column = row->id < OPTION_ZOOKEEPER ? fprintf(out, "  -%c, --%s", row->id, row->name)
							: fprintf(out, "      --%s", row->name);
		if (row->argument != NULL)
			column += fprintf(out, " %s", row->argument);
		if (column >= HELP_COLUMN)
			column = fprintf(out, "\n") - 1;
		fprintf(out, "%*s", HELP_COLUMN - column, "");
		for (const char *at = row->help; *at != '\0'; at++) {
			fputc(*at, out);
			if (*at == '\n')
				fprintf(out, "%*s", HELP_COLUMN, "");
		}
		fputc('\n', out);
	}
}

/* ---- Values ---------------------------------------------------------------------------------- */

static bool read_duration(
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

/* `source` is where the value comes from: the option's or the variable's name. */
static bool read_servers(const char *source, const char *value, struct options *options)
{
	struct srsd_error error = {""};

	options->config.servers = value;
	if (srsd_servers_check(value, &error) == SRSD_OK)
		return true;
	complain("%s: %s", source, error.text);
	return false;
}

static bool read_registry(const char *value, struct options *options)
{
	struct srsd_error error = {""};

	options->config.registry = value;
	if (srsd_registry_check(value, &error) == SRSD_OK)
		return true;
	complain("--registry: %s", error.text);
	return false;
}

static bool read_option(int id, const char *value, struct options *options)
{
	switch (id) {
	case OPTION_HELP:
		options->wants_help = true;
		return true;
	case OPTION_VERSION:
		options->wants_version = true;
		return true;
	case OPTION_VERBOSE:
		output_be_verbose();
		return true;
	case OPTION_JSON:
		options->is_json = true;
		return true;
	case OPTION_ONE:
		options->wants_one = true;
		return true;
	case OPTION_ZOOKEEPER:
		return read_servers("--zookeeper", value, options);
	case OPTION_REGISTRY:
		return read_registry(value, options);
	case OPTION_SESSION_TIMEOUT:
		return read_duration("session-timeout", value, SESSION_TIMEOUT_MIN_MS, SESSION_TIMEOUT_MAX_MS,
			&options->config.session_timeout_ms);
	case OPTION_TIMEOUT:
		return read_duration("timeout", value, 1, DISCOVER_TIMEOUT_MAX_MS, &options->timeout_ms);
	default:
		return false;
	}
}

/* ---- What getopt_long does not accept -------------------------------------------------------- */

/* `word` is the one that holds it, where it is a long one. */
static void complain_of_option(const char *word)
{
	const char *names[ROW_COUNT];
	char typed[64];

	if (optopt != 0) {
		complain("unknown option -%c; \"srsd --help\" lists the options", optopt);
		return;
	}
	snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; i < ROW_COUNT; i++)
		names[i] = rows[i].name;
	const char *nearest = nearest_name(typed, names, ROW_COUNT);
	if (nearest != NULL)
		complain("unknown option --%s, did you mean --%s?", typed, nearest);
	else
		complain("unknown option --%s; \"srsd --help\" lists the options", typed);
}

static void complain_of_value(int result, const struct row *row)
{
	if (result == ':')
		complain("--%s needs a value: --%s %s", row->name, row->name, row->argument);
	else
		complain("--%s takes no value", row->name);
}

/* ---- The sub-command and its operands -------------------------------------------------------- */

static bool read_command(const char *name, const struct command *const *commands, struct options *options)
{
	const char *names[sizeof(unsigned) * 8]; /* a bit for each sub-command */
	size_t count = 0;

	for (const struct command *const *each = commands; *each != NULL; each++) {
		if (strcmp((*each)->name, name) == 0) {
			options->command = *each;
			return true;
		}
		names[count++] = (*each)->name;
	}
	const char *nearest = nearest_name(name, names, count);
	if (nearest != NULL)
		complain("unknown command \"%s\", did you mean \"%s\"?", name, nearest);
	else
		complain("unknown command \"%s\"; \"srsd --help\" lists the commands", name);
	return false;
}

static bool check_operand_count(const struct command *command, char **operands, int count)
{
	if (count == command->operand_count)
		return true;
	if (count < command->operand_count)
		complain("%s: too few words; write \"srsd %s %s\"", command->name, command->name,
			command->operands);
	else
		complain("%s: \"%s\" is one word too many; write \"srsd %s %s\"", command->name,
			operands[command->operand_count], command->name, command->operands);
	return false;
}

/* The first word names the sub-command; `srsd help COMMAND` is `srsd COMMAND --help`. */
static bool read_words(
	char **words, int count, const struct command *const *commands, struct options *options)
{
	if (count > 0 && strcmp(words[0], "help") == 0) {
		options->wants_help = true;
		return count == 1 || read_command(words[1], commands, options);
	}
	if (count > 0 && !read_command(words[0], commands, options))
		return false;
	if (options->wants_help || options->wants_version)
		return true;
	if (count == 0) {
		complain("a command is missing; \"srsd --help\" lists the commands");
		return false;
	}
	options->operands = words + 1;
	return check_operand_count(options->command, options->operands, count - 1);
}

/* `seen` has a bit for each row that was given. */
static bool check_belonging(unsigned seen, const struct options *options)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if ((seen & (1U << i)) == 0 || options->command == NULL ||
			(rows[i].commands & options->command->bit) != 0)
			continue;
		complain("--%s does not go with %s; see \"srsd %s --help\"", rows[i].name,
			options->command->name, options->command->name);
		return false;
	}
	return true;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static void fill_long_options(struct option *longs)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		longs[i] = (struct option){.name = rows[i].name,
			.has_arg = rows[i].argument != NULL ? required_argument : no_argument,
			.val = rows[i].id};
	longs[ROW_COUNT] = (struct option){0};
}

static bool read_environment(struct options *options)
{
	const char *servers = getenv(ZOOKEEPER_VARIABLE);

	return servers == NULL || *servers == '\0' || read_servers(ZOOKEEPER_VARIABLE, servers, options);
}

bool options_read(int argc, char **argv, const struct command *const *commands, struct options *options)
{
	struct option longs[ROW_COUNT + 1];
	unsigned seen = 0;
	int words = 0, id;

	*options = (struct options){.config = SRSD_CONFIG_DEFAULT, .timeout_ms = DISCOVER_TIMEOUT_DEFAULT_MS};
	fill_long_options(longs);
	/* '-': words come in their order among the options, whatever POSIXLY_CORRECT says; ':': we complain
	 * ourselves. Words move to the front, over what has been read already. */
	while ((id = getopt_long(argc, argv, "-:hVv", longs, NULL)) != -1) {
		const struct row *row = row_find(id);

		if (id == OPERAND) {
			argv[1 + words++] = optarg;
		} else if (row != NULL) {
			seen |= 1U << (row - rows);
			if (!read_option(id, optarg, options))
				return false;
		} else {
			row = row_find(optopt);
			if (row != NULL)
				complain_of_value(id, row);
			else
				complain_of_option(argv[optind - 1]);
			return false;
		}
	}
	for (; optind < argc; optind++) /* what stands after "--" */
		argv[1 + words++] = argv[optind];
	if (!read_words(argv + 1, words, commands, options) || !check_belonging(seen, options))
		return false;
	bool is_zookeeper_given = (seen & (1U << (row_find(OPTION_ZOOKEEPER) - rows))) != 0;
	return is_zookeeper_given || options->wants_help || options->wants_version ||
	       read_environment(options);
}
