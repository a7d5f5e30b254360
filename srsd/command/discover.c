/* discover - the sub-command that prints who is registered under a label at this moment. */
#include "srsd/command/clock.h"
#include "srsd/command/failure.h"
#include "srsd/command/output.h"

#include <event2/event.h>

/* Line by line to the system: a reader that has seen enough ends it. */
static enum output_result print_endpoint(const struct options *options, const struct srsd_endpoint *endpoint)
{
	struct srsd_address address;
	char text[SRSD_ADDRESS_MAX];
	struct json json;

	srsd_endpoint_address(endpoint, &address);
	if (options->is_json) {
		json_begin(&json, stdout);
		json_address(&json, options->operands[0], &address);
		json_endpoint(&json, endpoint);
		json_end(&json);
	} else {
		srsd_address_format(&address, text, sizeof(text));
		printf("%s\n", text);
	}
	return output_flush();
}

static enum output_result print_snapshot(const struct options *options, const struct srsd_snapshot *snapshot)
{
	enum output_result result = OUTPUT_WRITTEN;

	for (size_t i = 0; i < srsd_snapshot_count(snapshot) && result == OUTPUT_WRITTEN; i++)
		result = print_endpoint(options, srsd_snapshot_at(snapshot, i));
	return result;
}

/* All of it, or one; there is a member. */
static enum exit_status show(const struct options *options, const struct srsd_snapshot *snapshot)
{
	const struct srsd_endpoint *one = options->wants_one ? srsd_snapshot_pick(snapshot) : NULL;

	if (!options->wants_one)
		return output_end(print_snapshot(options, snapshot));
	if (one != NULL)
		return output_end(print_endpoint(options, one));
	complain("nobody is registered under %s to take requests: all weights are 0", options->operands[0]);
	return EXIT_STATUS_NOT_FOUND;
}

/* ---- Once ------------------------------------------------------------------------------------ */

static enum exit_status discover_now(const struct options *options)
{
	const char *label = options->operands[0];
	struct srsd_config config = options->config;
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error = {""};

	config.log = output_log;
	enum srsd_status status =
		srsd_discover_wait(&config, label, &options->reading, options->timeout_ms, &snapshot, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		return exit_status_of(status);
	}
	enum exit_status end = EXIT_STATUS_NOT_FOUND;
	if (srsd_snapshot_count(snapshot) == 0)
		complain("no address is registered under %s", label);
	else
		end = show(options, snapshot);
	srsd_snapshot_unref(&snapshot);
	return end;
}

/* ---- Until there are enough ------------------------------------------------------------------ */

struct waiting {
	const struct options *options;
	struct event_base *base;
	struct srsd *srsd;
	struct srsd_watch *watch;
	struct srsd_snapshot *last; /* NULL: nothing was read yet */
	enum exit_status status;
};

static void stop_waiting(struct waiting *waiting, enum exit_status status)
{
	waiting->status = status;
	event_base_loopbreak(waiting->base);
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct waiting *waiting = arg;

	srsd_snapshot_unref(&waiting->last);
	waiting->last = srsd_snapshot_ref(snapshot);
	if (srsd_snapshot_count(snapshot) >= waiting->options->wait_count)
		stop_waiting(waiting, EXIT_STATUS_DONE);
}

/* The first reading: a watch would try for ever where it is not allowed to read. */
static void on_first(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	struct waiting *waiting = arg;
	const struct options *options = waiting->options;
	struct srsd_error error;

	if (status == SRSD_TIMEOUT)
		return; /* on_deadline() says so */
	if (status != SRSD_OK) {
		stop_waiting(waiting, reading_failed(options, waiting->srsd, status));
		return;
	}
	on_change(waiting, snapshot);
	if (srsd_snapshot_count(snapshot) >= options->wait_count)
		return;
	status = srsd_watch(waiting->srsd, options->operands[0], &options->reading, on_change, waiting,
		&waiting->watch, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		stop_waiting(waiting, exit_status_of(status));
	}
}

static void on_deadline(evutil_socket_t none, short what, void *arg)
{
	struct waiting *waiting = arg;

	(void)none;
	(void)what;
	if (waiting->last == NULL) {
		stop_waiting(waiting, reading_failed(waiting->options, waiting->srsd, SRSD_TIMEOUT));
		return;
	}
	complain("only %zu of %u are registered under %s by now", srsd_snapshot_count(waiting->last),
		waiting->options->wait_count, waiting->options->operands[0]);
	stop_waiting(waiting, EXIT_STATUS_NOT_FOUND);
}

static enum exit_status wait_for_members(struct waiting *waiting)
{
	const struct options *options = waiting->options;
	const struct timeval timeout = clock_timeval(options->timeout_ms);
	struct srsd_config config = options->config;
	struct srsd_error error = {""};

	config.log = output_log;
	enum srsd_status status = srsd_open(waiting->base, &config, &waiting->srsd, &error);
	if (status == SRSD_OK)
		status = srsd_discover(waiting->srsd, options->operands[0], &options->reading,
			options->timeout_ms, on_first, waiting, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		return exit_status_of(status);
	}
	if (event_base_once(waiting->base, -1, EV_TIMEOUT, on_deadline, waiting, &timeout) != 0 ||
		event_base_dispatch(waiting->base) != 0) {
		complain("the event loop failed");
		return EXIT_STATUS_SYSTEM;
	}
	return waiting->status;
}

static enum exit_status discover_waiting(const struct options *options)
{
	struct waiting waiting = {.options = options, .base = event_base_new()};

	if (waiting.base == NULL) {
		complain("cannot make an event loop: out of memory or of file descriptors");
		return EXIT_STATUS_SYSTEM;
	}
	enum exit_status status = wait_for_members(&waiting);
	srsd_close(&waiting.srsd);
	event_base_free(waiting.base);
	if (waiting.last != NULL && srsd_snapshot_count(waiting.last) > 0) {
		enum exit_status shown = show(options, waiting.last);

		if (shown != EXIT_STATUS_DONE)
			status = shown;
	}
	srsd_snapshot_unref(&waiting.last);
	return status;
}

/* ---- The sub-command ------------------------------------------------------------------------- */

static int discover_run(const struct options *options)
{
	return (int)(options->wait_count > 0 ? discover_waiting(options) : discover_now(options));
}

const struct command command_discover = {
	.bit = COMMAND_DISCOVER,
	.operand_count = 1,
	.name = "discover",
	.operands = "LABEL",
	.summary = "print the addresses that are registered now",
	.description = "Prints the addresses that are registered under LABEL at this moment, one per\n"
		       "line, sorted, and ends. Ends with exit status 1 when there is none.\n"
		       "\n"
		       "With --wait, it waits until so many are registered. When they are not there\n"
		       "after --timeout, it prints those that are, and ends with exit status 1.\n",
	.examples = "  srsd discover tornado_app\n"
		    "      192.0.2.1:8888\n"
		    "      192.0.2.2:8888\n"
		    "  srsd discover tornado_app --one\n"
		    "      192.0.2.2:8888\n"
		    "  curl \"http://$(srsd discover tornado_app --one)/info\"\n"
		    "  srsd discover tornado_app --wait 3 --timeout 1m && run-the-tests\n"
		    "  srsd discover tornado_app --json --zookeeper zk1:2181,zk2:2181\n"
		    "      "
		    "{\"label\":\"tornado_app\",\"address\":\"192.0.2.1:8888\",\"host\":\"192.0.2.1\","
		    "\"port\":8888}\n",
	.run = discover_run,
};
