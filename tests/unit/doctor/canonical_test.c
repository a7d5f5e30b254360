/* canonical_test - one address has one spelling, and different addresses have different ones. */
#include "srsd/command/doctor/canonical.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect(const char *text, const char *canonical)
{
	struct srsd_address address;
	char out[SRSD_ADDRESS_MAX];

	cr_assert_eq(srsd_address_parse(text, strlen(text), &address, NULL), SRSD_OK, "%s", text);
	bool was_canonical = canonical_address(&address);
	srsd_address_format(&address, out, sizeof(out));
	cr_assert_str_eq(out, canonical);
	cr_assert_eq(was_canonical, strcmp(text, canonical) == 0, "%s", text);
	cr_assert(canonical_address(&address), "%s is its own spelling", canonical);
}

Test(canonical, spells_addresses_in_one_way)
{
	expect("192.0.2.1:80", "192.0.2.1:80");
	expect("[::1]:80", "[::1]:80");
	expect("[0:0:0:0:0:0:0:1]:80", "[::1]:80");
	expect("[0000::0001]:80", "[::1]:80");
	expect("[2001:DB8::A]:80", "[2001:db8::a]:80");
	expect("[2001:db8:0:0:1:0:0:1]:80", "[2001:db8::1:0:0:1]:80");
	expect("[2001:db8::192.0.2.1]:80", "[2001:db8::c000:201]:80");
	expect("Web1.Example:8080", "web1.example:8080");
	expect("web_1.example:8080", "web_1.example:8080");
}

Test(canonical, takes_ipv4_out_of_ipv6)
{
	expect("[::ffff:192.0.2.1]:80", "192.0.2.1:80");
	expect("[::FFFF:c000:201]:80", "192.0.2.1:80");
	expect("[0:0:0:0:0:ffff:192.0.2.1]:80", "192.0.2.1:80");
	expect("[::fffe:c000:201]:80", "[::fffe:c000:201]:80");
}

Test(canonical, reads_hosts_in_digits)
{
	char host[SRSD_HOST_MAX + 1];

	cr_assert(canonical_host("192.0.2.1", host));
	cr_assert_str_eq(host, "192.0.2.1");
	cr_assert(canonical_host("0:0:0:0:0:0:0:1", host));
	cr_assert_str_eq(host, "::1");
	cr_assert(canonical_host("::ffff:192.0.2.1", host));
	cr_assert_str_eq(host, "192.0.2.1");
	cr_assert(canonical_host("fe80:0:0:0:0:0:0:1%eth0", host));
	cr_assert_str_eq(host, "fe80::1");
	cr_assert_not(canonical_host("web1", host));
	cr_assert_str_eq(host, "");
	cr_assert_not(canonical_host("", host));
}

Test(canonical, knows_loopback)
{
	cr_assert(canonical_is_loopback("127.0.0.1"));
	cr_assert(canonical_is_loopback("127.9.9.9"));
	cr_assert(canonical_is_loopback("::1"));
	cr_assert_not(canonical_is_loopback("128.0.0.1"));
	cr_assert_not(canonical_is_loopback("::"));
	cr_assert_not(canonical_is_loopback("1270.example"));
}
