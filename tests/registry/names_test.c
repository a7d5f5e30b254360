/* names_test - servers that are given by name: looked up beside the loop, which goes on whatever a look-up
 * does. getaddrinfo() stands before the C library's here, for the ZooKeeper client as well; it answers for
 * names below .test, as each test says, and hands all others on. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lab.h"
#include "srsd/session/session.h"

#define ADDRESS	   "192.0.2.1:8888"
#define NAMES_MAX  4
#define ANSWER_MAX 40

/* ---- Name service ---------------------------------------------------------------------------- */

/* An answer is addresses with commas between them, "" for a failure, or one that does not come. */
#define HANGS "hangs"

struct name {
	char name[32];
	char answer[ANSWER_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the names */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct name names[NAMES_MAX];
static atomic_size_t look_ups;	    /* of names that are no address */
static atomic_size_t running;	    /* of these */
static atomic_size_t on_the_loop;   /* of these, in the thread of the test */
static atomic_size_t with_a_signal; /* of these, in a thread that would take signals */
static pthread_t loop_thread;

static void name_is(const char *name, const char *answer)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (names[i].name[0] != '\0' && strcmp(names[i].name, name) != 0)
			continue;
		snprintf(names[i].name, sizeof(names[i].name), "%s", name);
		snprintf(names[i].answer, sizeof(names[i].answer), "%s", answer);
		break;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void no_name_hangs(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < NAMES_MAX; i++)
		names[i].answer[0] = '\0';
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void wait_for_answer(const char *name, char *answer)
{
	size_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < NAMES_MAX && strcmp(names[i].name, name) != 0)
		i++;
	while (i < NAMES_MAX && strcmp(names[i].answer, HANGS) == 0)
		pthread_cond_wait(&changed, &lock);
	snprintf(answer, ANSWER_MAX, "%s", i < NAMES_MAX ? names[i].answer : "");
	pthread_mutex_unlock(&lock);
}

static void watch_thread(void)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	with_a_signal += sigismember(&blocked, SIGTERM) == 0 || sigismember(&blocked, SIGCHLD) == 0;
	on_the_loop += pthread_equal(pthread_self(), loop_thread) != 0;
}

static bool is_address(const char *node)
{
	struct in6_addr parsed;

	return inet_pton(AF_INET, node, &parsed) == 1 || inet_pton(AF_INET6, node, &parsed) == 1;
}

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The C library makes what it will free: one call of it for each address. */
static int look_up_all(getaddrinfo_fn *real, char *answer, const char *service, const struct addrinfo *hints,
	struct addrinfo **out)
{
	struct addrinfo **end = out;
	char *rest;

	*out = NULL;
	for (char *one = strtok_r(answer, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest)) {
		int fault = real(one, service, hints, end);

		if (fault != 0)
			return fault;
		while (*end != NULL)
			end = &(*end)->ai_next;
	}
	return *out == NULL ? EAI_NONAME : 0;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	union {
		void *symbol;
		getaddrinfo_fn *call;
	} next = {.symbol = dlsym(RTLD_NEXT, "getaddrinfo")};
	char answer[ANSWER_MAX];
	const char *end = node == NULL ? NULL : strstr(node, ".test");
	int fault;

	if (next.call == NULL)
		return EAI_SYSTEM;
	if (node == NULL || is_address(node))
		return next.call(node, service, hints, out);
	look_ups++;
	running++;
	watch_thread();
	if (end == NULL) {
		fault = next.call(node, service, hints, out);
	} else {
		wait_for_answer(node, answer);
		fault = look_up_all(next.call, answer, service, hints, out);
	}
	running--;
	return fault;
}

/* ---- The bench ------------------------------------------------------------------------------- */

static struct lab lab;
static struct zk_server server;

/* A manager for these hosts, "one,other", all with the port of the server. */
static void prepare(const char *hosts)
{
	char servers[128] = "";
	size_t used = 0;

	loop_thread = pthread_self();
	while (*hosts != '\0') {
		size_t bytes = strcspn(hosts, ",");

		used += (size_t)snprintf(servers + used, sizeof(servers) - used, "%s%.*s:%u",
			used == 0 ? "" : ",", (int)bytes, hosts, (unsigned)server.port);
		hosts += bytes + (hosts[bytes] == ',');
	}
	lab_prepare(&lab, servers);
}

static void open_for(const char *hosts)
{
	prepare(hosts);
	lab_start(&lab);
}

static bool is_connected(void)
{
	return srsd_current_state(lab.srsd) == SRSD_CONNECTED;
}

/* Close, and have every thread end: LeakSanitizer looks for what they leave. */
static void close_all(void)
{
	lab_close(&lab);
	no_name_hangs();
	for (int i = 0; i < 1000 && running > 0; i++)
		usleep(10000);
	cr_assert_eq(running, 0);
	usleep(20000);
	cr_assert_eq(on_the_loop, 0, "%zu look-ups on the loop", (size_t)on_the_loop);
	cr_assert_eq(with_a_signal, 0);
	zk_server_end(&server);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

Test(names, are_looked_up_beside_the_loop_and_never_while_connected)
{
	zk_server_begin(&server);
	open_for("localhost");
	LAB_WAIT(&lab, is_connected());
	cr_assert_eq(look_ups, 1, "%zu", (size_t)look_ups);
	lab_run_ms(&lab, 2500);
	cr_assert_eq(look_ups, 1, "%zu look-ups in 2.5 s", (size_t)look_ups);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	lab_run_ms(&lab, 4000);
	cr_assert_geq(look_ups, 2);
	cr_assert_leq(look_ups, 6, "%zu look-ups in 4 s without a server", (size_t)look_ups);
	close_all();
}

Test(names, that_are_addresses_need_no_thread)
{
	zk_server_begin(&server);
	open_for("127.0.0.1,[::1]");
	LAB_WAIT(&lab, is_connected());
	cr_assert_eq(look_ups, 0);
	close_all();
}

Test(names, may_hang_without_holding_the_loop)
{
	uint64_t turns = 0;
	uint64_t end_ms;

	zk_server_begin(&server);
	name_is("one.test", HANGS);
	open_for("one.test");
	end_ms = lab_now_ms() + 1500;
	while (lab_now_ms() < end_ms) {
		lab_turn(&lab);
		turns++;
	}
	cr_assert_gt(turns, 20);
	cr_assert_eq(look_ups, 1, "one at a time");
	cr_assert_eq(lab_log_count(&lab, "no answer yet"), 1, "%s", lab.log);
	name_is("one.test", "127.0.0.1");
	LAB_WAIT(&lab, is_connected());
	cr_assert_eq(lab_log_count(&lab, "after all"), 1, "%s", lab.log);
	close_all();
}

Test(names, may_hang_while_the_manager_is_closed)
{
	uint64_t before_ms;

	zk_server_begin(&server);
	name_is("one.test", HANGS);
	name_is("two.test", HANGS);
	open_for("one.test,two.test");
	LAB_WAIT(&lab, running == 2);
	before_ms = lab_now_ms();
	srsd_close(&lab.srsd);
	cr_assert_lt(lab_now_ms() - before_ms, 5000);
	cr_assert_eq(running, 2, "nobody waited for them");
	close_all();
}

/* The others are used; what comes late changes nothing while the session is up. */
Test(names, that_hang_are_gone_on_without)
{
	zk_server_begin(&server);
	name_is("slow.test", HANGS);
	name_is("good.test", "127.0.0.1");
	open_for("slow.test,good.test");
	LAB_WAIT(&lab, is_connected());
	cr_assert_eq(running, 1);
	name_is("slow.test", "127.0.0.2");
	LAB_WAIT(&lab, running == 0);
	lab_run_ms(&lab, 500);
	cr_assert_eq(lab.state_count, 1, "still connected, without a break");
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	server.host = 2;
	zk_server_start(&server);
	LAB_WAIT(&lab, is_connected());
	close_all();
}

Test(names, that_fail_are_gone_on_without)
{
	zk_server_begin(&server);
	name_is("bad.test", "");
	open_for("bad.test,127.0.0.1");
	LAB_WAIT(&lab, is_connected());
	lab_run_ms(&lab, 300);
	cr_assert_eq(lab_log_count(&lab, "bad.test"), 1, "%s", lab.log);
	cr_assert_eq(lab.state_count, 1);
	close_all();
}

Test(names, that_fail_at_first_are_looked_up_again)
{
	zk_server_begin(&server);
	name_is("one.test", "");
	open_for("one.test");
	LAB_WAIT(&lab, look_ups >= 2);
	cr_assert_eq(lab_log_count(&lab, "\n"), 1, "said once:\n%s", lab.log);
	name_is("one.test", "127.0.0.1");
	LAB_WAIT(&lab, is_connected());
	close_all();
}

Test(names, have_all_their_addresses_tried)
{
	zk_server_begin(&server);
	name_is("one.test", "127.0.0.3,127.0.0.4,::1,127.0.0.1");
	open_for("one.test");
	LAB_WAIT(&lab, is_connected());
	close_all();
}

/* The session is kept, and with it the node, which is not made again. */
Test(names, of_a_server_that_moves)
{
	struct lab_registration registration;
	clientid_t before;

	zk_server_begin(&server);
	name_is("one.test", "127.0.0.1");
	prepare("one.test");
	lab.config.session_timeout_ms = 40000;
	lab_start(&lab);
	lab_register(&lab, &registration, "app", ADDRESS);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	before = *lab_session(&lab);
	zk_server_kill(&server);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	name_is("one.test", "127.0.0.2");
	server.host = 2;
	zk_server_start(&server);
	LAB_WAIT(&lab, is_connected());
	cr_assert_eq(lab_session(&lab)->client_id, before.client_id, "%s", lab.log);
	LAB_WAIT(&lab, lab_registration_is(&registration, SRSD_REGISTRATION_HELD));
	lab_run_ms(&lab, 1000);
	cr_assert_eq(lab_state_count(&lab, SRSD_SUSPENDED), 1, "one break:\n%s", lab.log);
	cr_assert_eq(lab_state_count(&lab, SRSD_EXPIRED), 0);
	close_all();
}

/* Its old address takes connections, and says nothing. */
Test(names, of_a_server_that_moves_from_an_address_that_hangs)
{
	struct zk_server old;
	uint64_t before_ms;

	zk_server_begin(&old);
	server = old;
	name_is("one.test", "127.0.0.1");
	prepare("one.test");
	lab.config.session_timeout_ms = 60000;
	lab_start(&lab);
	LAB_WAIT(&lab, is_connected());
	zk_server_kill(&old);
	LAB_WAIT(&lab, srsd_current_state(lab.srsd) == SRSD_SUSPENDED);
	zk_server_start(&old);
	zk_server_freeze(&old);
	lab_run_ms(&lab, 1500);
	cr_assert_eq(zoo_state(lab.srsd->loop.handle), ZOO_ASSOCIATING_STATE);
	zk_server_prepare(&server);
	server.port = old.port;
	server.host = 2;
	zk_server_start(&server);
	before_ms = lab_now_ms();
	name_is("one.test", "127.0.0.2");
	LAB_WAIT(&lab, is_connected());
	cr_assert_lt(lab_now_ms() - before_ms, 20000, "an attempt to the old address takes 40 s");
	zk_server_end(&old);
	close_all();
}

/* A new session needs no name service when addresses are known. */
Test(names, that_hang_do_not_hold_a_new_session)
{
	zk_server_begin(&server);
	name_is("one.test", "127.0.0.1");
	open_for("one.test");
	LAB_WAIT(&lab, is_connected());
	name_is("one.test", HANGS);
	lab_expire(&lab, &server);
	LAB_WAIT(&lab, lab_state_count(&lab, SRSD_EXPIRED) == 1 && is_connected());
	close_all();
}
