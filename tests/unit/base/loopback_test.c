/* loopback_test: which addresses are this machine's own, and that accepted sockets are not paced either. */
#include "base/loopback.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_loopback(const char *text)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
		return loopback_is((const struct sockaddr *)&ipv4);
	cr_assert_eq(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
	return loopback_is((const struct sockaddr *)&ipv6);
}

Test(loopback, addresses)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	cr_expect(is_loopback("127.0.0.1"));
	cr_expect(is_loopback("127.255.255.254"));
	cr_expect(is_loopback("::1"));
	cr_expect_not(is_loopback("0.0.0.0"));
	cr_expect_not(is_loopback("126.255.255.255"));
	cr_expect_not(is_loopback("128.0.0.1"));
	cr_expect_not(is_loopback("::"));
	cr_expect_not(is_loopback("::2"));
	cr_expect_not(loopback_is(&nobody));
}

static void expect_reno(int fd)
{
	char name[32] = "";
	socklen_t bytes = sizeof(name);
	cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
	cr_expect_str_eq(name, "reno");
}

Test(loopback, what_is_accepted_is_not_paced_either)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(listener >= 0 && client >= 0);
	cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	loopback_do_not_pace(listener);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
	cr_assert_eq(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
	int accepted = accept(listener, NULL, NULL);
	cr_assert(accepted >= 0);
	expect_reno(listener);
	expect_reno(accepted);
	loopback_do_not_pace(client); /* one that is connected already */
	expect_reno(client);
	close(accepted);
	close(client);
	close(listener);
}

Test(loopback, what_is_no_tcp_socket_stays_as_it_is)
{
	loopback_do_not_pace(-1);
}
