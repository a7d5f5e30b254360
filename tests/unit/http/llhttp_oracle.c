/* llhttp_oracle - runs llhttp over a head or a body and compares. */
#include "llhttp_oracle.h"

#include "http/characters.h"

#include <llhttp.h>

/* Spans of one call to llhttp_execute() are whole; only a refused folded value comes in pieces. */
struct oracle {
	struct str start; /* target or reason */
	struct str names[HTTP_HEAD_FIELDS_MAX];
	struct str values[HTTP_HEAD_FIELDS_MAX];
	size_t name_count;
	size_t value_count; /* of values complete */
	size_t payload_bytes;
	char payload[1 << 16];
};

static struct oracle *oracle_of(llhttp_t *llhttp)
{
	return llhttp->data;
}

static int on_start(llhttp_t *llhttp, const char *at, size_t bytes)
{
	oracle_of(llhttp)->start = (struct str){at, bytes};
	return 0;
}

static int on_name(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct oracle *oracle = oracle_of(llhttp);
	if (oracle->name_count == HTTP_HEAD_FIELDS_MAX)
		return -1;
	oracle->names[oracle->name_count] = (struct str){at, bytes};
	oracle->values[oracle->name_count++] = (struct str){at + bytes, 0};
	return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct oracle *oracle = oracle_of(llhttp);
	if (oracle->name_count == 0)
		return -1;
	while (bytes > 0 && http_is_space(at[bytes - 1]))
		bytes--;
	oracle->values[oracle->name_count - 1] = (struct str){at, bytes};
	return 0;
}

static int on_head(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t bytes)
{
	struct oracle *oracle = oracle_of(llhttp);
	if (bytes > sizeof(oracle->payload) - oracle->payload_bytes)
		return -1;
	memcpy(oracle->payload + oracle->payload_bytes, at, bytes);
	oracle->payload_bytes += bytes;
	return 0;
}

static int on_message(llhttp_t *llhttp)
{
	(void)llhttp;
	return HPE_PAUSED;
}

static bool is_refused_for_its_own_reasons(
	const struct http_head *head, enum http_kind kind, llhttp_errno_t error)
{
	switch (error) {
	case HPE_INVALID_METHOD:
	case HPE_INVALID_CONSTANT: /* "SOURCE" and the methods of RTSP have protocols of their own */
		return kind == HTTP_KIND_REQUEST && head->method == HTTP_METHOD_OTHER;
	case HPE_INVALID_VERSION:
		return head->version_minor == 1; /* read from HTTP/1.2 to 1.9 */
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_UNEXPECTED_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		return http_has(head, HTTP_FIELD_CONTENT_LENGTH) ||
		       http_has(head, HTTP_FIELD_TRANSFER_ENCODING);
	default:
		return false;
	}
}

static const char *compare_head(const struct http_head *head, enum http_kind kind, const llhttp_t *llhttp,
	const struct oracle *oracle)
{
	if (llhttp->http_major != 1 || llhttp->http_minor != head->version_minor)
		return "version";
	if (kind == HTTP_KIND_REQUEST && !str_equal(oracle->start, http_text(head, head->target)))
		return "target";
	if (kind == HTTP_KIND_RESPONSE && llhttp->status_code != head->status)
		return "status";
	if (kind == HTTP_KIND_RESPONSE && !str_equal(oracle->start, http_text(head, head->reason)))
		return "reason";
	if (oracle->name_count != head->field_count)
		return "number of fields";
	for (size_t i = 0; i < oracle->name_count; i++) {
		if (!str_equal(oracle->names[i], http_text(head, head->fields[i].name)))
			return "name of a field";
		if (!str_equal(oracle->values[i], http_text(head, head->fields[i].value)))
			return "value of a field";
	}
	return NULL;
}

const char *llhttp_differs(
	const struct http_parser *parser, enum http_kind kind, const char *text, size_t bytes)
{
	static const llhttp_settings_t settings = {.on_url = on_start,
		.on_status = on_start,
		.on_header_field = on_name,
		.on_header_value = on_value,
		.on_headers_complete = on_head};
	static struct oracle oracle;
	llhttp_t llhttp;

	/* a method as any other one, after which llhttp takes nothing but the preface of HTTP/2 */
	if (kind == HTTP_KIND_REQUEST &&
		str_equal(http_text(&parser->head, parser->head.method_name), STR("PRI")))
		return NULL;
	oracle.start = (struct str){text, 0};
	oracle.name_count = 0;
	llhttp_init(&llhttp, kind == HTTP_KIND_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	llhttp.data = &oracle;
	llhttp_errno_t error = llhttp_execute(&llhttp, text, bytes);
	if (error != HPE_PAUSED)
		return is_refused_for_its_own_reasons(&parser->head, kind, error) ? NULL
										  : llhttp_errno_name(error);
	if (llhttp_get_error_pos(&llhttp) != text + parser->head.bytes)
		return "length of the head";
	return compare_head(&parser->head, kind, &llhttp, &oracle);
}

const char *llhttp_body_differs(const char *text, size_t bytes, struct str payload)
{
	static const llhttp_settings_t settings = {.on_body = on_body, .on_message_complete = on_message};
	static const char head[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
	static struct oracle oracle;
	llhttp_t llhttp;

	oracle.payload_bytes = 0;
	llhttp_init(&llhttp, HTTP_REQUEST, &settings);
	llhttp.data = &oracle;
	if (llhttp_execute(&llhttp, head, sizeof(head) - 1) != HPE_OK)
		return "head";
	llhttp_errno_t error = llhttp_execute(&llhttp, text, bytes);
	if (error != HPE_PAUSED)
		return llhttp_errno_name(error);
	if (llhttp_get_error_pos(&llhttp) != text + bytes)
		return "length of the body";
	if (!str_equal((struct str){oracle.payload, oracle.payload_bytes}, payload))
		return "payload";
	return NULL;
}
