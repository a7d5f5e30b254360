/* framing_test - one length of the body, or a refusal. RFC 9112 sections 6 and 9.3. */
#include "support.h"

#define POST	"POST / HTTP/1.1\r\nHost: a\r\n"
#define POST10	"POST / HTTP/1.0\r\n"
#define OK_LINE "HTTP/1.1 200 OK\r\n"
#define END	"\r\n\r\n"

static struct http_framing request_framing(const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	cr_assert_eq(parse_request(&parser, text, bytes), HTTP_DONE, "%s", text);
	cr_assert_eq(http_request_framing(&parser.head, &framing), PROBLEM_NONE, "%s", text);
	return framing;
}

static struct http_framing response_framing(enum http_method method, const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	cr_assert_eq(parse_response(&parser, text, bytes), HTTP_DONE, "%s", text);
	cr_assert_eq(http_response_framing(&parser.head, method, &framing), PROBLEM_NONE, "%s", text);
	return framing;
}

Test(framing, requests_with_a_body)
{
	struct http_framing framing = request_framing(BYTES(POST "\r\n"));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	framing = request_framing(BYTES(POST "Content-Length: 0" END));
	cr_expect_eq(framing.kind, HTTP_BODY_LENGTH);
	cr_expect_eq(framing.bytes, 0);
	framing = request_framing(BYTES(POST10 "Content-Length: \t0012 " END));
	cr_expect_eq(framing.kind, HTTP_BODY_LENGTH);
	cr_expect_eq(framing.bytes, 12);
	framing = request_framing(BYTES(POST "Content-Length: 9223372036854775807" END));
	cr_expect_eq(framing.bytes, 9223372036854775807U);
	framing = request_framing(BYTES(POST "Transfer-Encoding:\tChunKED " END));
	cr_expect_eq(framing.kind, HTTP_BODY_CHUNKED);
}

Test(framing, content_lengths_refused)
{
	expect_request(BAD_FRAMING, POST "Content-Length:" END);
	expect_request(BAD_FRAMING, POST "Content-Length: +1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: -1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1 2" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1,1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1, 2" END);
	expect_request(BAD_FRAMING, POST "Content-Length: ,1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 0x1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1.0" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1e3" END);
	expect_request(BAD_FRAMING, POST "Content-Length: ab" END);
	expect_request(BAD_FRAMING, POST "Content-Length: \"1\"" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1;a" END);
	expect_request(BAD_FRAMING, POST "Content-Length: \xb2" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 9223372036854775808" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 18446744073709551616" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 18446744073709551617" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 99999999999999999999999999999" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1\r\nContent-Length: 1" END);
	/* what is wrong with one line is told before what is wrong with all of them, wherever the bytes are
	 * cut */
	expect_request(BAD_FIELD, POST "Content-Length: 1\r\nContent-Length: 1\r\nA: b\n" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1\r\ncontent-length: 2" END);
	expect_request(BAD_FRAMING, POST10 "Content-Length: 1\r\nContent-Length: 1" END);
}

Test(framing, transfer_codings_refused)
{
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked\r\nContent-Length: 1" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 1\r\nTransfer-Encoding: chunked" END);
	expect_request(BAD_FRAMING, POST "Content-Length: 0\r\nTransfer-Encoding: gzip, chunked" END);
	expect_request(BAD_FRAMING, POST10 "Transfer-Encoding: chunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding:" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: ," END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked," END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: ,chunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked, chunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding:" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked, gzip" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked, gzip, chunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: gzip" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: identity" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked;a=b" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: \"chunked\"" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: xchunked" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunked x" END);
	expect_request(BAD_FRAMING, POST "Transfer-Encoding: chunke\xc4\x91" END);
	expect_request(UNKNOWN_CODING, POST "Transfer-Encoding: gzip, chunked" END);
	expect_request(UNKNOWN_CODING, POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked" END);
	expect_request(UNKNOWN_CODING, POST "Transfer-Encoding: identity, Chunked" END);
	expect_request(BAD_FIELD, POST "Transfer-Encoding : chunked" END);
	expect_request(BAD_FIELD, POST "Transfer-Encoding:\r\n chunked" END);
	expect_request(BAD_FIELD, POST "Transfer-Encoding: \x0b"
				       "chunked" END);
}

Test(framing, persistence)
{
	cr_expect(request_framing(BYTES(POST "\r\n")).is_persistent);
	cr_expect(request_framing(BYTES(POST "Connection: keep-alive" END)).is_persistent);
	cr_expect_not(request_framing(BYTES(POST "Connection: Close" END)).is_persistent);
	cr_expect_not(request_framing(BYTES(POST "Connection: keep-alive\r\nConnection: x,close" END))
			      .is_persistent);
	cr_expect_not(request_framing(BYTES(POST10 "\r\n")).is_persistent);
	cr_expect(request_framing(BYTES(POST10 "Connection: Keep-Alive" END)).is_persistent);
	cr_expect_not(request_framing(BYTES(POST10 "Connection: keep-alive, close" END)).is_persistent);
}

Test(framing, expectations)
{
	struct http_framing framing =
		request_framing(BYTES(POST "Content-Length: 1\r\nExpect: 100-Continue" END));
	cr_expect(framing.expects_continue);
	framing = request_framing(BYTES(POST "Transfer-Encoding: chunked\r\nExpect: ,100-continue" END));
	cr_expect(framing.expects_continue);
	framing = request_framing(BYTES(POST "Content-Length: 0\r\nExpect: 100-continue" END));
	cr_expect_not(framing.expects_continue);
	framing = request_framing(BYTES(POST "Content-Length: 1\r\nExpect:" END));
	cr_expect_not(framing.expects_continue);
	framing = request_framing(BYTES(POST10 "Content-Length: 1\r\nExpect: 100-continue, x" END));
	cr_expect_not(framing.expects_continue);
	expect_request(EXPECTATION, POST "Content-Length: 1\r\nExpect: 200-ok" END);
	expect_request(EXPECTATION, POST "Content-Length: 1\r\nExpect: 100-continue\r\nExpect: x" END);
}

Test(framing, responses)
{
	struct http_framing framing =
		response_framing(HTTP_METHOD_GET, BYTES(OK_LINE "Content-Length: 7" END));
	cr_expect_eq(framing.kind, HTTP_BODY_LENGTH);
	cr_expect_eq(framing.bytes, 7);
	cr_expect(framing.is_persistent);
	framing = response_framing(HTTP_METHOD_GET, BYTES(OK_LINE "Transfer-Encoding: CHUNKED" END));
	cr_expect_eq(framing.kind, HTTP_BODY_CHUNKED);
	cr_expect(framing.is_persistent);
	framing = response_framing(HTTP_METHOD_GET, BYTES(OK_LINE "Connection: keep-alive" END));
	cr_expect_eq(framing.kind, HTTP_BODY_UNTIL_CLOSE);
	cr_expect_not(framing.is_persistent);
	framing = response_framing(HTTP_METHOD_GET, BYTES("HTTP/1.0 200 OK\r\nContent-Length: 7" END));
	cr_expect_not(framing.is_persistent);
	framing = response_framing(
		HTTP_METHOD_GET, BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7" END));
	cr_expect(framing.is_persistent);
}

Test(framing, responses_without_a_body)
{
	struct http_framing framing =
		response_framing(HTTP_METHOD_HEAD, BYTES(OK_LINE "Content-Length: 7" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	cr_expect(framing.has_length);
	cr_expect_eq(framing.bytes, 7);
	framing = response_framing(HTTP_METHOD_HEAD, BYTES(OK_LINE "Transfer-Encoding: chunked" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	cr_expect_not(framing.has_length);
	framing = response_framing(
		HTTP_METHOD_GET, BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 7" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	cr_expect(framing.has_length);
	cr_expect(framing.is_persistent);
	framing =
		response_framing(HTTP_METHOD_GET, BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 7" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	cr_expect_not(framing.has_length);
	framing = response_framing(
		HTTP_METHOD_GET, BYTES("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	framing = response_framing(
		HTTP_METHOD_GET, BYTES("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x" END));
	cr_expect_eq(framing.kind, HTTP_BODY_NONE);
	cr_expect_not(framing.is_persistent);
}

/* A body where none may be is not expected, but what says that there is one does not serve another request.
 */
Test(framing, responses_that_frame_what_they_may_not_have)
{
	static const struct {
		bool is_persistent;
		enum http_method method;
		const char *text;
	} rows[] = {
		{true, HTTP_METHOD_GET, "HTTP/1.1 204 No Content\r\n\r\n"},
		{true, HTTP_METHOD_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"},
		{false, HTTP_METHOD_GET, "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n"},
		{false, HTTP_METHOD_GET, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{true, HTTP_METHOD_GET, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{true, HTTP_METHOD_HEAD, OK_LINE "Transfer-Encoding: chunked" END},
		{false, HTTP_METHOD_HEAD,
			"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_framing framing =
			response_framing(rows[i].method, rows[i].text, strlen(rows[i].text));
		cr_expect_eq(framing.kind, HTTP_BODY_NONE, "%s", rows[i].text);
		cr_expect_eq(framing.is_persistent, rows[i].is_persistent, "%s", rows[i].text);
	}
}

Test(framing, responses_refused)
{
	expect_response(BAD_RESPONSE, GET, OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Content-Length: 1\r\nContent-Length: 2" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Content-Length: 1\r\nContent-Length: 1" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Content-Length: 1, 1" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Content-Length: x" END);
	expect_response(BAD_RESPONSE, HEAD, OK_LINE "Content-Length: -1" END);
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 1x" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Transfer-Encoding: gzip, chunked" END);
	expect_response(BAD_RESPONSE, GET, OK_LINE "Transfer-Encoding: gzip" END);
	expect_response(
		BAD_RESPONSE, GET, OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" END);
	expect_response(BAD_RESPONSE, GET, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked" END);
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 204 No Content\r\nContent-Length: x" END);
}

/* RFC 9110 section 9.3.8. */
Test(framing, trace_has_no_content)
{
	expect_request(NONE, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_request(NONE, "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	expect_request(TRACE_CONTENT, "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
	expect_request(TRACE_CONTENT, "TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
	expect_request(TRACE_CONTENT,
		"TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
	expect_request(NONE, "trace / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
}
