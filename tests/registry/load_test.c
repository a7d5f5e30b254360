/* load_test - many registrations at once, many labels on one session, changes without a pause: how often a
 * watch asks, over how many connections, and what it holds when all is over. Counts, no times: how long it
 * takes is bench/discovery's and bench/burst's business. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"

#define LABEL_PATH LAB_REGISTRY "/app"

/* Between lists when the label changes all the time: of ten thousand nodes, and of few. A fast machine lists
 * faster. */
#define WINDOW_MS_MIN 30
#define PAUSE_MS_MIN  7

static struct lab lab;
static struct zk_server server;
static struct zk_peer peer;

static void setup(void)
{
	zk_server_begin(&server);
	zk_peer_open(&peer, server.port, NULL);
	zk_peer_create(&peer, LABEL_PATH, ZOO_PERSISTENT);
}

static void teardown(void)
{
	zk_peer_close(&peer);
	zk_server_end(&server);
}

/* ---- Somebody else who changes things, meanwhile --------------------------------------------- */

static pid_t run_apart(void (*work)(struct zk_peer *other))
{
	struct zk_peer other;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child > 0)
		return child;
	zk_peer_open(&other, server.port, NULL);
	work(&other);
	zk_peer_close(&other);
	_exit(0);
}

static bool has_ended(pid_t *child)
{
	int status;

	if (*child == 0)
		return true;
	if (waitpid(*child, &status, WNOHANG) != *child)
		return false;
	*child = 0;
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return true;
}

/* ---- What the server counts ------------------------------------------------------------------ */

/* Ask it for its connections: a line for each. */
static void ask_connections(char *out, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server.port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t used = 0;
	ssize_t got = 0;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(send(fd, "cons", 4, MSG_NOSIGNAL), 4);
	while (used < size - 1 && (got = recv(fd, out + used, size - 1 - used, 0)) > 0)
		used += (size_t)got;
	out[used] = '\0';
	close(fd);
}

/* How many requests it has had of our session, pings included. */
static unsigned long requests(void)
{
	char text[4096];
	char mark[64];
	char *at;

	ask_connections(text, sizeof(text));
	snprintf(mark, sizeof(mark), "sid=0x%" PRIx64 ",", (uint64_t)lab_session(&lab)->client_id);
	at = strstr(text, mark);
	cr_assert(at != NULL, "%s", text);
	while (at > text && at[-1] != '\n')
		at--;
	at = strstr(at, "recved=");
	cr_assert(at != NULL);
	return strtoul(at + strlen("recved="), NULL, 10);
}

/* How many sessions have a connection. */
static size_t connections(void)
{
	char text[4096];
	size_t count = 0;

	ask_connections(text, sizeof(text));
	for (const char *at = text; (at = strstr(at, "sid=0x")) != NULL; at++)
		count++;
	return count;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

#define BASE  10000
#define BURST 1000

static void register_many(struct zk_peer *other)
{
	char path[128];

	for (int i = 0; i < BURST; i++) {
		snprintf(path, sizeof(path), LABEL_PATH "/192.0.2.2:%d", 1 + i);
		if (zk_peer_create(other, path, ZOO_PERSISTENT) != ZOK)
			_exit(1);
	}
}

Test(load, a_burst_of_registrations_costs_few_lists)
{
	struct lab_watch watch;
	unsigned long before;
	unsigned long made;
	unsigned long bound;
	uint64_t began_ms;
	pid_t child;

	setup();
	zk_peer_create_many(&peer, LABEL_PATH, "192.0.2.1:%d", 1, BASE);
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	LAB_WAIT(&lab, lab_watch_count(&watch) == BASE);
	before = requests();
	began_ms = lab_now_ms();
	child = run_apart(register_many);
	LAB_WAIT(&lab, lab_watch_count(&watch) == BASE + BURST);
	LAB_WAIT(&lab, has_ended(&child));
	made = requests() - before;
	/* The first is sent at once; a ping comes with a third of the session timeout or so. */
	bound = 2 + (unsigned long)(lab_now_ms() - began_ms) / WINDOW_MS_MIN;
	bound += bound * WINDOW_MS_MIN / 500;
	cr_assert_leq(made, bound, "%lu requests", made);
	cr_assert_geq(made, 1);
	cr_assert_eq(lab_watch_has(&watch, "192.0.2.2:1000"), true);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}

#define LABELS 100

Test(load, a_hundred_labels_share_one_session)
{
	static struct lab_watch watches[LABELS];
	char path[128];
	char label[32];

	setup();
	lab_open(&lab, &server);
	for (int i = 0; i < LABELS; i++) {
		snprintf(label, sizeof(label), "service-%d", i);
		lab_watch(&lab, &watches[i], label);
	}
	for (int i = 0; i < LABELS; i++) {
		snprintf(path, sizeof(path), LAB_REGISTRY "/service-%d/192.0.2.1:%d", i, 1 + i);
		cr_assert_eq(zk_peer_create(&peer, path, ZOO_PERSISTENT), ZOK);
	}
	for (int i = 0; i < LABELS; i++) {
		snprintf(label, sizeof(label), "192.0.2.1:%d", 1 + i);
		LAB_WAIT(&lab, lab_watch_count(&watches[i]) == 1 && lab_watch_has(&watches[i], label));
	}
	cr_assert_eq(connections(), 2, "ours, and the peer's");
	/* Each is told of its own changes, and of no others'. */
	for (int i = 0; i < LABELS; i += 2) {
		snprintf(path, sizeof(path), LAB_REGISTRY "/service-%d/192.0.2.1:%d", i, 1 + i);
		cr_assert_eq(zk_peer_delete(&peer, path), ZOK);
	}
	for (int i = 0; i < LABELS; i++)
		LAB_WAIT(&lab, lab_watch_count(&watches[i]) == (size_t)(i % 2));
	for (int i = 1; i < LABELS; i += 2)
		cr_assert_leq(watches[i].changes, 2);
	lab_close(&lab);
	for (int i = 0; i < LABELS; i++)
		lab_watch_clear(&watches[i]);
	teardown();
}

#define ROUNDS	  20
#define ROUND_MS  100
#define ROUND	  100 /* nodes that are made, and removed again */
#define REMAINING 77

/* What the allocator keeps at hand counts as used; a snapshot for each list would be twice as much. */
#define AT_HAND_BYTES (64 * 1024)

static void churn(struct zk_peer *other)
{
	for (int round = 0; round < ROUNDS; round++) {
		zk_peer_create_many(other, LABEL_PATH, "192.0.2.1:%d", 1 + round, round + ROUND);
		usleep(ROUND_MS * 1000 / 2);
		zk_peer_delete_children(other, LABEL_PATH);
		usleep(ROUND_MS * 1000 / 2);
	}
	zk_peer_create_many(other, LABEL_PATH, "192.0.2.3:%d", 1, REMAINING);
}

static size_t heap_bytes(void)
{
	return mallinfo2().uordblks; /* 0 under a sanitizer, which looks for leaks by itself */
}

/* Follow `churn` to its end. */
static void follow_churn(struct lab_watch *watch)
{
	pid_t child = run_apart(churn);

	LAB_WAIT(&lab, has_ended(&child));
	LAB_WAIT(&lab, lab_watch_count(watch) == REMAINING);
	lab_run_ms(&lab, 300);
	cr_assert_eq(lab_watch_count(watch), REMAINING);
	for (int i = 1; i <= REMAINING; i++) {
		char name[64];

		snprintf(name, sizeof(name), "192.0.2.3:%d", i);
		cr_assert(lab_watch_has(watch, name), "%s", name);
	}
}

/* About two thousand changes a second, twice: when it is quiet again, what is believed is what is there, and
 * no more is held after the second time than after the first. */
Test(load, changes_without_a_pause_leave_nothing_behind)
{
	struct lab_watch watch;
	uint64_t began_ms = lab_now_ms();
	size_t held;

	setup();
	lab_open(&lab, &server);
	lab_watch(&lab, &watch, "app");
	follow_churn(&watch);
	held = heap_bytes();
	zk_peer_delete_children(&peer, LABEL_PATH);
	LAB_WAIT(&lab, lab_watch_count(&watch) == 0);
	follow_churn(&watch);
	cr_assert_leq(heap_bytes(), held + AT_HAND_BYTES);
	cr_assert_leq(watch.changes, 20 + (lab_now_ms() - began_ms) / PAUSE_MS_MIN);
	cr_assert_eq(lab_state_count(&lab, SRSD_CONNECTED), 1);
	lab_close(&lab);
	lab_watch_clear(&watch);
	teardown();
}
