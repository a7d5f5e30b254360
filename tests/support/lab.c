/* lab - a manager of libsrsd on an event loop, and a record of all that it said. Owns both. */
#include "lab.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "srsd/session/session.h"

#define TURN_MS 10

uint64_t lab_now_ms(void)
{
	return srsd_now_ms();
}

static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	struct lab *lab = arg;
	size_t room = sizeof(lab->log) - lab->log_used;
	int written;

	cr_assert(strchr(text, '\n') == NULL, "a log line has a newline: %s", text);
	cr_assert(strstr(text, LAB_PASSWORD) == NULL, "a log line has the password: %s", text);
	if (level == SRSD_LOG_DEBUG)
		return;
	written = snprintf(lab->log + lab->log_used, room, "%d %s\n", (int)level, text);
	cr_assert(written > 0 && (size_t)written < room, "the log of the test is full");
	lab->log_used += (size_t)written;
}

static void on_state(void *arg, enum srsd_state state)
{
	struct lab *lab = arg;

	cr_assert(lab->state_count < LAB_RECORDED_MAX);
	lab->states[lab->state_count++] = state;
}

static void on_tick(evutil_socket_t descriptor, short what, void *arg)
{
	(void)descriptor;
	(void)what;
	(void)arg;
}

void lab_prepare(struct lab *lab, const char *servers)
{
	const struct timeval period = {.tv_usec = TURN_MS * 1000};

	memset(lab, 0, sizeof(*lab));
	snprintf(lab->servers, sizeof(lab->servers), "%s", servers);
	lab->config = (struct srsd_config)SRSD_CONFIG_DEFAULT;
	lab->config.servers = lab->servers;
	lab->config.registry = LAB_REGISTRY;
	lab->config.session_timeout_ms = 2000;
	lab->config.log = on_log;
	lab->config.on_state = on_state;
	lab->config.arg = lab;
	lab->base = event_base_new();
	cr_assert_not_null(lab->base);
	lab->tick = event_new(lab->base, -1, EV_PERSIST, on_tick, NULL);
	cr_assert_not_null(lab->tick);
	event_add(lab->tick, &period);
}

void lab_start(struct lab *lab)
{
	cr_assert_eq(
		srsd_open(lab->base, &lab->config, &lab->srsd, &lab->error), SRSD_OK, "%s", lab->error.text);
}

void lab_open(struct lab *lab, const struct zk_server *server)
{
	char servers[32];

	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server->port);
	lab_prepare(lab, servers);
	lab_start(lab);
}

void lab_close(struct lab *lab)
{
	srsd_close(&lab->srsd);
	cr_assert_null(lab->srsd);
	event_free(lab->tick);
	event_base_free(lab->base);
	lab->base = NULL;
}

void lab_turn(struct lab *lab)
{
	event_base_loop(lab->base, EVLOOP_ONCE);
}

void lab_run_ms(struct lab *lab, uint32_t ms)
{
	uint64_t end_ms = lab_now_ms() + ms;

	while (lab_now_ms() < end_ms)
		lab_turn(lab);
}

size_t lab_log_count(const struct lab *lab, const char *text)
{
	size_t count = 0;

	for (const char *at = strstr(lab->log, text); at != NULL; at = strstr(at + 1, text))
		count++;
	return count;
}

size_t lab_state_count(const struct lab *lab, enum srsd_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < lab->state_count; i++)
		count += lab->states[i] == state;
	return count;
}

const clientid_t *lab_session(const struct lab *lab)
{
	cr_assert_not_null(lab->srsd->loop.handle);
	return zoo_client_id(lab->srsd->loop.handle);
}

void lab_expire(struct lab *lab, const struct zk_server *server)
{
	clientid_t id = *lab_session(lab);

	zk_peer_end_session(server->port, &id);
}

/* ---- Watches --------------------------------------------------------------------------------- */

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	struct lab_watch *watch = arg;

	srsd_snapshot_unref(&watch->last);
	watch->last = srsd_snapshot_ref(snapshot);
	watch->changes++;
}

void lab_watch_with(
	struct lab *lab, struct lab_watch *watch, const char *label, const struct srsd_read_options *options)
{
	*watch = (struct lab_watch){0};
	cr_assert_eq(srsd_watch(lab->srsd, label, options, on_change, watch, &watch->watch, &lab->error),
		SRSD_OK, "%s", lab->error.text);
}

void lab_watch(struct lab *lab, struct lab_watch *watch, const char *label)
{
	lab_watch_with(lab, watch, label, NULL);
}

void lab_watch_clear(struct lab_watch *watch)
{
	srsd_snapshot_unref(&watch->last);
}

size_t lab_watch_count(const struct lab_watch *watch)
{
	return watch->last == NULL ? 0 : srsd_snapshot_count(watch->last);
}

bool lab_watch_has(const struct lab_watch *watch, const char *name)
{
	for (size_t i = 0; i < lab_watch_count(watch); i++) {
		if (strcmp(srsd_endpoint_name(srsd_snapshot_at(watch->last, i)), name) == 0)
			return true;
	}
	return false;
}

/* ---- Registrations --------------------------------------------------------------------------- */

void lab_on_registration(void *arg, enum srsd_registration_state state, const char *text)
{
	struct lab_registration *registration = arg;

	cr_assert(registration->state_count < LAB_RECORDED_MAX);
	registration->states[registration->state_count++] = state;
	snprintf(registration->text, sizeof(registration->text), "%s", text);
}

void lab_register(
	struct lab *lab, struct lab_registration *registration, const char *label, const char *address)
{
	*registration = (struct lab_registration){0};
	cr_assert_eq(srsd_register(lab->srsd, label, address, NULL, lab_on_registration, registration,
			     &registration->registration, &lab->error),
		SRSD_OK, "%s", lab->error.text);
}

bool lab_registration_is(const struct lab_registration *registration, enum srsd_registration_state state)
{
	return registration->state_count > 0 && registration->states[registration->state_count - 1] == state;
}

size_t lab_registration_count(const struct lab_registration *registration, enum srsd_registration_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < registration->state_count; i++)
		count += registration->states[i] == state;
	return count;
}
