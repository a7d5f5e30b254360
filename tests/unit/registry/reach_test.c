/* reach_test - which addresses the proxy may connect to: in the service's networks, or where a service can
 * be. */
#include "registry/reach.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool has(const struct reach *reach, const char *text)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
		return reach_has(reach, (const struct sockaddr *)&ipv4);
	cr_assert_eq(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1, "%s", text);
	return reach_has(reach, (const struct sockaddr *)&ipv6);
}

Test(reach, networks_that_are_named_and_no_others)
{
	static const char *const networks[] = {"192.0.2.0/24", "198.51.100.7", "2001:db8::/32"};
	static const char *const inside[] = {"192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8::1",
		"2001:db8:ffff::", "::ffff:192.0.2.1"};
	static const char *const outside[] = {"192.0.3.0", "192.0.1.255", "198.51.100.8",
		"2001:db9::", "127.0.0.1", "::1", "169.254.169.254", "::ffff:169.254.169.254", "::192.0.2.1",
		"0.0.0.0"};
	struct reach reach;
	cr_assert(reach_init(&reach, networks, ARRAY_SIZE(networks)));
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		cr_expect(has(&reach, inside[i]), "%s", inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		cr_expect_not(has(&reach, outside[i]), "%s", outside[i]);
	reach_finish(&reach);
}

Test(reach, everywhere_is_said_for_ipv4_and_ipv6_apart)
{
	static const char *const networks[] = {"0.0.0.0/0"};
	struct reach reach;
	cr_assert(reach_init(&reach, networks, 1));
	cr_expect(has(&reach, "169.254.169.254"), "what is named is allowed, whatever it is");
	cr_expect(has(&reach, "::ffff:192.0.2.1"));
	cr_expect_not(has(&reach, "2001:db8::1"));
	reach_finish(&reach);
}

Test(reach, without_networks_all_but_what_no_service_has)
{
	static const char *const refused[] = {"0.0.0.0", "0.1.2.3", "169.254.0.1", "169.254.169.254",
		"224.0.0.1", "239.255.255.255", "255.255.255.255", "::", "fe80::1", "febf::1", "ff02::1",
		"::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::169.254.169.254", "fd00:ec2::254",
		"fd20:ce::254"};
	static const char *const allowed[] = {"127.0.0.1", "10.0.0.1", "192.168.149.134", "1.0.0.0",
		"169.253.255.255", "169.255.0.0", "223.255.255.255", "240.0.0.1", "::1", "fd00::1",
		"fd00:ec2::253", "2001:db8::1", "fec0::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"};
	struct reach reach;
	cr_assert(reach_init(&reach, NULL, 0));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		cr_expect_not(has(&reach, refused[i]), "%s", refused[i]);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		cr_expect(has(&reach, allowed[i]), "%s", allowed[i]);
	reach_finish(&reach);
}

Test(reach, all_is_all_ip)
{
	struct reach reach;
	const struct sockaddr_un local = {.sun_family = AF_UNIX};
	reach_init_all(&reach);
	cr_expect(has(&reach, "169.254.169.254"));
	cr_expect(has(&reach, "::"));
	cr_expect_not(reach_has(&reach, (const struct sockaddr *)&local));
	reach_finish(&reach);
}
