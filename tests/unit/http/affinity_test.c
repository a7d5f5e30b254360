/* affinity_test - what keeps requests together: path, client, field, cookie. */
#include "http/affinity.h"
#include "support.h"

static struct http_parser parser;

static struct str of(const char *hash_on, const char *text, size_t bytes)
{
	struct http_affinity affinity = http_affinity_parse(hash_on);
	struct str part;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE);
	bool has_any = http_affinity_of(&affinity, &parser.head, STR("192.0.2.7"), &part);
	cr_expect_eq(has_any, part.bytes > 0);
	return part;
}

#define REQUEST(fields) BYTES("GET /a/b?c=d HTTP/1.1\r\nHost: a.example\r\n" fields "\r\n")

Test(affinity, path_and_client)
{
	expect_text(of("path", REQUEST("")), "/a/b");
	expect_text(of("path", BYTES("GET http://x.example?q HTTP/1.1\r\nHost: x.example\r\n\r\n")), "/");
	expect_text(of("client_address", REQUEST("")), "192.0.2.7");
}

Test(affinity, field)
{
	expect_text(of("header:host", REQUEST("")), "a.example");
	expect_text(of("header:x-user", REQUEST("X-User:  Ann \r\nX-User: Bob\r\n")), "Ann");
	expect_text(of("header:X-USER", REQUEST("x-user: Ann\r\n")), "Ann");
	expect_text(of("header:x-user", REQUEST("x-users: Ann\r\n")), "");
	expect_text(of("header:x-user", REQUEST("x-user:\r\n")), "");
}

Test(affinity, cookie)
{
	expect_text(of("cookie:id", REQUEST("Cookie: id=7\r\n")), "7");
	expect_text(of("cookie:id", REQUEST("Cookie: a=b; id=7; id=8\r\n")), "7");
	expect_text(of("cookie:id", REQUEST("Cookie: xid=1;id=\"7\" ;c=d\r\n")), "\"7\" ");
	expect_text(of("cookie:id", REQUEST("cookie: a=b\r\nCOOKIE: id=7=8\r\n")), "7=8");
	expect_text(of("cookie:id", REQUEST("Cookie: ID=7; id; idx=3; id=\r\n")), "");
	expect_text(of("cookie:id", REQUEST("Cookie: \r\nCookie: ;;; id\r\n")), "");
	expect_text(of("cookie:id", REQUEST("")), "");
}
