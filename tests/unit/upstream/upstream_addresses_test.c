/* upstream_addresses_test - a backend with several addresses: which is connected to, and what becomes of
 * those that are of no use. */
#include "support.h"

#include <errno.h>

/* What connect() fails with instead; 0: nothing. The last port cannot be taken in a test. */
static int connect_error;

int __real_connect(int fd, const struct sockaddr *address, socklen_t bytes);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	if (connect_error == 0)
		return __real_connect(fd, address, bytes);
	errno = connect_error;
	return -1;
}

TestSuite(upstream_addresses, .init = support_start, .fini = support_finish);

/* The backend has these, and then the one where the listener is. */
static void put_before(const union address *others, uint32_t count)
{
	union address all[ADDRESSES_MAX];
	memcpy(all, others, count * sizeof(*others));
	all[count] = backend->addresses[0];
	struct backend *several = backend_new("backend:1", all, count + 1, 1, NULL);
	cr_assert_not_null(several);
	pool_free(pool);
	backend_unref(&backend);
	backend = several;
	pool = pool_new(&shared, backend, &timeouts, POOL_UNLIMITED);
	cr_assert_not_null(pool);
}

/* Answered at the listener, whatever address was tried first. */
static void answer(struct lease *lease)
{
	struct peer peer;
	backend_accept(&peer);
	wait_until(lease_has_connected, lease);
	peer_say(&peer, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	lease_finish(lease);
	cr_expect_eq(lease->status, 200);
	peer_close(&peer);
}

static void expect_served(void)
{
	struct lease lease = {0};
	lease_begin(&lease);
	answer(&lease);
}

/* It refuses, has no way to it, or does not answer: the next one is taken, and from then on first. */
Test(upstream_addresses, the_next_address_is_tried)
{
	struct sockaddr_in refusing;
	int holder = peer_listen(&refusing, false);
	const union address others[] = {
		{.ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr.s6_addr = {0xfe, 0x80}}},
		{.ipv4 = refusing}};
	put_before(others, 2);
	expect_served();
	cr_expect_eq(backend_preferred(backend), 2);
	cr_expect_eq(counters.upstream_connects, 1, "of one connection");
	expect_served();
	cr_expect_eq(backend_preferred(backend), 2);
	close(holder);
}

Test(upstream_addresses, no_address_is_of_use)
{
	struct sockaddr_in refusing;
	struct lease lease = {0};
	int holder = peer_listen(&refusing, false);
	const union address others[] = {{.ipv4 = refusing}};
	put_before(others, 1);
	backend->addresses[1].ipv6 = (struct sockaddr_in6){
		.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr.s6_addr = {0xfe, 0x80}};
	if (lease_begin_careful(&lease, false))
		wait_until(lease_is_over, &lease);
	cr_expect_eq(lease.problem, PROBLEM_CONNECT_REFUSED, "what tells more: %s",
		problem_row(lease.problem)->code);
	cr_expect_eq(backend_preferred(backend), 0);
	free(lease.body);
	close(holder);
}

/* A listener whose queue is full answers nothing: half of the time is spent there, the rest at the next. */
Test(upstream_addresses, an_address_that_does_not_answer_costs_its_part_of_the_time)
{
	struct sockaddr_in deaf;
	int holder = peer_listen(&deaf, false);
	int fillers[8];
	cr_assert_eq(listen(holder, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fillers[i], (const struct sockaddr *)&deaf, sizeof(deaf));
	}
	const union address others[] = {{.ipv4 = deaf}};
	put_before(others, 1);
	timeouts.connect_ms = 2000;
	struct lease lease = {0};
	lease_begin(&lease);
	cr_expect_leq(
		wheel_deadline_ms(&loop.wheel, &lease.upstream->timer), lease.upstream->connect_end_ms - 500);
	answer(&lease);
	cr_expect_eq(backend_preferred(backend), 1);
	for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
		close(fillers[i]);
	close(holder);
}

/* That is no reason to believe that nobody is there. */
Test(upstream_addresses, a_connection_that_there_is_no_port_for_says_nothing_of_the_backend)
{
	struct lease lease = {0};
	connect_error = EADDRNOTAVAIL;
	cr_expect_not(lease_begin_careful(&lease, false));
	cr_expect_eq(lease.problem, PROBLEM_ENDPOINTS_FULL, "%s", problem_row(lease.problem)->code);
	connect_error = 0;
	free(lease.body);
	expect_served();
}
