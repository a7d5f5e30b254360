/* last_hop_test - what OPTIONS and TRACE are answered that end here, byte for byte. RFC 9110 section 7.6.2.
 */
#include "http/last_hop.h"
#include "support.h"

#include <stdlib.h>

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

static char out[70000];

static const char *answer(const char *text, size_t bytes, const char *request_id, bool is_persistent)
{
	const struct http_last_hop how = {str_of(request_id), STR(DATE), is_persistent};
	static struct http_parser parser;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE, "%s", text);
	size_t size = parser.head.bytes + (size_t)HTTP_LAST_HOP_EXTRA;
	size_t written = http_write_last_hop(&parser.head, &how, out, size);
	cr_assert(written > 0 && written < size);
	out[written] = '\0';
	for (size_t less = 0; less < written; less++) {
		char kept = out[less];
		out[less] = '#';
		cr_assert_eq(http_write_last_hop(&parser.head, &how, out, less), 0);
		cr_assert_eq(out[less], '#');
		out[less] = kept;
	}
	cr_assert_eq(http_write_last_hop(&parser.head, &how, out, written), written);
	return out;
}

Test(last_hop, options)
{
	cr_expect_str_eq(
		answer(BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), "id-1", true),
		"HTTP/1.1 200 OK\r\nDate: " DATE
		"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE\r\n"
		"Content-Length: 0\r\nX-Request-Id: id-1\r\nConnection: keep-alive\r\n\r\n");
	cr_expect_str_eq(
		answer(BYTES("OPTIONS /a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"), "", false),
		"HTTP/1.1 200 OK\r\nDate: " DATE
		"\r\nAllow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE\r\n"
		"Content-Length: 0\r\nConnection: close\r\n\r\n");
}

/* The bytes of `text` are echoed but for what is cut out of them, with their length. */
static void expect_echo(const char *text, size_t bytes, const char *echo)
{
	const char *got = answer(text, bytes, "", true);
	const char *body = strstr(got, "\r\n\r\n");
	const char *length = strstr(got, "\r\nContent-Length: ");
	cr_assert(body != NULL && length != NULL);
	cr_expect_str_eq(body + 4, echo);
	cr_expect_eq(strtoul(length + sizeof("\r\nContent-Length: ") - 1, NULL, 10), strlen(echo));
	cr_expect_not_null(strstr(got, "\r\nContent-Type: message/http\r\n"));
	cr_expect_null(strstr(got, "Allow"));
}

Test(last_hop, trace)
{
	static const char plain[] = "TRACE /a?b HTTP/1.1\r\nHost:a\r\nmax-forwards:  0 "
				    "\r\nA:\tb\t\r\nConnection: A\r\nVia: 1.0 c\r\n\r\n";
	expect_echo(BYTES(plain), plain);
	/* The empty line before it is no part of it. */
	expect_echo(BYTES("\r\nTRACE http://a/ HTTP/1.1\r\nMax-Forwards: 0\r\nHost: a\r\n\r\n"),
		"TRACE http://a/ HTTP/1.1\r\nMax-Forwards: 0\r\nHost: a\r\n\r\n");
	expect_echo(BYTES("TRACE / HTTP/1.0\r\n\r\n"), "TRACE / HTTP/1.0\r\n\r\n");
}

Test(last_hop, secrets_are_not_echoed)
{
	expect_echo(BYTES("TRACE / HTTP/1.1\r\nAuthorization: Basic a\r\nHost: a\r\nCOOKIE: "
			  "b=c\r\nMax-Forwards: 0\r\n"
			  "X-Api-Key: d\r\nA: b\r\nCookie: e=f\r\nProxy-Authorization: g\r\n\r\n"),
		"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nA: b\r\n\r\n");
	expect_echo(BYTES("TRACE / HTTP/1.0\r\nCookie: a\r\n\r\n"), "TRACE / HTTP/1.0\r\n\r\n");
	static const char *const secrets[] = {"Authorization", "Proxy-Authorization", "Cookie", "Cookie2",
		"X-CSRF-Token", "X-XSRF-TOKEN", "X-Amz-Security-Token", "X-Auth-User",
		"X-Forwarded-Client-Cert", "Ssl-Client-Certificate", "X-API-KEY", "Sec-WebSocket-Key",
		"X-Session-Id", "X-Password", "Signature", "Client-Secret", "X-Vault-Credentials"};
	static const char *const others[] = {"Host", "Via", "Max-Forwards", "User-Agent", "Accept",
		"X-Forwarded-For", "X-Request-Id", "Traceparent", "Forwarded", "Connection", "K", ""};
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		cr_expect(http_is_likely_secret(str_of(secrets[i])), "%s", secrets[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		cr_expect_not(http_is_likely_secret(str_of(others[i])), "%s", others[i]);
}
