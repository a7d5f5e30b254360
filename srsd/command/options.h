/* options.h - what the user asked for, read from the command line and the environment. */
#ifndef COMMAND_OPTIONS_H
#define COMMAND_OPTIONS_H

#include "srsd/command/announce.h"
#include "srsd/command/command.h"
#include "srsd/command/health.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Stands in for --zookeeper where that is not given. */
#define ZOOKEEPER_VARIABLE "SRSD_ZOOKEEPER"

/* user:password, where --auth-file is not given. Not passed on to programs that we start. */
#define AUTH_VARIABLE "SRSD_AUTH"

#define DISCOVER_TIMEOUT_DEFAULT_MS 5000
#define DISCOVER_TIMEOUT_MAX_MS	    (60 * 60 * 1000)
#define CONNECT_TIMEOUT_DEFAULT_MS  2000
#define SLOW_DEFAULT_MS		    15000
#define CHILDREN_MAX_DEFAULT	    100000
#define RECHECK_MIN_MS		    1000
#define RECHECK_MAX_MS		    (60 * 60 * 1000)
#define SESSION_TIMEOUT_MIN_MS	    1000
#define SESSION_TIMEOUT_MAX_MS	    (600 * 1000)
#define CHECK_TIME_MAX_MS	    (60 * 60 * 1000)
#define CHECKS_IN_A_ROW_MAX	    1000
#define DRAIN_DEFAULT_MS	    1000 /* where there is a command to drain */
#define DRAIN_MAX_MS		    (24 * 60 * 60 * 1000)

#define REGISTER_OPTIONS_DEFAULT                                                                             \
	{                                                                                                    \
		.interval_ms = 1000, .rise = 2, .fall = 3, .check_timeout_ms = 2000, .kill_after_ms = 30000  \
	}

/* What register does beside registering. */
struct register_options {
	struct check_way check;		   /* CHECK_UNSAID: the command decides */
	struct srsd_address check_address; /* where has_check_address; else the registered one */
	bool has_check_address;
	uint32_t interval_ms, rise, fall, check_timeout_ms;
	uint32_t drain_ms;	/* between the removal of the node and the end */
	uint32_t kill_after_ms; /* 0: never */
	struct announce_options announced;
	char **command; /* NULL terminated; NULL: none is run */
};

struct options {
	struct srsd_config config; /* without callbacks */
	char auth[SRSD_AUTH_MAX];  /* what config.auth points to, where there is one */
	struct srsd_read_options reading;
	uint32_t timeout_ms;
	struct register_options registering;
	uint32_t wait_count; /* so many members are waited for; 0: none */
	uint32_t connect_timeout_ms;
	uint32_t slow_ms;	   /* a session timeout above that is slow */
	uint32_t children_max;	   /* that whoever follows the label takes */
	unsigned ignored_findings; /* a bit for each kind */
	bool is_json;
	bool is_brief;
	bool wants_one;
	bool wants_connect;
	bool wants_help;
	bool wants_version;
	const struct command *command; /* NULL: none was named */
	char **operands;	       /* what follows the sub-command: its operand_count of them */
};

/* Read the command line. `commands` are the sub-commands, NULL terminated. `options` points into `argv`,
 * whose operands are moved to its front, and to the environment. Returns false after a complaint. With --help
 * or --version operands are not looked at. */
bool options_read(int argc, char **argv, const struct command *const *commands, struct options *options);

/* Write the options that belong to the sub-command of that bit, one per paragraph, for its help. */
void options_help_write(FILE *out, unsigned command_bit);

#endif
