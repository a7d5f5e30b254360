/* labels - the sub-command that prints which labels there are. Owns the paths that it asks for.
 *
 * To ZooKeeper, and so to the library, the registry is a node like a label, whose children are labels: it is
 * read as one, and the names of its children are what is wanted. */
#include "srsd/command/options.h"
#include "srsd/command/output.h"

#include <stdlib.h>
#include <string.h>

/* What is read: the node `last` below `parent`. Both point into `path`. */
struct place {
	char *servers; /* without their chroot; owned */
	char *path;    /* owned */
	const char *parent;
	const char *last;
};

static void place_clear(struct place *place)
{
	free(place->servers);
	free(place->path);
}

/* Chroot and registry in one, divided at the last slash. */
static enum exit_status place_find(const struct srsd_config *config, struct place *place)
{
	const char *chroot = config->servers + strcspn(config->servers, "/");
	const char *registry = strcmp(config->registry, "/") == 0 ? "" : config->registry;

	*place = (struct place){.servers = strndup(config->servers, strcspn(config->servers, "/"))};
	if (asprintf(&place->path, "%s%s", strcmp(chroot, "/") == 0 ? "" : chroot, registry) < 0)
		place->path = NULL;
	if (place->servers == NULL || place->path == NULL) {
		complain("out of memory");
		return EXIT_STATUS_SYSTEM;
	}
	char *slash = strrchr(place->path, '/');
	if (slash == NULL) {
		complain("what stands at the top of ZooKeeper is not listed as labels; give --registry");
		return EXIT_STATUS_USAGE;
	}
	place->last = slash + 1;
	place->parent = slash == place->path ? "/" : place->path;
	*slash = '\0';
	return EXIT_STATUS_DONE;
}

static enum output_result print_label(const struct options *options, const char *label)
{
	struct json json;

	if (options->is_json) {
		json_begin(&json, stdout);
		json_text(&json, "label", label);
		json_end(&json);
	} else {
		printf("%s\n", label);
	}
	return output_flush();
}

/* Members and outsiders are sorted, each for themselves; labels that could be addresses are members. */
static enum output_result print_labels(const struct options *options, const struct srsd_snapshot *snapshot)
{
	size_t members = srsd_snapshot_count(snapshot), outsiders = srsd_snapshot_outsider_count(snapshot);
	enum output_result result = OUTPUT_WRITTEN;

	for (size_t m = 0, o = 0; m + o < members + outsiders && result == OUTPUT_WRITTEN;) {
		const char *member = m < members ? srsd_endpoint_name(srsd_snapshot_at(snapshot, m)) : NULL;
		const char *outsider = o < outsiders ? srsd_snapshot_outsider_at(snapshot, o)->name : NULL;
		bool is_member = outsider == NULL || (member != NULL && strcmp(member, outsider) < 0);

		result = print_label(options, is_member ? member : outsider);
		m += is_member;
		o += !is_member;
	}
	return result;
}

/* That labels are no addresses is no news here. */
static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	output_log(arg, level == SRSD_LOG_WARNING ? SRSD_LOG_INFO : level, text);
}

static enum exit_status list(const struct options *options, const struct place *place)
{
	struct srsd_config config = options->config;
	struct srsd_snapshot *snapshot = NULL;
	struct srsd_error error = {""};

	config.servers = place->servers;
	config.registry = place->parent;
	config.children_max = UINT32_MAX;
	config.log = on_log;
	enum srsd_status status =
		srsd_discover_wait(&config, place->last, NULL, options->timeout_ms, &snapshot, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		return exit_status_of(status);
	}
	enum exit_status end = EXIT_STATUS_NOT_FOUND;
	if (srsd_snapshot_count(snapshot) + srsd_snapshot_outsider_count(snapshot) == 0)
		complain("no label is registered under %s", options->config.registry);
	else
		end = output_end(print_labels(options, snapshot));
	srsd_snapshot_unref(&snapshot);
	return end;
}

static int labels_run(const struct options *options)
{
	struct place place;

	enum exit_status status = place_find(&options->config, &place);
	if (status == EXIT_STATUS_DONE)
		status = list(options, &place);
	place_clear(&place);
	return (int)status;
}

const struct command command_labels = {
	.bit = COMMAND_LABELS,
	.operand_count = 0,
	.name = "labels",
	.operands = "",
	.summary = "print which labels there are",
	.description = "Prints the labels under which something is registered, or was (a label stays\n"
		       "when its last address goes), one per line, sorted, and ends. Ends with exit\n"
		       "status 1 when there is none.\n",
	.examples = "  srsd labels\n"
		    "      search\n"
		    "      tornado_app\n"
		    "  srsd labels | xargs -n 1 srsd check\n",
	.run = labels_run,
};
