/* last_hop - answers to OPTIONS and TRACE that end here (see last_hop.h). */
#include "http/last_hop.h"

#include "http/writer.h"

/* All that this proxy tells apart but CONNECT, which it refuses; what a path's backend allows it alone knows.
 */
#define ALLOWED "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE"

/* What names of fields with credentials in them have in common: Authorization, Cookie, X-Api-Key,
 * X-CSRF-Token, X-Forwarded-Client-Cert and so on. */
static const struct str secret_parts[] = {{"auth", 4}, {"cert", 4}, {"cookie", 6}, {"credential", 10},
	{"key", 3}, {"pass", 4}, {"secret", 6}, {"session", 7}, {"signature", 9}, {"token", 5}};

static bool contains(struct str text, struct str part)
{
	for (size_t at = 0; at + part.bytes <= text.bytes; at++)
		if (str_equal_nocase((struct str){text.at + at, part.bytes}, part))
			return true;
	return false;
}

bool http_is_likely_secret(struct str field_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_parts); i++)
		if (contains(field_name, secret_parts[i]))
			return true;
	return false;
}

/* The line of field `index` with its end; past the last one, the empty line. */
static struct str field_line(const struct http_head *head, size_t index)
{
	size_t at = index < head->field_count ? head->fields[index].name.at : head->bytes - 2U;
	size_t next = index + 1 < head->field_count ? head->fields[index + 1].name.at
		      : index < head->field_count   ? head->bytes - 2U
						    : head->bytes;
	return (struct str){head->base + at, next - at};
}

static struct str request_line(const struct http_head *head)
{
	const char *at = head->base + head->method_name.at;
	return (struct str){at, (size_t)(field_line(head, 0).at - at)};
}

static bool is_echoed(const struct http_head *head, size_t index)
{
	return index == head->field_count ||
	       !http_is_likely_secret(http_text(head, head->fields[index].name));
}

static size_t echo_bytes(const struct http_head *head)
{
	size_t bytes = request_line(head).bytes;
	for (size_t i = 0; i <= head->field_count; i++)
		bytes += is_echoed(head, i) ? field_line(head, i).bytes : 0;
	return bytes;
}

static void put_echo(struct writer *out, const struct http_head *head)
{
	put_text(out, request_line(head));
	for (size_t i = 0; i <= head->field_count; i++)
		if (is_echoed(head, i))
			put_text(out, field_line(head, i));
}

size_t http_write_last_hop(
	const struct http_head *head, const struct http_last_hop *answer, char *out, size_t size)
{
	struct writer writer = {.at = out, .end = out + size};
	bool is_trace = head->method == HTTP_METHOD_TRACE;

	PUT_LITERAL(&writer, "HTTP/1.1 200 OK\r\n");
	put_field(&writer, STR("Date: "), answer->date);
	if (is_trace)
		PUT_LITERAL(&writer, "Content-Type: message/http\r\n");
	else
		PUT_LITERAL(&writer, "Allow: " ALLOWED "\r\n");
	PUT_LITERAL(&writer, "Content-Length: ");
	put_integer(&writer, is_trace ? echo_bytes(head) : 0);
	PUT_LITERAL(&writer, "\r\n");
	if (answer->request_id.bytes > 0)
		put_field(&writer, STR("X-Request-Id: "), answer->request_id);
	put_field(&writer, STR("Connection: "), answer->is_persistent ? STR("keep-alive") : STR("close"));
	PUT_LITERAL(&writer, "\r\n");
	if (is_trace)
		put_echo(&writer, head);
	return writer.is_full ? 0 : (size_t)(writer.at - out);
}
