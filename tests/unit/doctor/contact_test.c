/* contact_test - connections to real sockets: one that listens, one that is gone, one whose queue is full. */
#include "srsd/command/doctor/contact.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define QUEUE_FILLERS 8

static struct dialler dialler;
static size_t calls;

static void begin(void)
{
	dialler = (struct dialler){.base = event_base_new()};
	calls = 0;
}

static void end(void)
{
	dialler_clear(&dialler);
	event_base_free(dialler.base);
}

TestSuite(contact, .init = begin, .fini = end, .timeout = 60);

/* A socket on 127.0.0.1 with a port of the system's choice; it listens unless `backlog` is below 0. */
static int open_socket(int backlog, struct srsd_address *address)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(local);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&local, bytes), 0);
	if (backlog >= 0)
		cr_assert_eq(listen(fd, backlog), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&local, &bytes), 0);
	*address = (struct srsd_address){
		.kind = SRSD_HOST_IPV4, .port = ntohs(local.sin_port), .host = "127.0.0.1"};
	return fd;
}

static void on_progress(void *arg, size_t done)
{
	cr_assert_eq(done, ++calls);
	if (done == *(const size_t *)arg)
		event_base_loopbreak(dialler.base);
}

static void run(struct contact *contacts, size_t count, uint32_t timeout_ms)
{
	struct rounds *rounds = rounds_start(&dialler, contacts, count, timeout_ms, on_progress, &count);

	cr_assert_not_null(rounds);
	cr_assert_eq(calls, 0, "nothing comes inside of the call");
	event_base_dispatch(dialler.base);
	cr_assert_eq(calls, count);
	rounds_free(rounds);
}

Test(contact, tells_who_answers)
{
	struct contact contacts[3] = {0};
	int listening = open_socket(16, &contacts[0].address);
	int closed = open_socket(-1, &contacts[1].address);

	contacts[2].address = (struct srsd_address){.kind = SRSD_HOST_IPV6, .port = 1, .host = "::1"};
	run(contacts, 3, 5000);
	cr_assert_eq(contacts[0].outcome, DIAL_CONNECTED);
	cr_assert_str_eq(contacts[0].why, "");
	cr_assert_eq(contacts[1].outcome, DIAL_REFUSED);
	cr_assert_str_eq(contacts[1].why, "Connection refused");
	/* Where there is no IPv6 there is no way to it. */
	cr_assert(contacts[2].outcome == DIAL_REFUSED || contacts[2].outcome == DIAL_UNREACHABLE);
	close(listening);
	close(closed);
}

/* Handshakes that find the queue full are not answered. */
Test(contact, waits_no_longer_than_it_may)
{
	struct contact contact = {0};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listening = open_socket(0, &contact.address), fillers[QUEUE_FILLERS];

	address.sin_port = htons(contact.address.port);
	for (size_t i = 0; i < QUEUE_FILLERS; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		cr_assert_neq(connect(fillers[i], (const struct sockaddr *)&address, sizeof(address)), 1);
	}
	run(&contact, 1, 300);
	cr_assert_eq(contact.outcome, DIAL_SILENT);
	cr_assert_str_eq(contact.why, "no answer in time");
	cr_assert_geq(contact.took_ms, 250);
	for (size_t i = 0; i < QUEUE_FILLERS; i++)
		close(fillers[i]);
	close(listening);
}

Test(contact, takes_more_than_there_are_descriptors_for)
{
	enum { COUNT = 300 };
	static struct contact contacts[COUNT];
	struct rlimit limit = {.rlim_cur = 80, .rlim_max = 80};
	int listening = open_socket(1024, &contacts[0].address);

	for (size_t i = 1; i < COUNT; i++)
		contacts[i].address = contacts[0].address;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run(contacts, COUNT, 20000);
	for (size_t i = 0; i < COUNT; i++)
		cr_assert_eq(contacts[i].outcome, DIAL_CONNECTED, "%zu: %s", i, contacts[i].why);
	close(listening);
}

/* "localhost" stands in /etc/hosts, and may be IPv6 first: then both are tried. */
Test(contact, looks_names_up)
{
	struct contact contacts[2] = {0};
	int listening = open_socket(16, &contacts[0].address);

	contacts[0].address.kind = SRSD_HOST_NAME;
	strcpy(contacts[0].address.host, "localhost");
	contacts[1].address =
		(struct srsd_address){.kind = SRSD_HOST_NAME, .port = 80, .host = "no-such-host.invalid"};
	run(contacts, 2, 2000);
	cr_assert_eq(contacts[0].outcome, DIAL_CONNECTED, "%s", contacts[0].why);
	cr_assert_gt(contacts[0].found_count, 0);
	cr_assert_eq(contacts[1].outcome, DIAL_NO_NAME);
	cr_assert_neq(contacts[1].why[0], '\0');
	cr_assert_eq(contacts[1].found_count, 0);
	close(listening);
}

Test(contact, of_nothing_is_none)
{
	struct contact contact = {0};

	cr_assert_null(rounds_start(&dialler, &contact, 0, 1000, on_progress, NULL));
}
