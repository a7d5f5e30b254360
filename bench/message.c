/* message - HTTP/1.1 messages, made and read (see message.h). Owns nothing. */
#include "message.h"

#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* More of a message than that is not held: it is sent again and again. */
#define HELD_BODY_BYTES_MAX (1024 * 1024)

struct message message_make(const char *head, size_t head_bytes, uint64_t body_bytes)
{
	size_t held_body_bytes = body_bytes < HELD_BODY_BYTES_MAX ? (size_t)body_bytes : HELD_BODY_BYTES_MAX;
	struct message message = {.bytes = malloc(head_bytes + held_body_bytes),
		.head_bytes = head_bytes,
		.held_bytes = head_bytes + held_body_bytes,
		.total_bytes = head_bytes + body_bytes};
	if (message.bytes == NULL)
		net_fail("a message");
	memcpy(message.bytes, head, head_bytes);
	memset(message.bytes + head_bytes, 'x', held_body_bytes);
	return message;
}

/* What is to be sent after the first `sent` bytes, at least one unless all were sent; writes how many to
 * `bytes`. */
static const char *message_at(const struct message *message, uint64_t sent, size_t *bytes)
{
	uint64_t at = sent;
	if (sent >= message->held_bytes && sent > message->head_bytes)
		at = message->head_bytes;
	uint64_t left = message->total_bytes - sent, held = message->held_bytes - at;
	*bytes = (size_t)(left < held ? left : held);
	return message->bytes + at;
}

bool message_send(const struct message *message, int fd, uint64_t *left)
{
	size_t bytes;
	const char *at = message_at(message, message->total_bytes - *left, &bytes);
	ssize_t sent = send(fd, at, bytes, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN;
	*left -= (size_t)sent;
	return true;
}

const char *message_head_end(const char *bytes, size_t count)
{
	return memmem(bytes, count, "\r\n\r\n", 4);
}

struct message_fields message_read_fields(const char *head, const char *end)
{
	static const char length[] = "Content-Length:", close_field[] = "Connection: close";
	struct message_fields fields = {0};
	const char *line = head;
	while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		size_t left = (size_t)(end - ++line);
		if ((*line | 0x20) != 'c')
			continue;
		if (left > sizeof(length) && strncasecmp(line, length, sizeof(length) - 1) == 0) {
			fields.has_length = true;
			fields.body_bytes = strtoull(line + sizeof(length) - 1, NULL, 10);
		} else if (left >= sizeof(close_field) - 1 &&
			   strncasecmp(line, close_field, sizeof(close_field) - 1) == 0) {
			fields.is_closing = true;
		}
	}
	return fields;
}
