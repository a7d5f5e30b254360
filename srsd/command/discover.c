/* discover - the sub-command that prints who is registered under a label at this moment. */
#include "srsd/command/options.h"
#include "srsd/command/output.h"

/* Line by line to the system: a reader that has seen enough ends it. */
static enum output_result print_endpoint(const struct options *options, const struct srsd_endpoint *endpoint)
{
	struct srsd_address address;
	struct json json;

	if (options->is_json) {
		srsd_endpoint_address(endpoint, &address);
		json_begin(&json, stdout);
		json_address(&json, options->operands[0], &address);
		json_end(&json);
	} else {
		printf("%s\n", srsd_endpoint_name(endpoint));
	}
	return output_flush();
}

static enum output_result print_snapshot(const struct options *options, const struct srsd_snapshot *snapshot)
{
	enum output_result result = OUTPUT_WRITTEN;

	if (options->wants_one)
		return print_endpoint(options, srsd_snapshot_pick(snapshot));
	for (size_t i = 0; i < srsd_snapshot_count(snapshot) && result == OUTPUT_WRITTEN; i++)
		result = print_endpoint(options, srsd_snapshot_at(snapshot, i));
	return result;
}

static int discover_run(const struct options *options)
{
	const char *label = options->operands[0];
	struct srsd_config config = options->config;
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error = {""};

	config.log = output_log;
	enum srsd_status status =
		srsd_discover_wait(&config, label, NULL, options->timeout_ms, &snapshot, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		return exit_status_of(status);
	}
	enum exit_status end = EXIT_STATUS_NOT_FOUND;
	if (srsd_snapshot_count(snapshot) == 0)
		complain("no address is registered under %s", label);
	else
		end = output_end(print_snapshot(options, snapshot));
	srsd_snapshot_unref(&snapshot);
	return end;
}

const struct command command_discover = {
	.bit = COMMAND_DISCOVER,
	.operand_count = 1,
	.name = "discover",
	.operands = "LABEL",
	.summary = "print the addresses that are registered now",
	.description = "Prints the addresses that are registered under LABEL at this moment, one per\n"
		       "line, sorted, and ends. Ends with exit status 1 when there is none.\n",
	.examples = "  srsd discover tornado_app\n"
		    "      192.0.2.1:8888\n"
		    "      192.0.2.2:8888\n"
		    "  srsd discover tornado_app --one\n"
		    "      192.0.2.2:8888\n"
		    "  curl \"http://$(srsd discover tornado_app --one)/info\"\n"
		    "  srsd discover tornado_app --json --zookeeper zk1:2181,zk2:2181\n"
		    "      "
		    "{\"label\":\"tornado_app\",\"address\":\"192.0.2.1:8888\",\"host\":\"192.0.2.1\","
		    "\"port\":8888}\n",
	.run = discover_run,
};
