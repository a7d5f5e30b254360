/* network_test: which texts are IP networks, which addresses are in them. */
#include "base/network.h"

#include "base/random.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

/* `text` is read as `wanted`; NULL: it is refused with `fault`. */
static void expect_network(const char *text, enum network_fault fault, const char *wanted)
{
	struct network network;
	char shown[NETWORK_TEXT_MAX];
	memset(&network, 0xAA, sizeof(network));
	cr_expect_eq(network_parse(text, &network), fault, "%s", text);
	if (wanted != NULL)
		cr_expect_str_eq(network_format(&network, shown), wanted, "%s is %s", text, shown);
	else
		cr_expect_eq(network.prefix_bits, 0xAA, "%s: written in spite of its fault", text);
}

Test(network, texts)
{
	expect_network("192.0.2.0/24", NETWORK_GOOD, "192.0.2.0/24");
	expect_network("192.0.2.1", NETWORK_GOOD, "192.0.2.1");
	expect_network("192.0.2.1/32", NETWORK_GOOD, "192.0.2.1");
	expect_network("0.0.0.0/0", NETWORK_GOOD, "0.0.0.0/0");
	expect_network("128.0.0.0/1", NETWORK_GOOD, "128.0.0.0/1");
	expect_network("10.1.2.252/30", NETWORK_GOOD, "10.1.2.252/30");
	expect_network("2001:DB8::/32", NETWORK_GOOD, "2001:db8::/32");
	expect_network("2001:db8:0:0::/32", NETWORK_GOOD, "2001:db8::/32");
	expect_network("::/0", NETWORK_GOOD, "::/0");
	expect_network("::1", NETWORK_GOOD, "::1");
	expect_network("::1/128", NETWORK_GOOD, "::1");
	expect_network("fe80::/10", NETWORK_GOOD, "fe80::/10");
	expect_network("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", NETWORK_GOOD,
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
}

Test(network, ipv4_in_ipv6)
{
	expect_network("::ffff:192.0.2.1", NETWORK_GOOD, "192.0.2.1");
	expect_network("::ffff:c000:201", NETWORK_GOOD, "192.0.2.1");
	expect_network("::ffff:192.0.2.0/120", NETWORK_GOOD, "192.0.2.0/24");
	expect_network("::ffff:0:0/96", NETWORK_GOOD, "0.0.0.0/0");
	/* Less than that is no IPv4. */
	expect_network("::ffff:0:0/95", NETWORK_HOST_BITS, "::fffe:0:0/95");
	expect_network("::192.0.2.1", NETWORK_GOOD, "::192.0.2.1");
}

Test(network, bits_behind_the_prefix)
{
	expect_network("192.0.2.7/24", NETWORK_HOST_BITS, "192.0.2.0/24");
	expect_network("192.0.2.1/31", NETWORK_HOST_BITS, "192.0.2.0/31");
	expect_network("1.0.0.0/0", NETWORK_HOST_BITS, "0.0.0.0/0");
	expect_network("2001:db8::1/32", NETWORK_HOST_BITS, "2001:db8::/32");
	expect_network("::ffff:192.0.2.7/120", NETWORK_HOST_BITS, "192.0.2.0/24");
}

Test(network, refused)
{
	static const char *const no_address[] = {"", "/", "/24", "all", "example.org", "192.0.2",
		"192.0.2.0.0/24", "192.0.2.256", "192.0.2.01", "0x7f.0.0.1", "[::1]", "::1%lo", ":::1",
		" 192.0.2.1", "192.0.2.1 ", "192.0.2.1:80", "192.0.2.0-192.0.2.9", "1:2:3:4:5:6:7:8:9",
		"192.0.2.*", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/8"};
	static const char *const bad_prefix[] = {"192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+8",
		"192.0.2.0/024", "192.0.2.0/00", "192.0.2.0/24 ", "192.0.2.0/24/24",
		"192.0.2.0/255.255.255.0", "192.0.2.0/x", "::/129", "::/256", "::/4294967296", "::/1e1"};
	for (size_t i = 0; i < ARRAY_SIZE(no_address); i++)
		expect_network(no_address[i], NETWORK_NO_ADDRESS, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bad_prefix); i++)
		expect_network(bad_prefix[i], NETWORK_BAD_PREFIX, NULL);
}

static struct network peer_of(const char *text)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = 2};
	struct network peer;
	if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
		cr_assert(network_of_peer((const struct sockaddr *)&ipv4, &peer));
	else
		cr_assert(inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1 &&
			  network_of_peer((const struct sockaddr *)&ipv6, &peer));
	return peer;
}

static bool has(const char *text, const char *peer_text)
{
	struct network network, peer = peer_of(peer_text);
	cr_assert_eq(network_parse(text, &network), NETWORK_GOOD, "%s", text);
	return networks_have(&network, 1, &peer);
}

Test(network, membership)
{
	static const struct {
		const char *network, *inside, *outside;
	} rows[] = {
		{"192.0.2.0/24", "192.0.2.0", "192.0.3.0"},
		{"192.0.2.0/24", "192.0.2.255", "192.0.1.255"},
		{"192.0.2.0/25", "192.0.2.127", "192.0.2.128"},
		{"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
		{"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"192.0.2.2/31", "192.0.2.3", "192.0.2.4"},
		{"0.0.0.0/0", "255.1.2.3", "::1"},
		{"0.0.0.0/0", "::ffff:255.1.2.3", "::255.1.2.3"},
		{"192.0.2.0/24", "::ffff:192.0.2.9", "::192.0.2.9"},
		{"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"},
		{"::/0", "2001:db8::1", "192.0.2.1"},
		{"::/0", "::1", "::ffff:192.0.2.1"},
		{"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
		{"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
		{"::1", "::1", "::2"},
		{"fe80::/10", "febf::1", "fec0::1"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect(has(rows[i].network, rows[i].inside), "%s, %s", rows[i].network, rows[i].inside);
		cr_expect_not(
			has(rows[i].network, rows[i].outside), "%s, %s", rows[i].network, rows[i].outside);
	}
}

Test(network, several)
{
	struct network networks[2], peer = peer_of("::1"), wider;
	cr_assert_eq(network_parse("192.0.2.0/24", &networks[0]), NETWORK_GOOD);
	cr_assert_eq(network_parse("::1", &networks[1]), NETWORK_GOOD);
	cr_expect(networks_have(networks, 2, &peer));
	cr_expect_not(networks_have(networks, 1, &peer));
	cr_expect_not(networks_have(networks, 0, &peer));
	/* A part of a network is in it, more than it is not. */
	cr_assert_eq(network_parse("192.0.2.64/26", &wider), NETWORK_GOOD);
	cr_expect(networks_have(networks, 2, &wider));
	cr_assert_eq(network_parse("192.0.2.0/23", &wider), NETWORK_GOOD);
	cr_expect_not(networks_have(networks, 2, &wider));
}

Test(network, peers_without_an_ip_address)
{
	const struct sockaddr_un peer = {.sun_family = AF_UNIX};
	struct network network;
	cr_expect_not(network_of_peer((const struct sockaddr *)&peer, &network));
}

/* As the C library writes them: any address, most of them with groups of zeros and of few digits. */
Test(network, is_written_as_the_library_does)
{
	struct random random;
	cr_assert(random_seed(&random));
	for (int round = 0; round < 200000; round++) {
		struct network network = {.address_bits = round % 4 == 0 ? 32 : 128};
		char shown[NETWORK_TEXT_MAX], wanted[INET6_ADDRSTRLEN];
		uint64_t shape = random_next(&random);
		for (size_t i = 0; i < sizeof(network.address); i++) {
			bool is_zero = shape >> (i / 2) & 1U || (i % 2 == 0 && shape >> (16 + i / 2) & 1U);
			network.address[i] = (uint8_t)(is_zero ? 0 : random_next(&random) >> (shape >> 60));
		}
		network.prefix_bits = network.address_bits;
		bool is_ipv4 = network.address_bits == 32;
		cr_assert_not_null(
			inet_ntop(is_ipv4 ? AF_INET : AF_INET6, network.address, wanted, sizeof(wanted)));
		if (!is_ipv4 && strncmp(wanted, "::ffff:", 7) == 0 && strchr(wanted, '.') != NULL)
			continue; /* never kept as IPv6 */
		cr_assert_eq(network_write(&network, shown), strlen(wanted));
		cr_assert_str_eq(shown, wanted);
	}
}
