/* One look at one endpoint: a listening socket, whose every byte the test sends itself. */
#include "checker/probe.h"

#include "loop_until.h"
#include "peer.h"

#include <stdio.h>

static struct loop loop;
static struct prober prober;
static struct sockaddr_in address;
static int listener = -1;
static struct backend *backend;
static struct probe *probe;
static int done_count;
static enum evidence outcome;

static void setup(void)
{
	cr_assert(loop_init(&loop, 32768));
	prober_init(&prober, &loop);
}

static void teardown(void)
{
	probe_cancel(&probe);
	if (listener >= 0)
		close(listener);
	loop_finish(&loop);
	prober_finish(&prober);
	if (backend != NULL)
		cr_expect_eq(atomic_load(&backend->references), 1);
	backend_unref(&backend);
}

TestSuite(probe, .init = setup, .fini = teardown);

static void on_done(void *owner, enum evidence evidence)
{
	cr_expect_eq(owner, &outcome);
	outcome = evidence;
	done_count++;
	probe = NULL;
}

static bool is_done(void *arg)
{
	(void)arg;
	return done_count > 0;
}

static void make_backend(bool is_listening)
{
	listener = peer_listen(&address, is_listening);
	const union address at = {.ipv4 = address};
	backend = backend_new("127.0.0.1:80", &at, 1, 1, NULL);
	cr_assert_not_null(backend);
}

static void start_over(void)
{
	teardown();
	setup();
	done_count = 0;
}

/* Begin. Returns whether it is under way. */
static bool begin(const char *path, uint64_t timeout_ms)
{
	const struct probe_plan plan = {.backend = backend, .path = path, .timeout_ms = timeout_ms};
	enum evidence evidence = probe_begin(&prober, &plan, on_done, &outcome, &probe);
	if (probe == NULL)
		outcome = evidence;
	return probe != NULL;
}

/* The end, whenever it comes. */
static enum evidence end(bool is_under_way)
{
	if (is_under_way) {
		cr_assert(loop_until(&loop, is_done, NULL, LOOP_UNTIL_MS));
		cr_expect_eq(done_count, 1);
	}
	return outcome;
}

static bool is_heard(void *arg)
{
	struct peer *peer = arg;
	peer_poll(peer);
	return strstr(peer->received, "\r\n\r\n") != NULL;
}

/* It asks, and is answered with these parts, one after the other. */
static enum evidence ask(const char *const *parts, bool is_ended)
{
	struct peer peer;
	make_backend(true);
	cr_assert(begin("/info", LOOP_UNTIL_MS));
	peer_adopt(&peer, accept(listener, NULL, NULL));
	cr_assert(loop_until(&loop, is_heard, &peer, LOOP_UNTIL_MS));
	cr_expect_str_eq(peer.received,
		"GET /info HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUser-Agent: srsd-proxy\r\n"
		"Accept: */*\r\nConnection: close\r\n\r\n");
	for (; *parts != NULL; parts++) {
		cr_expect_eq(done_count, 0);
		peer_say(&peer, *parts);
		(void)loop_until(&loop, is_done, NULL, 20);
	}
	if (is_ended)
		peer_close(&peer);
	enum evidence evidence = end(true);
	if (!is_ended)
		peer_close(&peer);
	return evidence;
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(probe, a_connection_is_enough)
{
	make_backend(true);
	cr_expect_eq(end(begin(NULL, LOOP_UNTIL_MS)), EVIDENCE_PROBE_PASSED);
}

Test(probe, nobody_is_there)
{
	make_backend(false);
	cr_expect_eq(end(begin("/", LOOP_UNTIL_MS)), EVIDENCE_PROBE_REFUSED);
}

/* The queue of those that wait to be accepted is full: the kernel answers no more. */
Test(probe, no_answer_to_the_connect)
{
	int fds[8];
	make_backend(false);
	cr_assert_eq(listen(listener, 0), 0);
	for (size_t i = 0; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fds[i], (const struct sockaddr *)&address, sizeof(address));
	}
	cr_expect_eq(end(begin(NULL, 100)), EVIDENCE_PROBE_TIMEOUT);
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
}

Test(probe, an_answer_passes)
{
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), false),
		EVIDENCE_PROBE_PASSED);
}

Test(probe, any_answer_below_500_passes)
{
	cr_expect_eq(ask(PARTS("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), false),
		EVIDENCE_PROBE_PASSED);
}

Test(probe, an_answer_of_500_does_not)
{
	cr_expect_eq(
		ask(PARTS("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), false), EVIDENCE_PROBE_STATUS);
}

Test(probe, an_answer_in_pieces_behind_interim_ones)
{
	cr_expect_eq(
		ask(PARTS("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early", " Hints\r\nLink: </x>\r\n\r\nHT",
			    "TP/1.0 204 No", "\r\nServer: x\r\n", "\r\n"),
			false),
		EVIDENCE_PROBE_PASSED);
}

Test(probe, an_end_without_an_answer)
{
	cr_expect_eq(ask(PARTS(""), true), EVIDENCE_PROBE_CLOSED);
}

Test(probe, half_a_head)
{
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nContent-"), true), EVIDENCE_PROBE_CLOSED);
}

/* Who answers so to a probe does so to requests. */
Test(probe, an_answer_that_is_cut)
{
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "ll"), true),
		EVIDENCE_PROBE_CLOSED);
	start_over();
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), true),
		EVIDENCE_PROBE_CLOSED);
	start_over();
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"), false),
		EVIDENCE_PROBE_CLOSED);
}

Test(probe, answers_of_every_framing)
{
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "lo\r\n0\r\n",
				 "\r\n"),
			     false),
		EVIDENCE_PROBE_PASSED);
	start_over();
	cr_expect_eq(ask(PARTS("HTTP/1.1 200 OK\r\n\r\nhel", "lo"), true), EVIDENCE_PROBE_PASSED);
	start_over();
	cr_expect_eq(ask(PARTS("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), false),
		EVIDENCE_PROBE_PASSED);
}

Test(probe, an_answer_without_end)
{
	struct peer peer;
	char kilobyte[1025];
	make_backend(true);
	cr_assert(begin("/", LOOP_UNTIL_MS));
	peer_adopt(&peer, accept(listener, NULL, NULL));
	peer_say(&peer, "HTTP/1.1 200 OK\r\n\r\n");
	memset(kilobyte, 'x', sizeof(kilobyte) - 1);
	kilobyte[sizeof(kilobyte) - 1] = '\0';
	for (int i = 0; i < 100 && done_count == 0; i++) {
		peer_say(&peer, kilobyte);
		(void)loop_until(&loop, is_done, NULL, 1);
	}
	cr_expect_eq(end(true), EVIDENCE_PROBE_PASSED);
	peer_close(&peer);
}

Test(probe, an_answer_that_goes_on_when_its_time_is_over)
{
	struct peer peer;
	make_backend(true);
	cr_assert(begin("/", 1000));
	peer_adopt(&peer, accept(listener, NULL, NULL));
	peer_say(&peer, "HTTP/1.1 200 OK\r\n\r\nan event");
	cr_expect_eq(end(true), EVIDENCE_PROBE_PASSED);
	peer_close(&peer);
}

Test(probe, what_is_no_http)
{
	cr_expect_eq(ask(PARTS("SSH-2.0-OpenSSH\r\n"), false), EVIDENCE_PROBE_CLOSED);
}

Test(probe, a_switch_that_nobody_asked_for)
{
	cr_expect_eq(
		ask(PARTS("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
			false),
		EVIDENCE_PROBE_CLOSED);
}

Test(probe, interim_answers_for_ever)
{
	char text[1024] = "";
	for (int i = 0; i < 20; i++)
		strcat(text, "HTTP/1.1 102 Processing\r\n\r\n");
	cr_expect_eq(ask(PARTS(text), false), EVIDENCE_PROBE_CLOSED);
}

Test(probe, silence)
{
	make_backend(true);
	cr_expect_eq(end(begin("/", 100)), EVIDENCE_PROBE_TIMEOUT);
}

/* Of several addresses one is enough, and it is noted. */
Test(probe, the_second_address)
{
	struct sockaddr_in closed;
	int nobody = peer_listen(&closed, false);
	listener = peer_listen(&address, true);
	const union address both[] = {{.ipv4 = closed}, {.ipv4 = address}};
	backend = backend_new("name:80", both, 2, 1, NULL);
	cr_expect_eq(end(begin(NULL, LOOP_UNTIL_MS)), EVIDENCE_PROBE_PASSED);
	cr_expect_eq(backend_preferred(backend), 1);
	close(nobody);
}

Test(probe, nobody_is_there_at_any_address)
{
	struct sockaddr_in closed, other;
	int nobody = peer_listen(&closed, false);
	listener = peer_listen(&other, false);
	const union address both[] = {{.ipv4 = closed}, {.ipv4 = other}};
	backend = backend_new("name:80", both, 2, 1, NULL);
	cr_expect_eq(end(begin("/", LOOP_UNTIL_MS)), EVIDENCE_PROBE_REFUSED);
	close(nobody);
}

Test(probe, can_be_forgotten)
{
	make_backend(true);
	cr_assert(begin("/", 1000));
	probe_cancel(&probe);
	cr_expect_null(probe);
	(void)loop_until(&loop, NULL, NULL, 20);
	cr_expect_eq(done_count, 0);
}
