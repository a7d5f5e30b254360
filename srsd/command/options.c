/* options - the command line and the environment, into struct options. Owns nothing: it points into both.
 *
 * One table makes what getopt_long reads, what belongs to which sub-command, what is suggested, the help. */
#include "srsd/command/options.h"

#include "srsd/command/nearest.h"
#include "srsd/command/option_values.h"
#include "srsd/command/output.h"

#include <getopt.h>
#include <string.h>

enum {
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_VERBOSE = 'v',
	OPTION_ZOOKEEPER = 256,
	OPTION_REGISTRY,
	OPTION_SESSION_TIMEOUT,
	OPTION_AUTH_FILE,
	OPTION_JSON,
	OPTION_ONE,
	OPTION_WAIT,
	OPTION_TIMEOUT,
	OPTION_CHECK,
	OPTION_CHECK_ADDRESS,
	OPTION_INTERVAL,
	OPTION_RISE,
	OPTION_FALL,
	OPTION_CHECK_TIMEOUT,
	OPTION_DRAIN,
	OPTION_KILL_AFTER,
	OPTION_FORMAT,
	OPTION_PORT_NAME,
	OPTION_BRIEF,
	OPTION_RECHECK,
	OPTION_CONNECT_TIMEOUT,
	OPTION_NO_CONNECT,
	OPTION_SLOW,
	OPTION_CHILDREN_MAX,
	OPTION_IGNORE,
	OPTION_WEIGHT,
	OPTION_ZONE,
	OPTION_ENDPOINT_LABEL,
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
	{OPTION_AUTH_FILE, COMMAND_ALL, "auth-file", "FILE",
		"a file with one line user:password, which is given\nto ZooKeeper (digest authentication); "
		"others must\nnot be able to read it (default: the environment\nvariable " AUTH_VARIABLE
		", or else none)"},
	{OPTION_ONE, COMMAND_DISCOVER, "one", NULL, "discover: print one of them, picked at random"},
	{OPTION_WAIT, COMMAND_DISCOVER, "wait", "NUMBER",
		"discover: wait until so many are registered,\nfor --timeout at most"},
	{OPTION_TIMEOUT, COMMAND_DISCOVER | COMMAND_CHECK | COMMAND_LABELS, "timeout", "DURATION",
		"discover, check, labels: how long to wait for\nZooKeeper (default: 5s)"},
	{OPTION_FORMAT, COMMAND_READERS, "format", FORMAT_WORDS,
		"what the nodes say of their address: their name\n(default), or their data in another form; "
		"see\n"
		"srsd(1)"},
	{OPTION_PORT_NAME, COMMAND_READERS, "port-name", "NAME",
		"serverset: the additional endpoint of that name"},
	{OPTION_BRIEF, COMMAND_WATCH, "brief", NULL, "watch: print sign and address only"},
	{OPTION_RECHECK, COMMAND_REGISTER | COMMAND_WATCH, "recheck", "DURATION",
		"register, watch: how often, about, ZooKeeper is\nasked again though nothing was heard "
		"(default: 1m)"},
	{OPTION_CONNECT_TIMEOUT, COMMAND_CHECK, "connect-timeout", "DURATION",
		"check: how long an address, or a ZooKeeper server\nthat is asked, may take to answer "
		"(default: 2s)"},
	{OPTION_NO_CONNECT, COMMAND_CHECK, "no-connect", NULL, "check: do not connect to the addresses"},
	{OPTION_SLOW, COMMAND_CHECK, "slow", "DURATION",
		"check: a session timeout above that is a finding\n(default: 15s)"},
	{OPTION_CHILDREN_MAX, COMMAND_CHECK, "children-max", "NUMBER",
		"check: above so many nodes those who follow the\nlabel keep an old set (default: 100000)"},
	{OPTION_IGNORE, COMMAND_CHECK, "ignore", "FINDING,...", "check: leave such findings out"},
	{OPTION_CHECK, COMMAND_REGISTER, "check", "WAY",
		"register: registered only while it answers, to\n\"tcp\" (a connection) or \"http:/PATH\" (a "
		"GET, with\n"
		"2xx or 3xx); \"none\" asks nothing (default: tcp with\na COMMAND, else none)"},
	{OPTION_CHECK_ADDRESS, COMMAND_REGISTER, "check-address", "HOST:PORT",
		"register: what is checked (default: ADDRESS)"},
	{OPTION_INTERVAL, COMMAND_REGISTER, "interval", "DURATION",
		"register: from one check to the next; a service\nthat starts is asked more often (default: "
		"1s)"},
	{OPTION_RISE, COMMAND_REGISTER, "rise", "NUMBER",
		"register: so many checks in a row must pass before\nit is registered (default: 2)"},
	{OPTION_FALL, COMMAND_REGISTER, "fall", "NUMBER",
		"register: so many must fail before it is taken\naway (default: 3)"},
	{OPTION_CHECK_TIMEOUT, COMMAND_REGISTER, "check-timeout", "DURATION",
		"register: a check without an answer after that has\nfailed (default: 2s)"},
	{OPTION_DRAIN, COMMAND_REGISTER, "drain", "DURATION",
		"register: how long to wait at the end, from the\nremoval until COMMAND gets the signal "
		"(default: 1s\n"
		"with a COMMAND, else 0s)"},
	{OPTION_KILL_AFTER, COMMAND_REGISTER, "kill-after", "DURATION",
		"register: COMMAND is killed when it still runs so\nlong after the signal; 0s: never "
		"(default: 30s)"},
	{OPTION_WEIGHT, COMMAND_REGISTER, "weight", "NUMBER",
		"register: its share of the traffic among the\nothers, 0 to 65535, for those who read it; 0: "
		"none\n(default: nothing is said, which counts as 1)"},
	{OPTION_ZONE, COMMAND_REGISTER, "zone", "NAME", "register: where it runs, for those who read it"},
	{OPTION_ENDPOINT_LABEL, COMMAND_REGISTER, "endpoint-label", "KEY=VALUE",
		"register: more that is to be known of it; may be\nrepeated"},
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

static bool read_register_option(int id, char *value, struct register_options *options)
{
	switch (id) {
	case OPTION_CHECK:
		return value_check(value, options);
	case OPTION_CHECK_ADDRESS:
		return value_check_address(value, options);
	case OPTION_INTERVAL:
		return value_duration("interval", value, 10, CHECK_TIME_MAX_MS, &options->interval_ms);
	case OPTION_RISE:
		return value_count("rise", value, &options->rise);
	case OPTION_FALL:
		return value_count("fall", value, &options->fall);
	case OPTION_CHECK_TIMEOUT:
		return value_duration(
			"check-timeout", value, 1, CHECK_TIME_MAX_MS, &options->check_timeout_ms);
	case OPTION_DRAIN:
		return value_duration("drain", value, 0, DRAIN_MAX_MS, &options->drain_ms);
	case OPTION_KILL_AFTER:
		return value_duration("kill-after", value, 0, DRAIN_MAX_MS, &options->kill_after_ms);
	case OPTION_WEIGHT:
		return announce_read_weight(value, &options->announced);
	case OPTION_ZONE:
		announce_read_zone(value, &options->announced);
		return true;
	case OPTION_ENDPOINT_LABEL:
		return announce_read_label(value, &options->announced);
	default:
		return false;
	}
}

static bool read_flag(int id, struct options *options)
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
	case OPTION_BRIEF:
		options->is_brief = true;
		return true;
	case OPTION_NO_CONNECT:
		options->wants_connect = false;
		return true;
	default:
		return false;
	}
}

static bool read_option(int id, char *value, struct options *options)
{
	switch (id) {
	case OPTION_ZOOKEEPER:
		return value_servers("--zookeeper", value, options);
	case OPTION_REGISTRY:
		return value_registry(value, options);
	case OPTION_SESSION_TIMEOUT:
		return value_duration("session-timeout", value, SESSION_TIMEOUT_MIN_MS,
			SESSION_TIMEOUT_MAX_MS, &options->config.session_timeout_ms);
	case OPTION_AUTH_FILE:
		return value_auth_file(value, options);
	case OPTION_TIMEOUT:
		return value_duration("timeout", value, 1, DISCOVER_TIMEOUT_MAX_MS, &options->timeout_ms);
	case OPTION_WAIT:
		return value_number("wait", value, 1, CHILDREN_MAX_DEFAULT, &options->wait_count);
	case OPTION_FORMAT:
		return value_format(value, options);
	case OPTION_PORT_NAME:
		options->reading.port_name = value;
		return true;
	case OPTION_RECHECK:
		return value_duration(
			"recheck", value, RECHECK_MIN_MS, RECHECK_MAX_MS, &options->config.recheck_ms);
	case OPTION_CONNECT_TIMEOUT:
		return value_duration(
			"connect-timeout", value, 1, DISCOVER_TIMEOUT_MAX_MS, &options->connect_timeout_ms);
	case OPTION_SLOW:
		return value_duration("slow", value, 1, DISCOVER_TIMEOUT_MAX_MS, &options->slow_ms);
	case OPTION_CHILDREN_MAX:
		return value_number("children-max", value, 1, UINT32_MAX, &options->children_max);
	case OPTION_IGNORE:
		return value_ignored(value, options);
	default:
		return read_flag(id, options) || read_register_option(id, value, &options->registering);
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
	else if (command->tail != NULL)
		complain("%s: \"%s\" is one word too many; a command to run stands after --: \"srsd %s %s -- "
			 "%s\"",
			command->name, operands[command->operand_count], command->name, command->operands,
			operands[command->operand_count]);
	else
		complain("%s: \"%s\" is one word too many; write \"srsd %s%s%s\"", command->name,
			operands[command->operand_count], command->name,
			*command->operands == '\0' ? "" : " ", command->operands);
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

_Static_assert(ROW_COUNT <= 64, "`seen` has a bit for each row");

/* `seen` has a bit for each row that was given. */
static bool check_belonging(uint64_t seen, const struct options *options)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if ((seen & (UINT64_C(1) << i)) == 0 || options->command == NULL ||
			(rows[i].commands & options->command->bit) != 0)
			continue;
		complain("--%s does not go with %s; see \"srsd %s --help\"", rows[i].name,
			options->command->name, options->command->name);
		return false;
	}
	return true;
}

/* Options that say nothing without another one. */
static bool check_company(const struct options *options)
{
	if (options->reading.port_name == NULL || options->reading.format == SRSD_FORMAT_SERVERSET)
		return true;
	complain("--port-name goes with --format serverset only");
	return false;
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

static bool was_seen(uint64_t seen, int id)
{
	return (seen & (UINT64_C(1) << (row_find(id) - rows))) != 0;
}

/* What has no effect is a mistake. Then set what depends on whether there is a command. */
static bool settle_registering(uint64_t seen, struct register_options *options)
{
	static const int of_checks[] = {
		OPTION_CHECK_ADDRESS, OPTION_INTERVAL, OPTION_RISE, OPTION_FALL, OPTION_CHECK_TIMEOUT};

	if (options->command == NULL && was_seen(seen, OPTION_KILL_AFTER)) {
		complain("--kill-after goes with a command to run: \"srsd register LABEL ADDRESS -- "
			 "COMMAND\"");
		return false;
	}
	if (options->check.kind == CHECK_UNSAID)
		options->check.kind = options->command != NULL ? CHECK_TCP : CHECK_NONE;
	for (size_t i = 0; i < sizeof(of_checks) / sizeof(of_checks[0]); i++) {
		if (options->check.kind != CHECK_NONE || !was_seen(seen, of_checks[i]))
			continue;
		complain("--%s goes with a check: add --check tcp or --check http:/PATH",
			row_find(of_checks[i])->name);
		return false;
	}
	if (options->command != NULL && !was_seen(seen, OPTION_DRAIN))
		options->drain_ms = DRAIN_DEFAULT_MS;
	return announce_settle(&options->announced);
}

/* What stands after "--", where it was given at `argv[at - 1]`: more operands, or the command to run. Returns
 * the number of words now, -1 after a complaint. */
static int read_tail(int argc, char **argv, int at, int words, const struct command *const *commands,
	struct options *options)
{
	for (; words > 0 && *commands != NULL; commands++) {
		if ((*commands)->tail == NULL || strcmp((*commands)->name, argv[1]) != 0)
			continue;
		if (at < argc) {
			options->registering.command = argv + at;
			return words;
		}
		complain("%s: no command stands after --; write \"srsd %s %s -- COMMAND\"", argv[1], argv[1],
			(*commands)->operands);
		return -1;
	}
	for (; at < argc; at++)
		argv[1 + words++] = argv[at];
	return words;
}

bool options_read(int argc, char **argv, const struct command *const *commands, struct options *options)
{
	struct option longs[ROW_COUNT + 1];
	const char *last_value = NULL;
	uint64_t seen = 0;
	int words = 0, id;

	*options = (struct options){.config = SRSD_CONFIG_DEFAULT,
		.timeout_ms = DISCOVER_TIMEOUT_DEFAULT_MS,
		.connect_timeout_ms = CONNECT_TIMEOUT_DEFAULT_MS,
		.slow_ms = SLOW_DEFAULT_MS,
		.children_max = CHILDREN_MAX_DEFAULT,
		.wants_connect = true,
		.registering = REGISTER_OPTIONS_DEFAULT};
	fill_long_options(longs);
	/* '-': words come in their order among the options, whatever POSIXLY_CORRECT says; ':': we complain
	 * ourselves. Words move to the front, over what has been read already. */
	while ((id = getopt_long(argc, argv, "-:hVv", longs, NULL)) != -1) {
		const struct row *row = row_find(id);

		if (id == OPERAND) {
			argv[1 + words++] = optarg;
		} else if (row != NULL) {
			seen |= UINT64_C(1) << (row - rows);
			last_value = optarg;
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
	bool is_tail = optind > 1 && strcmp(argv[optind - 1], "--") == 0 && last_value != argv[optind - 1];
	if (is_tail)
		words = read_tail(argc, argv, optind, words, commands, options);
	if (words < 0 || !read_words(argv + 1, words, commands, options) || !check_belonging(seen, options) ||
		!check_company(options))
		return false;
	if (!settle_registering(seen, &options->registering))
		return false;
	if (options->wants_help || options->wants_version)
		return true;
	return (was_seen(seen, OPTION_ZOOKEEPER) || value_servers_variable(options)) &&
	       value_auth_variable(options);
}
