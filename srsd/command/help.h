/* help.h - what --help prints. */
#ifndef COMMAND_HELP_H
#define COMMAND_HELP_H

#include "srsd/command/command.h"

#include <stdio.h>

/* Write the help of `command`, or with NULL that of the program with its `commands`, NULL terminated. */
void help_write(FILE *out, const struct command *const *commands, const struct command *command);

#endif
