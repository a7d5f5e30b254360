/* watch - the sub-command that prints who comes and who goes under a label. Owns its last snapshot. */
#include "srsd/command/duration.h"
#include "srsd/command/loop.h"
#include "srsd/command/output.h"

#include <inttypes.h>
#include <string.h>

enum { ADDRESS_COLUMN = 21 }; /* 255.255.255.255:65535; a longer one stands out */

enum change { ADDED, REMOVED, CHANGED };

static const struct {
	char sign;
	const char *word;
} changes[] = {[ADDED] = {'+', "added"}, [REMOVED] = {'-', "removed"}, [CHANGED] = {'~', "changed"}};

struct watcher {
	struct command_loop loop;
	const struct options *options;
	struct srsd_watch *watch;
	struct srsd_snapshot *last;
	enum output_result result; /* of the lines so far */
};

static void print_object(const struct watcher *watcher, const struct srsd_endpoint *endpoint,
	const struct srsd_address *address, enum change change)
{
	struct json json;

	json_begin(&json, stdout);
	json_text(&json, "event", changes[change].word);
	json_time(&json, "time", time_now_ms());
	json_address(&json, watcher->options->operands[0], address);
	json_endpoint(&json, endpoint);
	json_end(&json);
}

/* Sign and address come first, whatever follows: what is made to read these goes on reading them. */
static void print_line(const struct watcher *watcher, const struct srsd_endpoint *endpoint,
	const struct srsd_address *address, enum change change)
{
	int64_t created_ms = srsd_endpoint_created_ms(endpoint), now_ms = time_now_ms();
	char text[SRSD_ADDRESS_MAX], time[TIME_TEXT_MAX], age[DURATION_TEXT_MAX];

	srsd_address_format(address, text, sizeof(text));
	if (watcher->options->is_brief) {
		printf("%c %s\n", changes[change].sign, text);
		return;
	}
	printf("%c %-*s %s", changes[change].sign, ADDRESS_COLUMN, text, time_write(now_ms, time));
	if (created_ms != 0)
		printf(" owner=0x%" PRIx64 " age=%s", (uint64_t)srsd_endpoint_owner(endpoint),
			duration_write(now_ms - created_ms, age));
	putchar('\n');
}

static void print_change(struct watcher *watcher, const struct srsd_endpoint *endpoint, enum change change)
{
	struct srsd_address address;

	if (watcher->result != OUTPUT_WRITTEN)
		return;
	srsd_endpoint_address(endpoint, &address);
	if (watcher->options->is_json)
		print_object(watcher, endpoint, &address, change);
	else
		print_line(watcher, endpoint, &address, change);
	watcher->result = output_flush();
}

/* ---- What has changed ------------------------------------------------------------------------ */

static bool has_same_address(const struct srsd_endpoint *one, const struct srsd_endpoint *other)
{
	struct srsd_address a, b;

	srsd_endpoint_address(one, &a);
	srsd_endpoint_address(other, &b);
	return a.port == b.port && strcmp(a.host, b.host) == 0;
}

static bool has_same_labels(const struct srsd_endpoint *one, const struct srsd_endpoint *other)
{
	size_t count = srsd_endpoint_label_count(one);
	const char *key, *value;

	if (count != srsd_endpoint_label_count(other))
		return false;
	for (size_t i = 0; i < count; i++) {
		srsd_endpoint_label_at(one, i, &key, &value);
		const char *same = srsd_endpoint_label(other, key);
		if (same == NULL || strcmp(same, value) != 0)
			return false;
	}
	return true;
}

/* Where one of them was not read, its origin is not known to be another. */
static bool has_same_origin(const struct srsd_endpoint *one, const struct srsd_endpoint *other)
{
	int64_t created_ms = srsd_endpoint_created_ms(one),
		other_created_ms = srsd_endpoint_created_ms(other);

	return created_ms == 0 || other_created_ms == 0 ||
	       (created_ms == other_created_ms && srsd_endpoint_owner(one) == srsd_endpoint_owner(other));
}

/* A node that stayed, and of which something may have changed. */
static void compare(
	struct watcher *watcher, const struct srsd_endpoint *before, const struct srsd_endpoint *after)
{
	if (before == after)
		return;
	if (!has_same_address(before, after)) {
		print_change(watcher, before, REMOVED);
		print_change(watcher, after, ADDED);
	} else if (!watcher->options->is_brief &&
		   (srsd_endpoint_weight(before) != srsd_endpoint_weight(after) ||
			   strcmp(srsd_endpoint_zone(before), srsd_endpoint_zone(after)) != 0 ||
			   !has_same_labels(before, after) || !has_same_origin(before, after))) {
		print_change(watcher, after, CHANGED);
	}
}

static const struct srsd_endpoint *member_at(const struct srsd_snapshot *snapshot, size_t index)
{
	if (snapshot == NULL || index >= srsd_snapshot_count(snapshot))
		return NULL;
	return srsd_snapshot_at(snapshot, index);
}

/* Walk both sets together, in the order of their names. */
static void print_changes(
	struct watcher *watcher, const struct srsd_snapshot *before, const struct srsd_snapshot *after)
{
	const struct srsd_endpoint *old = member_at(before, 0), *new = member_at(after, 0);
	size_t b = 0, a = 0;

	while (old != NULL || new != NULL) {
		int order = old == NULL	  ? 1
			    : new == NULL ? -1
					  : strcmp(srsd_endpoint_name(old), srsd_endpoint_name(new));

		if (order < 0)
			print_change(watcher, old, REMOVED);
		else if (order > 0)
			print_change(watcher, new, ADDED);
		else
			compare(watcher, old, new);
		if (order <= 0)
			old = member_at(before, ++b);
		if (order >= 0)
			new = member_at(after, ++a);
	}
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct watcher *watcher = arg;
	bool is_first = watcher->last == NULL;

	print_changes(watcher, watcher->last, snapshot);
	srsd_snapshot_unref(&watcher->last);
	watcher->last = srsd_snapshot_ref(snapshot);
	if (is_first)
		complain("watching %s: %zu registered", watcher->options->operands[0],
			srsd_snapshot_count(snapshot));
	if (watcher->result != OUTPUT_WRITTEN)
		command_loop_end(&watcher->loop, (int)output_end(watcher->result));
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

	int status = (int)command_loop_open(&watcher.loop, options, true, on_stop, &watcher);
	if (status == EXIT_STATUS_DONE) {
		struct srsd_read_options reading = options->reading;

		reading.wants_origin = !options->is_brief;
		enum srsd_status watched = srsd_watch(watcher.loop.srsd, options->operands[0], &reading,
			on_change, &watcher, &watcher.watch, &error);
		if (watched == SRSD_OK) {
			status = command_loop_run(&watcher.loop);
			srsd_watch_end(&watcher.watch);
		} else {
			complain("%s", error.text);
			status = (int)exit_status_of(watched);
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
		       "(+) or removed (-), or whose node has another owner, weight, zone or label now\n"
		       "(~), one per line, until SIGINT (Ctrl-C), SIGTERM or SIGHUP, or until nobody\n"
		       "reads its output any more. LABEL need not exist yet.\n"
		       "Behind the address stand the moment, the session that owns the node (0x0: none,\n"
		       "it is persistent) and how long the node is or was there; --brief leaves them\n"
		       "out, and need not read each node for them.\n"
		       "\n"
		       "While no ZooKeeper server answers, the last known addresses stand; what has\n"
		       "changed meanwhile is printed once a server is back. How the connection stands\n"
		       "is said on standard error.\n",
	.examples = "  srsd watch tornado_app\n"
		    "    + 192.0.2.1:8888 2026-01-02T03:04:05.678Z owner=0x10001a2b3c40000 age=2h13m\n"
		    "    - 192.0.2.1:8888 2026-01-02T03:05:11.012Z owner=0x10001a2b3c40000 age=2h14m\n"
		    "  srsd watch tornado_app --brief | while read -r sign address; do ...; done\n"
		    "      + 192.0.2.1:8888\n"
		    "      - 192.0.2.1:8888\n"
		    "  srsd watch tornado_app --json\n"
		    "      "
		    "{\"event\":\"added\",\"time\":\"2026-01-02T03:04:05.678Z\",\"label\":\"tornado_app\","
		    "\"address\":\"192.0.2.1:8888\",\"host\":\"192.0.2.1\",\"port\":8888,"
		    "\"owner\":\"0x10001a2b3c40000\",\"created\":\"2026-01-02T00:50:52.001Z\"}\n",
	.run = watch_run,
};
