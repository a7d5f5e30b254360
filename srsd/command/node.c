/* node - holds the service's address registered while that is wanted. Owns the registration and the text of
 * its path.
 *
 * One registration at a time: a node that is wanted again while it is being removed is made when it is gone.
 */
#include "srsd/command/node.h"

#include "srsd/command/output.h"

#include <stdlib.h>
#include <string.h>

#define AUTO_PREFIX "auto:"
#define RETRY_S	    1

/* ---- Lines ----------------------------------------------------------------------------------- */

/* A registration outlives whoever reads about it. */
static void write_out(struct node *node, const char *text)
{
	if (node->is_output_lost)
		return;
	fputs(text, node->out);
	if (node->out != stdout || output_flush() == OUTPUT_WRITTEN)
		return;
	node->is_output_lost = true;
	complain("nobody reads standard output any more: staying registered in silence");
}

static void write_json(struct node *node, FILE *line, const char *event, const char *reason)
{
	const char *label = node->options->operands[0];
	struct json json;

	json_begin(&json, line);
	json_text(&json, "event", event);
	if (node->has_address)
		json_address(&json, label, &node->address);
	else
		json_text(&json, "label", label);
	json_text(&json, "path", node->path);
	if (*reason != '\0')
		json_text(&json, "reason", reason);
	json_end(&json);
}

/* Built in memory: one write, so that it does not mix with what a command says. */
void node_say(struct node *node, const char *event, const char *reason)
{
	const char *colon = *reason != '\0' ? ": " : "";
	char *text = NULL;
	size_t bytes;
	FILE *line;

	if (!node->options->is_json && node->out != stdout) {
		complain("%s %s%s%s", event, node->path, colon, reason);
		return;
	}
	line = open_memstream(&text, &bytes);
	if (line == NULL) {
		complain("%s %s: out of memory", event, node->path);
		return;
	}
	if (node->options->is_json)
		write_json(node, line, event, reason);
	else
		fprintf(line, "%s %s%s%s\n", event, node->path, colon, reason);
	if (fclose(line) == 0)
		write_out(node, text);
	free(text);
}

/* ---- The address ----------------------------------------------------------------------------- */

bool node_auto_parse(const char *text, uint16_t *out_port, const char **why)
{
	struct srsd_address address;
	char written[sizeof("192.0.2.1:65535")];

	*why = "is not \"auto:\" and a port of 1 to 65535";
	if (strncmp(text, AUTO_PREFIX, sizeof(AUTO_PREFIX) - 1) != 0)
		return false;
	text += sizeof(AUTO_PREFIX) - 1;
	/* The library is strict about ports: let it be so here. */
	if (strlen(text) > 5 || snprintf(written, sizeof(written), "192.0.2.1:%s", text) < 0 ||
		srsd_address_parse(written, strlen(written), &address, why) != SRSD_OK)
		return false;
	*out_port = address.port;
	return true;
}

/* Take over the path that the registration has: registry, label and `name`. */
static bool set_path(struct node *node, const char *name)
{
	const char *registry = node->options->config.registry;
	char *path;

	if (strcmp(registry, "/") == 0)
		registry = "";
	if (asprintf(&path, "%s/%s/%s", registry, node->options->operands[0], name) < 0)
		return false;
	free(node->path);
	node->path = path;
	return true;
}

static bool is_loopback(const struct srsd_address *address)
{
	return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

/* What was found once stays, wherever the network moves: others know it. */
static void find_address(struct node *node)
{
	struct srsd_error error = {""};
	char name[SRSD_ADDRESS_MAX];

	if (node->has_address || srsd_current_state(node->srsd) != SRSD_CONNECTED)
		return;
	if (srsd_local_address(node->srsd, node->auto_port, &node->address, &error) != SRSD_OK) {
		complain("auto:%u: %s; write the address itself", node->auto_port, error.text);
		return;
	}
	srsd_address_format(&node->address, name, sizeof(name));
	if (!set_path(node, name)) {
		complain("auto:%u: out of memory", node->auto_port);
		return;
	}
	node->has_address = true;
	if (is_loopback(&node->address))
		complain("auto:%u is %s, as ZooKeeper is reached over loopback: no other machine reaches "
			 "that; "
			 "for them write the address itself",
			node->auto_port, name);
	node->events->on_address(node->owner);
}

static enum exit_status read_address(struct node *node, const char *text)
{
	const char *why;

	if (strncmp(text, AUTO_PREFIX, sizeof(AUTO_PREFIX) - 1) == 0) {
		if (node_auto_parse(text, &node->auto_port, &why))
			return EXIT_STATUS_DONE;
	} else if (srsd_address_parse(text, strlen(text), &node->address, &why) == SRSD_OK) {
		node->has_address = true;
		return EXIT_STATUS_DONE;
	}
	complain("address \"%s\": %s; write HOST:PORT, like 192.0.2.1:80, [2001:db8::1]:80 or "
		 "name.example:80, or "
		 "auto:PORT",
		text, why);
	return EXIT_STATUS_USAGE;
}

/* ---- The registration ------------------------------------------------------------------------ */

static void settle(struct node *node);

static void on_state(void *arg, enum srsd_registration_state state, const char *text)
{
	struct node *node = arg;
	bool was_held = node->last == SRSD_REGISTRATION_HELD;

	node->last = state;
	if (state == SRSD_REGISTRATION_HELD)
		node_say(node, "held", ""); /* nobody asks why */
	else if (state != SRSD_REGISTRATION_PENDING)
		node_say(node, srsd_registration_state_text(state), text);
	else if (was_held)
		node_say(node, "lost", text);
	if (state != SRSD_REGISTRATION_RELEASED)
		return;
	node->is_leaving = false;
	node->last = SRSD_REGISTRATION_PENDING;
	settle(node);
	if (node_is_gone(node))
		node->events->on_gone(node->owner);
}

static enum exit_status make(struct node *node)
{
	struct timeval retry = {.tv_sec = RETRY_S};
	struct srsd_error error = {""};
	char name[SRSD_ADDRESS_MAX];

	srsd_address_format(&node->address, name, sizeof(name));
	const struct register_options *registering = &node->options->registering;
	enum srsd_status status = srsd_register(node->srsd, node->options->operands[0], name,
		registering->announced.is_given ? &registering->announced.said : NULL, on_state, node,
		&node->registration, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		event_add(node->retry, &retry);
	}
	return exit_status_of(status);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	settle(arg);
}

static void settle(struct node *node)
{
	if (node->is_wanted)
		node_want(node);
}

enum exit_status node_want(struct node *node)
{
	node->is_wanted = true;
	if (node->srsd == NULL || !node->has_address || node->registration != NULL || node->is_leaving)
		return EXIT_STATUS_DONE;
	return make(node);
}

void node_unwant(struct node *node)
{
	node->is_wanted = false;
	if (node->registration == NULL)
		return;
	node->is_leaving = true;
	srsd_deregister(&node->registration, UINT32_MAX);
}

bool node_is_gone(const struct node *node)
{
	return !node->is_wanted && !node->is_leaving && node->registration == NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

enum exit_status node_open(struct node *node, struct event_base *base, const struct options *options,
	const struct node_events *events, void *owner)
{
	*node = (struct node){.options = options,
		.events = events,
		.owner = owner,
		.last = SRSD_REGISTRATION_PENDING,
		.out = options->registering.command != NULL ? stderr : stdout};
	enum exit_status status = read_address(node, options->operands[1]);
	if (status != EXIT_STATUS_DONE)
		return status;
	node->retry = evtimer_new(base, on_retry, node);
	if (node->retry != NULL && set_path(node, options->operands[1]))
		return EXIT_STATUS_DONE;
	complain("out of memory");
	return EXIT_STATUS_SYSTEM;
}

enum exit_status node_attach(struct node *node, struct srsd *srsd)
{
	node->srsd = srsd;
	return node->is_wanted ? node_want(node) : EXIT_STATUS_DONE;
}

void node_connected(struct node *node)
{
	find_address(node);
	settle(node);
}

void node_close(struct node *node)
{
	if (node->retry != NULL)
		event_free(node->retry);
	free(node->path);
}
