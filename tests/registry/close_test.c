/* close_test - a manager that is closed at bad moments: in each of its callbacks, and with answers on their
 * way. */
#include <stdio.h>
#include <string.h>

#include "lab.h"

#define ADDRESS "192.0.2.1:8888"

static struct zk_server server;
static struct event_base *base;
static struct srsd *srsd;
static struct srsd_watch *watch;
static struct srsd_registration *registration;
static unsigned calls; /* of the callback that closes */

enum closer { BY_STATE, BY_LOG, BY_WARNING, BY_WATCH, BY_REGISTRATION, BY_DISCOVER, BY_RELEASE };

static enum closer closer;

static void close_if(enum closer who)
{
	if (who != closer)
		return;
	calls++;
	cr_assert_eq(calls, 1, "a callback came after srsd_close()");
	srsd_close(&srsd);
	cr_assert_null(srsd);
}

static void on_state(void *arg, enum srsd_state state)
{
	(void)arg;
	(void)state;
	close_if(BY_STATE);
}

static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	(void)arg;
	(void)text;
	if (level == SRSD_LOG_DEBUG && srsd != NULL)
		close_if(BY_LOG);
	if (level == SRSD_LOG_WARNING)
		close_if(BY_WARNING);
}

static void on_change(void *arg, struct srsd_snapshot *snapshot)
{
	(void)arg;
	(void)snapshot;
	close_if(BY_WATCH);
}

static void on_discovered(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	(void)arg;
	(void)status;
	(void)snapshot;
	close_if(BY_DISCOVER);
}

static void on_registration(void *arg, enum srsd_registration_state state, const char *text)
{
	(void)arg;
	(void)text;
	close_if(BY_REGISTRATION);
	if (closer == BY_RELEASE && state == SRSD_REGISTRATION_HELD)
		srsd_deregister(&registration, 5000);
	if (state == SRSD_REGISTRATION_RELEASED)
		close_if(BY_RELEASE);
}

static void close_by(enum closer who, const char *servers)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	uint64_t deadline_ms = lab_now_ms() + LAB_PATIENCE_MS;
	struct srsd_error error;

	closer = who;
	calls = 0;
	base = event_base_new();
	config.servers = servers;
	config.session_timeout_ms = 2000;
	config.log = on_log;
	config.on_state = on_state;
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_OK);
	cr_assert_eq(srsd_watch(srsd, "app", NULL, on_change, NULL, &watch, &error), SRSD_OK);
	cr_assert_eq(srsd_register(srsd, "app", ADDRESS, NULL, on_registration, NULL, &registration, &error),
		SRSD_OK);
	cr_assert_eq(srsd_discover(srsd, "app", NULL, 20000, on_discovered, NULL, &error), SRSD_OK);
	while (calls == 0) {
		cr_assert_lt(lab_now_ms(), deadline_ms, "closer %d was never called", (int)who);
		event_base_loop(base, EVLOOP_ONCE);
	}
	/* Nothing of it is left on the loop. */
	cr_assert_eq(event_base_dispatch(base), 1, "an event is left");
	event_base_free(base);
}

Test(close, inside_every_callback)
{
	char servers[32];

	zk_server_begin(&server);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u", (unsigned)server.port);
	close_by(BY_STATE, servers);
	close_by(BY_LOG, servers);
	close_by(BY_WATCH, servers);
	close_by(BY_REGISTRATION, servers);
	close_by(BY_DISCOVER, servers);
	close_by(BY_RELEASE, servers);
	zk_server_end(&server);
}

Test(close, while_it_is_said_that_a_name_cannot_be_looked_up)
{
	close_by(BY_WARNING, "nowhere.test:2181");
}

Test(close, before_the_loop_ran)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct srsd_error error;

	base = event_base_new();
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_OK);
	cr_assert_eq(srsd_watch(srsd, "app", NULL, on_change, NULL, &watch, &error), SRSD_OK);
	cr_assert_eq(srsd_register(srsd, "app", ADDRESS, NULL, on_registration, NULL, &registration, &error),
		SRSD_OK);
	cr_assert_eq(srsd_discover(srsd, "app", NULL, 20000, on_discovered, NULL, &error), SRSD_OK);
	srsd_close(&srsd);
	srsd_close(&srsd);
	cr_assert_eq(event_base_dispatch(base), 1, "an event is left");
	event_base_free(base);
}

/* Answers that never come: LeakSanitizer looks at what they leave. */
Test(close, while_requests_are_on_their_way)
{
	static struct lab lab;
	struct lab_registration registrations[20];
	struct lab_watch watches[20];
	uint64_t before_ms;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_freeze(&server);
	for (int i = 0; i < 20; i++) {
		char address[32];

		snprintf(address, sizeof(address), "192.0.2.1:%d", 1000 + i);
		lab_watch(&lab, &watches[i], "app");
		lab_register(&lab, &registrations[i], "app", address);
		closer = BY_DISCOVER;
		cr_assert_eq(srsd_discover(lab.srsd, "app", NULL, 20000, on_discovered, NULL, &lab.error),
			SRSD_OK);
	}
	srsd_watch_end(&watches[3].watch);
	srsd_deregister(&registrations[4].registration, 20000);
	lab_run_ms(&lab, 100);
	before_ms = lab_now_ms();
	lab_close(&lab);
	cr_assert_lt(lab_now_ms() - before_ms, 10000, "it blocks for a bounded time");
	zk_server_end(&server);
}

/* The same, answered by a connection that breaks. */
Test(close, after_the_connection_broke)
{
	static struct lab lab;
	struct lab_registration registered;
	struct lab_watch watched;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_freeze(&server);
	lab_watch(&lab, &watched, "app");
	lab_register(&lab, &registered, "app", ADDRESS);
	lab_run_ms(&lab, 50);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	lab_close(&lab);
	cr_assert_eq(watched.changes, 0);
	cr_assert_eq(registered.state_count, 0);
	zk_server_end(&server);
}
