/* parser_test - heads that are read, and heads that are refused, each cut in every way. RFC 9112 sections 2
 * to 5. */
#include "support.h"

#include <stdio.h>

#define GET	"GET / HTTP/1.1\r\n"
#define HOST	"Host: a\r\n"
#define OK_LINE "HTTP/1.1 200 OK\r\n"

Test(parser, reads_a_request)
{
	struct http_parser parser;
	const struct http_head *head = &parser.head;
	cr_assert_eq(
		parse_request(&parser,
			BYTES("POST /a%20b/c;d?e=f&g[0]=h HTTP/1.1\r\nHost: example.com:8080\r\nX-Empty:\r\n"
			      "X-Text: \t a \x80 \"b\"\t c\t \r\nContent-Length:5\r\n\r\nhello")),
		HTTP_DONE);
	cr_expect_eq(head->method, HTTP_METHOD_POST);
	cr_expect_eq(head->version_minor, 1);
	cr_expect_eq(head->target_form, HTTP_TARGET_ORIGIN);
	expect_text(http_text(head, head->method_name), "POST");
	expect_text(http_text(head, head->target), "/a%20b/c;d?e=f&g[0]=h");
	expect_text(http_text(head, head->path), "/a%20b/c;d");
	expect_text(http_text(head, head->query), "?e=f&g[0]=h");
	expect_text(http_text(head, head->authority), "example.com:8080");
	cr_assert_eq(head->field_count, 4);
	expect_text(http_text(head, head->fields[1].name), "X-Empty");
	expect_text(http_text(head, head->fields[1].value), "");
	expect_text(http_text(head, head->fields[2].value), "a \x80 \"b\"\t c");
	cr_expect_eq(head->fields[3].id, HTTP_FIELD_CONTENT_LENGTH);
	cr_expect_eq(http_find(head, HTTP_FIELD_CONTENT_LENGTH), &head->fields[3]);
	cr_expect_null(http_find(head, HTTP_FIELD_DATE));
	cr_expect_str_eq(head->base + head->bytes, "hello");
}

Test(parser, reads_a_response)
{
	struct http_parser parser;
	const struct http_head *head = &parser.head;
	cr_assert_eq(parse_response(&parser,
			     BYTES("HTTP/1.0 404 Not  Found\t\xe9\r\nServer: x\r\nDATE: now\r\n\r\n<p>")),
		HTTP_DONE);
	cr_expect_eq(head->status, 404);
	cr_expect_eq(head->version_minor, 0);
	expect_text(http_text(head, head->reason), "Not  Found\t\xe9");
	cr_assert_eq(head->field_count, 2);
	cr_expect_eq(head->fields[1].id, HTTP_FIELD_DATE);
	cr_expect_str_eq(head->base + head->bytes, "<p>");

	cr_assert_eq(parse_response(&parser, BYTES("HTTP/1.1 200 \r\n\r\n")), HTTP_DONE);
	expect_text(http_text(head, head->reason), "");
	cr_expect_eq(head->field_count, 0);
}

Test(parser, asks_for_more)
{
	struct http_parser parser;
	cr_expect_eq(parse_request(&parser, BYTES("")), HTTP_MORE);
	cr_expect_eq(parse_request(&parser, BYTES("\r\n")), HTTP_MORE);
	cr_expect_eq(parse_request(&parser, BYTES(GET)), HTTP_MORE);
	cr_expect_eq(parse_request(&parser, BYTES(GET HOST "\r")), HTTP_MORE);
	cr_expect_eq(parse_response(&parser, BYTES("HTTP/1.1 200 OK\r\nA")), HTTP_MORE);
}

Test(parser, stays_with_its_verdict)
{
	static const char text[] = GET HOST "\r\nGET /";
	const struct http_parser_limits limits = {.head_bytes = 1000, .fields = 10};
	struct http_parser parser;
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_expect_eq(http_parser_feed(&parser, BYTES(text)), HTTP_DONE);
	cr_expect_eq(http_parser_feed(&parser, BYTES(text)), HTTP_DONE);
	cr_expect_eq(parser.parsed, parser.head.bytes);
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_expect_eq(http_parser_feed(&parser, BYTES("\n")), HTTP_BAD);
	cr_expect_eq(http_parser_feed(&parser, BYTES("\n")), HTTP_BAD);
}

Test(parser, refuses_at_the_first_stray_byte)
{
	const struct http_parser_limits limits = {.head_bytes = 1000, .fields = 10};
	struct http_parser parser;
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_expect_eq(http_parser_feed(&parser, BYTES("\x16\x03\x01")), HTTP_BAD); /* TLS to a plain port */
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_expect_eq(http_parser_feed(&parser, BYTES(GET "A: b\n")), HTTP_BAD);
}

Test(parser, tolerates_a_few_empty_lines_first)
{
	struct http_parser parser;
	cr_assert_eq(parse_request(&parser, BYTES("\r\n\r\n" GET HOST "\r\n")), HTTP_DONE);
	expect_text(http_text(&parser.head, parser.head.target), "/");
	expect_request(NONE, "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" GET HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "\n" GET HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "\r\r\n" GET HOST "\r\n");
	expect_response(BAD_RESPONSE, GET, "\r\n" OK_LINE "\r\n");
}

Test(parser, empty_lines_begin_no_request)
{
	const struct http_parser_limits limits = {.head_bytes = 1000, .fields = 10};
	struct http_parser parser;
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_expect(http_parser_is_blank(&parser));
	cr_expect_eq(http_parser_feed(&parser, BYTES("\r\n\r\n")), HTTP_MORE);
	cr_expect(http_parser_is_blank(&parser));
	cr_expect_eq(http_parser_feed(&parser, BYTES("\r\n\r\nG")), HTTP_MORE);
	cr_expect_not(http_parser_is_blank(&parser));
}

Test(parser, request_lines)
{
	expect_request(NONE, "GET / HTTP/1.0\r\n\r\n");
	expect_request(NONE, "FOO-bar!#$%&'*+.^_`|~09 / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(NONE, "get / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET  / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /  HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.1 \r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /\tHTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET\t/ HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, " GET / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /a b HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /\r\n");
	expect_request(BAD_REQUEST_LINE, "GET\r\n");
	expect_request(BAD_REQUEST_LINE, "GET \r\n");
	expect_request(BAD_REQUEST_LINE, "GET HTTP/1.1\r\n");
	expect_request(BAD_REQUEST_LINE, "GET  HTTP/1.1\r\n");
	expect_request(BAD_REQUEST_LINE, "/ HTTP/1.1\r\n");
	expect_request(BAD_REQUEST_LINE, " \r\n");
	expect_request(BAD_REQUEST_LINE, ":\r\n");
	expect_request(BAD_REQUEST_LINE, "G(T / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "G\xc3\xa9T / HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.1\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.1\r" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /\0 HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_REQUEST_LINE, "GET /\r HTTP/1.1\r\n" HOST "\r\n");
}

Test(parser, versions)
{
	struct http_parser parser;
	expect_request(BAD_VERSION, "GET / HTTP/2.0\r\n" HOST "\r\n");
	expect_request(BAD_VERSION, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	expect_request(BAD_VERSION, "GET / HTTP/0.9\r\n\r\n");
	expect_request(BAD_VERSION, "GET / HTTP/3.1\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.10\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/01.1\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1,1\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/11\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / HTTP/1.x\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / http/1.1\r\n\r\n");
	expect_request(BAD_REQUEST_LINE, "GET / ICE/1.0\r\n\r\n");
	/* RFC 9110 section 2.5: as the highest minor version that we know */
	cr_assert_eq(parse_request(&parser, BYTES("GET / HTTP/1.2\r\n" HOST "\r\n")), HTTP_DONE);
	cr_expect_eq(parser.head.version_minor, 1);
	expect_request(BAD_HOST, "GET / HTTP/1.9\r\n\r\n");
}

Test(parser, fields)
{
	expect_request(NONE, GET HOST "!#$%&'*+-.^_`|~09aZ: !\"#\xff\t~\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST ": empty name\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A : b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A\t: b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A b: c\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "no colon\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "nocolon\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A\xe9: b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "(A): b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "\"A\": b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\r\n folded\r\n\r\n"); /* obs-fold */
	expect_request(BAD_FIELD, GET HOST "A: b\r\n\tfolded\r\n\r\n");
	expect_request(BAD_FIELD, GET " Host: a\r\n\r\n"); /* white space before the first field */
	expect_request(BAD_FIELD, GET HOST "A: b\r\n \r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\r\n\n");
	expect_request(BAD_FIELD, GET HOST "\n");
	expect_request(BAD_FIELD, GET HOST "\r\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\rc\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\r\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\0c\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\x01\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: b\x7f\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A\0: b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A: 0123456789abcdef0123456789abcdef\x0b"
					   "0123456789abcdef\r\n\r\n");
}

/* llhttp is asked from the first odd line on, whatever stood before it and comes behind. */
Test(parser, odd_lines_among_plain_ones)
{
	expect_request(NONE, GET HOST "A_b: c\r\nPlain: d\r\nE.f: g\r\nH*i: j\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A_b: c\r\nPlain: d\r\nE(f: g\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "A_b: c\r\nE(f: g\r\n\r\n");
	expect_request(NONE, "FOO /a?b HTTP/1.1\r\n" HOST "Plain: d\r\nA_b: c\r\n\r\n");
	expect_request(BAD_FIELD, "FOO /a?b HTTP/1.1\r\n" HOST "A_b: c\r\nD{e: f\r\n\r\n");
	expect_request(NONE, "OPTIONS * HTTP/1.1\r\n" HOST "A_b: c\r\n\r\n");
	expect_request(NONE, "GET http://b/ HTTP/1.1\r\n" HOST "\r\n");
	expect_request(BAD_TARGET, "CONNECT / HTTP/1.1\r\n" HOST "\r\n");
	expect_response(NONE, GET, OK_LINE "Plain: a\r\nB_c: d\r\nE.f: g\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE "B_c: d\r\nE;f: g\r\n\r\n");
}

Test(parser, every_control_byte_is_refused_everywhere)
{
	static const char text[] = "GET /path HTTP/1.1\r\nHost: abc\r\nName: some long value here\r\n\r\n";
	for (size_t at = 0; at + 1 < sizeof(text) - 1; at++) {
		if (text[at] == '\r' || text[at] == '\n')
			continue;
		for (int byte = 0; byte < 128; byte++) {
			if ((byte >= ' ' && byte != 0x7f) || byte == '\t')
				continue;
			const struct http_parser_limits limits = {.head_bytes = 1000, .fields = 10};
			char copy[sizeof(text)];
			struct http_parser parser;
			memcpy(copy, text, sizeof(text));
			copy[at] = (char)byte;
			http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
			cr_assert_eq(http_parser_feed(&parser, copy, sizeof(text) - 1), HTTP_BAD,
				"byte %d at %zu", byte, at);
		}
	}
}

Test(parser, hosts)
{
	expect_request(BAD_HOST, GET "\r\n");
	expect_request(BAD_HOST, GET HOST HOST "\r\n");
	expect_request(BAD_HOST, GET HOST "host: b\r\n\r\n");
	expect_request(BAD_HOST, GET "Host:\r\n\r\n");
	expect_request(BAD_HOST, GET "Host: a b\r\n\r\n");
	expect_request(BAD_HOST, GET "Host: a/b\r\n\r\n");
	expect_request(BAD_HOST, GET "Host: u@a\r\n\r\n");
	expect_request(BAD_HOST, "GET / HTTP/1.0\r\n" HOST HOST "\r\n");
	expect_request(BAD_HOST, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n");
	expect_request(BAD_HOST, "GET http://b/ HTTP/1.1\r\n\r\n");
	expect_request(BAD_HOST, "GET http://b/ HTTP/1.1\r\nHost: a,b c\r\n\r\n");
	expect_request(NONE, "GET / HTTP/1.0\r\n\r\n");
}

Test(parser, absolute_form_wins_over_host)
{
	struct http_parser parser;
	cr_assert_eq(parse_request(&parser, BYTES("GET HTTP://b:81?q HTTP/1.1\r\n" HOST "\r\n")), HTTP_DONE);
	cr_expect_eq(parser.head.target_form, HTTP_TARGET_ABSOLUTE);
	expect_text(http_text(&parser.head, parser.head.authority), "b:81");
	expect_text(http_text(&parser.head, parser.head.path), "/");
	expect_text(http_text(&parser.head, parser.head.query), "?q");
}

Test(parser, connection_options)
{
	static const struct {
		const char *value;
		int options;
	} rows[] = {
		{"", 0},
		{", ,", 0},
		{"close", HTTP_CONNECTION_CLOSE},
		{"Keep-Alive", HTTP_CONNECTION_KEEP_ALIVE},
		{",CLOSE\t, keep-alive,,", HTTP_CONNECTION_CLOSE | HTTP_CONNECTION_KEEP_ALIVE},
		{"upgrade, HTTP2-Settings", HTTP_CONNECTION_UPGRADE},
		{"TE, Content-Length, host", 0},
		{"x-mine", HTTP_CONNECTION_NAMES},
		{"Proxy-Authorization", HTTP_CONNECTION_NAMES},
		{"closed", HTTP_CONNECTION_NAMES},
	};
	struct http_parser parser;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[200];
		int bytes = snprintf(text, sizeof(text), GET HOST "Connection: %s\r\n\r\n", rows[i].value);
		cr_assert_eq(parse_request(&parser, text, (size_t)bytes), HTTP_DONE, "%s", rows[i].value);
		cr_expect_eq(parser.head.connection, rows[i].options, "%s", rows[i].value);
	}
	cr_assert_eq(
		parse_request(&parser, BYTES(GET HOST "Connection: close\r\nA: b\r\nConnection: a\r\n\r\n")),
		HTTP_DONE);
	cr_expect_eq(parser.head.connection, HTTP_CONNECTION_CLOSE | HTTP_CONNECTION_NAMES);
	expect_request(BAD_FIELD, GET HOST "Connection: a b\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "Connection: close; a\r\n\r\n");
	expect_request(BAD_FIELD, GET HOST "Connection: \"close\"\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE "Connection: a b\r\n\r\n");
}

Test(parser, status_lines)
{
	expect_response(NONE, GET, "HTTP/1.1 200 OK\r\n\r\n");
	expect_response(NONE, GET, "HTTP/1.1 200 \r\n\r\n");
	expect_response(NONE, GET, "HTTP/1.1 599 x\r\n\r\n");
	expect_response(NONE, GET, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 200\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 20 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 20  OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 2000 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 099 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 600 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 999 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 2x0 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 -20 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1  200 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1\t200 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 200\tOK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/2.0 200 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/0.9 200 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "http/1.1 200 OK\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "ICY 200 OK long enough\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "<html>garbage</html>\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 200 O\0K\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, "HTTP/1.1 200 OK\n\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE "A : b\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE "A: b\r\n c\r\n\r\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE "A: b\r\n\n");
	expect_response(BAD_RESPONSE, GET, OK_LINE ": b\r\n\r\n");
}

/* What cannot become a status line is refused at the first byte that shows it, not when the line ends. */
Test(parser, no_status_line_at_all)
{
	struct http_parser parser;
	cr_expect_eq(parse_response(&parser, BYTES("HTTP/1.")), HTTP_MORE);
	cr_expect_eq(parse_response(&parser, BYTES("HTTP/2")), HTTP_BAD);
	cr_expect_eq(parse_response(&parser, BYTES("h")), HTTP_BAD);
	cr_expect_eq(parse_response(&parser, BYTES("hello")), HTTP_BAD);
	cr_expect_eq(parser.problem, PROBLEM_BAD_RESPONSE);
}

static enum problem limited(enum http_kind kind, uint32_t head_bytes, uint32_t fields, const char *text)
{
	const struct http_parser_limits limits = {.head_bytes = head_bytes, .fields = fields};
	struct http_parser parser;
	enum http_verdict verdict = parse_all_ways(&parser, kind, &limits, text, strlen(text));
	cr_assert_neq(verdict, HTTP_MORE);
	return parser.problem;
}

Test(parser, limits)
{
	static const char request[] = GET HOST "\r\n";
	static const char response[] = OK_LINE "A: b\r\nC: d\r\n\r\n";
	const uint32_t bytes = sizeof(request) - 1;

	cr_expect_eq(limited(HTTP_KIND_REQUEST, bytes, 1, request), PROBLEM_NONE);
	cr_expect_eq(limited(HTTP_KIND_REQUEST, bytes - 1, 1, request), PROBLEM_HEAD_TOO_LARGE);
	cr_expect_eq(limited(HTTP_KIND_REQUEST, bytes, 0, request), PROBLEM_HEAD_TOO_LARGE);
	cr_expect_eq(limited(HTTP_KIND_REQUEST, 20, 9, "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n"),
		PROBLEM_TARGET_TOO_LONG);
	cr_expect_eq(limited(HTTP_KIND_REQUEST, 20, 9, "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG / HTTP/1.1\r\n"),
		PROBLEM_METHOD_REFUSED);
	cr_expect_eq(limited(HTTP_KIND_REQUEST, 20, 9, "GGGGGGGGGG@GGGGGGGGGGGGGGGGGGGGGGG / HTTP/1.1\r\n"),
		PROBLEM_BAD_REQUEST_LINE);
	cr_expect_eq(limited(HTTP_KIND_RESPONSE, 20, 9, response), PROBLEM_RESPONSE_TOO_LARGE);
	cr_expect_eq(limited(HTTP_KIND_RESPONSE, 1000, 1, response), PROBLEM_RESPONSE_TOO_LARGE);
	cr_expect_eq(limited(HTTP_KIND_RESPONSE, 10, 9, response), PROBLEM_RESPONSE_TOO_LARGE);
	cr_expect_eq(limited(HTTP_KIND_RESPONSE, 1000, 2, response), PROBLEM_NONE);
}

Test(parser, the_largest_head_there_is)
{
	static char text[HTTP_HEAD_BYTES_MAX + 1];
	const struct http_parser_limits limits = {
		.head_bytes = HTTP_HEAD_BYTES_MAX, .fields = HTTP_HEAD_FIELDS_MAX};
	struct http_parser parser;
	size_t used = (size_t)snprintf(text, sizeof(text), GET HOST);
	for (int i = 0; i < HTTP_HEAD_FIELDS_MAX - 2; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "Name-%d: value\r\n", i);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "Date: ");
	memset(text + used, 'x', sizeof(text) - used);
	memcpy(text + HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);

	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_assert_eq(http_parser_feed(&parser, text, HTTP_HEAD_BYTES_MAX), HTTP_DONE);
	cr_expect_eq(parser.head.bytes, HTTP_HEAD_BYTES_MAX);
	cr_expect_eq(parser.head.field_count, HTTP_HEAD_FIELDS_MAX);
	struct str date = http_value(&parser.head, HTTP_FIELD_DATE);
	cr_expect_eq(date.at + date.bytes, text + HTTP_HEAD_BYTES_MAX - 4);

	memcpy(text + HTTP_HEAD_BYTES_MAX - 4, "xxxxx", 5);
	http_parser_start(&parser, HTTP_KIND_REQUEST, &limits);
	cr_assert_eq(http_parser_feed(&parser, text, sizeof(text)), HTTP_BAD);
	cr_expect_eq(parser.problem, PROBLEM_HEAD_TOO_LARGE);
}
