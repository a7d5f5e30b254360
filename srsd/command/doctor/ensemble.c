/* ensemble - asks every ZooKeeper server about its clients and its bounds. */
#include "srsd/command/doctor/ensemble.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ensemble_server {
	struct ensemble *ensemble;
	char name[SRSD_ADDRESS_MAX];
	bool has_failed; /* and it was said */
};

/* There is room for two of each server, and one of all: see ensemble_ask(). */
static void __attribute__((format(printf, 2, 3)))
note_unknown(struct ensemble *ensemble, const char *format, ...)
{
	struct unknown *unknown = &ensemble->unknowns[ensemble->unknown_count++];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(unknown->text, sizeof(unknown->text), format, arguments);
	va_end(arguments);
}

/* One answer more, or one less to wait for. */
static void answered(struct ensemble *ensemble)
{
	if (--ensemble->waiting > 0)
		return;
	clients_sort(&ensemble->clients);
	ensemble->on_done(ensemble->arg);
}

static void note_failure(struct ensemble_server *server, enum question_outcome outcome, const char *word,
	const char *what, const char *why)
{
	if (outcome == QUESTION_FORBIDDEN) {
		note_unknown(server->ensemble,
			"%s, by %s: the server does not answer \"%s\"; allow it there with "
			"4lw.commands.whitelist=srvr,conf,cons",
			what, server->name, word);
	} else if (!server->has_failed) {
		note_unknown(server->ensemble, "what %s says of its clients: %s", server->name, why);
		server->has_failed = true;
	}
}

static void on_cons(void *arg, enum question_outcome outcome, const char *answer, const char *why)
{
	struct ensemble_server *server = arg;
	struct ensemble *ensemble = server->ensemble;

	if (outcome != QUESTION_ANSWERED)
		note_failure(server, outcome, "cons", "where owners are and their session timeouts", why);
	else if (clients_read(&ensemble->clients, answer))
		ensemble->told_clients++;
	answered(ensemble);
}

static void on_conf(void *arg, enum question_outcome outcome, const char *answer, const char *why)
{
	struct ensemble_server *server = arg;
	struct server_bounds *bounds = &server->ensemble->bounds;
	struct server_bounds told;

	if (outcome != QUESTION_ANSWERED) {
		note_failure(server, outcome, "conf", "the bounds of session timeouts", why);
	} else if (server_bounds_read(answer, &told)) {
		if (told.session_least_ms > bounds->session_least_ms)
			bounds->session_least_ms = told.session_least_ms;
		if (told.session_most_ms > bounds->session_most_ms)
			bounds->session_most_ms = told.session_most_ms;
		if (told.members > bounds->members)
			bounds->members = told.members;
	}
	answered(server->ensemble);
}

static bool ask_server(struct ensemble_server *server, struct dialler *dialler,
	const struct srsd_address *address, uint32_t timeout_ms)
{
	struct ensemble *ensemble = server->ensemble;

	srsd_address_format(address, server->name, sizeof(server->name));
	if (!question_ask(dialler, address, "cons", timeout_ms, on_cons, server))
		return false;
	ensemble->waiting++;
	if (!question_ask(dialler, address, "conf", timeout_ms, on_conf, server))
		return false;
	ensemble->waiting++;
	return true;
}

bool ensemble_ask(struct ensemble *ensemble, struct dialler *dialler, const char *servers,
	uint32_t timeout_ms, void (*on_done)(void *arg), void *arg)
{
	const char *end = servers + strcspn(servers, "/"); /* the chroot begins there */
	size_t room = 1;

	for (const char *at = servers; at < end; at++)
		room += *at == ',';
	*ensemble = (struct ensemble){.on_done = on_done, .arg = arg};
	ensemble->servers = calloc(room, sizeof(*ensemble->servers));
	ensemble->unknowns = calloc(2 * room + 1, sizeof(*ensemble->unknowns));
	if (ensemble->servers == NULL || ensemble->unknowns == NULL)
		return false;
	for (const char *at = servers; at < end && ensemble->server_count < room;) {
		size_t bytes = strcspn(at, ",/");
		struct srsd_address address;

		if (srsd_address_parse(at, bytes, &address, NULL) == SRSD_OK) {
			struct ensemble_server *server = &ensemble->servers[ensemble->server_count++];

			server->ensemble = ensemble;
			if (!ask_server(server, dialler, &address, timeout_ms))
				return false;
		}
		at += bytes + 1;
	}
	return ensemble->waiting > 0;
}

bool ensemble_is_complete(const struct ensemble *ensemble)
{
	return ensemble->told_clients == ensemble->server_count && ensemble->bounds.members != 0 &&
	       ensemble->server_count >= ensemble->bounds.members;
}

void ensemble_note_unseen(struct ensemble *ensemble, size_t nodes)
{
	/* Who tells nothing was complained of already. */
	if (nodes == 0 || ensemble->told_clients == 0 || ensemble_is_complete(ensemble))
		return;
	note_unknown(ensemble,
		"where the owners of %zu node%s are: connected to none of the %u servers that told; name "
		"every "
		"server with --zookeeper",
		nodes, nodes == 1 ? "" : "s", ensemble->told_clients);
}

void ensemble_clear(struct ensemble *ensemble)
{
	clients_clear(&ensemble->clients);
	free(ensemble->servers);
	free(ensemble->unknowns);
	*ensemble = (struct ensemble){0};
}
