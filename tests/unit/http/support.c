/* support - parsing in every way, for the tests of proxy/http. Owns nothing. */
#include "support.h"

#include "grammar_oracle.h"
#include "llhttp_oracle.h"

#include <stdlib.h>

static const struct http_parser_limits default_limits = {.head_bytes = 16384, .fields = 100};

static bool slice_equal(struct http_slice a, struct http_slice b)
{
	return a.at == b.at && a.bytes == b.bytes;
}

static bool head_equal(const struct http_head *a, const struct http_head *b, enum http_kind kind)
{
	if (a->bytes != b->bytes || a->field_count != b->field_count ||
		a->version_minor != b->version_minor || a->connection != b->connection ||
		a->present != b->present || a->repeated != b->repeated)
		return false;
	for (size_t i = 0; i < a->field_count; i++)
		if (!slice_equal(a->fields[i].name, b->fields[i].name) ||
			!slice_equal(a->fields[i].value, b->fields[i].value) ||
			a->fields[i].id != b->fields[i].id)
			return false;
	for (unsigned id = 1; id < HTTP_FIELD_COUNT; id++)
		if (http_has(a, id) && a->first[id] != b->first[id])
			return false;
	if (kind == HTTP_KIND_RESPONSE)
		return a->status == b->status && slice_equal(a->reason, b->reason);
	return a->method == b->method && a->target_form == b->target_form &&
	       slice_equal(a->method_name, b->method_name) && slice_equal(a->target, b->target) &&
	       slice_equal(a->path, b->path) && slice_equal(a->query, b->query) &&
	       slice_equal(a->authority, b->authority);
}

/* Feed the first `bytes` of `text` from memory of just that size, so that a sanitizer sees any byte read too
 * far. */
static enum http_verdict feed_copy(struct http_parser *parser, const char *text, size_t bytes)
{
	char *copy = malloc(bytes > 0 ? bytes : 1);
	cr_assert(copy != NULL);
	memcpy(copy, text, bytes);
	enum http_verdict verdict = http_parser_feed(parser, copy, bytes);
	free(copy);
	return verdict;
}

/* Feed up to `first` bytes, then `step` more at a time. */
static enum http_verdict feed_cut(
	struct http_parser *parser, const char *text, size_t bytes, size_t first, size_t step)
{
	enum http_verdict verdict = HTTP_MORE;
	for (size_t fed = first;; fed = fed + step < bytes ? fed + step : bytes) {
		verdict = feed_copy(parser, text, fed);
		if (verdict != HTTP_MORE || fed == bytes)
			return verdict;
	}
}

enum http_verdict parse_all_ways(struct http_parser *parser, enum http_kind kind,
	const struct http_parser_limits *limits, const char *text, size_t bytes)
{
	/* What an earlier message left behind must not show. */
	memset(parser, 0xa5, sizeof(*parser));
	http_parser_start(parser, kind, limits);
	enum http_verdict verdict = feed_copy(parser, text, bytes);

	struct http_parser *other = malloc(sizeof(*other));
	cr_assert(other != NULL);
	memset(other, 0x5a, sizeof(*other));
	for (size_t first = 0; first <= bytes; first++) {
		http_parser_start(other, kind, limits);
		/* `first` 0 means byte by byte */
		enum http_verdict again = feed_cut(other, text, bytes, first, first == 0 ? 1 : bytes);
		cr_assert_eq(again, verdict, "cut at %zu: verdict %d, not %d, of: %.200s", first, again,
			verdict, text);
		cr_assert_eq(other->problem, parser->problem, "cut at %zu: problem %s, not %s, of: %.200s",
			first, problem_row(other->problem)->code, problem_row(parser->problem)->code, text);
		if (verdict == HTTP_DONE)
			cr_assert(head_equal(&other->head, &parser->head, kind),
				"cut at %zu: another head of: %.200s", first, text);
	}
	free(other);
	parser->head.base = text;
	if (verdict == HTTP_DONE) {
		const char *difference = llhttp_differs(parser, kind, text, bytes);
		cr_assert_null(difference, "llhttp differs (%s): %.200s", difference, text);
		difference = grammar_differs(parser, kind, text, bytes);
		cr_assert_null(difference, "the grammar differs (%s): %.200s", difference, text);
	}
	return verdict;
}

enum http_verdict parse_request(struct http_parser *parser, const char *text, size_t bytes)
{
	return parse_all_ways(parser, HTTP_KIND_REQUEST, &default_limits, text, bytes);
}

enum http_verdict parse_response(struct http_parser *parser, const char *text, size_t bytes)
{
	return parse_all_ways(parser, HTTP_KIND_RESPONSE, &default_limits, text, bytes);
}

enum problem request_problem(const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	enum http_verdict verdict = parse_request(&parser, text, bytes);

	cr_assert_neq(verdict, HTTP_MORE, "incomplete: %.200s", text);
	cr_assert_eq(verdict == HTTP_BAD, parser.problem != PROBLEM_NONE);
	return verdict == HTTP_BAD ? parser.problem : http_request_framing(&parser.head, &framing);
}

enum problem response_problem(enum http_method method, const char *text, size_t bytes)
{
	struct http_parser parser;
	struct http_framing framing;
	enum http_verdict verdict = parse_response(&parser, text, bytes);

	cr_assert_neq(verdict, HTTP_MORE, "incomplete: %.200s", text);
	cr_assert_eq(verdict == HTTP_BAD, parser.problem != PROBLEM_NONE);
	return verdict == HTTP_BAD ? parser.problem : http_response_framing(&parser.head, method, &framing);
}
