/* rewrite - writes the heads that are sent on, run by run: fields that stay and stand together are one copy.
 * Owns nothing. */
#include "http/rewrite.h"

#include "http/characters.h"
#include "http/writer.h"

/* Never passed on: they speak of one connection (RFC 9110 section 7.6.1), of a framing that is made anew, or
 * to this proxy alone.
 */
#define HOP_BY_HOP                                                                                           \
	(BIT(HTTP_FIELD_CLOSE) | BIT(HTTP_FIELD_CONNECTION) | BIT(HTTP_FIELD_CONTENT_LENGTH) |               \
		BIT(HTTP_FIELD_HTTP2_SETTINGS) | BIT(HTTP_FIELD_KEEP_ALIVE) |                                \
		BIT(HTTP_FIELD_PROXY_CONNECTION) | BIT(HTTP_FIELD_SRSD_EXPLAIN) | BIT(HTTP_FIELD_TE) |       \
		BIT(HTTP_FIELD_TRAILER) | BIT(HTTP_FIELD_TRANSFER_ENCODING) | BIT(HTTP_FIELD_UPGRADE))

/* Connection may take these away by name, and what we know nothing of. */
#define NAMEABLE                                                                                             \
	(BIT(HTTP_FIELD_OTHER) | BIT(HTTP_FIELD_PROXY_AUTHENTICATE) | BIT(HTTP_FIELD_PROXY_AUTHORIZATION))

#define MAX_FORWARDS_MAX 1000000

static bool connection_names(const struct http_head *head, struct str name)
{
	return http_list_has(head, HTTP_FIELD_CONNECTION, name);
}

/* Where the line of field `index` starts; one past the last field: where the empty line starts. */
static const char *field_line(const struct http_head *head, size_t index)
{
	return head->base + (index < head->field_count ? head->fields[index].name.at : head->bytes - 2);
}

/* Which fields end here. */
struct omission {
	uint32_t ids;	      /* BIT(id) of each */
	bool has_names;	      /* those that Connection names */
	bool has_x_forwarded; /* every X-Forwarded-* and its like */
};

/* A field whose id alone does not keep it out. */
static bool is_omitted_by_name(
	const struct http_head *head, const struct http_field *field, const struct omission *omission)
{
	struct str name = http_text(head, field->name);
	if (omission->has_names && (NAMEABLE & BIT(field->id)) != 0 && connection_names(head, name))
		return true;
	return omission->has_x_forwarded && field->id == HTTP_FIELD_OTHER && http_is_x_forwarded(name);
}

static inline bool is_omitted(
	const struct http_head *head, const struct http_field *field, const struct omission *omission)
{
	return UNLIKELY((omission->ids & BIT(field->id)) != 0) ||
	       (UNLIKELY(omission->has_names || omission->has_x_forwarded) &&
		       is_omitted_by_name(head, field, omission));
}

static void put_with_spaces_for_tabs(struct writer *out, const char *at, const char *end)
{
	for (; at < end; at++)
		put(out, *at == '	' ? " " : at, 1);
}

/* Copy the field lines that stay, with spaces for tabs around their values: some servers take a tab there for
 * a part of the value. */
static void put_fields_without_tabs(
	struct writer *out, const struct http_head *head, const struct omission *omission)
{
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];
		if (is_omitted(head, field, omission))
			continue;
		const char *line = field_line(head, i);
		const char *next = field_line(head, i + 1);
		/* where an empty value stands is open */
		struct str value =
			field->value.bytes > 0 ? http_text(head, field->value) : (struct str){line, 0};
		put_with_spaces_for_tabs(out, line, value.at);
		put_text(out, value);
		put_with_spaces_for_tabs(out, value.at + value.bytes, next);
	}
}

/* Copy the field lines that stay, from `run` on, which stands at or before the first of them and is copied
 * with it. */
static void put_fields(
	struct writer *out, const struct http_head *head, const char *run, const struct omission *omission)
{
	if (UNLIKELY(head->has_tab_around)) {
		put(out, run, (size_t)(field_line(head, 0) - run));
		put_fields_without_tabs(out, head, omission);
		return;
	}
	if ((head->present & omission->ids) != 0 || omission->has_names || omission->has_x_forwarded) {
		for (size_t i = 0; i < head->field_count; i++) {
			if (!is_omitted(head, &head->fields[i], omission))
				continue;
			const char *line = field_line(head, i);
			if (line > run)
				put(out, run, (size_t)(line - run));
			run = field_line(head, i + 1);
		}
	}
	put(out, run, (size_t)(field_line(head, head->field_count) - run));
}

static void put_framing(struct writer *out, enum http_body_kind kind, uint64_t bytes)
{
	if (kind == HTTP_BODY_LENGTH) {
		PUT_LITERAL(out, "Content-Length: ");
		put_integer(out, bytes);
		PUT_LITERAL(out, "\r\n");
	} else if (kind == HTTP_BODY_CHUNKED) {
		PUT_LITERAL(out, "Transfer-Encoding: chunked\r\n");
	}
}

/* RFC 9110 section 7.6.3: the version is that of the message as it was received. */
static void put_via(struct writer *out, const struct http_head *head)
{
	if (LIKELY(head->version_minor > 0))
		PUT_LITERAL(out, "Via: 1.1 " HTTP_VIA_NAME "\r\n");
	else
		PUT_LITERAL(out, "Via: 1.0 " HTTP_VIA_NAME "\r\n");
}

static size_t finish(struct writer *out, const char *start)
{
	PUT_LITERAL(out, "\r\n");
	return out->is_full ? 0 : (size_t)(out->at - start);
}

struct str http_request_id(const struct http_head *head)
{
	const struct str none = {head->base, 0};
	struct str id = http_value(head, HTTP_FIELD_X_REQUEST_ID);

	if (http_is_repeated(head, HTTP_FIELD_X_REQUEST_ID) || id.bytes > HTTP_REQUEST_ID_BYTES_MAX)
		return none;
	for (size_t i = 0; i < id.bytes; i++)
		if (!http_is(id.at[i], HTTP_REQUEST_ID))
			return none;
	return id;
}

/* Max-Forwards of an OPTIONS or TRACE, which the parser found to be a number; -1 if it does not bind us. */
static int64_t max_forwards(const struct http_head *head)
{
	if (LIKELY(!http_has(head, HTTP_FIELD_MAX_FORWARDS)) ||
		(head->method != HTTP_METHOD_OPTIONS && head->method != HTTP_METHOD_TRACE))
		return -1;
	struct str text = http_value(head, HTTP_FIELD_MAX_FORWARDS);
	int64_t value = 0;
	for (size_t i = 0; i < text.bytes && value < MAX_FORWARDS_MAX; i++)
		value = value * 10 + (text.at[i] - '0');
	return value;
}

bool http_is_last_hop(const struct http_head *head)
{
	return max_forwards(head) == 0;
}

/* One element of Via: received-protocol RWS received-by [ RWS comment ]. */
static bool via_is_ours(struct str element)
{
	const char *end = element.at + element.bytes;
	const char *at = element.at;
	while (at < end && !http_is_space(*at))
		at++;
	while (at < end && http_is_space(*at))
		at++;
	const char *name = at;
	while (at < end && !http_is_space(*at))
		at++;
	return str_equal_nocase((struct str){name, (size_t)(at - name)}, STR(HTTP_VIA_NAME));
}

bool http_is_looping(const struct http_head *head)
{
	unsigned passed = 0;
	if (LIKELY(!http_has(head, HTTP_FIELD_VIA)))
		return false;
	for (size_t i = head->first[HTTP_FIELD_VIA]; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_FIELD_VIA)
			continue;
		struct str list = http_text(head, head->fields[i].value);
		struct str element;
		while (http_list_next(&list, &element))
			passed += via_is_ours(element);
	}
	return passed >= HTTP_VIA_PASSES_MAX;
}

/* The lesser of the value less one, and the most that we count to. */
static void put_max_forwards(struct writer *out, int64_t received)
{
	int64_t left = received > MAX_FORWARDS_MAX ? MAX_FORWARDS_MAX : received > 0 ? received - 1 : 0;
	PUT_LITERAL(out, "Max-Forwards: ");
	put_integer(out, (uint64_t)left);
	PUT_LITERAL(out, "\r\n");
}

static void put_request_line(struct writer *out, const struct http_head *head, struct str path)
{
	const char *method = head->base + head->method_name.at;
	if (LIKELY(head->target_form == HTTP_TARGET_ORIGIN && path.bytes == 0)) { /* as it stands */
		const char *end = head->base + head->target.at + head->target.bytes;
		put(out, method, (size_t)(end - method));
		PUT_LITERAL(out, " HTTP/1.1\r\nHost: ");
		return;
	}
	put(out, method, (size_t)head->method_name.bytes);
	if (UNLIKELY(head->target_form == HTTP_TARGET_ASTERISK)) {
		PUT_LITERAL(out, " * HTTP/1.1\r\nHost: ");
		return;
	}
	PUT_LITERAL(out, " ");
	put_text(out, path.bytes > 0 ? path : http_text(head, head->path));
	put_text(out, http_text(head, head->query));
	PUT_LITERAL(out, " HTTP/1.1\r\nHost: ");
}

size_t http_rewrite_request(const struct http_head *head, const struct http_framing *framing,
	const struct http_request_rewrite *how, char *out, size_t size)
{
	struct writer writer = {.at = out, .end = out + size};
	struct str authority = http_text(head, head->authority);
	struct omission left_out = {
		.ids = HOP_BY_HOP | BIT(HTTP_FIELD_HOST) | http_forwarded_left_out(&how->forwarding),
		.has_names = (head->connection & HTTP_CONNECTION_NAMES) != 0,
		.has_x_forwarded = http_forwarded_drops_x(&how->forwarding),
	};
	bool has_request_id = http_request_id(head).bytes > 0;
	bool is_expecting = framing->expects_continue && !how->is_continue_answered;
	bool is_expecting_anew = is_expecting && http_is_repeated(head, HTTP_FIELD_EXPECT);
	int64_t forwards = max_forwards(head);

	if (!has_request_id)
		left_out.ids |= BIT(HTTP_FIELD_X_REQUEST_ID);
	if (!is_expecting || is_expecting_anew)
		left_out.ids |= BIT(HTTP_FIELD_EXPECT);
	if (UNLIKELY(forwards >= 0))
		left_out.ids |= BIT(HTTP_FIELD_MAX_FORWARDS);

	put_request_line(&writer, head, how->path);
	put_text(&writer, authority.bytes > 0 ? authority : how->host);
	PUT_LITERAL(&writer, "\r\n");
	put_fields(&writer, head, field_line(head, 0), &left_out);
	put_framing(&writer, framing->kind, framing->bytes);
	if (UNLIKELY(how->upgrade.bytes > 0)) {
		PUT_LITERAL(&writer, "Connection: upgrade\r\n");
		put_field(&writer, STR("Upgrade: "), how->upgrade);
	}
	if (UNLIKELY(is_expecting_anew)) /* a list may stand in two fields, but nginx answers them with 400 */
		PUT_LITERAL(&writer, "Expect: 100-continue\r\n");
	put_via(&writer, head);
	http_put_forwarded(&writer, head, &how->forwarding);
	if (!has_request_id && how->request_id.bytes > 0)
		put_field(&writer, STR("X-Request-Id: "), how->request_id);
	if (UNLIKELY(forwards >= 0))
		put_max_forwards(&writer, forwards);
	return finish(&writer, out);
}

size_t http_rewrite_response(const struct http_head *head, const struct http_framing *framing,
	const struct http_response_rewrite *how, char *out, size_t size)
{
	struct writer writer = {.at = out, .end = out + size};
	const char *after_version = head->base + sizeof("HTTP/1.1") - 1;
	bool is_interim = head->status < 200;
	enum http_body_kind kind = how->body;
	const struct omission left_out = {
		.ids = HOP_BY_HOP, .has_names = (head->connection & HTTP_CONNECTION_NAMES) != 0};

	/* HEAD and 304 tell the length of a body that does not come; 1xx and 204 may not. */
	if (kind == HTTP_BODY_NONE && framing->has_length)
		kind = HTTP_BODY_LENGTH;

	PUT_LITERAL(&writer, "HTTP/1.1");
	put_fields(&writer, head, after_version, &left_out);
	put_framing(&writer, kind, framing->bytes);
	if (!http_has(head, HTTP_FIELD_DATE) && how->date.bytes > 0)
		put_field(&writer, STR("Date: "), how->date);
	if (!is_interim) {
		if (!how->is_persistent)
			PUT_LITERAL(&writer, "Connection: close\r\n");
		else if (how->is_client_http10)
			PUT_LITERAL(&writer, "Connection: keep-alive\r\n");
	}
	if (UNLIKELY(how->upgrade.bytes > 0)) {
		PUT_LITERAL(&writer, "Connection: upgrade\r\n");
		put_field(&writer, STR("Upgrade: "), how->upgrade);
	}
	put_via(&writer, head);
	return finish(&writer, out);
}

static size_t digits_of(uint64_t value)
{
	size_t count = 1;
	for (; value >= 10; value /= 10)
		count++;
	return count;
}

static void put_printable(struct writer *out, struct str text)
{
	for (size_t i = 0; i < text.bytes; i++) {
		char c = text.at[i];
		put(out, c >= ' ' && c <= '~' ? &c : "?", 1);
	}
}

size_t http_write_problem(enum problem problem, struct str detail, struct str request_id, struct str date,
	bool is_head, bool is_persistent, char *out, size_t size)
{
	const struct problem_row *row = problem_row(problem);
	struct writer writer = {.at = out, .end = out + size};
	struct str phrase = str_of(http_reason_phrase(row->status));
	struct str sentence = str_of(row->text);
	uint64_t status = (uint64_t)row->status;
	size_t body_bytes = digits_of(status) + 1 + phrase.bytes + 2 + sentence.bytes + 1;
	if (detail.bytes > 0)
		body_bytes += sizeof(" []") - 1 + detail.bytes;

	PUT_LITERAL(&writer, "HTTP/1.1 ");
	put_integer(&writer, status);
	put_field(&writer, STR(" "), phrase);
	if (date.bytes > 0)
		put_field(&writer, STR("Date: "), date);
	PUT_LITERAL(&writer, "Content-Type: text/plain\r\n");
	put_framing(&writer, HTTP_BODY_LENGTH, body_bytes);
	if (request_id.bytes > 0)
		put_field(&writer, STR("X-Request-Id: "), request_id);
	if (row->status == 503 || row->status == 429)
		PUT_LITERAL(&writer, "Retry-After: 1\r\n");
	put_field(&writer, STR("Connection: "), is_persistent ? STR("keep-alive") : STR("close"));
	if (is_head)
		return finish(&writer, out);

	PUT_LITERAL(&writer, "\r\n");
	put_integer(&writer, status);
	PUT_LITERAL(&writer, " ");
	put_text(&writer, phrase);
	PUT_LITERAL(&writer, ": ");
	put_text(&writer, sentence);
	if (detail.bytes > 0) {
		PUT_LITERAL(&writer, " [");
		put_printable(&writer, detail);
		PUT_LITERAL(&writer, "]");
	}
	PUT_LITERAL(&writer, "\n");
	return writer.is_full ? 0 : (size_t)(writer.at - out);
}
