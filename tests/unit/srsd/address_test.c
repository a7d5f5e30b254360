/* address_test - addresses and labels: what is read, what is refused and why, and what is written again. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srsd/srsd.h"

struct good {
	const char *text;
	enum srsd_host_kind kind;
	const char *host;
	uint16_t port;
};

struct bad {
	const char *text;
	const char *why; /* a part of the reason */
};

Test(address, reads_addresses_and_writes_them_again)
{
	static const struct good cases[] = {
		{"192.168.149.134:8888", SRSD_HOST_IPV4, "192.168.149.134", 8888},
		{"0.0.0.0:1", SRSD_HOST_IPV4, "0.0.0.0", 1},
		{"255.255.255.255:65535", SRSD_HOST_IPV4, "255.255.255.255", 65535},
		{"[2001:db8::1]:80", SRSD_HOST_IPV6, "2001:db8::1", 80},
		{"[::]:80", SRSD_HOST_IPV6, "::", 80},
		{"[::ffff:192.0.2.1]:80", SRSD_HOST_IPV6, "::ffff:192.0.2.1", 80},
		{"localhost:2181", SRSD_HOST_NAME, "localhost", 2181},
		{"my_host.example-1.com:80", SRSD_HOST_NAME, "my_host.example-1.com", 80},
		{"1.example:80", SRSD_HOST_NAME, "1.example", 80},
		{"1.2.3.x4:80", SRSD_HOST_NAME, "1.2.3.x4", 80},
		{"0xyz:80", SRSD_HOST_NAME, "0xyz", 80},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct srsd_address address;
		char text[SRSD_ADDRESS_MAX];
		const char *why = "unset";

		cr_assert_eq(srsd_address_parse(cases[i].text, strlen(cases[i].text), &address, &why),
			SRSD_OK, "%s: %s", cases[i].text, why);
		cr_assert_null(why);
		cr_assert_eq(address.kind, cases[i].kind, "%s", cases[i].text);
		cr_assert_eq(address.port, cases[i].port, "%s", cases[i].text);
		cr_assert_str_eq(address.host, cases[i].host);
		cr_assert_eq(srsd_address_format(&address, text, sizeof(text)), strlen(cases[i].text));
		cr_assert_str_eq(text, cases[i].text);
	}
}

Test(address, refuses_what_is_no_address)
{
	static const struct bad cases[] = {
		{"", "empty"},
		{"192.0.2.1", "port is missing"},
		{"192.0.2.1:", "port is missing"},
		{":80", "host is missing"},
		{"[]:80", "host is missing"},
		{"192.0.2.1:0", "starts with 0"},
		{"192.0.2.1:080", "starts with 0"},
		{"192.0.2.1:+80", "not a decimal"},
		{"192.0.2.1:-1", "not a decimal"},
		{"192.0.2.1: 80", "not a decimal"},
		{"192.0.2.1:80 ", "not a decimal"},
		{"192.0.2.1:80x", "not a decimal"},
		{"192.0.2.1:0x50", "starts with 0"},
		{"192.0.2.1:65536", "above 65535"},
		{"192.0.2.1:99999999999999999999", "above 65535"},
		{"192.0.2.01:80", "neither"},
		{"192.0.2.256:80", "neither"},
		{"192.0.2:80", "neither"},
		{"192.0.2.1.5:80", "neither"},
		{"3221225985:80", "neither"},
		{"0x7f000001:80", "neither"},
		{"0X7F.0x1:80", "neither"},
		{"0x:80", "neither"},
		{"example.12:80", "neither"},
		{" 192.0.2.1:80", "no name has"},
		{"a b:80", "no name has"},
		{"host/path:80", "no name has"},
		{"http://host:80", "no name has"},
		{"user@host:80", "no name has"},
		{"caf\xc3\xa9:80", "no name has"},
		{"a..b:80", "empty label"},
		{".a:80", "empty label"},
		{"a.:80", "empty label"},
		{"2001:db8::1:80", "needs brackets"},
		{"::1:80", "needs brackets"},
		{"[2001:db8::1]", "port is missing"},
		{"[2001:db8::1]80", "bracket"},
		{"[2001:db8::1:80", "bracket"},
		{"[2001:db8::1%eth0]:80", "no IPv6"},
		{"[2001:db8::g]:80", "no IPv6"},
		{"[192.0.2.1]:80", "no IPv6"},
		{"[host]:80", "no IPv6"},
		{"[[::1]]:80", "no IPv6"},
		{"[:80", "bracket"},
		{":", "host is missing"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct srsd_address address = {.port = 7};
		const char *why = NULL;

		cr_assert_eq(srsd_address_parse(cases[i].text, strlen(cases[i].text), &address, &why),
			SRSD_BAD_ARGUMENT, "\"%s\" was read", cases[i].text);
		cr_assert_not_null(why);
		cr_assert(strstr(why, cases[i].why) != NULL, "\"%s\": %s", cases[i].text, why);
		cr_assert_eq(address.port, 7, "unchanged");
	}
}

Test(address, needs_no_terminator_and_stops_at_the_end)
{
	struct srsd_address address;
	char *exact = malloc(12);

	memcpy(exact, "192.0.2.1:80", 12);
	cr_assert_eq(srsd_address_parse(exact, 12, &address, NULL), SRSD_OK);
	cr_assert_eq(address.port, 80);
	cr_assert_eq(srsd_address_parse(exact, 11, &address, NULL), SRSD_OK);
	cr_assert_eq(address.port, 8);
	free(exact);
	cr_assert_eq(srsd_address_parse("host\0x:80", 9, &address, NULL), SRSD_BAD_ARGUMENT);
	cr_assert_eq(srsd_address_parse("host:8\0", 7, &address, NULL), SRSD_BAD_ARGUMENT);
}

Test(address, takes_a_host_name_of_the_greatest_length_and_no_more)
{
	struct srsd_address address;
	char host[SRSD_HOST_MAX + 16];
	char text[SRSD_ADDRESS_MAX];
	size_t used = 0;

	/* Labels of 63 bytes: 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253. */
	for (int label = 0; label < 4; label++) {
		size_t bytes = label < 3 ? 63 : 61;

		memset(host + used, 'a' + label, bytes);
		used += bytes;
		host[used++] = label < 3 ? '.' : ':';
	}
	cr_assert_eq(used, SRSD_HOST_MAX + 1);
	memcpy(host + used, "65535", 6);
	cr_assert_eq(srsd_address_parse(host, used + 5, &address, NULL), SRSD_OK);
	cr_assert_eq(srsd_address_format(&address, text, sizeof(text)), SRSD_ADDRESS_MAX - 1);
	cr_assert_str_eq(text, host);
	memmove(host + used, host + used - 1, 7);
	host[used - 1] = 'd';
	cr_assert_eq(srsd_address_parse(host, used + 6, &address, NULL), SRSD_BAD_ARGUMENT);
	memset(host, 'a', 64);
	memcpy(host + 64, ":80", 4);
	cr_assert_eq(srsd_address_parse(host, 67, &address, NULL), SRSD_BAD_ARGUMENT);
	cr_assert_eq(srsd_address_parse(host + 1, 66, &address, NULL), SRSD_OK);
}

Test(address, checks_labels)
{
	static const struct bad bad[] = {{"", "empty"}, {"a/b", "slash"}, {"/", "slash"}, {".", "relative"},
		{"..", "relative"}, {"a\nb", "control"}, {"\x7f", "control"}, {NULL, "missing"}};
	static const char *const good[] = {"tornado_app", "a", "...", "a.b", "with space", "caf\xc3\xa9"};
	char label[257];
	const char *why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(srsd_label_check(bad[i].text, &why), SRSD_BAD_ARGUMENT);
		cr_assert(strstr(why, bad[i].why) != NULL, "%s", why);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert_eq(srsd_label_check(good[i], NULL), SRSD_OK, "%s", good[i]);
	memset(label, 'a', 256);
	label[256] = '\0';
	cr_assert_eq(srsd_label_check(label, &why), SRSD_BAD_ARGUMENT);
	label[255] = '\0';
	cr_assert_eq(srsd_label_check(label, &why), SRSD_OK);
	cr_assert_null(why);
}

/* Whatever is read is written as it was, over many texts near to addresses. */
Test(address, reads_what_it_writes)
{
	static const char alphabet[] = "0123456789abcdefx.:[]-_%/ ";
	unsigned state = 12345;
	size_t read = 0;

	for (int round = 0; round < 300000; round++) {
		char text[24];
		char again[SRSD_ADDRESS_MAX];
		struct srsd_address address;
		size_t bytes = 0;

		state = state * 1103515245 + 12345;
		bytes = 1 + (state >> 16) % 14;
		for (size_t i = 0; i < bytes; i++) {
			state = state * 1103515245 + 12345;
			text[i] = alphabet[(state >> 16) % (sizeof(alphabet) - 1)];
		}
		if (srsd_address_parse(text, bytes, &address, NULL) != SRSD_OK)
			continue;
		read++;
		cr_assert_eq(srsd_address_format(&address, again, sizeof(again)), bytes);
		cr_assert_eq(memcmp(again, text, bytes), 0, "%.*s became %s", (int)bytes, text, again);
	}
	cr_assert_gt(read, 1000);
}
