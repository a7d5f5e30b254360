/* register - the sub-command that holds an address registered under a label until it is told to end, and runs
 * the service itself where one is given. Owns the node, the checks, the child, and the order in which all of
 * it ends.
 *
 *   RUNNING --signal--> REMOVING --gone, or too late--> DRAINING --drain over--> ENDING
 *
 *   any of them --the child ends--> LEAVING --node and what the child left are gone, or too late--> end
 *
 * In ENDING the child has the signal.
 * Without a command it ends where the signal would be passed on. */
#include "srsd/command/check.h"
#include "srsd/command/child.h"
#include "srsd/command/clock.h"
#include "srsd/command/loop.h"
#include "srsd/command/node.h"
#include "srsd/command/output.h"

#include <signal.h>
#include <stdlib.h>

/* How long the removal of the node may take at the end, before it is left to the end of the session. */
#define REMOVAL_TIMEOUT_MS 3000

enum phase { RUNNING, REMOVING, DRAINING, ENDING, LEAVING };

struct registrar {
	struct command_loop loop;
	const struct options *options;
	struct node node;
	struct check check;
	struct child child;
	enum phase phase;
	struct event *timer; /* what the phase waits for at most */
	struct event *quit;  /* SIGQUIT, where a command is run: another way to stop one */
	int stop_signal;     /* for the child */
	bool was_there;	     /* the node, when the end began */
	bool is_removal_late;
};

static void on_timer(evutil_socket_t fd, short what, void *arg);

static void set_timer(struct registrar *registrar, uint32_t ms)
{
	struct timeval delay = clock_timeval(ms);

	if (event_add(registrar->timer, &delay) != 0)
		event_active(registrar->timer, EV_TIMEOUT, 1);
}

/* ---- While the service runs ------------------------------------------------------------------ */

static void on_health(void *owner, bool is_healthy, const char *why)
{
	struct registrar *registrar = owner;

	node_say(&registrar->node, is_healthy ? "healthy" : "unhealthy", is_healthy ? "" : why);
	if (is_healthy)
		node_want(&registrar->node);
	else
		node_unwant(&registrar->node);
}

/* Also when the address comes to be known, where the checks have waited for it. */
static enum exit_status start_checks(struct registrar *registrar)
{
	const struct register_options *options = &registrar->options->registering;
	const struct srsd_address *address =
		options->has_check_address ? &options->check_address : &registrar->node.address;

	if (options->check.kind == CHECK_NONE)
		return node_want(&registrar->node);
	if (registrar->check.timer != NULL || (!options->has_check_address && !registrar->node.has_address))
		return EXIT_STATUS_DONE;
	if (check_begin(&registrar->check, registrar->loop.base, options, address, on_health, registrar))
		return EXIT_STATUS_DONE;
	complain("cannot check the service: out of memory");
	return EXIT_STATUS_SYSTEM;
}

static void on_address(void *owner)
{
	struct registrar *registrar = owner;

	if (registrar->phase == RUNNING)
		start_checks(registrar);
}

static void on_connected(void *arg)
{
	struct registrar *registrar = arg;

	node_connected(&registrar->node);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void finish(struct registrar *registrar)
{
	int status = registrar->is_removal_late ? EXIT_STATUS_UNAVAILABLE : EXIT_STATUS_DONE;

	if (registrar->child.pid != 0)
		status = registrar->child.status;
	command_loop_end(&registrar->loop, status);
}

static void pass_signal(struct registrar *registrar)
{
	uint32_t kill_after_ms = registrar->options->registering.kill_after_ms;

	if (registrar->child.pid == 0) {
		finish(registrar);
		return;
	}
	registrar->phase = ENDING;
	event_del(registrar->timer);
	if (kill_after_ms > 0)
		set_timer(registrar, kill_after_ms);
	child_signal(&registrar->child, registrar->stop_signal);
}

/* Nobody is sent here any more, once all have seen that the node is gone. */
static void drain(struct registrar *registrar)
{
	uint32_t drain_ms = registrar->options->registering.drain_ms;

	registrar->phase = DRAINING;
	if (drain_ms == 0 || !registrar->was_there)
		pass_signal(registrar);
	else
		set_timer(registrar, drain_ms);
}

static void remove_node(struct registrar *registrar, enum phase phase)
{
	check_end(&registrar->check);
	registrar->phase = phase;
	registrar->was_there = registrar->node.last == SRSD_REGISTRATION_HELD;
	set_timer(registrar, REMOVAL_TIMEOUT_MS);
	node_unwant(&registrar->node);
}

static void leave_if_done(struct registrar *registrar)
{
	if (registrar->child.is_gone && (node_is_gone(&registrar->node) || registrar->is_removal_late))
		finish(registrar);
}

static void on_gone(void *owner)
{
	struct registrar *registrar = owner;

	if (registrar->phase == REMOVING)
		drain(registrar);
	else if (registrar->phase == LEAVING)
		leave_if_done(registrar);
}

static void on_child_end(void *owner)
{
	struct registrar *registrar = owner;

	if (registrar->phase == RUNNING)
		remove_node(registrar, LEAVING);
	registrar->phase = LEAVING;
	if (!node_is_gone(&registrar->node) && !registrar->is_removal_late)
		set_timer(registrar, REMOVAL_TIMEOUT_MS);
	else
		event_del(registrar->timer);
}

static void on_child_gone(void *owner)
{
	leave_if_done(owner);
}

static void give_removal_up(struct registrar *registrar)
{
	registrar->is_removal_late = true;
	complain("ZooKeeper does not answer: %s goes when its session times out", registrar->node.path);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct registrar *registrar = arg;

	(void)fd;
	(void)what;
	switch (registrar->phase) {
	case RUNNING:
		break;
	case REMOVING:
		give_removal_up(registrar);
		drain(registrar);
		break;
	case DRAINING:
		pass_signal(registrar);
		break;
	case ENDING:
		complain("\"%s\" does not end: killing it", registrar->child.name);
		child_kill(&registrar->child);
		break;
	case LEAVING:
		give_removal_up(registrar);
		leave_if_done(registrar);
		break;
	}
}

/* Asked a second time: no waiting any more. */
static void cut_short(struct registrar *registrar)
{
	bool is_unremoved = !node_is_gone(&registrar->node) && !registrar->is_removal_late;

	if (is_unremoved) {
		complain("not waiting for the removal of %s", registrar->node.path);
		registrar->is_removal_late = true;
	}
	child_kill(&registrar->child);
	if (registrar->child.pid == 0 || registrar->child.has_ended)
		finish(registrar);
}

static void stop(struct registrar *registrar, int number)
{
	if (registrar->phase != RUNNING) {
		cut_short(registrar);
		return;
	}
	registrar->stop_signal = number;
	remove_node(registrar, REMOVING);
	if (registrar->phase == REMOVING && node_is_gone(&registrar->node))
		drain(registrar);
}

static void on_stop(void *arg)
{
	struct registrar *registrar = arg;

	stop(registrar, registrar->loop.stop_signal);
}

static void on_quit(evutil_socket_t number, short what, void *arg)
{
	(void)what;
	stop(arg, (int)number);
}

/* ---- The beginning --------------------------------------------------------------------------- */

static const struct node_events node_events = {.on_address = on_address, .on_gone = on_gone};
static const struct child_events child_events = {.on_end = on_child_end, .on_gone = on_child_gone};

/* What the service may want to know. PORT is left alone where it is set: it may be another one inside a
 * container. */
static bool set_environment(const struct registrar *registrar)
{
	const struct node *node = &registrar->node;
	char port[sizeof("65535")];

	snprintf(port, sizeof(port), "%u", node->has_address ? node->address.port : node->auto_port);
	if (setenv("SRSD_LABEL", registrar->options->operands[0], 1) != 0 || setenv("PORT", port, 0) != 0)
		return false;
	if (!node->has_address)
		return unsetenv("SRSD_ADDRESS") == 0;
	return setenv("SRSD_ADDRESS", registrar->options->operands[1], 1) == 0;
}

static int start_command(struct registrar *registrar)
{
	const struct register_options *options = &registrar->options->registering;

	registrar->quit = evsignal_new(registrar->loop.base, SIGQUIT, on_quit, registrar);
	if (registrar->quit == NULL || event_add(registrar->quit, NULL) != 0 || !set_environment(registrar)) {
		complain("out of memory");
		return EXIT_STATUS_SYSTEM;
	}
	return child_start(&registrar->child, registrar->loop.base, options->command, options->kill_after_ms,
		&child_events, registrar);
}

/* The command first: it does not wait for ZooKeeper. */
static int start(struct registrar *registrar)
{
	const struct options *options = registrar->options;
	int status = (int)command_loop_make(&registrar->loop, options, false, on_stop, registrar);

	if (status == EXIT_STATUS_DONE)
		status = (int)node_open(
			&registrar->node, registrar->loop.base, options, &node_events, registrar);
	if (status != EXIT_STATUS_DONE)
		return status;
	registrar->loop.on_connected = on_connected;
	registrar->timer = evtimer_new(registrar->loop.base, on_timer, registrar);
	if (registrar->timer == NULL) {
		complain("out of memory");
		return EXIT_STATUS_SYSTEM;
	}
	if (options->registering.command != NULL)
		status = start_command(registrar);
	if (status == EXIT_STATUS_DONE)
		status = (int)command_loop_connect(&registrar->loop);
	if (status == EXIT_STATUS_DONE)
		status = (int)node_attach(&registrar->node, registrar->loop.srsd);
	return status == EXIT_STATUS_DONE ? (int)start_checks(registrar) : status;
}

static int register_run(const struct options *options)
{
	struct registrar registrar = {.options = options};
	int status = start(&registrar);

	if (status == EXIT_STATUS_DONE)
		status = command_loop_run(&registrar.loop);
	else
		child_kill(&registrar.child);
	check_close(&registrar.check);
	child_close(&registrar.child);
	if (registrar.timer != NULL)
		event_free(registrar.timer);
	if (registrar.quit != NULL)
		event_free(registrar.quit);
	node_close(&registrar.node);
	command_loop_close(&registrar.loop);
	return status;
}

const struct command command_register = {
	.bit = COMMAND_REGISTER,
	.operand_count = 2,
	.name = "register",
	.operands = "LABEL ADDRESS",
	.tail = "[-- COMMAND...]",
	.summary = "announce a service at ADDRESS until stopped",
	.description = "Holds ADDRESS registered under LABEL until SIGINT (Ctrl-C), SIGTERM or SIGHUP;\n"
		       "then removes it and ends. Registers again when ZooKeeper was away, when the\n"
		       "session expired and when somebody removed the node. ADDRESS is what clients\n"
		       "connect to: 192.0.2.1:80, [2001:db8::1]:80 or name.example:80. auto:80 is that\n"
		       "port on the address of this machine that a route to ZooKeeper uses.\n"
		       "\n"
		       "With a COMMAND it runs that: a service in any language, as it is. ADDRESS is\n"
		       "registered while the service answers (see --check), and removed at once when it\n"
		       "ends. Its exit status is passed on (128+N: ended by signal N; 126, 127: it could\n"
		       "not be run). A signal to stop (SIGQUIT too) removes the address first, waits\n"
		       "--drain for requests that are on their way, and then reaches the service. Other\n"
		       "signals (USR1, USR2, WINCH) reach it at once. Should srsd be killed, the service\n"
		       "is, too. It runs in a process group of its own, with its input and output as\n"
		       "they are, and with SRSD_LABEL, SRSD_ADDRESS (where ADDRESS is not auto:PORT)\n"
		       "and, where that is not set, PORT in its environment. It starts, and runs on,\n"
		       "without ZooKeeper.\n"
		       "\n"
		       "Prints a line at each change, with a COMMAND on standard error:\n"
		       "  held PATH             the address is registered\n"
		       "  lost PATH: WHY        it is not any more, and will be registered again\n"
		       "  conflict PATH: WHY    somebody else holds it; tried until that one is gone\n"
		       "  denied PATH: WHY      ZooKeeper refuses it; tried again\n"
		       "  unhealthy PATH: WHY   the service does not answer; removed until it does\n"
		       "  healthy PATH          it does; registered\n"
		       "  released PATH: WHY    removed, as it is unhealthy or at the end\n"
		       "\n"
		       "A second signal ends it at once, and kills the COMMAND. When it cannot remove\n"
		       "the address (exit status 69, without a COMMAND), or is killed by SIGKILL,\n"
		       "ZooKeeper removes it after the session timeout.\n",
	.examples = "  srsd register tornado_app 192.0.2.1:8888\n"
		    "      held /zk_registry/data/tornado_app/192.0.2.1:8888\n"
		    "  srsd register tornado_app 192.0.2.1:8888 --zookeeper zk1:2181,zk2:2181\n"
		    "  srsd register tornado_app '[2001:db8::1]:8888' --session-timeout 4s --json\n"
		    "  srsd register web auto:8000 -- python3 -m http.server 8000\n"
		    "  srsd register web 192.0.2.1:80 --check http:/info --drain 5s -- ./server\n",
	.run = register_run,
};
