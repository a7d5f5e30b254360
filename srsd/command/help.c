/* help - what --help prints, from the tables of sub-commands, options and exit statuses. */
#include "srsd/command/help.h"

#include "srsd/command/options.h"

static void exit_statuses_write(FILE *out)
{
#define EXIT_STATUS_LINE(name, value, meaning) fprintf(out, "  %2d  %s\n", (value), (meaning));
	fputs("\nExit status:\n", out);
	EXIT_STATUSES(EXIT_STATUS_LINE)
}

static void program_help_write(FILE *out, const struct command *const *commands)
{
	fputs("usage: srsd COMMAND [OPTION]...\n"
	      "\n"
	      "Announces services in ZooKeeper and finds them there. A service registers its\n"
	      "address (HOST:PORT) under a label, the name that all copies of the service\n"
	      "share. Whoever wants the service asks for the label, and gets the addresses of\n"
	      "the copies that are alive.\n"
	      "\n"
	      "Commands:\n",
		out);
	for (const struct command *const *each = commands; *each != NULL; each++) {
		int column = fprintf(out, "  %s%s%s", (*each)->name, *(*each)->operands == '\0' ? "" : " ",
			(*each)->operands);
		fprintf(out, "%*s%s\n", 28 - column, "", (*each)->summary);
	}
	fputs("\nOptions, before or after the command:\n", out);
	options_help_write(out, COMMAND_ALL);
	fputs("\nA DURATION is a number with its unit: 250ms, 10s, 5m, 1h.\n"
	      "\"srsd COMMAND --help\" tells more about a command, with examples.\n"
	      "\n"
	      "Examples, with ZooKeeper on this machine:\n"
	      "  srsd register tornado_app 192.0.2.1:8888   announce a service until Ctrl-C\n"
	      "  srsd discover tornado_app                  who is there now?\n"
	      "  srsd watch tornado_app                     who comes, who goes?\n"
	      "  srsd check tornado_app                     is anything wrong there?\n",
		out);
	exit_statuses_write(out);
}

void help_write(FILE *out, const struct command *const *commands, const struct command *command)
{
	if (command == NULL) {
		program_help_write(out, commands);
		return;
	}
	fprintf(out, "usage: srsd %s%s%s [OPTION]...%s%s\n\n%s", command->name,
		*command->operands == '\0' ? "" : " ", command->operands, command->tail != NULL ? " " : "",
		command->tail != NULL ? command->tail : "", command->description);
	if (command->describe != NULL)
		command->describe(out);
	fputs("\nOptions:\n", out);
	options_help_write(out, command->bit);
	fprintf(out, "\nExamples:\n%s", command->examples);
	exit_statuses_write(out);
}
