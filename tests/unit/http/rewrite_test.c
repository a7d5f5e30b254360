/* rewrite_test - the heads that are sent on, byte for byte. RFC 9110 section 7.6, RFC 9112 section 6. */
#include "http/target.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static const struct http_request_rewrite plain = {.host = {"10.0.0.1:80", 11},
	.forwarding = {HTTP_FORWARDED_X, true, {"192.0.2.7", 9}, {"", 0}},
	.request_id = {"made-1", 6}};

static char out[70000];

static const char *rewrite_request(const struct http_request_rewrite *how, const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE, "%s", text);
	cr_assert_eq(http_request_framing(&parser.head, &framing), PROBLEM_NONE, "%s", text);
	size_t size = parser.head.bytes + (size_t)HTTP_REWRITE_EXTRA;
	if (how->forwarding.kinds & HTTP_FORWARDED_RFC7239)
		size += HTTP_FORWARDED_BYTES_MAX;
	size_t written = http_rewrite_request(&parser.head, &framing, how, out, size);
	cr_assert(written > 0 && written <= size);
	out[written] = '\0';

	/* Too little room is told, for every size, and nothing is written outside of it. */
	for (size_t less = 0; less < written; less++) {
		char kept = out[less];
		out[less] = '#';
		cr_assert_eq(http_rewrite_request(&parser.head, &framing, how, out, less), 0);
		cr_assert_eq(out[less], '#');
		out[less] = kept;
	}
	cr_assert_eq(http_rewrite_request(&parser.head, &framing, how, out, written), written);
	return out;
}

#define expect_forwarded(how, text, wanted) cr_expect_str_eq(rewrite_request((how), BYTES(text)), wanted)

#define TAIL                                                                                                 \
	"Via: 1.1 srsd-proxy\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"                   \
	"X-Forwarded-Host: a\r\nX-Request-Id: made-1\r\n\r\n"

Test(rewrite, a_plain_request)
{
	expect_forwarded(&plain, "GET /b?c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Y:  z \r\n\r\n",
		"GET /b?c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Y:  z \r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&plain, "FOO / HTTP/1.1\r\nA: b\r\nHOST:a\r\nC: d\r\n\r\n",
		"FOO / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n" TAIL);
	expect_forwarded(
		&plain, "\r\nGET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
}

Test(rewrite, tabs_around_values_become_spaces)
{
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-A: b \t\r\nX-B:c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-A: b  \r\nX-B:c\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nX-A:\tb\tc\r\nHost: a\r\nX-B:  d  \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\tc\r\nX-B:  d  \r\n" TAIL);
	expect_forwarded(&plain,
		"GET / HTTP/1.1\r\nX-A:\t\t\r\nHost: a\r\nX-B:\r\nTE: x\r\nX-C: 1\r\nConnection: x-c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-A:  \r\nX-B:\r\n" TAIL);
}

Test(rewrite, framing_is_made_anew)
{
	expect_forwarded(&plain, "POST / HTTP/1.1\r\ncontent-LENGTH:  007\r\nHost: a\r\nB: c\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nB: c\r\nContent-Length: 7\r\n" TAIL);
	expect_forwarded(&plain, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" TAIL);
	expect_forwarded(&plain, "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\nB: c\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nB: c\r\nTransfer-Encoding: chunked\r\n" TAIL);
}

Test(rewrite, hop_by_hop_fields_go)
{
	expect_forwarded(&plain,
		"GET / HTTP/1.1\r\nKeep-Alive: 5\r\nHost: a\r\nB: c\r\nConnection: keep-alive, x-mine\r\nTE: "
		"trailers\r\n"
		"X-Mine: 1\r\nD: e\r\nTrailer: f\r\nUpgrade: h2c\r\nHTTP2-Settings: g\r\nx-MINE: 2\r\n"
		"Proxy-Connection: h\r\nI: j\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\nI: j\r\n" TAIL);
	/* not on Connection's word */
	expect_forwarded(&plain,
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: Host, Content-Length, X-Forwarded-For, Via, b, "
		"X-Request-Id\r\n"
		"Content-Length: 1\r\nVia: 1.0 b\r\nX-Forwarded-For: c\r\nX-Request-Id: d\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nVia: 1.0 b\r\nX-Request-Id: d\r\nContent-Length: 1\r\n"
		"Via: 1.1 srsd-proxy\r\nX-Forwarded-For: c, 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
		"X-Forwarded-Host: a\r\n\r\n");
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: b\r\n" TAIL);
	expect_forwarded(&plain,
		"GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: b\r\nConnection: "
		"proxy-authorization\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
}

Test(rewrite, targets)
{
	struct http_request_rewrite how = plain;
	expect_forwarded(
		&how, "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(
		&how, "GET http://a?c HTTP/1.1\r\nHost: b\r\n\r\n", "GET /?c HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&how, "GET http://a/d?c HTTP/1.1\r\nHost: b\r\n\r\n",
		"GET /d?c HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(
		&how, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&how, "OPTIONS http://a HTTP/1.1\r\nHost: b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n" TAIL);
	how.path = STR("/info");
	expect_forwarded(
		&how, "GET /b/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /info?d HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(
		&how, "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n", "GET /info HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(
		&how, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n" TAIL);
}

Test(rewrite, http10_requests)
{
	expect_forwarded(&plain, "GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nVia: 1.0 srsd-proxy\r\nX-Forwarded-For: 192.0.2.7\r\n"
		"X-Forwarded-Proto: http\r\nX-Request-Id: made-1\r\n\r\n");
	expect_forwarded(&plain, "GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nVia: 1.0 srsd-proxy\r\nX-Forwarded-For: 192.0.2.7\r\n"
		"X-Forwarded-Proto: http\r\nX-Request-Id: made-1\r\n\r\n");
}

Test(rewrite, forwarded_fields)
{
	expect_forwarded(&plain,
		"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1,2.2.2.2\r\nHost: a\r\nX-Forwarded-Proto: "
		"https\r\nB: c\r\n"
		"x-forwarded-for:\r\nX-Forwarded-Host: d\r\nx-forwarded-for: 3.3.3.3\r\nVia: 1.1 e\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nB: c\r\nX-Forwarded-Host: "
		"d\r\nVia: 1.1 e\r\n"
		"Via: 1.1 srsd-proxy\r\nX-Forwarded-For: 1.1.1.1,2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
		"X-Request-Id: made-1\r\n\r\n");
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
}

#define SPOKEN_FOR                                                                                           \
	"GET / HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1\r\nA: b\r\nX-FORWARDED-Port: 1\r\nForwarded: "           \
	"for=2.2.2.2\r\n"                                                                                    \
	"Host: a\r\nX-Real-IP: 3.3.3.3\r\nX-Forwarded: c\r\nX-Scheme: https\r\nX-Forwarded-Proto: https\r\n" \
	"x-forwarded-host: d\r\nx-forwarded-prefix: /e\r\nX-Forwarded-: f\r\nConnection: A\r\n\r\n"

/* A kind that is not written does not go on, nor does what a stranger says of itself. */
Test(rewrite, forwarded_fields_that_are_dropped)
{
	struct http_request_rewrite how = plain;
	expect_forwarded(&how, SPOKEN_FOR,
		"GET / HTTP/1.1\r\nHost: a\r\nX-FORWARDED-Port: 1\r\nX-Real-IP: 3.3.3.3\r\nX-Forwarded: c\r\n"
		"X-Scheme: https\r\nX-Forwarded-Proto: https\r\nx-forwarded-host: d\r\nx-forwarded-prefix: "
		"/e\r\n"
		"X-Forwarded-: f\r\nVia: 1.1 srsd-proxy\r\nX-Forwarded-For: 1.1.1.1, 192.0.2.7\r\n"
		"X-Request-Id: made-1\r\n\r\n");
	how.forwarding.is_peer_trusted = false;
	expect_forwarded(&how, SPOKEN_FOR, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded: c\r\n" TAIL);
	how.forwarding.kinds = HTTP_FORWARDED_RFC7239;
	expect_forwarded(&how, SPOKEN_FOR,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded: c\r\nVia: 1.1 srsd-proxy\r\n"
		"Forwarded: for=192.0.2.7;host=a;proto=http\r\nX-Request-Id: made-1\r\n\r\n");
	how.forwarding.is_peer_trusted = true;
	expect_forwarded(&how, SPOKEN_FOR,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded: c\r\nVia: 1.1 srsd-proxy\r\n"
		"Forwarded: for=2.2.2.2, for=192.0.2.7;host=a;proto=http\r\nX-Request-Id: made-1\r\n\r\n");
	how.forwarding.kinds = 0;
	expect_forwarded(&how, SPOKEN_FOR,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded: c\r\nVia: 1.1 srsd-proxy\r\n"
		"X-Request-Id: made-1\r\n\r\n");
}

Test(rewrite, request_ids)
{
#define WITH_ID(id)                                                                                          \
	"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " id "\r\nVia: 1.1 srsd-proxy\r\n"                       \
	"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"
#define ID_32  "0123456789-._~+/=:@abcdefXYZ9876"
#define ID_128 ID_32 ID_32 ID_32 ID_32
	struct http_request_rewrite none = plain;
	none.request_id = (struct str){0};
	expect_forwarded(
		&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " ID_128 "\r\n\r\n", WITH_ID(ID_128));
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: " ID_128 "x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\"b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: b\r\nX-Request-Id: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
	expect_forwarded(&none, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 srsd-proxy\r\nX-Forwarded-For: 192.0.2.7\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n");
}

Test(rewrite, expectations)
{
	struct http_request_rewrite answered = plain;
	answered.is_continue_answered = true;
#define EXPECTING "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
	expect_forwarded(&plain, EXPECTING,
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" TAIL);
	expect_forwarded(&answered, EXPECTING, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" TAIL);
	expect_forwarded(&plain,
		"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nX: y\r\nExpect: "
		"100-Continue\r\nContent-Length: 1\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 1\r\nExpect: 100-continue\r\n" TAIL);
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" TAIL);
}

static bool is_last_hop(const char *text, size_t bytes)
{
	struct http_parser parser;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE, "%s", text);
	return http_is_last_hop(&parser.head);
}

Test(rewrite, max_forwards)
{
#define OPTIONS "OPTIONS * HTTP/1.1\r\nHost: a\r\n"
#define OPTIONS_TAIL                                                                                         \
	"Via: 1.1 srsd-proxy\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"                   \
	"X-Forwarded-Host: a\r\nX-Request-Id: made-1\r\n"
	expect_forwarded(
		&plain, OPTIONS "Max-Forwards: 10\r\n\r\n", OPTIONS OPTIONS_TAIL "Max-Forwards: 9\r\n\r\n");
	expect_forwarded(
		&plain, OPTIONS "Max-Forwards: 01\r\n\r\n", OPTIONS OPTIONS_TAIL "Max-Forwards: 0\r\n\r\n");
	expect_forwarded(&plain, OPTIONS "Max-Forwards: 99999999999999999999999999\r\n\r\n",
		OPTIONS OPTIONS_TAIL "Max-Forwards: 1000000\r\n\r\n");
	expect_forwarded(&plain, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n" TAIL);
	cr_expect(is_last_hop(BYTES(OPTIONS "Max-Forwards: 0\r\n\r\n")));
	cr_expect(is_last_hop(BYTES("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 00\r\n\r\n")));
	cr_expect_not(is_last_hop(BYTES(OPTIONS "Max-Forwards: 1\r\n\r\n")));
	cr_expect_not(is_last_hop(BYTES(OPTIONS "\r\n")));
	cr_expect_not(is_last_hop(BYTES("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")));
	expect_request(BAD_FIELD, OPTIONS "Max-Forwards: -1\r\n\r\n");
	expect_request(BAD_FIELD, OPTIONS "Max-Forwards:\r\n\r\n");
	expect_request(BAD_FIELD, OPTIONS "Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n");
	expect_request(NONE, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n");
}

/* With the longest host that is no token, so that it stands between quotes. */
static void expect_bound_holds(const struct http_request_rewrite *how)
{
	char text[2000];
	int bytes = snprintf(text, sizeof(text),
		"G / HTTP/1.0\r\nHost:=%0*d\r\nContent-Length:9223372036854775807\r\n\r\n",
		HTTP_HOST_BYTES_MAX - 1, 1);
	rewrite_request(how, text, (size_t)bytes);
	bytes = snprintf(text, sizeof(text),
		"G http://=%0*d HTTP/1.0\r\nContent-Length:9223372036854775807\r\n\r\n",
		HTTP_HOST_BYTES_MAX - 1, 1);
	rewrite_request(how, text, (size_t)bytes);
}

Test(rewrite, the_bound_holds)
{
	static const struct str address = {"0000:0000:0000:0000:0000:0000:000.000.000.000", 45};
	char id[HTTP_REQUEST_ID_BYTES_MAX];
	char path[HTTP_REWRITE_TEXTS_MAX - sizeof(id) - 45];
	struct http_request_rewrite how = {.path = {path, sizeof(path)},
		.forwarding = {HTTP_FORWARDED_X, true, address, address},
		.request_id = {id, sizeof(id)}};
	memset(id, 'i', sizeof(id));
	memset(path, '/', sizeof(path));
	expect_bound_holds(&how);
	how.forwarding.kinds = HTTP_FORWARDED_X | HTTP_FORWARDED_RFC7239;
	expect_bound_holds(&how);
}

static const char *rewrite_response(enum http_method method, struct http_response_rewrite how,
	bool keeps_kind, const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	cr_assert_eq(parse_response(&parser, text, bytes), HTTP_DONE, "%s", text);
	cr_assert_eq(http_response_framing(&parser.head, method, &framing), PROBLEM_NONE, "%s", text);
	if (keeps_kind)
		how.body = framing.kind;
	how.date = STR("Sun, 06 Nov 1994 08:49:37 GMT");
	size_t size = parser.head.bytes + (size_t)HTTP_REWRITE_EXTRA;
	size_t written = http_rewrite_response(&parser.head, &framing, &how, out, size);
	cr_assert(written > 0 && written <= size);
	cr_assert_eq(http_rewrite_response(&parser.head, &framing, &how, out, written - 1), 0);
	cr_assert_eq(http_rewrite_response(&parser.head, &framing, &how, out, written), written);
	out[written] = '\0';
	return out;
}

static const struct http_response_rewrite keep_alive = {.is_persistent = true};

#define expect_answered(method, text, wanted)                                                                \
	cr_expect_str_eq(rewrite_response(HTTP_METHOD_##method, keep_alive, true, BYTES(text)), wanted)

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define VIA  "Via: 1.1 srsd-proxy\r\n"

Test(rewrite, responses)
{
	expect_answered(GET, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nDate: now\r\n\r\n",
		"HTTP/1.1 200 OK\r\nServer: x\r\nDate: now\r\nContent-Length: 5\r\n" VIA "\r\n");
	expect_answered(GET, "HTTP/1.0 200 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 0\r\n" DATE "Via: 1.0 srsd-proxy\r\n\r\n");
	expect_answered(GET, "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\nA: b\r\n\r\n",
		"HTTP/1.1 200 \r\nA: b\r\nTransfer-Encoding: chunked\r\n" DATE VIA "\r\n");
	expect_answered(GET,
		"HTTP/1.1 200 OK\r\nConnection: close, x-a\r\nX-A: 1\r\nKeep-Alive: 1\r\nUpgrade: "
		"h2\r\nTrailer: b\r\n"
		"Set-Cookie: c\r\nProxy-Connection: d\r\nSet-Cookie: e\r\nProxy-Authenticate: "
		"f\r\nContent-Length: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSet-Cookie: c\r\nSet-Cookie: e\r\nProxy-Authenticate: f\r\n"
		"Content-Length: 1\r\n" DATE VIA "\r\n");
}

static bool is_looping(const char *text, size_t bytes)
{
	struct http_parser parser;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE, "%s", text);
	return http_is_looping(&parser.head);
}

#define NINE                                                                                                 \
	"1.1 srsd-proxy,1.0 SRSD-Proxy (a), 1.1\tsrsd-proxy" /* three, then six */                           \
	", HTTP/1.1 srsd-proxy, 1.1 srsd-proxy, 2 srsd-proxy, 1.1 srsd-proxy, 1.1 srsd-proxy, 1.1 "          \
	"srsd-proxy"

Test(rewrite, loops)
{
	cr_expect_not(is_looping(BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
	cr_expect_not(is_looping(BYTES("GET / HTTP/1.1\r\nHost: a\r\nVia: " NINE "\r\n\r\n")));
	cr_expect(is_looping(BYTES("GET / HTTP/1.1\r\nHost: a\r\nVia: " NINE ", 1.1 srsd-proxy\r\n\r\n")));
	cr_expect(is_looping(
		BYTES("GET / HTTP/1.1\r\nHost: a\r\nVia: " NINE "\r\nX: y\r\nVia: 1.1 srsd-proxy\r\n\r\n")));
	/* Other names do not count, whatever they begin with. */
	cr_expect_not(is_looping(BYTES("GET / HTTP/1.1\r\nHost: a\r\nVia: " NINE
				       ", 1.1 srsd-proxy2, 1.1 srsd, srsd-proxy, 1.1, ,\r\n\r\n")));
}

Test(rewrite, responses_without_a_body)
{
	expect_answered(HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" DATE VIA "\r\n");
	expect_answered(HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" DATE VIA "\r\n");
	expect_answered(GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" DATE VIA "\r\n");
	expect_answered(GET,
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n" DATE VIA "\r\n");
	expect_answered(GET,
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n" DATE VIA "\r\n");
	expect_answered(GET, "HTTP/1.1 100 Continue\r\nDate: now\r\n\r\n",
		"HTTP/1.1 100 Continue\r\nDate: now\r\n" VIA "\r\n");
}

Test(rewrite, responses_to_other_connections)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n";
	struct http_response_rewrite how = {.body = HTTP_BODY_UNTIL_CLOSE, .is_client_http10 = true};
	cr_expect_str_eq(rewrite_response(HTTP_METHOD_GET, how, false, BYTES(text)),
		"HTTP/1.1 200 OK\r\nDate: now\r\nConnection: close\r\n" VIA "\r\n");
	how = (struct http_response_rewrite){.is_client_http10 = true, .is_persistent = true};
	cr_expect_str_eq(rewrite_response(HTTP_METHOD_GET, how, true,
				 BYTES("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\nConnection: "
				       "keep-alive\r\n\r\n")),
		"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\nConnection: keep-alive\r\n" VIA "\r\n");
}

static const char *problem(
	enum problem which, const char *detail, const char *id, bool is_head, bool is_persistent)
{
	const struct str date = STR("Sun, 06 Nov 1994 08:49:37 GMT");
	size_t written = http_write_problem(
		which, str_of(detail), str_of(id), date, is_head, is_persistent, out, sizeof(out));
	cr_assert_gt(written, 0);
	out[written] = '\0';
	for (size_t less = 0; less < written; less++) {
		static char small[1000];
		small[less] = '#';
		cr_assert_eq(http_write_problem(which, str_of(detail), str_of(id), date, is_head,
				     is_persistent, small, less),
			0);
		cr_assert_eq(small[less], '#');
	}
	return out;
}

Test(rewrite, problems)
{
	cr_expect_str_eq(problem(PROBLEM_SET_EMPTY, "tornado_app", "id-1", false, true),
		"HTTP/1.1 503 Service Unavailable\r\n" DATE
		"Content-Type: text/plain\r\nContent-Length: 98\r\n"
		"X-Request-Id: id-1\r\nRetry-After: 1\r\nConnection: keep-alive\r\n\r\n"
		"503 Service Unavailable: No backend of this service is registered to take requests. "
		"[tornado_app]\n");
	cr_expect_str_eq(problem(PROBLEM_BAD_HOST, "", "", false, false),
		"HTTP/1.1 400 Bad Request\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 66\r\n"
		"Connection: close\r\n\r\n"
		"400 Bad Request: The Host field is missing, doubled or malformed.\n");
	cr_expect_str_eq(problem(PROBLEM_CONNECT_REFUSED, "a\r\nb\x80", "", true, true),
		"HTTP/1.1 502 Bad Gateway\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 61\r\n"
		"Connection: keep-alive\r\n\r\n");
	const char *text = problem(PROBLEM_CONNECT_REFUSED, "a\r\nb\x80", "", false, true);
	cr_expect_not_null(strstr(text, "[a??b?]\n"), "%s", text);
}

Test(rewrite, the_length_of_a_problem_is_its_bodys)
{
	for (int which = PROBLEM_NONE + 1; which < PROBLEM_COUNT; which++) {
		const char *text = problem((enum problem)which, "detail", "", false, false);
		const char *body = strstr(text, "\r\n\r\n");
		const char *length = strstr(text, "Content-Length: ");
		cr_assert(body != NULL && length != NULL);
		cr_expect_eq(strtoul(length + sizeof("Content-Length: ") - 1, NULL, 10), strlen(body + 4),
			"%s", text);
	}
}
