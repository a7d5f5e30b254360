/* framing - decides a body's length and a connection's fate from a parsed head. Owns nothing. */
#include "http/framing.h"

#include "http/characters.h"

/* The one Content-Length field: 1*DIGIT, below 2^63. False for lists, signs, white space inside, and
 * overflow. */
static bool content_length(const struct http_head *head, uint64_t *bytes)
{
	struct str text = http_value(head, HTTP_FIELD_CONTENT_LENGTH);
	uint64_t value = 0;

	if (http_is_repeated(head, HTTP_FIELD_CONTENT_LENGTH) || text.bytes == 0)
		return false;
	for (size_t i = 0; i < text.bytes; i++) {
		uint64_t digit = (uint64_t)(unsigned char)text.at[i] - '0';
		if (!http_is_digit(text.at[i]) || value > (INT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*bytes = value;
	return true;
}

/* RFC 9112 section 6.1: exactly one "chunked" is understood. Where chunked is applied last over codings that
 * we do not know, the request is unknown (501) but not ambiguous; all the rest has no reliable end (400,
 * section 6.3). */
static enum problem transfer_coding(const struct http_head *head)
{
	const struct http_field *field = http_find(head, HTTP_FIELD_TRANSFER_ENCODING);
	if (!http_is_repeated(head, HTTP_FIELD_TRANSFER_ENCODING) &&
		str_equal_nocase(http_text(head, field->value), STR("chunked")))
		return PROBLEM_NONE;

	unsigned chunked_count = 0;
	unsigned coding_count = 0;
	bool is_last_chunked = false;
	for (size_t i = head->first[HTTP_FIELD_TRANSFER_ENCODING]; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_FIELD_TRANSFER_ENCODING)
			continue;
		struct str list = http_text(head, head->fields[i].value);
		struct str coding;
		while (http_list_next(&list, &coding)) {
			for (size_t byte = 0; byte < coding.bytes; byte++)
				if (!http_is(coding.at[byte], HTTP_TOKEN))
					return PROBLEM_BAD_FRAMING;
			is_last_chunked = str_equal_nocase(coding, STR("chunked"));
			chunked_count += is_last_chunked;
			coding_count++;
		}
	}
	return is_last_chunked && chunked_count == 1 && coding_count > 1 ? PROBLEM_UNKNOWN_CODING
									 : PROBLEM_BAD_FRAMING;
}

/* RFC 9112 section 9.3. To a client of HTTP/1.0 this proxy is the origin server: it may keep the connection.
 */
static bool connection_persists(const struct http_head *head)
{
	if (head->connection & HTTP_CONNECTION_CLOSE)
		return false;
	return head->version_minor > 0 || (head->connection & HTTP_CONNECTION_KEEP_ALIVE) != 0;
}

/* RFC 9110 section 10.1.1: 100-continue is the one expectation there is; HTTP/1.0 has none. */
static enum problem expectation(const struct http_head *head, struct http_framing *out)
{
	bool is_list_empty = true;
	for (size_t i = head->first[HTTP_FIELD_EXPECT]; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_FIELD_EXPECT)
			continue;
		struct str list = http_text(head, head->fields[i].value);
		struct str element;
		while (http_list_next(&list, &element)) {
			if (!str_equal_nocase(element, STR("100-continue")))
				return PROBLEM_EXPECTATION;
			is_list_empty = false;
		}
	}
	bool has_body = out->kind == HTTP_BODY_CHUNKED || (out->kind == HTTP_BODY_LENGTH && out->bytes > 0);
	out->expects_continue = has_body && !is_list_empty;
	return PROBLEM_NONE;
}

enum problem http_request_framing(const struct http_head *head, struct http_framing *out)
{
	*out = (struct http_framing){.kind = HTTP_BODY_NONE, .is_persistent = connection_persists(head)};

	if (http_has(head, HTTP_FIELD_TRANSFER_ENCODING)) {
		if (head->version_minor == 0 || http_has(head, HTTP_FIELD_CONTENT_LENGTH))
			return PROBLEM_BAD_FRAMING;
		enum problem problem = transfer_coding(head);
		if (problem != PROBLEM_NONE)
			return problem;
		out->kind = HTTP_BODY_CHUNKED;
	} else if (http_has(head, HTTP_FIELD_CONTENT_LENGTH)) {
		if (!content_length(head, &out->bytes))
			return PROBLEM_BAD_FRAMING;
		out->kind = HTTP_BODY_LENGTH;
		out->has_length = true;
	}
	/* RFC 9110 section 9.3.8: it would be echoed, or be a second request to whoever expects none. */
	if (UNLIKELY(head->method == HTTP_METHOD_TRACE) &&
		(out->kind == HTTP_BODY_CHUNKED || (out->kind == HTTP_BODY_LENGTH && out->bytes > 0)))
		return PROBLEM_TRACE_CONTENT;
	if (UNLIKELY(http_has(head, HTTP_FIELD_EXPECT)) && head->version_minor > 0)
		return expectation(head, out);
	return PROBLEM_NONE;
}

enum problem http_response_framing(
	const struct http_head *head, enum http_method method, struct http_framing *out)
{
	bool has_length = http_has(head, HTTP_FIELD_CONTENT_LENGTH);
	bool has_coding = http_has(head, HTTP_FIELD_TRANSFER_ENCODING);

	*out = (struct http_framing){.kind = HTTP_BODY_NONE, .is_persistent = connection_persists(head)};
	if (has_length && !content_length(head, &out->bytes))
		return PROBLEM_BAD_RESPONSE;
	/* Who frames a body where none may be could send it as well, and it would be taken for the next
	 * response. */
	if (head->status < 200 || head->status == 204) {
		out->is_persistent =
			out->is_persistent && head->status != 101 && !has_coding && out->bytes == 0;
		out->bytes = 0;
		return PROBLEM_NONE;
	}
	if (has_coding && head->version_minor == 0)
		out->is_persistent = false; /* RFC 9112 section 6.1: faulty, whatever else it says */
	out->has_length = has_length && !has_coding;
	if (method == HTTP_METHOD_HEAD || head->status == 304)
		return PROBLEM_NONE;

	if (has_coding) {
		if (head->version_minor == 0 || has_length || transfer_coding(head) != PROBLEM_NONE)
			return PROBLEM_BAD_RESPONSE;
		out->kind = HTTP_BODY_CHUNKED;
	} else if (has_length) {
		out->kind = HTTP_BODY_LENGTH;
	} else {
		out->kind = HTTP_BODY_UNTIL_CLOSE;
		out->is_persistent = false;
	}
	return PROBLEM_NONE;
}
