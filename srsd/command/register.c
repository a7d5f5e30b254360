/* register - the sub-command that holds an address registered under a label until it is told to end.
 * Owns the registration, the text of its path, and the deadline of its removal. */
#include "srsd/command/loop.h"
#include "srsd/command/output.h"

#include <stdlib.h>
#include <string.h>

/* How long the removal of the node may take at the end, before it is left to the end of the session. */
#define REMOVAL_TIMEOUT_S 3

struct registrar {
	struct command_loop loop;
	const struct options *options;
	struct srsd_registration *registration;
	struct srsd_address address;
	char *path;		/* of the node */
	struct event *deadline; /* of its removal; NULL: not asked for yet */
	enum srsd_registration_state last;
	bool is_output_lost;
};

/* A registration outlives whoever reads about it. */
static void flush(struct registrar *registrar)
{
	if (registrar->is_output_lost)
		return;
	enum output_result result = output_flush();
	if (result == OUTPUT_WRITTEN)
		return;
	registrar->is_output_lost = true;
	complain("nobody reads standard output any more: staying registered in silence");
}

static void print_event(struct registrar *registrar, const char *event, const char *reason)
{
	struct json json;

	if (registrar->options->is_json) {
		json_begin(&json, stdout);
		json_text(&json, "event", event);
		json_address(&json, registrar->options->operands[0], &registrar->address);
		json_text(&json, "path", registrar->path);
		if (*reason != '\0')
			json_text(&json, "reason", reason);
		json_end(&json);
	} else {
		printf("%s %s%s%s\n", event, registrar->path, *reason != '\0' ? ": " : "", reason);
	}
	flush(registrar);
}

static void on_state(void *arg, enum srsd_registration_state state, const char *text)
{
	struct registrar *registrar = arg;
	bool was_held = registrar->last == SRSD_REGISTRATION_HELD;

	registrar->last = state;
	if (state == SRSD_REGISTRATION_HELD)
		print_event(registrar, "held", ""); /* nobody asks why */
	else if (state != SRSD_REGISTRATION_PENDING)
		print_event(registrar, srsd_registration_state_text(state), text);
	else if (was_held)
		print_event(registrar, "lost", text);
	if (state == SRSD_REGISTRATION_RELEASED)
		command_loop_end(&registrar->loop, EXIT_STATUS_DONE);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct registrar *registrar = arg;

	(void)fd;
	(void)what;
	complain("ZooKeeper does not answer: %s goes when its session times out", registrar->path);
	command_loop_end(&registrar->loop, EXIT_STATUS_UNAVAILABLE);
}

static void on_stop(void *arg)
{
	struct timeval timeout = {.tv_sec = REMOVAL_TIMEOUT_S};
	struct registrar *registrar = arg;

	if (registrar->deadline == NULL)
		registrar->deadline = evtimer_new(registrar->loop.base, on_deadline, registrar);
	if (registrar->registration == NULL || registrar->deadline == NULL ||
		event_add(registrar->deadline, &timeout) != 0) {
		complain("not waiting for the removal of %s", registrar->path);
		command_loop_end(&registrar->loop, EXIT_STATUS_UNAVAILABLE);
		return;
	}
	/* The library's own deadline comes later: its report always means that the node is not ours now. */
	srsd_deregister(&registrar->registration, 2 * REMOVAL_TIMEOUT_S * 1000);
}

/* The node's path, of registry, label and address; NULL when out of memory. The caller frees it. */
static char *node_path(const struct options *options, const struct srsd_address *address)
{
	const char *registry = options->config.registry;
	char name[SRSD_ADDRESS_MAX], *path;

	srsd_address_format(address, name, sizeof(name));
	if (strcmp(registry, "/") == 0)
		registry = "";
	return asprintf(&path, "%s/%s/%s", registry, options->operands[0], name) < 0 ? NULL : path;
}

static enum exit_status hold(struct registrar *registrar)
{
	const struct options *options = registrar->options;
	struct srsd_error error = {""};

	enum exit_status status = command_loop_open(&registrar->loop, options, false, on_stop, registrar);
	if (status == EXIT_STATUS_DONE) {
		enum srsd_status registered = srsd_register(registrar->loop.srsd, options->operands[0],
			options->operands[1], on_state, registrar, &registrar->registration, &error);
		if (registered == SRSD_OK) {
			status = command_loop_run(&registrar->loop);
		} else {
			complain("%s", error.text);
			status = exit_status_of(registered);
		}
	}
	if (registrar->deadline != NULL)
		event_free(registrar->deadline);
	command_loop_close(&registrar->loop);
	return status;
}

static enum exit_status register_run(const struct options *options)
{
	struct registrar registrar = {.options = options, .last = SRSD_REGISTRATION_PENDING};
	const char *text = options->operands[1], *why;

	if (srsd_address_parse(text, strlen(text), &registrar.address, &why) != SRSD_OK) {
		complain("address \"%s\": %s; write HOST:PORT, like 192.0.2.1:80, [2001:db8::1]:80 or "
			 "name.example:80",
			text, why);
		return EXIT_STATUS_USAGE;
	}
	registrar.path = node_path(options, &registrar.address);
	if (registrar.path == NULL) {
		complain("out of memory");
		return EXIT_STATUS_SYSTEM;
	}
	enum exit_status status = hold(&registrar);
	free(registrar.path);
	return status;
}

const struct command command_register = {
	.bit = COMMAND_REGISTER,
	.operand_count = 2,
	.name = "register",
	.operands = "LABEL ADDRESS",
	.summary = "announce a service at ADDRESS until stopped",
	.description = "Holds ADDRESS registered under LABEL until SIGINT (Ctrl-C), SIGTERM or SIGHUP;\n"
		       "then removes it and ends. Registers again when ZooKeeper was away, when the\n"
		       "session expired and when somebody removed the node. ADDRESS is what clients\n"
		       "connect to: 192.0.2.1:80, [2001:db8::1]:80 or name.example:80. Whether the\n"
		       "service answers there is not checked.\n"
		       "\n"
		       "Prints a line at each change:\n"
		       "  held PATH             the address is registered\n"
		       "  lost PATH: WHY        it is not any more, and will be registered again\n"
		       "  conflict PATH: WHY    somebody else holds it; tried until that one is gone\n"
		       "  denied PATH: WHY      ZooKeeper refuses it; tried again\n"
		       "  released PATH: WHY    removed, at the end\n"
		       "\n"
		       "A second signal ends it at once. When it cannot remove the address (exit\n"
		       "status 69), or is killed by SIGKILL, ZooKeeper removes it after the session\n"
		       "timeout.\n",
	.examples = "  srsd register tornado_app 192.0.2.1:8888\n"
		    "      held /zk_registry/data/tornado_app/192.0.2.1:8888\n"
		    "  srsd register tornado_app 192.0.2.1:8888 --zookeeper zk1:2181,zk2:2181\n"
		    "  srsd register tornado_app '[2001:db8::1]:8888' --session-timeout 4s --json\n",
	.run = register_run,
};
