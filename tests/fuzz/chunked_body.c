/* chunked_body - any bytes as a chunked body: the same payload however it is cut, and the same that llhttp
 * finds. */
#include "fuzz.h"
#include "http/body.h"

struct outcome {
	enum http_body_verdict verdict;
	size_t used;
	size_t payload_bytes;
	char payload[1 << 16];
};

/* Read on through `bytes` at `text`, `room` parts at a time. */
static void read_piece(
	struct http_body_reader *reader, const char *text, size_t bytes, int room, struct outcome *out)
{
	const char *end = text + bytes;
	do {
		struct iovec parts[8];
		int count = room;
		size_t used;
		out->verdict = http_body_read(reader, text, (size_t)(end - text), parts, &count, &used);
		require(used <= (size_t)(end - text) && count <= room, "more is used than there is");
		require(out->verdict != HTTP_BODY_FULL || count == room, "full too early");
		require(out->verdict != HTTP_BODY_MORE || used == (size_t)(end - text),
			"asks for more with bytes left");
		for (int i = 0; i < count; i++) {
			const char *part = parts[i].iov_base;
			require(parts[i].iov_len > 0 && part >= text &&
					part + parts[i].iov_len <= text + used,
				"a part lies outside of what was used");
			require(parts[i].iov_len <= sizeof(out->payload) - out->payload_bytes,
				"too much payload");
			memcpy(out->payload + out->payload_bytes, part, parts[i].iov_len);
			out->payload_bytes += parts[i].iov_len;
		}
		text += used;
		out->used += used;
	} while (out->verdict == HTTP_BODY_FULL);
}

static void read_all(struct outcome *out, const char *text, size_t bytes, size_t cut, int room)
{
	static const struct http_framing framing = {.kind = HTTP_BODY_CHUNKED};
	struct http_body_reader reader;
	http_body_start(&reader, &framing);
	out->used = 0;
	out->payload_bytes = 0;
	read_piece(&reader, text, cut, room, out);
	if (out->verdict == HTTP_BODY_MORE)
		read_piece(&reader, text + cut, bytes - cut, room, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct outcome whole;
	static struct outcome cut;
	if (bytes == 0 || bytes > sizeof(whole.payload))
		return 0;
	const char *text = (const char *)data + 1;
	read_all(&whole, text, bytes - 1, bytes - 1, 8);
	read_all(&cut, text, bytes - 1, cut_of(data, bytes), 1);
	require(whole.verdict == cut.verdict && whole.used == cut.used, "a cut changes the verdict");
	require(whole.payload_bytes == cut.payload_bytes &&
			memcmp(whole.payload, cut.payload, whole.payload_bytes) == 0,
		"a cut changes the payload");
	if (whole.verdict == HTTP_BODY_DONE && memchr(text, ';', whole.used) == NULL) {
		const char *difference = llhttp_body_differs(
			text, whole.used, (struct str){whole.payload, whole.payload_bytes});
		require(difference == NULL, difference);
	}
	return 0;
}
