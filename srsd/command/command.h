/* command.h - what a sub-command of srsd is. The table of them stands in main.c. */
#ifndef COMMAND_COMMAND_H
#define COMMAND_COMMAND_H

#include "srsd/command/exit_status.h"

#include <stdio.h>

struct options;

/* One bit for each sub-command, to say which option belongs to which. */
enum {
	COMMAND_REGISTER = 1,
	COMMAND_DISCOVER = 2,
	COMMAND_WATCH = 4,
	COMMAND_CHECK = 8,
	COMMAND_LABELS = 16,
	COMMAND_READERS = COMMAND_DISCOVER | COMMAND_WATCH | COMMAND_CHECK,
	COMMAND_ALL = COMMAND_REGISTER | COMMAND_READERS | COMMAND_LABELS
};

struct command {
	unsigned bit;
	int operand_count;
	const char *name;
	const char *operands;	 /* as the user types them: "LABEL ADDRESS" */
	const char *tail;	 /* "[-- COMMAND ...]"; NULL: what stands after "--" is operands, too */
	const char *summary;	 /* one line */
	const char *description; /* paragraphs */
	const char *examples;
	void (*describe)(FILE *out); /* more of the description, from a table; may be NULL */
	/* Returns an enum exit_status, or the exit status of a command that it ran. */
	int (*run)(const struct options *options);
};

extern const struct command command_register;
extern const struct command command_discover;
extern const struct command command_watch;
extern const struct command command_check;
extern const struct command command_labels;

#endif
