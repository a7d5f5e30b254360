/* loop - the event loop of a command that keeps running. Owns the event base, its events and the manager. */
#include "srsd/command/loop.h"

#include "srsd/command/output.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int stop_signals[STOP_SIGNALS] = {SIGINT, SIGTERM, SIGHUP};

/* A signal came, or the reader of our output went away. */
static void on_stop_event(evutil_socket_t signal_or_fd, short what, void *arg)
{
	struct command_loop *loop = arg;

	loop->stop_signal = (what & EV_SIGNAL) != 0 ? (int)signal_or_fd : 0;
	loop->on_stop(loop->arg);
}

/* Trouble is said by the library's warnings, with its reason; that it is over, here. */
static void on_state(void *arg, enum srsd_state state)
{
	struct command_loop *loop = arg;

	if (state == SRSD_CONNECTED)
		complain("connected to ZooKeeper at %s", loop->options->config.servers);
	if (state == SRSD_CONNECTED && loop->on_connected != NULL)
		loop->on_connected(loop->arg);
}

/* SIGHUP stays ignored for who starts us with nohup. */
static bool add_signals(struct command_loop *loop)
{
	for (size_t i = 0; i < STOP_SIGNALS; i++) {
		struct sigaction before;

		if (stop_signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &before) == 0 &&
			before.sa_handler == SIG_IGN)
			continue;
		loop->signals[i] = evsignal_new(loop->base, stop_signals[i], on_stop_event, loop);
		if (loop->signals[i] == NULL || event_add(loop->signals[i], NULL) != 0)
			return false;
	}
	return true;
}

/* The writing end of a pipe is never readable: it comes up when the reading end is closed. A descriptor that
 * is both ends (opened as <> by the shell) never loses its reader. */
static bool add_reader(struct command_loop *loop)
{
	struct stat standard_output;

	if (fstat(STDOUT_FILENO, &standard_output) != 0 || !S_ISFIFO(standard_output.st_mode) ||
		(fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return true;
	loop->reader = event_new(loop->base, STDOUT_FILENO, EV_READ, on_stop_event, loop);
	return loop->reader != NULL && event_add(loop->reader, NULL) == 0;
}

enum exit_status command_loop_make(struct command_loop *loop, const struct options *options,
	bool is_reader_needed, command_loop_stop_fn *on_stop, void *arg)
{
	*loop = (struct command_loop){.options = options, .on_stop = on_stop, .arg = arg};
	loop->base = event_base_new();
	if (loop->base == NULL || !add_signals(loop) || (is_reader_needed && !add_reader(loop))) {
		complain("cannot make an event loop: out of memory or of file descriptors");
		return EXIT_STATUS_SYSTEM;
	}
	return EXIT_STATUS_DONE;
}

enum exit_status command_loop_connect(struct command_loop *loop)
{
	struct srsd_config config = loop->options->config;
	struct srsd_error error = {""};

	config.log = output_log;
	config.on_state = on_state;
	config.arg = loop;
	enum srsd_status status = srsd_open(loop->base, &config, &loop->srsd, &error);
	if (status != SRSD_OK)
		complain("%s", error.text);
	return exit_status_of(status);
}

enum exit_status command_loop_open(struct command_loop *loop, const struct options *options,
	bool is_reader_needed, command_loop_stop_fn *on_stop, void *arg)
{
	enum exit_status status = command_loop_make(loop, options, is_reader_needed, on_stop, arg);

	return status == EXIT_STATUS_DONE ? command_loop_connect(loop) : status;
}

int command_loop_run(struct command_loop *loop)
{
	if (event_base_dispatch(loop->base) == 0)
		return loop->status;
	complain("the event loop failed");
	return EXIT_STATUS_SYSTEM;
}

void command_loop_end(struct command_loop *loop, int status)
{
	loop->status = status;
	event_base_loopbreak(loop->base);
}

void command_loop_close(struct command_loop *loop)
{
	if (loop->srsd != NULL)
		srsd_close(&loop->srsd);
	if (loop->reader != NULL)
		event_free(loop->reader);
	for (size_t i = 0; i < STOP_SIGNALS; i++)
		if (loop->signals[i] != NULL)
			event_free(loop->signals[i]);
	if (loop->base != NULL)
		event_base_free(loop->base);
}
