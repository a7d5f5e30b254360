/* peers - requests and responses made of a few bytes (see peers.h). */
#include "peers.h"

#include <stdarg.h>
#include <string.h>

#define BODY_MAX (1 << 17)

static unsigned next_tag;

static void say(struct wire *wire, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct wire *wire, const char *format, ...)
{
	char line[256];
	va_list arguments;
	va_start(arguments, format);
	int bytes = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	require(bytes >= 0 && (size_t)bytes < sizeof(line), "a line is too long");
	buffer_add(&wire->out, line, (size_t)bytes);
}

/* Most bodies are small; some are larger than any buffer. */
static size_t body_bytes(uint8_t size)
{
	return size < 240 ? size : (size_t)(size - 239) * 5000;
}

static void write_hex(char *out, size_t digits, size_t value)
{
	for (; digits > 0; value >>= 4)
		out[--digits] = "0123456789abcdef"[value & 15];
}

/* Bytes by which one body is told from another one, and one part of it from another part. */
static const char *make_body(unsigned seed, size_t bytes)
{
	static char body[BODY_MAX];
	for (size_t at = 0; at < bytes; at += 16) {
		write_hex(body + at, 6, seed);
		write_hex(body + at + 6, 9, at);
		body[at + 15] = '\n';
	}
	return body;
}

static void add_chunked(struct wire *wire, const char *body, size_t bytes, bool has_extras)
{
	size_t step = bytes > 600 ? bytes / 3 : 7;
	for (size_t at = 0; at < bytes; at += step) {
		size_t chunk = bytes - at < step ? bytes - at : step;
		say(wire, has_extras ? "%zX;a=\"b;c\"\r\n" : "%zx\r\n", chunk);
		buffer_add(&wire->out, body + at, chunk);
		say(wire, "\r\n");
	}
	say(wire, has_extras ? "000;last\r\nX-Trailer: t\r\n\r\n" : "0\r\n\r\n");
}

void peer_request(struct wire *client, struct shape shape)
{
	static const char *const methods[] = {
		"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"};
	bool is_http10 = (shape.flags & 1) != 0;
	unsigned framing = (shape.flags >> 4) & 3;
	size_t bytes = body_bytes(shape.size), id = client->out.count;
	const char *body = make_body(client->number * 31 + (unsigned)id, bytes);
	say(client, "%s %s/%s/c%u/r%zu HTTP/1.%d\r\n", methods[shape.kind % 8],
		(shape.flags & 128) != 0 ? "http://other.example" : "", (shape.kind & 8) != 0 ? "few" : "all",
		client->number, id, !is_http10);
	if (!is_http10 || (shape.flags & 128) != 0)
		say(client, "Host: www.example\r\n");
	if ((shape.flags & 2) != 0)
		say(client, "Connection: close\r\n");
	if ((shape.flags & 4) != 0)
		say(client, "Connection: keep-alive\r\n");
	if ((shape.flags & 8) != 0)
		say(client, "Expect: 100-continue\r\n");
	if ((shape.flags & 64) != 0)
		say(client, "Connection: x-hop\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n");
	if ((shape.kind & 16) != 0)
		say(client, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	if (framing == 0) {
		say(client, "\r\n");
	} else if (framing == 1 || is_http10) {
		say(client, "Content-Length: %zu\r\n\r\n", bytes);
		buffer_add(&client->out, body, bytes);
	} else {
		say(client, "Transfer-Encoding: chunked\r\n\r\n");
		add_chunked(client, body, bytes, framing == 3);
	}
}

/* The method of the first request that the backend has no final response for; "GET" when there is none. */
static struct text unanswered_method(const struct wire *backend)
{
	static struct messages requests, responses;
	size_t answered = 0;
	messages_read_requests(&requests, &backend->in, 0, backend->in.count);
	messages_read_responses(&responses, &backend->out, backend->out.count, &requests, false);
	for (size_t i = 0; i < responses.count; i++)
		answered += responses.items[i].is_complete && message_is_final(&responses.items[i]);
	struct text method = {"GET", 3};
	if (answered < requests.count && requests.items[answered].method.at != NULL)
		method = requests.items[answered].method;
	return method;
}

enum response_framing {
	RESPONSE_LENGTH,
	RESPONSE_CHUNKED,
	RESPONSE_EXTRAS,
	RESPONSE_UNTIL_CLOSE,
	RESPONSE_SHORT,	    /* fewer bytes than it says */
	RESPONSE_LONG,	    /* more */
	RESPONSE_MALFORMED, /* no end that can be known */
	RESPONSE_EMPTY
};

static void add_response_framing(struct wire *backend, enum response_framing framing, size_t bytes)
{
	switch (framing) {
	case RESPONSE_LENGTH:
	case RESPONSE_LONG:
		say(backend, "Content-Length: %zu\r\n\r\n", bytes);
		break;
	case RESPONSE_SHORT:
		say(backend, "Content-Length: %zu\r\n\r\n", bytes + 10);
		break;
	case RESPONSE_MALFORMED:
		say(backend, "Content-Length: %zu\r\nTransfer-Encoding: chunked\r\n\r\n", bytes);
		break;
	case RESPONSE_CHUNKED:
	case RESPONSE_EXTRAS:
		say(backend, "Transfer-Encoding: chunked\r\n\r\n");
		break;
	case RESPONSE_UNTIL_CLOSE:
		say(backend, "\r\n");
		break;
	case RESPONSE_EMPTY:
		say(backend, "Content-Length: 0\r\n\r\n");
		break;
	}
}

void peer_response(struct wire *backend, struct shape shape)
{
	static const int statuses[] = {200, 404, 204, 304, 503, 100, 103, 101};
	int status = statuses[shape.kind % 8];
	enum response_framing framing = shape.flags & 7;
	size_t bytes = framing == RESPONSE_EMPTY ? 0 : body_bytes(shape.size);
	bool is_bodyless =
		status < 200 || status == 204 || status == 304 || text_is(unanswered_method(backend), "HEAD");
	const char *body = make_body(++next_tag, bytes);
	say(backend, "HTTP/1.%d %d Said\r\nX-Tag: %u\r\n", (shape.flags & 8) == 0, status, next_tag);
	if ((shape.flags & 16) != 0)
		say(backend, "Connection: close\r\n");
	if ((shape.flags & 64) != 0)
		say(backend, "Connection: keep-alive\r\n");
	if ((shape.flags & 128) != 0)
		say(backend, "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n");
	if (status == 101 && (shape.flags & 1) != 0)
		say(backend, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	if (status < 200) {
		say(backend, "\r\n");
		return;
	}
	add_response_framing(backend, framing, bytes);
	if (is_bodyless && (shape.flags & 32) == 0)
		return;
	if (framing == RESPONSE_CHUNKED || framing == RESPONSE_EXTRAS)
		add_chunked(backend, body, bytes, framing == RESPONSE_EXTRAS);
	else
		buffer_add(&backend->out, body, bytes);
	if (framing == RESPONSE_LONG)
		say(backend, "HTTP/1.1 200 Smuggled\r\nContent-Length: 0\r\n\r\n");
}
