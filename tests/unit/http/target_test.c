/* target_test - the forms of a request target and the grammar of a host. RFC 9112 section 3.2, RFC 3986. */
#include "http/target.h"
#include "support.h"

#include <stdio.h>

#define HOST "Host: a\r\n"

static bool is_host(const char *text)
{
	return http_host_is_valid(str_of(text));
}

Test(target, hosts)
{
	static const char *const good[] = {"a", "a.b", "a.b:80", "a:", "a:0", "a:65535", "a:00080",
		"127.0.0.1:80", "[::1]", "[::1]:80", "[2001:db8::1:2]:", "[::ffff:127.0.0.1]",
		"[1:2:3:4:5:6:7:8]", "[v1.a:b]", "[vF0.~!$&'()*+,;=:]:1", "a_b", "a~b-c", "%41%5a", "a,b;c=d",
		"!$&'()*+", "1.2.3", "999.999.999.999"};
	static const char *const bad[] = {"", ":", ":80", "a:65536", "a:99999999999999999999", "a:+80",
		"a:8 0", "a:80:80", "a b", " a", "a/", "a?", "a#", "u@a", "a\\b", "a|b", "a\"b", "<a>", "a[",
		"]", "[", "[]", "[::1", "[::1]a", "[::1]]", "::1", "1:2:3:4:5:6:7:8", "[::1%25eth0]",
		"[fe80::1%eth0]", "[1::2::3]", "[12345::]", "[127.0.0.1]", "[g::]", "[v.a]", "[v1.]", "[v1]",
		"[vg.a]", "[v1.a/]", "%", "%4", "%4g", "a%", "%zz", "\xc3\xa9", "a\x80", "{a}", "a^b", "a`b"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(is_host(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_not(is_host(bad[i]), "%s", bad[i]);
	cr_expect_not(http_host_is_valid((struct str){"[::1\0]", 6}));
}

Test(target, a_host_is_bounded)
{
	char text[HTTP_HOST_BYTES_MAX + 1];
	memset(text, 'a', sizeof(text));
	cr_expect(http_host_is_valid((struct str){text, HTTP_HOST_BYTES_MAX}));
	cr_expect_not(http_host_is_valid((struct str){text, HTTP_HOST_BYTES_MAX + 1}));
}

static void expect_target(const char *line, enum http_target_form form, const char *path, const char *query,
	const char *authority)
{
	struct http_parser parser;
	const struct http_head *head = &parser.head;
	char text[300];
	int bytes = snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" HOST "\r\n", line);
	cr_assert_eq(parse_request(&parser, text, (size_t)bytes), HTTP_DONE, "%s", line);
	cr_expect_eq(head->target_form, form, "%s", line);
	cr_expect(str_equal(http_text(head, head->path), str_of(path)), "%s: path %.*s", line,
		head->path.bytes, head->base + head->path.at);
	cr_expect(str_equal(http_text(head, head->query), str_of(query)), "%s", line);
	cr_expect(str_equal(http_text(head, head->authority), str_of(authority)), "%s", line);
}

Test(target, forms)
{
	expect_target("GET /", HTTP_TARGET_ORIGIN, "/", "", "a");
	expect_target("GET //b//", HTTP_TARGET_ORIGIN, "//b//", "", "a");
	expect_target("GET /?", HTTP_TARGET_ORIGIN, "/", "?", "a");
	expect_target("GET /b?c?d/e", HTTP_TARGET_ORIGIN, "/b", "?c?d/e", "a");
	expect_target("GET /%00%fF/:@!$&'()*+,;=~", HTTP_TARGET_ORIGIN, "/%00%fF/:@!$&'()*+,;=~", "", "a");
	expect_target("GET /?[]{}|^`%20", HTTP_TARGET_ORIGIN, "/", "?[]{}|^`%20", "a");
	expect_target("OPTIONS *", HTTP_TARGET_ASTERISK, "/", "", "a");
	expect_target("OPTIONS /b", HTTP_TARGET_ORIGIN, "/b", "", "a");
	expect_target("GET http://b", HTTP_TARGET_ABSOLUTE, "/", "", "b");
	expect_target("GET http://b/", HTTP_TARGET_ABSOLUTE, "/", "", "b");
	expect_target("GET hTTp://[::1]:8/c/d?e", HTTP_TARGET_ABSOLUTE, "/c/d", "?e", "[::1]:8");
	expect_target("OPTIONS http://b", HTTP_TARGET_ASTERISK, "/", "", "b");
	expect_target("OPTIONS http://b/", HTTP_TARGET_ABSOLUTE, "/", "", "b");
	expect_target("OPTIONS http://b?c", HTTP_TARGET_ABSOLUTE, "/", "?c", "b");
}

#define expect_target_problem(wanted, line) expect_request(wanted, line " HTTP/1.1\r\n" HOST "\r\n")

Test(target, refused)
{
	expect_target_problem(BAD_TARGET, "GET *");
	expect_target_problem(BAD_TARGET, "OPTIONS **");
	expect_target_problem(BAD_TARGET, "OPTIONS *?a");
	expect_target_problem(BAD_TARGET, "GET a");
	expect_target_problem(BAD_TARGET, "GET a/b");
	expect_target_problem(BAD_TARGET, "GET ?a");
	expect_target_problem(BAD_TARGET, "GET a:80");
	expect_target_problem(BAD_TARGET, "GET /#a");
	expect_target_problem(BAD_TARGET, "GET /?#a");
	expect_target_problem(BAD_TARGET, "GET /%");
	expect_target_problem(BAD_TARGET, "GET /%4");
	expect_target_problem(BAD_TARGET, "GET /%4g");
	expect_target_problem(BAD_TARGET, "GET /?%zz");
	expect_target_problem(BAD_TARGET, "GET /\\");
	expect_target_problem(BAD_TARGET, "GET /?\\");
	expect_target_problem(BAD_TARGET, "GET /<a>");
	expect_target_problem(BAD_TARGET, "GET /\"");
	expect_target_problem(BAD_TARGET, "GET /?\"");
	expect_target_problem(BAD_TARGET, "GET /{a}");
	expect_target_problem(BAD_TARGET, "GET /\xc3\xa9");
	expect_target_problem(BAD_TARGET, "GET /?\xc3\xa9");
	expect_target_problem(BAD_TARGET, "GET http:/b/");
	expect_target_problem(BAD_TARGET, "GET http://");
	expect_target_problem(BAD_TARGET, "GET http:///b");
	expect_target_problem(BAD_TARGET, "GET http://?b");
	expect_target_problem(BAD_TARGET, "GET http://u@b/");
	expect_target_problem(BAD_TARGET, "GET http://u:p@b/");
	expect_target_problem(BAD_TARGET, "GET http://b:x/");
	expect_target_problem(BAD_TARGET, "GET http://b#c");
	expect_target_problem(BAD_TARGET, "GET http://b/#c");
	expect_target_problem(MISDIRECTED, "GET https://b/");
	expect_target_problem(MISDIRECTED, "GET HTTPS://b:443?c");
	expect_target_problem(BAD_TARGET, "GET https://");
	expect_target_problem(BAD_TARGET, "GET https://b@c/");
	expect_target_problem(BAD_TARGET, "GET https://b/#c");
	expect_target_problem(BAD_TARGET, "GET ftp://b/");
	expect_target_problem(BAD_TARGET, "GET httpx//b/");
	expect_target_problem(BAD_REQUEST_LINE, "GET http://b /");
}

Test(target, connect_is_refused)
{
	expect_target_problem(METHOD_REFUSED, "CONNECT a:80");
	expect_target_problem(METHOD_REFUSED, "CONNECT [::1]:80");
	expect_target_problem(BAD_TARGET, "CONNECT a");
	expect_target_problem(BAD_TARGET, "CONNECT a:");
	expect_target_problem(BAD_TARGET, "CONNECT [::1]");
	expect_target_problem(BAD_TARGET, "CONNECT /");
	expect_target_problem(BAD_TARGET, "CONNECT *");
	expect_target_problem(BAD_TARGET, "CONNECT http://a:80");
}
