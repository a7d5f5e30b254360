/* watch - the sub-command that prints who comes and who goes under a label. Owns its last snapshot. */
#include "srsd/command/loop.h"
#include "srsd/command/output.h"

struct watcher {
	struct command_loop loop;
	const struct options *options;
	struct srsd_watch *watch;
	struct srsd_snapshot *last;
	enum output_result result; /* of the lines so far */
};

static void print_change(struct watcher *watcher, const struct srsd_endpoint *endpoint, bool is_added)
{
	struct srsd_address address;
	struct json json;

	if (watcher->result != OUTPUT_WRITTEN)
		return;
	if (watcher->options->is_json) {
		srsd_endpoint_address(endpoint, &address);
		json_begin(&json, stdout);
		json_text(&json, "event", is_added ? "added" : "removed");
		json_address(&json, watcher->options->operands[0], &address);
		json_end(&json);
	} else {
		printf("%c %s\n", is_added ? '+' : '-', srsd_endpoint_name(endpoint));
	}
	watcher->result = output_flush();
}

static void on_added(void *arg, const struct srsd_endpoint *endpoint)
{
	print_change(arg, endpoint, true);
}

static void on_removed(void *arg, const struct srsd_endpoint *endpoint)
{
	print_change(arg, endpoint, false);
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct watcher *watcher = arg;
	bool is_first = watcher->last == NULL;

	srsd_snapshot_difference(watcher->last, snapshot, on_added, on_removed, watcher);
	srsd_snapshot_unref(&watcher->last);
	watcher->last = srsd_snapshot_ref(snapshot);
	if (is_first)
		complain("watching %s: %zu registered", watcher->options->operands[0],
			srsd_snapshot_count(snapshot));
	if (watcher->result != OUTPUT_WRITTEN)
		command_loop_end(&watcher->loop, output_end(watcher->result));
}

static void on_stop(void *arg)
{
	struct watcher *watcher = arg;

	command_loop_end(&watcher->loop, EXIT_STATUS_DONE);
}

static int watch_run(const struct options *options)
{
	struct watcher watcher = {.options = options};
	struct srsd_error error = {""};

	int status = command_loop_open(&watcher.loop, options, true, on_stop, &watcher);
	if (status == EXIT_STATUS_DONE) {
		enum srsd_status watched = srsd_watch(watcher.loop.srsd, options->operands[0], NULL,
			on_change, &watcher, &watcher.watch, &error);
		if (watched == SRSD_OK) {
			status = command_loop_run(&watcher.loop);
			srsd_watch_end(&watcher.watch);
		} else {
			complain("%s", error.text);
			status = exit_status_of(watched);
		}
	}
	srsd_snapshot_unref(&watcher.last);
	command_loop_close(&watcher.loop);
	return status;
}

const struct command command_watch = {
	.bit = COMMAND_WATCH,
	.operand_count = 1,
	.name = "watch",
	.operands = "LABEL",
	.summary = "print addresses as they come and go",
	.description = "Prints each address that is registered under LABEL, and then each that is added\n"
		       "(+) or removed (-), one per line, as it happens, until SIGINT (Ctrl-C), SIGTERM\n"
		       "or SIGHUP, or until nobody reads its output any more. LABEL need not exist yet.\n"
		       "\n"
		       "While no ZooKeeper server answers, the last known addresses stand; what has\n"
		       "changed meanwhile is printed once a server is back. How the connection stands\n"
		       "is said on standard error.\n",
	.examples = "  srsd watch tornado_app\n"
		    "      + 192.0.2.1:8888\n"
		    "      + 192.0.2.2:8888\n"
		    "      - 192.0.2.1:8888\n"
		    "  srsd watch tornado_app --json\n"
		    "      "
		    "{\"event\":\"added\",\"label\":\"tornado_app\",\"address\":\"192.0.2.1:8888\",\"host\":"
		    "\"192.0.2.1\","
		    "\"port\":8888}\n",
	.run = watch_run,
};
