/* chaos_client - a user of libsrsd that tells all it is told: what a chaos run hurts, and asks what it
 * believes. Owns the manager, its watches and its registrations.
 *
 *   chaos_client SERVERS REGISTRY SESSION_TIMEOUT_MS
 *
 * Commands are lines on standard input; the end of input is "quit":
 *
 *   register LABEL ADDRESS      watch LABEL       belief
 *   deregister LABEL ADDRESS    unwatch LABEL     quit
 *
 * Each event is a line of JSON on standard output, with the time of it by CLOCK_MONOTONIC ("t", seconds) and
 * by the wall's clock ("wall"). "belief" is answered with one line that holds all that is believed now. */
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "srsd/session/session.h"
#include "srsd/srsd.h"

#define LINE_MAX_BYTES	    1024
#define DEREGISTER_LIMIT_MS 2000
/* What is read again just in case must not hide that something was missed. */
#define RECHECK_MS 3600000

struct followed {
	LIST_ENTRY(followed) link;
	char *label;
	struct srsd_watch *watch;
	struct srsd_snapshot *told; /* owned: what on_change brought last */
};

struct held {
	LIST_ENTRY(held) link;
	char *label;
	char *address;
	struct srsd_registration *registration;
	enum srsd_registration_state told;
};

static struct program {
	struct event_base *base;
	struct srsd *srsd;
	LIST_HEAD(, followed) followed;
	LIST_HEAD(, held) held;
	char line[LINE_MAX_BYTES];
	size_t line_used;
} program;

/* ---- Lines of JSON --------------------------------------------------------------------------- */

static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void say_text(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned)(unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void say_field(const char *name, const char *text)
{
	printf(",\"%s\":", name);
	say_text(text);
}

static void begin_line(const char *event)
{
	printf("{\"t\":%.6f,\"wall\":%.3f", seconds_of(CLOCK_MONOTONIC), seconds_of(CLOCK_REALTIME));
	say_field("event", event);
}

static void end_line(void)
{
	puts("}");
	fflush(stdout);
}

static void complain(const char *what, const char *text)
{
	begin_line("trouble");
	say_field("what", what);
	say_field("text", text);
	end_line();
}

/* ---- What the library tells ------------------------------------------------------------------ */

static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	(void)arg;
	if (level != SRSD_LOG_DEBUG)
		fprintf(stderr, "%.3f %d %s\n", seconds_of(CLOCK_MONOTONIC), (int)level, text);
}

static void on_state(void *arg, enum srsd_state state)
{
	(void)arg;
	begin_line("state");
	say_field("state", srsd_state_text(state));
	end_line();
}

static void on_registration(void *arg, enum srsd_registration_state state, const char *text)
{
	struct held *held = arg;

	held->told = state;
	begin_line("registration");
	say_field("label", held->label);
	say_field("address", held->address);
	say_field("state", srsd_registration_state_text(state));
	say_field("text", text);
	end_line();
	if (state != SRSD_REGISTRATION_RELEASED)
		return;
	LIST_REMOVE(held, link);
	free(held->label);
	free(held->address);
	free(held);
}

struct sequence {
	bool has_begun;
};

static void say_name(void *arg, const struct srsd_endpoint *endpoint)
{
	struct sequence *sequence = arg;

	if (sequence->has_begun)
		putchar(',');
	sequence->has_begun = true;
	say_text(srsd_endpoint_name(endpoint));
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct followed *followed = arg;
	struct sequence added = {0};
	struct sequence removed = {0};

	begin_line("set");
	say_field("label", followed->label);
	printf(",\"version\":%" PRIu64 ",\"added\":[", srsd_snapshot_version(snapshot));
	srsd_snapshot_difference(followed->told, snapshot, say_name, NULL, &added);
	fputs("],\"removed\":[", stdout);
	srsd_snapshot_difference(followed->told, snapshot, NULL, say_name, &removed);
	putchar(']');
	end_line();
	srsd_snapshot_unref(&followed->told);
	followed->told = srsd_snapshot_ref(snapshot);
}

/* ---- What is believed ------------------------------------------------------------------------ */

static void say_session(void)
{
	const clientid_t *id =
		program.srsd->loop.handle == NULL ? NULL : zoo_client_id(program.srsd->loop.handle);

	say_field("state", srsd_state_text(srsd_current_state(program.srsd)));
	if (id == NULL) {
		fputs(",\"session\":0,\"password\":\"\"", stdout);
		return;
	}
	printf(",\"session\":%" PRId64 ",\"password\":\"", id->client_id);
	for (size_t i = 0; i < sizeof(id->passwd); i++)
		printf("%02x", (unsigned)(unsigned char)id->passwd[i]);
	putchar('"');
}

static void say_registrations(void)
{
	const char *comma = "";
	struct held *held;

	fputs(",\"registrations\":[", stdout);
	LIST_FOREACH (held, &program.held, link) {
		printf("%s[", comma);
		say_text(held->label);
		putchar(',');
		say_text(held->address);
		putchar(',');
		say_text(srsd_registration_state_text(held->told));
		putchar(']');
		comma = ",";
	}
	putchar(']');
}

static void say_sets(void)
{
	const char *comma = "";
	struct followed *followed;

	fputs(",\"sets\":{", stdout);
	LIST_FOREACH (followed, &program.followed, link) {
		const struct srsd_snapshot *current = srsd_watch_current(followed->watch);
		struct sequence names = {0};

		fputs(comma, stdout);
		say_text(followed->label);
		fputs(current == NULL ? ":null" : ":[", stdout);
		if (current != NULL) {
			srsd_snapshot_difference(NULL, current, say_name, NULL, &names);
			putchar(']');
		}
		comma = ",";
	}
	putchar('}');
}

static void say_belief(void)
{
	begin_line("belief");
	/* What is allocated now, which tells a leak better than what the allocator has of the system. */
	printf(",\"heap_bytes\":%zu", mallinfo2().uordblks);
	say_session();
	say_registrations();
	say_sets();
	end_line();
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void *zeroed(size_t size)
{
	void *memory = calloc(1, size);

	if (memory == NULL)
		abort();
	return memory;
}

static char *copied(const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		abort();
	return copy;
}

static void watch_label(const char *label)
{
	struct followed *followed = zeroed(sizeof(*followed));
	struct srsd_error error;

	followed->label = copied(label);
	LIST_INSERT_HEAD(&program.followed, followed, link);
	if (srsd_watch(program.srsd, label, NULL, on_change, followed, &followed->watch, &error) != SRSD_OK) {
		complain("watch", error.text);
		exit(1);
	}
}

static void end_followed(struct followed *followed)
{
	srsd_watch_end(&followed->watch);
	srsd_snapshot_unref(&followed->told);
	LIST_REMOVE(followed, link);
	free(followed->label);
	free(followed);
}

static void unwatch_label(const char *label)
{
	struct followed *followed;

	LIST_FOREACH (followed, &program.followed, link) {
		if (strcmp(followed->label, label) == 0) {
			end_followed(followed);
			return;
		}
	}
	complain("unwatch", "no such watch");
}

static void register_address(const char *label, const char *address)
{
	struct held *held = zeroed(sizeof(*held));
	struct srsd_error error;

	held->label = copied(label);
	held->address = copied(address);
	LIST_INSERT_HEAD(&program.held, held, link);
	if (srsd_register(program.srsd, label, address, NULL, on_registration, held, &held->registration,
		    &error) != SRSD_OK) {
		complain("register", error.text);
		exit(1);
	}
}

static void deregister_address(const char *label, const char *address)
{
	struct held *held;

	LIST_FOREACH (held, &program.held, link) {
		if (held->registration != NULL && strcmp(held->label, label) == 0 &&
			strcmp(held->address, address) == 0) {
			srsd_deregister(&held->registration, DEREGISTER_LIMIT_MS);
			return;
		}
	}
	complain("deregister", "no such registration");
}

static void obey(char *line)
{
	char *rest = line;
	const char *command = strsep(&rest, " ");
	const char *label = strsep(&rest, " ");
	const char *address = strsep(&rest, " ");

	if (strcmp(command, "belief") == 0)
		say_belief();
	else if (strcmp(command, "quit") == 0)
		event_base_loopbreak(program.base);
	else if (label != NULL && strcmp(command, "watch") == 0)
		watch_label(label);
	else if (label != NULL && strcmp(command, "unwatch") == 0)
		unwatch_label(label);
	else if (address != NULL && strcmp(command, "register") == 0)
		register_address(label, address);
	else if (address != NULL && strcmp(command, "deregister") == 0)
		deregister_address(label, address);
	else
		complain("unknown command", line);
}

static void on_input(evutil_socket_t descriptor, short what, void *arg)
{
	char *line = program.line;
	ssize_t got = read(descriptor, line + program.line_used, sizeof(program.line) - program.line_used);
	char *end;

	(void)what;
	(void)arg;
	if (got <= 0) {
		event_base_loopbreak(program.base);
		return;
	}
	program.line_used += (size_t)got;
	while ((end = memchr(line, '\n', program.line_used)) != NULL) {
		*end = '\0';
		obey(line);
		program.line_used -= (size_t)(end + 1 - line);
		memmove(line, end + 1, program.line_used);
	}
	if (program.line_used == sizeof(program.line)) {
		complain("input", "the line is too long");
		exit(1);
	}
}

/* ---- Its life -------------------------------------------------------------------------------- */

/* What is ended with the manager reports nothing: its memory is ours to free. */
static void finish(struct event *input)
{
	struct followed *followed;
	struct held *held;

	while ((followed = LIST_FIRST(&program.followed)) != NULL)
		end_followed(followed);
	srsd_close(&program.srsd);
	while ((held = LIST_FIRST(&program.held)) != NULL) {
		LIST_REMOVE(held, link);
		free(held->label);
		free(held->address);
		free(held);
	}
	event_free(input);
	event_base_free(program.base);
}

int main(int argument_count, char **arguments)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct srsd_error error;
	struct event *input;

	if (argument_count != 4) {
		fprintf(stderr, "usage: chaos_client SERVERS REGISTRY SESSION_TIMEOUT_MS\n");
		return 64;
	}
	config.servers = arguments[1];
	config.registry = arguments[2];
	config.session_timeout_ms = (uint32_t)strtoul(arguments[3], NULL, 10);
	config.recheck_ms = RECHECK_MS;
	config.log = on_log;
	config.on_state = on_state;
	program.base = event_base_new();
	if (program.base == NULL || srsd_open(program.base, &config, &program.srsd, &error) != SRSD_OK) {
		fprintf(stderr, "chaos_client: %s\n", program.base == NULL ? "no event base" : error.text);
		return 1;
	}
	input = event_new(program.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, NULL);
	if (input == NULL || event_add(input, NULL) != 0) {
		fprintf(stderr, "chaos_client: standard input must be a pipe or a terminal\n");
		return 1;
	}
	event_base_dispatch(program.base);
	finish(input);
	return 0;
}
