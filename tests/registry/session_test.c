/* session_test - one session against what happens to servers: down, killed, frozen, wiped; sessions that
 * expire. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab.h"
#include "srsd/session/session.h"

#define ADDRESS	     "192.0.2.1:8888"
#define ADDRESS_PATH LAB_REGISTRY "/app/" ADDRESS

static struct lab lab;
static struct zk_server server;

/* Two thirds of it is what the ZooKeeper client waits for a server that says nothing. */
#define LONG_TIMEOUT_MS 20000

static void open_with_timeout(const char *format, uint16_t one, uint16_t other, uint32_t timeout_ms)
{
	char servers[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(servers, sizeof(servers), format, (unsigned)one, (unsigned)other);
#pragma GCC diagnostic pop
	lab_prepare(&lab, servers);
	lab.config.session_timeout_ms = timeout_ms;
	lab_start(&lab);
}

static void open_lists(const char *format, uint16_t one, uint16_t other)
{
	open_with_timeout(format, one, other, 2000);
}

static void expect_states(const enum srsd_state *expected, size_t count)
{
	cr_assert_eq(
		lab.state_count, count, "%zu states, not %zu; log:\n%s", lab.state_count, count, lab.log);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(
			lab.states[i], expected[i], "state %zu is %s", i, srsd_state_text(lab.states[i]));
}

Test(session, starts_without_a_server)
{
	struct lab_watch watch;

	zk_server_prepare(&server);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	cr_assert_eq(srsd_current_state(lab.srsd), SRSD_CONNECTING);
	lab_run_ms(&lab, 1500);
	cr_assert_eq(srsd_current_state(lab.srsd), SRSD_CONNECTING);
	cr_assert_eq(lab_log_count(&lab, "no server of"), 1, "one line, not one per attempt:\n%s", lab.log);
	cr_assert_eq(lab_log_count(&lab, "Connection refused): trying on"), 1, "%s", lab.log);
	cr_assert_eq(watch.changes, 0);
	cr_assert_null(srsd_watch_current(watch.watch));

	zk_server_start(&server);
	LAB_WAIT(&lab, watch.changes == 1);
	cr_assert_eq(lab_watch_count(&watch), 0);
	expect_states((enum srsd_state[]){SRSD_CONNECTED}, 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, survives_a_killed_server)
{
	struct lab_registration registration;
	struct lab_watch watch;
	struct zk_peer peer;
	clientid_t before;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && registration.state_count == 1);
	before = *lab_session(&lab);

	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	cr_assert_eq(lab_watch_count(&watch), 1, "the last set stands");

	/* What changes before we are back must be found by listing again. */
	zk_server_start(&server);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert_eq(zk_peer_create(&peer, LAB_REGISTRY "/app/192.0.2.2:80", ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	cr_assert_eq(lab_session(&lab)->client_id, before.client_id);
	expect_states((enum srsd_state[]){SRSD_CONNECTED, SRSD_SUSPENDED, SRSD_CONNECTED}, 3);
	cr_assert_eq(registration.state_count, 1, "it was held all the time");
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, NULL, NULL));

	/* And the watch works as before. */
	cr_assert_eq(zk_peer_create(&peer, LAB_REGISTRY "/app/192.0.2.3:80", ZOO_EPHEMERAL), ZOK);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 3);
	zk_peer_close(&peer);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, gets_a_new_session_from_a_wiped_server)
{
	struct lab_registration registration;
	struct lab_watch watch;
	struct zk_peer peer;
	uint64_t back_ms;
	int64_t before;
	int64_t owner;

	zk_server_begin(&server);
	open_with_timeout("127.0.0.1:%u", server.port, 0, LONG_TIMEOUT_MS);
	lab_watch(&lab, &watch, "app");
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && registration.state_count == 1);
	before = lab_session(&lab)->client_id;

	zk_server_kill(&server);
	zk_server_wipe(&server);
	zk_server_start(&server);
	back_ms = lab_now_ms();
	LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == 2);
	cr_assert_lt(lab_now_ms() - back_ms, LONG_TIMEOUT_MS / 2, "it does not wait for the old session");
	cr_assert_eq(lab_log_count(&lab, "servers refuse it, and take others"), 1, "%s", lab.log);
	zk_peer_open(&peer, server.port, NULL);
	cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
	cr_assert_eq(owner, lab_session(&lab)->client_id);
	cr_assert_neq(owner, before);
	expect_states((enum srsd_state[]){SRSD_CONNECTED, SRSD_SUSPENDED, SRSD_EXPIRED, SRSD_CONNECTED}, 4);
	LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
	zk_peer_close(&peer);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, notices_a_frozen_server)
{
	struct lab_registration registration;
	struct lab_watch watch;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && registration.state_count == 1);
	zk_server_freeze(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	cr_assert_eq(lab_log_count(&lab, "Connection timed out): trying"), 1, "%s", lab.log);
	cr_assert_eq(lab_watch_count(&watch), 1, "the last set stands");
	/* For longer than the session lives: whether it is over is for the server to say. */
	lab_run_ms(&lab, 3000);
	zk_server_thaw(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, gets_a_new_session_when_it_expires)
{
	struct lab_registration registration;
	struct lab_watch watch;
	struct zk_peer peer;
	int64_t owner;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 1 && registration.state_count == 1);

	for (size_t round = 1; round <= 3; round++) {
		int64_t before = lab_session(&lab)->client_id;

		lab_expire(&lab, &server);
		LAB_WAIT(&lab, lab_state_count(&lab, SRSD_EXPIRED) == round);
		LAB_WAIT(&lab, lab_registration_count(&registration, SRSD_REGISTRATION_HELD) == round + 1);
		LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
		cr_assert_eq(lab_registration_count(&registration, SRSD_REGISTRATION_PENDING), round);
		zk_peer_open(&peer, server.port, NULL);
		cr_assert(zk_peer_exists(&peer, ADDRESS_PATH, &owner, NULL));
		cr_assert_eq(owner, lab_session(&lab)->client_id);
		cr_assert_neq(owner, before);
		cr_assert(srsd_is_former_session(lab.srsd, before));
		cr_assert_not(srsd_is_former_session(lab.srsd, owner));
		zk_peer_close(&peer);
	}
	/* The watches of the new session work. */
	zk_peer_open(&peer, server.port, NULL);
	zk_peer_create(&peer, LAB_REGISTRY "/app/192.0.2.2:80", ZOO_EPHEMERAL);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 2);
	zk_peer_close(&peer);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, takes_the_servers_in_turn)
{
	uint16_t dead = zk_server_free_port();

	zk_server_begin(&server);
	for (int i = 0; i < 6; i++) {
		bool is_first = i % 2 == 0;

		open_lists("127.0.0.1:%u,127.0.0.1:%u", is_first ? dead : server.port,
			is_first ? server.port : dead);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
		lab_close(&lab);
	}
	zk_server_end(&server);
}

/* Connections to it come to be, and nobody ever answers. */
static int listen_silently(uint16_t port, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	const int yes = 1;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(listener, backlog), 0);
	return listener;
}

/* With its queue full, the packets of more connections are lost. */
static void fill_queue(uint16_t port, int *clients, size_t count)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < count; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(clients[i], (struct sockaddr *)&address, sizeof(address));
	}
}

static void expect_connection_past(uint16_t dead)
{
	for (int i = 0; i < 2; i++) {
		uint64_t before_ms = lab_now_ms();

		open_with_timeout("127.0.0.1:%u,127.0.0.1:%u", i == 0 ? dead : server.port,
			i == 0 ? server.port : dead, LONG_TIMEOUT_MS);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
		cr_assert_lt(lab_now_ms() - before_ms, LONG_TIMEOUT_MS / 3, "%s", lab.log);
		cr_assert_eq(lab_state_count(&lab, SRSD_CONNECTED), 1);
		lab_close(&lab);
	}
}

/* The client takes its servers in an order of its own. */
Test(session, does_not_wait_for_a_server_that_hangs)
{
	uint16_t silent = zk_server_free_port();
	uint16_t lost = zk_server_free_port();
	int listeners[2] = {listen_silently(silent, 100), listen_silently(lost, 0)};
	int clients[4];

	fill_queue(lost, clients, 4);
	zk_server_begin(&server);
	for (int i = 0; i < 2; i++) {
		expect_connection_past(silent);
		expect_connection_past(lost);
	}
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	close(listeners[0]);
	close(listeners[1]);
	zk_server_end(&server);
}

/* A server that is starting takes a connection now and then, and never answers on it. */
Test(session, does_not_wait_for_a_server_that_was_not_ready)
{
	uint64_t taken_ms;
	int listener;
	int client;

	zk_server_begin(&server);
	open_with_timeout("127.0.0.1:%u", server.port, 0, LONG_TIMEOUT_MS);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	listener = listen_silently(server.port, 100);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	LAB_WAIT(&lab, (client = accept(listener, NULL, NULL)) >= 0);
	taken_ms = lab_now_ms();
	close(listener);
	zk_server_start(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	cr_assert_lt(lab_now_ms() - taken_ms, LONG_TIMEOUT_MS / 2, "%s", lab.log);
	close(client);
	lab_close(&lab);
	zk_server_end(&server);
}

/* ZooKeeper keeps a connection whose session ended in the moment at which its client was back, and says
 * nothing on it: what a server does, too, that freezes in that moment. */
Test(session, leaves_a_server_that_answers_nothing)
{
	struct lab_registration registration;
	uint64_t asked_ms;

	zk_server_begin(&server);
	open_with_timeout("127.0.0.1:%u", server.port, 0, LONG_TIMEOUT_MS);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_freeze(&server);
	lab_register(&lab, &registration, "app", ADDRESS);
	asked_ms = lab_now_ms();
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	cr_assert_geq(lab_now_ms() - asked_ms, 900);
	cr_assert_lt(lab_now_ms() - asked_ms, LONG_TIMEOUT_MS / 3);
	cr_assert_eq(lab_log_count(&lab, "does not answer): trying"), 1, "%s", lab.log);
	zk_server_thaw(&server);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	/* One that has answered is given its time. */
	lab_run_ms(&lab, 100);
	zk_server_freeze(&server);
	srsd_deregister(&registration.registration, LONG_TIMEOUT_MS);
	lab_run_ms(&lab, 2500);
	cr_assert_eq(lab_state_count(&lab, SRSD_SUSPENDED), 1, "%s", lab.log);
	zk_server_thaw(&server);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_RELEASED));
	lab_close(&lab);
	zk_server_end(&server);
}

/* ---- At rest --------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
	       (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/* A loop that spins costs between half a second and two of the two; the bound leaves room for sanitizers. */
static void expect_rest(const char *servers)
{
	double before;

	lab_prepare(&lab, servers);
	lab_start(&lab);
	before = cpu_seconds();
	lab_run_ms(&lab, 2000);
	cr_assert_lt(
		cpu_seconds() - before, 0.3, "%s: %.3f s of CPU in 2 s", servers, cpu_seconds() - before);
	cr_assert_eq(lab_log_count(&lab, "\n"), 1, "one line:\n%s", lab.log);
	lab_close(&lab);
}

/* The client, left alone, tries every other one of an even number once all have failed. */
Test(session, takes_whichever_of_two_comes_back)
{
	char servers[64];

	zk_server_begin(&server);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.2:%u", server.port, server.port);
	lab_prepare(&lab, servers);
	lab.config.session_timeout_ms = 40000;
	lab_start(&lab);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	for (unsigned host = 2; host >= 1; host--) {
		zk_server_kill(&server);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
		lab_run_ms(&lab, 500);
		server.host = host;
		zk_server_start(&server);
		LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	}
	lab_close(&lab);
	zk_server_end(&server);
}

Test(session, rests_while_all_servers_are_down)
{
	char servers[256];
	uint16_t a = zk_server_free_port();
	uint16_t b = zk_server_free_port();
	uint16_t c = zk_server_free_port();

	snprintf(servers, sizeof(servers), "127.0.0.1:%u", a);
	expect_rest(servers);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.1:%u", a, b);
	expect_rest(servers);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u", a, b, c);
	expect_rest(servers);
	snprintf(servers, sizeof(servers), "localhost:%u", a);
	expect_rest(servers);
	snprintf(servers, sizeof(servers), "localhost:%u,localhost:%u", a, b);
	expect_rest(servers);
}

Test(session, rests_while_a_name_cannot_be_resolved)
{
	expect_rest("no-such-host.invalid:2181");
}

Test(session, rests_while_connected)
{
	double before;

	zk_server_begin(&server);
	lab_open(&lab, &server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	before = cpu_seconds();
	lab_run_ms(&lab, 2000);
	cr_assert_lt(cpu_seconds() - before, 0.3);
	cr_assert_eq(lab.state_count, 1, "pings keep the session");
	lab_close(&lab);
	zk_server_end(&server);
}

/* Descriptors that a program would have, too, which is started now. */
static size_t count_inherited(void)
{
	size_t count = 0;

	for (int descriptor = 0; descriptor < 256; descriptor++) {
		int flags = fcntl(descriptor, F_GETFD);

		count += flags != -1 && (flags & FD_CLOEXEC) == 0;
	}
	return count;
}

Test(session, hands_no_descriptor_on)
{
	size_t before;

	zk_server_begin(&server);
	before = count_inherited();
	lab_open(&lab, &server);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_CONNECTED) == 1);
	cr_assert_eq(count_inherited(), before);
	zk_server_kill(&server);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_SUSPENDED) == 1);
	zk_server_start(&server);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_CONNECTED) == 2);
	cr_assert_eq(count_inherited(), before);
	lab_close(&lab);
	zk_server_end(&server);
}

Test(session, prints_nothing)
{
	char path[] = "/tmp/srsd_quiet.XXXXXX";
	int said = mkstemp(path);
	int out = dup(STDOUT_FILENO);
	int err = dup(STDERR_FILENO);
	struct stat status;

	cr_assert_geq(said, 0);
	unlink(path);
	zk_server_begin(&server);
	fflush(NULL);
	dup2(said, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	open_lists("127.0.0.1:%u,localhost:%u", zk_server_free_port(), server.port);
	lab.config.log = NULL;
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_CONNECTED);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	lab_run_ms(&lab, 500);
	lab_close(&lab);
	lab_prepare(&lab, "no-such-host.invalid:2181");
	lab.config.log = NULL;
	lab_start(&lab);
	lab_run_ms(&lab, 200);
	lab_close(&lab);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	cr_assert_eq(fstat(said, &status), 0);
	cr_assert_eq(status.st_size, 0, "%lld bytes were printed", (long long)status.st_size);
	zk_server_end(&server);
}

/* ---- Where it is ----------------------------------------------------------------------------- */

Test(session, makes_the_chroot_that_is_missing)
{
	struct lab_registration registration;
	struct lab_watch watch;
	struct zk_peer peer;
	char servers[64];

	zk_server_begin(&server);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u/some/chroot", server.port);
	lab_prepare(&lab, servers);
	lab_start(&lab);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, watch.changes == 1);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_watch_has(&watch, ADDRESS));
	zk_peer_open(&peer, server.port, NULL);
	cr_assert(zk_peer_exists(&peer, "/some/chroot" ADDRESS_PATH, NULL, NULL));
	cr_assert_not(zk_peer_exists(&peer, "/zk_registry", NULL, NULL));
	zk_peer_close(&peer);
	lab_close(&lab);
	lab_watch_clear(&watch);
	zk_server_end(&server);
}

Test(session, connects_to_an_ipv6_address)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	uint16_t port = zk_server_free_port();
	char servers[64];
	int client = -1;

	address.sin6_port = htons(port);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0)
		cr_skip("no IPv6 loopback here");
	cr_assert_eq(listen(listener, 5), 0);
	snprintf(servers, sizeof(servers), "127.0.0.1:%u,[::1]:%u", port, port);
	lab_prepare(&lab, servers);
	lab_start(&lab);
	LAB_WAIT(&lab, (client = accept(listener, NULL, NULL)) >= 0);
	cr_assert_eq(lab_log_count(&lab, "cannot use"), 0, "%s", lab.log);
	close(client);
	close(listener);
	lab_close(&lab);
}

Test(session, refuses_what_is_no_configuration)
{
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct event_base *base = event_base_new();
	struct srsd_error error;
	struct srsd *srsd = NULL;

	config.servers = "127.0.0.1:2181,";
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_BAD_ARGUMENT);
	cr_assert(strstr(error.text, "server \"\"") != NULL, "%s", error.text);
	config = (struct srsd_config)SRSD_CONFIG_DEFAULT;
	config.registry = "zk";
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_BAD_ARGUMENT);
	config = (struct srsd_config)SRSD_CONFIG_DEFAULT;
	config.session_timeout_ms = 999;
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_BAD_ARGUMENT);
	config = (struct srsd_config)SRSD_CONFIG_DEFAULT;
	config.children_max = 0;
	cr_assert_eq(srsd_open(base, &config, &srsd, &error), SRSD_BAD_ARGUMENT);
	cr_assert_null(srsd);
	event_base_free(base);
}
