/* fuzz.h - what the fuzz targets of heads share: parsing in two ways, and what must hold of a head sent on.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "grammar_oracle.h"
#include "http/parser.h"
#include "http/rewrite.h"
#include "llhttp_oracle.h"
#include "require.h"

/* The first byte of an input says where to cut it; the rest is the message. */
static inline size_t cut_of(const uint8_t *data, size_t bytes)
{
	return bytes == 0 ? 0 : (size_t)data[0] * (bytes - 1) / 255;
}

/* Parse at once and cut in two: the outcomes must be the same, and llhttp must read what is accepted the same
 * way. */
static inline enum http_verdict fuzz_parse(
	struct http_parser *parser, enum http_kind kind, const char *text, size_t bytes, size_t cut)
{
	static const struct http_parser_limits limits = {.head_bytes = 4096, .fields = 40};
	static struct http_parser other;

	http_parser_start(parser, kind, &limits);
	enum http_verdict verdict = http_parser_feed(parser, text, bytes);
	http_parser_start(&other, kind, &limits);
	enum http_verdict again = http_parser_feed(&other, text, cut);
	if (again == HTTP_MORE)
		again = http_parser_feed(&other, text, bytes);
	require(verdict == again && parser->problem == other.problem, "a cut changes the verdict");
	require((verdict == HTTP_BAD) == (parser->problem != PROBLEM_NONE), "a problem without a verdict");
	if (verdict != HTTP_DONE)
		return verdict;
	require(parser->head.bytes == other.head.bytes && parser->head.field_count == other.head.field_count,
		"a cut changes the head");
	require(memcmp(parser->head.fields, other.head.fields,
			parser->head.field_count * sizeof(struct http_field)) == 0,
		"a cut changes the fields");
	const char *difference = llhttp_differs(parser, kind, text, bytes);
	require(difference == NULL, difference);
	difference = grammar_differs(parser, kind, text, bytes);
	require(difference == NULL, difference);
	return verdict;
}

/* No field that speaks of one connection may be in a head that we send on, but what we say there ourselves.
 */
static inline void require_end_to_end(const struct http_head *head)
{
	static const enum http_field_id gone[] = {HTTP_FIELD_CLOSE, HTTP_FIELD_KEEP_ALIVE,
		HTTP_FIELD_PROXY_CONNECTION, HTTP_FIELD_TE, HTTP_FIELD_TRAILER, HTTP_FIELD_UPGRADE,
		HTTP_FIELD_HTTP2_SETTINGS};
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		require(!http_has(head, gone[i]), "a hop-by-hop field is passed on");
	require(!http_is_repeated(head, HTTP_FIELD_CONTENT_LENGTH) &&
			!http_is_repeated(head, HTTP_FIELD_TRANSFER_ENCODING) &&
			!http_is_repeated(head, HTTP_FIELD_HOST),
		"framing or Host is doubled");
	require(http_has(head, HTTP_FIELD_VIA), "no Via");
}

/* No field that `before` names in its Connection may be in `after`. */
static inline void require_names_gone(const struct http_head *before, const struct http_head *after)
{
	for (size_t i = 0; i < after->field_count; i++)
		require(after->fields[i].id != HTTP_FIELD_OTHER ||
				!http_list_has(before, HTTP_FIELD_CONNECTION,
					http_text(after, after->fields[i].name)),
			"a field that Connection names is passed on");
}

/* Does `head` hold this field, name and value byte for byte? */
static inline bool has_field(const struct http_head *head, struct str name, struct str value)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (str_equal(http_text(head, head->fields[i].name), name) &&
			str_equal(http_text(head, head->fields[i].value), value))
			return true;
	return false;
}

/* Every field of `before` that is for all recipients must be in `after`, but for what tells of clients if
 * `is_x_dropped`. */
static inline void require_rest_kept(
	const struct http_head *before, const struct http_head *after, bool is_x_dropped)
{
	for (size_t i = 0; i < before->field_count; i++) {
		const struct http_field *field = &before->fields[i];
		struct str name = http_text(before, field->name);
		bool is_plain = field->id == HTTP_FIELD_OTHER &&
				!http_list_has(before, HTTP_FIELD_CONNECTION, name) &&
				!(is_x_dropped && http_is_x_forwarded(name));
		if (is_plain || field->id == HTTP_FIELD_DATE || field->id == HTTP_FIELD_VIA)
			require(has_field(after, name, http_text(before, field->value)), "a field is lost");
	}
}

#endif
