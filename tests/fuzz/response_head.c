/* response_head - any bytes as a response: what is accepted must survive being sent on, and read the same
 * there. */
#include "fuzz.h"

static struct http_parser parser;
static struct http_parser sent;

/* What the client must make of it. */
static void check_framing(const struct http_head *after, enum http_method method,
	const struct http_framing *framing, const struct http_response_rewrite *how)
{
	struct http_framing framing_sent;
	require(http_response_framing(after, method, &framing_sent) == PROBLEM_NONE,
		"bad framing is sent on");
	require(framing_sent.kind == how->body, "framing changes");
	require(framing_sent.has_length == framing->has_length || how->body == HTTP_BODY_CHUNKED ||
			how->body == HTTP_BODY_UNTIL_CLOSE,
		"a length comes or goes");
	require(!framing_sent.has_length || framing_sent.bytes == framing->bytes, "a length changes");
	if (after->status >= 200)
		require(framing_sent.is_persistent == how->is_persistent, "the connection's fate changes");
}

static void check_sent_on(const struct http_head *before, enum http_method method,
	const struct http_framing *framing, bool is_client_http10)
{
	static char out[4096 + HTTP_REWRITE_EXTRA];
	static const struct http_parser_limits limits = {.head_bytes = sizeof(out), .fields = 60};
	struct http_response_rewrite how = {.is_client_http10 = is_client_http10,
		.body = framing->kind,
		.date = STR("Sun, 06 Nov 1994 08:49:37 GMT")};
	if (framing->kind == HTTP_BODY_UNTIL_CLOSE ||
		(framing->kind == HTTP_BODY_CHUNKED && is_client_http10))
		how.body = is_client_http10 ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_CHUNKED;
	how.is_persistent = framing->is_persistent && how.body != HTTP_BODY_UNTIL_CLOSE;

	size_t bytes =
		http_rewrite_response(before, framing, &how, out, before->bytes + (size_t)HTTP_REWRITE_EXTRA);
	require(bytes > 0, "the bound on a rewritten head does not hold");
	require(http_rewrite_response(before, framing, &how, out, bytes - 1) == 0,
		"one byte too few is enough");
	require(http_rewrite_response(before, framing, &how, out, bytes) == bytes,
		"just enough is not enough");

	http_parser_start(&sent, HTTP_KIND_RESPONSE, &limits);
	require(http_parser_feed(&sent, out, bytes) == HTTP_DONE, "what is sent on is refused");
	const struct http_head *after = &sent.head;
	require(after->bytes == bytes && after->version_minor == 1,
		"what is sent on has another end or version");
	require(after->status == before->status, "status changes");
	require(str_equal(http_text(before, before->reason), http_text(after, after->reason)),
		"reason changes");
	require(before->status < 200 || http_has(after, HTTP_FIELD_DATE), "no Date");
	check_framing(after, method, framing, &how);
	require_end_to_end(after);
	require_names_gone(before, after);
	require_rest_kept(before, after, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const enum http_method methods[] = {
		HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_POST, HTTP_METHOD_OTHER};
	struct http_framing framing;
	if (bytes < 2)
		return 0;
	/* the last byte chooses the method and the client */
	enum http_method method = methods[data[bytes - 1] & 3];
	const char *text = (const char *)data + 1;
	size_t text_bytes = bytes - 2;
	if (fuzz_parse(&parser, HTTP_KIND_RESPONSE, text, text_bytes, cut_of(data, text_bytes + 1)) ==
			HTTP_DONE &&
		http_response_framing(&parser.head, method, &framing) == PROBLEM_NONE)
		check_sent_on(&parser.head, method, &framing, (data[bytes - 1] & 4) != 0);
	return 0;
}
