/* support.h - what the tests of proxy/http share: parse a text, cut in every way, and demand the same
 * outcome. */
#ifndef UNIT_HTTP_SUPPORT_H
#define UNIT_HTTP_SUPPORT_H

#include "http/body.h"
#include "http/framing.h"
#include "http/parser.h"
#include "http/rewrite.h"

#include <criterion/criterion.h>

/* Bytes with their length: a literal may hold NUL. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* Parse `bytes` at `text` in one call, then byte by byte, then cut in two at every place, each time from
 * memory of exactly that size, and fail the test unless all outcomes are the same and both oracles agree with
 * what is accepted. The outcome is left in `parser`, whose head points into `text`. */
enum http_verdict parse_all_ways(struct http_parser *parser, enum http_kind kind,
	const struct http_parser_limits *limits, const char *text, size_t bytes);

/* With the default limits: 16 KB, 100 fields. */
enum http_verdict parse_request(struct http_parser *parser, const char *text, size_t bytes);
enum http_verdict parse_response(struct http_parser *parser, const char *text, size_t bytes);

/* The problem of a request, from its parser or from its framing; the same for a response to `method`. Fails
 * the test when the head is incomplete. */
enum problem request_problem(const char *text, size_t bytes);
enum problem response_problem(enum http_method method, const char *text, size_t bytes);

#define expect_request(wanted, literal)                                                                      \
	cr_expect_eq(request_problem(BYTES(literal)), PROBLEM_##wanted, "%s: %s is %s", #wanted, #literal,   \
		problem_row(request_problem(BYTES(literal)))->code)

#define expect_response(wanted, method, literal)                                                             \
	cr_expect_eq(response_problem(HTTP_METHOD_##method, BYTES(literal)), PROBLEM_##wanted,               \
		"%s: %s is %s", #wanted, #literal,                                                           \
		problem_row(response_problem(HTTP_METHOD_##method, BYTES(literal)))->code)

#define expect_text(actual, literal)                                                                         \
	do {                                                                                                 \
		struct str actual_text = (actual);                                                           \
		cr_expect(str_equal(actual_text, STR(literal)), "wanted \"%s\", got \"%.*s\"", literal,      \
			(int)actual_text.bytes, actual_text.at);                                             \
	} while (0)

#endif
