/* main - the srsd command: registers services in ZooKeeper, finds them, watches them come and go. */
#include "srsd/command/command.h"
#include "srsd/command/help.h"
#include "srsd/command/options.h"
#include "srsd/command/output.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const struct command *const commands[] = {
	&command_register, &command_discover, &command_watch, &command_check, &command_labels, NULL};

/* A program may be started with its standard descriptors closed. Then the next socket would become its
 * standard output: put something in the place that fails when it is written to (and read from, for standard
 * input). */
static bool open_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) == -1)
			return false;
	return true;
}

static void on_broken_pipe(int number)
{
	(void)number;
}

/* A write to a pipe that nobody reads is an error, not the end: a registration outlives it. It is caught, not
 * ignored, as a program that we become or start would inherit that. */
static bool catch_broken_pipes(void)
{
	struct sigaction action = {.sa_handler = on_broken_pipe, .sa_flags = SA_RESTART}, before;

	return sigaction(SIGPIPE, NULL, &before) == 0 &&
	       (before.sa_handler == SIG_IGN || sigaction(SIGPIPE, &action, NULL) == 0);
}

/* Whoever starts us may have signals blocked, which is inherited: we would never hear that we shall end, nor
 * that a program which we started has. */
static bool let_signals_in(void)
{
	sigset_t none;

	return sigemptyset(&none) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static int run(int argc, char **argv)
{
	static char output_buffer[1 << 16];
	struct options options;

	/* What is written between two flushes fits, so that a failed write shows at the flush. */
	setvbuf(stdout, output_buffer, _IOFBF, sizeof(output_buffer));
	if (!open_standard_descriptors() || !catch_broken_pipes() || !let_signals_in())
		return EXIT_STATUS_SYSTEM;
	if (!options_read(argc, argv, commands, &options))
		return EXIT_STATUS_USAGE;
	if (options.wants_help) {
		help_write(stdout, commands, options.command);
		return (int)output_end(output_flush());
	}
	if (options.wants_version) {
		printf("srsd %s (ZooKeeper client %s, libevent %s)\n", srsd_version(),
			srsd_zookeeper_version(), event_get_version());
		return (int)output_end(output_flush());
	}

	const char *why;
	if (options.command->operand_count > 0 && srsd_label_check(options.operands[0], &why) != SRSD_OK) {
		complain("label \"%s\": %s", options.operands[0], why);
		return EXIT_STATUS_USAGE;
	}
	return options.command->run(&options);
}

int main(int argc, char **argv)
{
	return run(argc, argv);
}
