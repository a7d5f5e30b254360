/* forwarded_test - what a backend is told of the client, byte for byte. RFC 7239. */
#include "support.h"

#include <stdio.h>

#define X    HTTP_FORWARDED_X
#define RFC  HTTP_FORWARDED_RFC7239
#define BOTH (X | RFC)

static char out[4096];

static const char *forward(
	unsigned kinds, bool is_trusted, const char *client, const char *own, const char *fields)
{
	const struct http_forwarding forwarding = {(uint8_t)kinds, is_trusted, str_of(client), str_of(own)};
	static struct http_parser parser;
	char text[2000];
	int bytes = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", fields);
	cr_assert_eq(parse_request(&parser, text, (size_t)bytes), HTTP_DONE, "%s", text);
	struct writer writer = {.at = out, .end = out + sizeof(out) - 1};
	http_put_forwarded(&writer, &parser.head, &forwarding);
	cr_assert_not(writer.is_full);
	*writer.at = '\0';
	return out;
}

#define expect_said(kinds, is_trusted, client, own, fields, wanted)                                          \
	cr_expect_str_eq(forward((kinds), (is_trusted), (client), (own), (fields)), (wanted))

#define HOST "Host: a\r\n"

Test(forwarded, begun_here)
{
	expect_said(X, true, "192.0.2.7", "", HOST,
		"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n");
	expect_said(RFC, true, "192.0.2.7", "192.0.2.1", HOST,
		"Forwarded: for=192.0.2.7;host=a;proto=http;by=192.0.2.1\r\n");
	expect_said(BOTH, true, "192.0.2.7", "192.0.2.1", HOST,
		"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n"
		"Forwarded: for=192.0.2.7;host=a;proto=http;by=192.0.2.1\r\n");
	expect_said(0, true, "192.0.2.7", "192.0.2.1", HOST, "");
	expect_said(BOTH, true, "", "", HOST,
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nForwarded: "
		"for=unknown;host=a;proto=http\r\n");
}

/* RFC 7239 sections 4 and 6: what is no token stands between quotes, IPv6 in brackets too. */
Test(forwarded, quotes)
{
	expect_said(RFC, true, "2001:db8::1", "::1", "Host: a:80\r\n",
		"Forwarded: for=\"[2001:db8::1]\";host=\"a:80\";proto=http;by=\"[::1]\"\r\n");
	expect_said(RFC, true, "::1", "", "Host: [::1]:80\r\n",
		"Forwarded: for=\"[::1]\";host=\"[::1]:80\";proto=http\r\n");
	expect_said(RFC, true, "::1", "", "Host: a(b),c;d=e\r\n",
		"Forwarded: for=\"[::1]\";host=\"a(b),c;d=e\";proto=http\r\n");
	expect_said(RFC, true, "::1", "", "Host: a-b.c_d~!%20\r\n",
		"Forwarded: for=\"[::1]\";host=a-b.c_d~!%20;proto=http\r\n");
}

Test(forwarded, x_fields_are_continued)
{
	expect_said(X, true, "::1", "",
		HOST "X-Forwarded-For: 1.1.1.1,2.2.2.2\r\nX-Forwarded-For:\r\nX-Forwarded-For: 3.3.3.3\r\n"
		     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n",
		"X-Forwarded-For: 1.1.1.1,2.2.2.2, 3.3.3.3, ::1\r\n");
	expect_said(X, true, "", "",
		HOST "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n",
		"X-Forwarded-For: 1.1.1.1\r\n");
	expect_said(X, false, "::1", "",
		HOST "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n",
		"X-Forwarded-For: ::1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n");
}

#define OURS "for=\"[::1]\";host=a;proto=http"

Test(forwarded, elements_are_continued)
{
	static const char *const good[] = {"for=192.0.2.43", "for=192.0.2.43, for=198.51.100.17",
		"For=\"[2001:db8::1]:80\"", "for=192.0.2.60;proto=http;by=203.0.113.43",
		"for=unknown;secret=_a-b.c", "for=\"a\\\"b\"", "for=\"a, b;c=d\";by=e",
		"for=1.1.1.1 ; proto=https ,for=2.2.2.2", "for=[2001:db8::1]:80", "for=a;;by=b", ", for=a,,",
		"for=\"\""};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char fields[200], wanted[300];
		snprintf(fields, sizeof(fields), HOST "Forwarded: %s\r\n", good[i]);
		snprintf(wanted, sizeof(wanted), "Forwarded: %s, " OURS "\r\n", good[i]);
		expect_said(RFC, true, "::1", "", fields, wanted);
		expect_said(RFC, false, "::1", "", fields, "Forwarded: " OURS "\r\n");
	}
	expect_said(RFC, true, "::1", "",
		HOST "Forwarded: for=a\r\nB: c\r\nForwarded:\r\nforwarded: for=d\r\n",
		"Forwarded: for=a, for=d, " OURS "\r\n");
	expect_said(RFC, true, "::1", "", HOST "Forwarded:\r\n", "Forwarded: " OURS "\r\n");
}

/* Behind these, ours would be read as a part of something else, or not at all. */
Test(forwarded, what_is_no_list_of_elements_is_dropped)
{
	static const char *const bad[] = {"for=\"", "for=\"a", "for=\"a\\\"", "for=\"a\\", "for=a\"b", "\"",
		"for", "for=", "=a", "for=a b", "for=\"a\"b", "for=a, garbage", "for =a", "for= a",
		"for=a;by", "for=a{}", "a=b=c", "for=(a)"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char fields[200];
		snprintf(fields, sizeof(fields), HOST "Forwarded: %s\r\n", bad[i]);
		expect_said(RFC, true, "::1", "", fields, "Forwarded: " OURS "\r\n");
		snprintf(fields, sizeof(fields), HOST "Forwarded: for=b\r\nForwarded: %s\r\n", bad[i]);
		expect_said(RFC, true, "::1", "", fields, "Forwarded: " OURS "\r\n");
	}
}

Test(forwarded, names)
{
	cr_expect(http_is_x_forwarded(STR("X-Forwarded-Client-Cert")));
	cr_expect(http_is_x_forwarded(STR("x-FORWARDED-")));
	cr_expect(http_is_x_forwarded(STR("X-Real-IP")));
	cr_expect(http_is_x_forwarded(STR("x-scheme")));
	cr_expect_not(http_is_x_forwarded(STR("x-real-ips")));
	cr_expect_not(http_is_x_forwarded(STR("x-forwarded")));
	cr_expect_not(http_is_x_forwarded(STR("x-forwards-for")));
	cr_expect_not(http_is_x_forwarded(STR("")));
}
