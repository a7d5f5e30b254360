/* asker_test - whose word on who asks is believed: trusted proxies, as far back as they go, and nobody else.
 */
#include "exchange/asker.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The asker of a request with these fields, from `peer`; `trusted` are NULL-terminated, NULL for every peer.
 * "unknown" where nobody can say. */
static const char *asker_of(const char *peer, const char *const *trusted, const char *fields)
{
	static const struct http_parser_limits limits = {.head_bytes = 4096, .fields = 40};
	static struct http_parser parser;
	static char text[NETWORK_TEXT_MAX];
	struct network networks[8], address, asker;
	struct downstream_shared shared = {.trusted = trusted != NULL ? networks : NULL};
	struct downstream client = {.shared = &shared};
	struct downstream_ends ends = {.own = {.address_bits = 0}};
	char request[1024];
	for (; trusted != NULL && trusted[shared.trusted_count] != NULL; shared.trusted_count++)
		cr_assert_eq(network_parse(trusted[shared.trusted_count], &networks[shared.trusted_count]),
			NETWORK_GOOD);
	if (peer[0] != '\0') {
		cr_assert_eq(network_parse(peer, &address), NETWORK_GOOD);
		ends.client = address;
		client.ends = &ends;
		client.has_ends = true;
	}
	client.is_trusted = trusted == NULL || networks_have(networks, shared.trusted_count, &address);
	int bytes = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_assert_eq(http_parser_feed(&parser, request, (size_t)bytes), HTTP_DONE);
	return asker_find(&client, &parser.head, &asker) ? network_format(&asker, text) : "unknown";
}

static const char *const proxies[] = {"10.0.0.0/8", "2001:db8::/32", NULL};
static const char *const nobody[] = {NULL};

Test(asker, a_request_that_was_not_forwarded_is_its_peers)
{
	cr_expect_str_eq(asker_of("192.0.2.7", NULL, ""), "192.0.2.7");
	cr_expect_str_eq(asker_of("192.0.2.7", proxies, ""), "192.0.2.7");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, ""), "10.0.0.1");
	cr_expect_str_eq(asker_of("::1", nobody, ""), "::1");
}

/* Where every peer may say whom it asks for, anybody could say anything. */
Test(asker, without_trusted_proxies_a_forwarded_request_is_nobodys)
{
	cr_expect_str_eq(asker_of("192.0.2.7", NULL, "X-Forwarded-For: 127.0.0.1\r\n"), "unknown");
	cr_expect_str_eq(asker_of("192.0.2.7", NULL, "Forwarded: for=127.0.0.1\r\n"), "unknown");
}

Test(asker, a_stranger_does_not_speak_for_others)
{
	cr_expect_str_eq(asker_of("192.0.2.7", proxies, "X-Forwarded-For: 127.0.0.1\r\n"), "192.0.2.7");
	cr_expect_str_eq(asker_of("192.0.2.7", nobody, "X-Forwarded-For: 127.0.0.1\r\n"), "192.0.2.7");
	cr_expect_str_eq(asker_of("192.0.2.7", proxies, "Forwarded: for=127.0.0.1\r\n"), "192.0.2.7");
}

Test(asker, trusted_proxies_speak_for_their_clients)
{
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, "X-Forwarded-For: 192.0.2.7\r\n"), "192.0.2.7");
	cr_expect_str_eq(
		asker_of("10.0.0.1", proxies, "X-Forwarded-For: 127.0.0.1, 192.0.2.7\r\n"), "192.0.2.7");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies,
				 "X-Forwarded-For: 127.0.0.1, 192.0.2.7 ,, 10.1.2.3,2001:db8::9\r\n"),
		"192.0.2.7");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies,
				 "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.7\r\nX-A: 1\r\n"
				 "X-Forwarded-For: 10.0.0.2\r\n"),
		"192.0.2.7");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, "X-Forwarded-For: ::ffff:192.0.2.7\r\n"), "192.0.2.7");
}

Test(asker, a_chain_of_proxies_alone_is_the_first_of_them)
{
	cr_expect_str_eq(
		asker_of("10.0.0.1", proxies, "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n"), "10.0.0.3");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, "X-Forwarded-For: \r\n"), "10.0.0.1");
}

Test(asker, what_is_no_address_ends_the_chain)
{
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, "X-Forwarded-For: 127.0.0.1, unknown\r\n"), "unknown");
	cr_expect_str_eq(
		asker_of("10.0.0.1", proxies, "X-Forwarded-For: 127.0.0.1, 192.0.2.0/24\r\n"), "unknown");
	cr_expect_str_eq(
		asker_of("10.0.0.1", proxies, "X-Forwarded-For: 127.0.0.1, 192.0.2.7:80\r\n"), "unknown");
	cr_expect_str_eq(asker_of("10.0.0.1", proxies, "Forwarded: for=192.0.2.7\r\n"), "unknown");
	cr_expect_str_eq(asker_of("", NULL, ""), "unknown");
}
