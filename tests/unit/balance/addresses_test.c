/* addresses_test - lists of an endpoint's addresses: once each, the families by turns, compared as sets. */
#include "balance/addresses.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void add(struct addresses *addresses, const char *host, uint16_t port)
{
	union address one = {0};
	bool is_ipv6 = strchr(host, ':') != NULL;
	one.any.sa_family = is_ipv6 ? AF_INET6 : AF_INET;
	cr_assert_eq(inet_pton(one.any.sa_family, host,
			     is_ipv6 ? (void *)&one.ipv6.sin6_addr : (void *)&one.ipv4.sin_addr),
		1);
	addresses_add(addresses, &one.any, port);
}

static void expect(const struct addresses *addresses, const char *wanted)
{
	char text[ADDRESSES_MAX * ADDRESS_TEXT_MAX] = "";
	size_t used = 0;
	for (uint32_t i = 0; i < addresses->count; i++) {
		char one[ADDRESS_TEXT_MAX];
		address_format(&addresses->list[i], one);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i > 0 ? " " : "", one);
	}
	cr_expect_str_eq(text, wanted);
}

static bool same(const struct addresses *one, const struct addresses *other)
{
	return addresses_same(one->list, one->count, other->list, other->count);
}

Test(addresses, stand_there_once)
{
	struct addresses addresses = {0};
	add(&addresses, "192.0.2.1", 80);
	add(&addresses, "192.0.2.1", 80);
	add(&addresses, "192.0.2.1", 81);
	add(&addresses, "2001:db8::1", 80);
	add(&addresses, "2001:db8::1", 80);
	addresses_add(&addresses, &(const struct sockaddr){.sa_family = AF_UNIX}, 80);
	expect(&addresses, "192.0.2.1:80 192.0.2.1:81 [2001:db8::1]:80");
}

Test(addresses, are_so_many_at_most)
{
	struct addresses addresses = {0};
	for (uint16_t port = 1; port <= 2 * ADDRESSES_MAX; port++)
		add(&addresses, "192.0.2.1", port);
	cr_expect_eq(addresses.count, ADDRESSES_MAX);
}

Test(addresses, are_mixed)
{
	struct addresses addresses = {0};
	addresses_mix(&addresses);
	expect(&addresses, "");
	add(&addresses, "192.0.2.2", 1);
	add(&addresses, "192.0.2.1", 1);
	addresses_mix(&addresses);
	expect(&addresses, "192.0.2.2:1 192.0.2.1:1");
	add(&addresses, "192.0.2.3", 1);
	add(&addresses, "::2", 1);
	add(&addresses, "::1", 1);
	addresses_mix(&addresses);
	expect(&addresses, "[::2]:1 192.0.2.2:1 [::1]:1 192.0.2.1:1 192.0.2.3:1");
}

Test(addresses, are_compared_as_sets)
{
	struct addresses one = {0}, other = {0};
	cr_expect(same(&one, &other));
	add(&one, "192.0.2.1", 1);
	cr_expect_not(same(&one, &other));
	add(&other, "192.0.2.1", 2);
	cr_expect_not(same(&one, &other));
	add(&one, "::1", 1);
	other.count = 0;
	add(&other, "::1", 1);
	add(&other, "192.0.2.1", 1);
	cr_expect(same(&one, &other));
	add(&one, "::2", 1);
	add(&other, "::3", 1);
	cr_expect_not(same(&one, &other));
}
