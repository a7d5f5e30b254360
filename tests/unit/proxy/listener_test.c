/* listener_test - one socket per worker and address, all on one port; a taken port is told from a shared one.
 */
#include "listener.h"

#include "base/log.h"
#include "peer.h"

#define WORKERS 4

static uint16_t port_of(int fd)
{
	struct sockaddr_storage bound;
	socklen_t bytes = sizeof(bound);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&bound, &bytes), 0);
	return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
						 : ((struct sockaddr_in *)&bound)->sin_port);
}

static int count_open(void)
{
	int count = 0;
	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void close_all(const int *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(sockets[i]);
}

/* Which of `count` sockets a connection from here arrives at. */
static size_t connect_to(uint16_t port, const int *sockets, size_t count)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd arrivals[WORKERS];
	cr_assert(count <= WORKERS && fd >= 0 &&
		  connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	for (size_t i = 0; i < count; i++)
		arrivals[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
	cr_assert_eq(poll(arrivals, count, PEER_ARRIVAL_MS), 1);
	for (size_t i = 0; i < count; i++) {
		int accepted = accept(sockets[i], NULL, NULL);
		if (accepted < 0)
			continue;
		close(accepted);
		close(fd);
		return i;
	}
	cr_assert_fail("the connection arrived nowhere");
	return count;
}

Test(listener, port_0_gives_all_workers_the_same_port_and_connections_spread)
{
	struct listener_settings listener = {.address = (char[]){"127.0.0.1:0"}};
	const struct settings settings = {.listeners = &listener, .listener_count = 1};
	int sockets[WORKERS];
	size_t arrived[WORKERS] = {0};
	cr_assert_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_OK);
	uint16_t port = port_of(sockets[0]);
	cr_expect_neq(port, 0);
	for (size_t i = 1; i < WORKERS; i++)
		cr_expect_eq(port_of(sockets[i]), port);
	for (int i = 0; i < 400; i++)
		arrived[connect_to(port, sockets, WORKERS)]++;
	for (size_t i = 0; i < WORKERS; i++)
		cr_expect_gt(arrived[i], 0, "worker %zu was given no connection", i);
	close_all(sockets, WORKERS);
}

Test(listener, those_of_a_worker_stand_together)
{
	struct listener_settings listeners[] = {
		{.address = (char[]){"127.0.0.1:0"}}, {.address = (char[]){"127.0.0.1:0"}}};
	const struct settings settings = {.listeners = listeners, .listener_count = 2};
	int sockets[2 * WORKERS];
	cr_assert_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_OK);
	cr_expect_neq(port_of(sockets[0]), port_of(sockets[1]));
	for (size_t i = 2; i < 2 * WORKERS; i++)
		cr_expect_eq(port_of(sockets[i]), port_of(sockets[i - 2]));
	close_all(sockets, 2 * WORKERS);
}

Test(listener, sockets_do_not_block_and_are_not_inherited)
{
	int fd;
	int no_delay = 0;
	socklen_t bytes = sizeof(no_delay);
	cr_assert_eq(listener_open_one("127.0.0.1:0", &fd), EXIT_CODE_OK);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &bytes), 0);
	cr_expect(no_delay);
	close(fd);
}

/* Does a listener on `address`, set so, have the system's congestion control, which is not reno? */
static bool is_paced(const char *address, enum loopback_congestion_control_setting setting)
{
	struct listener_settings listener = {.address = (char *)(uintptr_t)address};
	const struct settings settings = {
		.listeners = &listener, .listener_count = 1, .loopback_congestion_control = setting};
	char name[32] = "", usual[32] = "";
	socklen_t bytes = sizeof(name), usual_bytes = sizeof(usual);
	int fd, other = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(other >= 0);
	cr_assert_eq(listener_open_all(&settings, 1, &fd), EXIT_CODE_OK);
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
	cr_assert_eq(getsockopt(other, IPPROTO_TCP, TCP_CONGESTION, usual, &usual_bytes), 0);
	close(fd);
	close(other);
	bool is_usual = strcmp(name, usual) == 0;
	cr_assert(is_usual || strcmp(name, "reno") == 0, "%s", name);
	return is_usual && strcmp(usual, "reno") != 0;
}

Test(listener, clients_of_this_machine_are_sent_to_without_pacing)
{
	cr_expect_not(is_paced("127.0.0.1:0", LOOPBACK_CONGESTION_CONTROL_SETTING_RENO));
	/* Where the system's is reno, all are alike. */
	bool is_usual_paced = is_paced("127.0.0.1:0", LOOPBACK_CONGESTION_CONTROL_SETTING_SYSTEM);
	cr_expect_eq(is_paced("0.0.0.0:0", LOOPBACK_CONGESTION_CONTROL_SETTING_RENO), is_usual_paced);
}

Test(listener, ipv6_is_listened_on)
{
	int fd;
	int probe = socket(AF_INET6, SOCK_STREAM, 0);
	const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	if (probe < 0 || bind(probe, (const struct sockaddr *)&loopback, sizeof(loopback)) != 0)
		cr_skip_test("this machine has no IPv6");
	close(probe);
	cr_assert_eq(listener_open_one("[::1]:0", &fd), EXIT_CODE_OK);
	cr_expect_neq(port_of(fd), 0);
	close(fd);
}

/* ---- Ports that are taken -------------------------------------------------------------------- */

static char address_text[32];

/* The address of a port on which `fd`, with or without SO_REUSEPORT, listens. */
static int take_port(bool is_reuse_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(fd >= 0);
	cr_assert(!is_reuse_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
	cr_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
	cr_assert(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
	snprintf(address_text, sizeof(address_text), "127.0.0.1:%u", port_of(fd));
	return fd;
}

Test(listener, a_taken_port_is_refused_though_its_holder_would_share_it)
{
	for (int is_reuse_port = 0; is_reuse_port <= 1; is_reuse_port++) {
		int holder = take_port(is_reuse_port), fd;
		struct listener_settings listener = {.address = address_text};
		const struct settings settings = {.listeners = &listener, .listener_count = 1};
		int sockets[WORKERS];
		cr_expect_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_ADDRESS_TAKEN);
		cr_expect_eq(listener_open_one(address_text, &fd), EXIT_CODE_ADDRESS_TAKEN);
		close(holder);
		cr_expect_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_OK, "free again");
		close_all(sockets, WORKERS);
	}
}

Test(listener, a_port_configured_as_shared_is_shared_with_who_shares_it)
{
	int holder = take_port(true);
	struct listener_settings listener = {.address = address_text, .is_shared = true};
	const struct settings settings = {.listeners = &listener, .listener_count = 1};
	int sockets[WORKERS];
	cr_assert_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_OK);
	cr_expect_eq(port_of(sockets[0]), port_of(holder));
	close_all(sockets, WORKERS);
	close(holder);

	holder = take_port(false);
	cr_expect_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_ADDRESS_TAKEN);
	close(holder);
}

/* Connect to `port` without blocking, and without a word. */
static int connect_silently(uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* Within 20 s. */
static int accept_soon(int listener)
{
	int fd = -1;
	for (int i = 0; i < 20000 && fd < 0; i++, usleep(1000))
		fd = accept(listener, NULL, NULL);
	cr_assert(fd >= 0, "%s", strerror(errno));
	return fd;
}

Test(listener, a_deferred_connection_is_taken_with_its_first_bytes)
{
	struct listener_settings listener = {.address = (char[]){"127.0.0.1:0"}, .is_deferred = true};
	const struct settings settings = {.listeners = &listener, .listener_count = 1};
	char byte = 0;
	int socket;
	cr_assert_eq(listener_open_all(&settings, 1, &socket), EXIT_CODE_OK);
	int fd = connect_silently(port_of(socket));
	cr_expect_eq(accept(socket, NULL, NULL), -1);
	cr_assert_eq(send(fd, "x", 1, 0), 1);
	int accepted = accept_soon(socket);
	cr_expect_eq(recv(accepted, &byte, 1, MSG_DONTWAIT), 1);
	cr_expect_eq(byte, 'x');
	close(accepted);
	close(fd);
	close(socket);
}

Test(listener, a_deferred_connection_that_says_nothing_is_taken_all_the_same)
{
	struct listener_settings listener = {.address = (char[]){"127.0.0.1:0"}, .is_deferred = true};
	const struct settings settings = {.listeners = &listener, .listener_count = 1};
	int socket;
	cr_assert_eq(listener_open_all(&settings, 1, &socket), EXIT_CODE_OK);
	int fd = connect_silently(port_of(socket));
	close(accept_soon(socket));
	close(fd);
	close(socket);
}

Test(listener, when_one_address_fails_nothing_stays_open)
{
	int holder = take_port(false);
	struct listener_settings listeners[] = {
		{.address = (char[]){"127.0.0.1:0"}}, {.address = address_text}};
	const struct settings settings = {.listeners = listeners, .listener_count = 2};
	int sockets[2 * WORKERS];
	int before = count_open();
	cr_expect_eq(listener_open_all(&settings, WORKERS, sockets), EXIT_CODE_ADDRESS_TAKEN);
	cr_expect_eq(count_open(), before);
	close(holder);
}

Test(listener, an_address_that_cannot_be_listened_on_is_refused)
{
	static const char *const addresses[] = {"192.0.2.1:8080", "nonsense", "", ":", ":80", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80", "127.0.0.1:80x",
		"127.0.0.1:99999999999999999999", "[::1:80", "::1]:80", "[]:80", "[", "[:1", "[127.0.0.1]:80",
		"::1:80", "name.example:80", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:80"};
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		int fd;
		cr_expect_eq(
			listener_open_one(addresses[i], &fd), EXIT_CODE_ADDRESS_REFUSED, "%s", addresses[i]);
	}
}
