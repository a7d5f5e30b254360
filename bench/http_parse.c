/* http_parse - nanoseconds that a head costs: parsed, framed, rewritten; llhttp's bare parse for comparison.
 * Usage: http_parse [ROUNDS]. Prints the fastest of the rounds, which is what the machine's other work
 * disturbs least. */
#include "base/clock.h"
#include "http/framing.h"
#include "http/parser.h"
#include "http/rewrite.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>

#define ITERATIONS 100000

static const char small_get[] =
	"GET /info HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

static const char browser_get[] =
	"GET /news/2024/02/29/a-story-that-leaps.html?utm_source=feed&utm_medium=rss HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"Connection: keep-alive\r\n"
	"Cache-Control: max-age=0\r\n"
	"sec-ch-ua: \"Chromium\";v=\"122\", \"Not(A:Brand\";v=\"24\", \"Google Chrome\";v=\"122\"\r\n"
	"sec-ch-ua-mobile: ?0\r\n"
	"sec-ch-ua-platform: \"Linux\"\r\n"
	"Upgrade-Insecure-Requests: 1\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 "
	"Safari/537.36\r\n"
	"Accept: "
	"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n"
	"Sec-Fetch-Site: same-origin\r\n"
	"Sec-Fetch-Mode: navigate\r\n"
	"Sec-Fetch-User: ?1\r\n"
	"Sec-Fetch-Dest: document\r\n"
	"Referer: https://www.example.com/news/index.html\r\n"
	"Accept-Encoding: gzip, deflate, br\r\n"
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n"
	"\r\n";

static const char response[] =
	"HTTP/1.1 200 OK\r\nServer: TornadoServer/6.2\r\nContent-Type: application/json; charset=UTF-8\r\n"
	"Date: Thu, 29 Feb 2024 12:00:00 GMT\r\nEtag: \"0123456789abcdef0123456789abcdef01234567\"\r\n"
	"Content-Length: 120\r\n\r\n";

enum work { WORK_LLHTTP, WORK_PARSE, WORK_FRAME, WORK_REWRITE };

static const char *const work_names[] = {
	"llhttp, no callbacks", "parse", "parse, frame", "parse, frame, rewrite"};

struct case_row {
	const char *name;
	enum http_kind kind;
	const char *text;
	size_t bytes;
};

static struct http_parser parser;
static char out[8192];

static void fail(const char *what)
{
	fprintf(stderr, "http_parse: %s failed\n", what);
	exit(1);
}

static int stop_at_body(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static size_t run_llhttp(const struct case_row *row)
{
	static llhttp_settings_t settings = {.on_headers_complete = stop_at_body};
	llhttp_t llhttp;
	llhttp_init(&llhttp, row->kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	if (llhttp_execute(&llhttp, row->text, row->bytes) != HPE_PAUSED)
		fail("llhttp");
	return 1;
}

static size_t run_rewrite(const struct case_row *row, const struct http_framing *framing)
{
	static const struct http_request_rewrite request = {.path = {"/info", 5},
		.forwarding = {HTTP_FORWARDED_X, true, {"192.0.2.7", 9}, {"", 0}},
		.request_id = {"0123456789abcdef0123456789abcdef", 32}};
	const struct http_response_rewrite answer = {.is_persistent = true, .body = framing->kind};
	return row->kind == HTTP_KIND_REQUEST
		       ? http_rewrite_request(&parser.head, framing, &request, out, sizeof(out))
		       : http_rewrite_response(&parser.head, framing, &answer, out, sizeof(out));
}

static size_t run(const struct case_row *row, enum work work)
{
	static const struct http_parser_limits limits = {.head_bytes = 16384, .fields = 100};
	struct http_framing framing;

	if (work == WORK_LLHTTP)
		return run_llhttp(row);
	http_parser_start(&parser, row->kind, &limits);
	if (http_parser_feed(&parser, row->text, row->bytes) != HTTP_DONE)
		fail("parse");
	if (work == WORK_PARSE)
		return parser.head.bytes;
	enum problem problem = row->kind == HTTP_KIND_REQUEST
				       ? http_request_framing(&parser.head, &framing)
				       : http_response_framing(&parser.head, HTTP_METHOD_GET, &framing);
	if (problem != PROBLEM_NONE)
		fail("framing");
	return work == WORK_FRAME ? 1 : run_rewrite(row, &framing);
}

static double measure(const struct case_row *row, enum work work, long rounds)
{
	uint64_t best_ns = UINT64_MAX;
	for (long round = 0; round < rounds; round++) {
		uint64_t start_ns = clock_ns();
		for (int i = 0; i < ITERATIONS; i++)
			if (run(row, work) == 0)
				fail("rewrite");
		uint64_t took_ns = clock_ns() - start_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	return (double)best_ns / ITERATIONS;
}

int main(int argc, char **argv)
{
	static const struct case_row rows[] = {
		{"small GET", HTTP_KIND_REQUEST, small_get, sizeof(small_get) - 1},
		{"browser GET", HTTP_KIND_REQUEST, browser_get, sizeof(browser_get) - 1},
		{"response head", HTTP_KIND_RESPONSE, response, sizeof(response) - 1},
	};
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20;

	printf("%-14s %6s", "ns per head", "bytes");
	for (size_t work = 0; work < ARRAY_SIZE(work_names); work++)
		printf("  %s", work_names[work]);
	printf("\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		printf("%-14s %6zu", rows[i].name, rows[i].bytes);
		for (size_t work = 0; work < ARRAY_SIZE(work_names); work++)
			printf("  %*.0f", (int)strlen(work_names[work]),
				measure(&rows[i], (enum work)work, rounds));
		printf("\n");
	}
	return 0;
}
