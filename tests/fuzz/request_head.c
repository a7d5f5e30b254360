/* request_head - any bytes as a request: what is accepted must survive being sent on, and read the same
 * there. The first byte says where to cut it, and how it is sent on. */
#include "fuzz.h"

static struct http_parser parser;
static struct http_parser sent;

static bool is_same_target(const struct http_head *before, const struct http_head *after)
{
	if (before->target_form == HTTP_TARGET_ASTERISK)
		return str_equal(http_text(after, after->target), STR("*"));
	return after->target_form == HTTP_TARGET_ORIGIN &&
	       str_equal(http_text(before, before->path), http_text(after, after->path)) &&
	       str_equal(http_text(before, before->query), http_text(after, after->query));
}

/* What is told of the client, who is at ::1: the kinds that are asked for, once each, the peer's own words
 * only if it is trusted, and always ours behind them. */
static void check_forwarded(const struct http_head *after, const struct http_forwarding *how)
{
	bool is_x = (how->kinds & HTTP_FORWARDED_X) != 0, is_rfc = (how->kinds & HTTP_FORWARDED_RFC7239) != 0;
	struct str x = http_value(after, HTTP_FIELD_X_FORWARDED_FOR);
	struct str rfc = http_value(after, HTTP_FIELD_FORWARDED);
	require(http_has(after, HTTP_FIELD_X_FORWARDED_FOR) == is_x &&
			http_has(after, HTTP_FIELD_FORWARDED) == is_rfc,
		"another kind of field is told of the client");
	require(!http_is_repeated(after, HTTP_FIELD_X_FORWARDED_FOR) &&
			!http_is_repeated(after, HTTP_FIELD_FORWARDED),
		"what is told of the client is no one list");
	require(!is_x || (x.bytes >= 3 && memcmp(x.at + x.bytes - 3, "::1", 3) == 0),
		"the client's address is not the last one");
	require(!is_rfc || memmem(rfc.at, rfc.bytes, "for=\"[::1]\"", 11) != NULL,
		"Forwarded does not have the client's address");
	if (how->is_peer_trusted)
		return;
	require(!is_x || x.bytes == 3, "what an untrusted peer says is passed on");
	bool is_quoted = false;
	for (size_t i = 0; i < rfc.bytes; i++) {
		is_quoted ^= rfc.at[i] == '"';
		require(is_quoted || rfc.at[i] != ',', "what an untrusted peer says is passed on");
	}
}

static void check_sent_on(const struct http_head *before, const struct http_framing *framing, unsigned manner)
{
	const size_t extra = HTTP_REWRITE_EXTRA + HTTP_FORWARDED_BYTES_MAX;
	static char out[4096 + HTTP_REWRITE_EXTRA + HTTP_FORWARDED_BYTES_MAX];
	static const struct http_parser_limits limits = {.head_bytes = sizeof(out), .fields = 60};
	const struct http_request_rewrite how = {.host = STR("10.0.0.1:80"),
		.forwarding = {(uint8_t)(manner & 3), (manner & 4) != 0, STR("::1"), STR("::2")},
		.request_id = STR("made"),
		.is_continue_answered = (manner & 8) != 0};
	struct http_framing framing_sent;

	size_t bytes = http_rewrite_request(before, framing, &how, out, before->bytes + extra);
	require(bytes > 0, "the bound on a rewritten head does not hold");
	require(http_rewrite_request(before, framing, &how, out, bytes - 1) == 0,
		"one byte too few is enough");
	require(http_rewrite_request(before, framing, &how, out, bytes) == bytes,
		"just enough is not enough");

	http_parser_start(&sent, HTTP_KIND_REQUEST, &limits);
	require(http_parser_feed(&sent, out, bytes) == HTTP_DONE, "what is sent on is refused");
	const struct http_head *after = &sent.head;
	require(after->bytes == bytes && after->version_minor == 1,
		"what is sent on has another end or version");
	require(http_request_framing(after, &framing_sent) == PROBLEM_NONE,
		"what is sent on has bad framing");
	require(framing->kind == framing_sent.kind && framing->bytes == framing_sent.bytes,
		"framing changes");
	require((framing->expects_continue && !how.is_continue_answered) == framing_sent.expects_continue,
		"an expectation changes");
	require(str_equal(http_text(before, before->method_name), http_text(after, after->method_name)),
		"method changes");
	require(is_same_target(before, after), "target changes");
	require(str_equal(http_text(after, after->authority),
			before->authority.bytes > 0 ? http_text(before, before->authority) : how.host),
		"host changes");
	require(http_request_id(after).bytes > 0, "no request id");
	require(!http_has(after, HTTP_FIELD_CONNECTION), "Connection is passed on");
	check_forwarded(after, &how.forwarding);
	require_end_to_end(after);
	require_names_gone(before, after);
	require_rest_kept(before, after, http_forwarded_drops_x(&how.forwarding));
	const char *difference = llhttp_differs(&sent, HTTP_KIND_REQUEST, out, bytes);
	require(difference == NULL, difference);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct http_framing framing;
	if (bytes == 0)
		return 0;
	const char *text = (const char *)data + 1;
	if (fuzz_parse(&parser, HTTP_KIND_REQUEST, text, bytes - 1, cut_of(data, bytes)) == HTTP_DONE &&
		http_request_framing(&parser.head, &framing) == PROBLEM_NONE)
		check_sent_on(&parser.head, &framing, data[0]);
	return 0;
}
