/* relay - frames body bytes for the side they go to (see relay.h). RFC 9112 section 7.1. */
#include "relay.h"

#include "base/bytes.h"

static void relay_add(struct relay_run *run, const char *at, size_t bytes)
{
	run->parts[run->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = bytes};
}

/* "<size in hex>\r\n", written from its end. */
static struct str relay_chunk_size(struct relay_run *run, size_t bytes)
{
	char *end = run->chunk_size + sizeof(run->chunk_size);
	char *at = end;
	*--at = '\n';
	*--at = '\r';
	do {
		*--at = "0123456789abcdef"[bytes & 15];
		bytes >>= 4;
	} while (bytes > 0);
	return (struct str){at, (size_t)(end - at)};
}

void relay_frame(struct relay_run *run, struct str head, enum http_body_kind kind, const struct iovec *parts,
	int count, bool is_last)
{
	assert(count <= RELAY_PARTS_MAX);
	bool is_chunked = kind == HTTP_BODY_CHUNKED;
	size_t bytes = parts_bytes(parts, count);
	run->count = 0;
	if (head.bytes > 0)
		relay_add(run, head.at, head.bytes);
	if (is_chunked && bytes > 0) {
		struct str size = relay_chunk_size(run, bytes);
		relay_add(run, size.at, size.bytes);
	}
	for (int i = 0; i < count; i++)
		if (parts[i].iov_len > 0)
			run->parts[run->count++] = parts[i];
	if (is_chunked && bytes > 0)
		relay_add(run, is_last ? "\r\n0\r\n\r\n" : "\r\n", is_last ? 7 : 2);
	else if (is_chunked && is_last)
		relay_add(run, "0\r\n\r\n", 5);
}
