/* relay_test - body bytes under each framing, as they go out. RFC 9112 section 7.1. */
#include "relay.h"

#include "http/body.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXTS_MAX 4

struct relay_case {
	enum http_body_kind kind;
	const char *head;
	const char *texts[TEXTS_MAX]; /* the parts; up to the first NULL */
	bool is_last;
	const char *wanted;
};

static const struct relay_case cases[] = {
	{HTTP_BODY_NONE, "HEAD", {0}, true, "HEAD"},
	{HTTP_BODY_NONE, "", {0}, true, ""},
	{HTTP_BODY_LENGTH, "HEAD", {"body"}, true, "HEADbody"},
	{HTTP_BODY_LENGTH, "HEAD", {"bo", "dy"}, false, "HEADbody"},
	{HTTP_BODY_LENGTH, "", {"body"}, false, "body"},
	{HTTP_BODY_LENGTH, "", {"body"}, true, "body"},
	{HTTP_BODY_LENGTH, "", {0}, true, ""},
	{HTTP_BODY_UNTIL_CLOSE, "HEAD", {"bo", "dy"}, false, "HEADbody"},
	{HTTP_BODY_UNTIL_CLOSE, "", {0}, true, ""},
	{HTTP_BODY_CHUNKED, "HEAD", {0}, false, "HEAD"},
	{HTTP_BODY_CHUNKED, "HEAD", {0}, true, "HEAD0\r\n\r\n"},
	{HTTP_BODY_CHUNKED, "", {0}, true, "0\r\n\r\n"},
	{HTTP_BODY_CHUNKED, "", {0}, false, ""},
	{HTTP_BODY_CHUNKED, "", {"", ""}, false, ""}, /* a chunk of no bytes would be the body's end */
	{HTTP_BODY_CHUNKED, "", {"", ""}, true, "0\r\n\r\n"},
	{HTTP_BODY_CHUNKED, "HEAD", {"body"}, false, "HEAD4\r\nbody\r\n"},
	{HTTP_BODY_CHUNKED, "HEAD", {"body"}, true, "HEAD4\r\nbody\r\n0\r\n\r\n"},
	{HTTP_BODY_CHUNKED, "", {"one, ", "", "two"}, true, "8\r\none, two\r\n0\r\n\r\n"},
	{HTTP_BODY_CHUNKED, "", {"0123456789", "abcdef"}, false, "10\r\n0123456789abcdef\r\n"},
};

static size_t join(const struct relay_run *run, char *out)
{
	size_t bytes = 0;
	for (int i = 0; i < run->count; i++) {
		cr_assert_gt(run->parts[i].iov_len, 0);
		memcpy(out + bytes, run->parts[i].iov_base, run->parts[i].iov_len);
		bytes += run->parts[i].iov_len;
	}
	out[bytes] = '\0';
	return bytes;
}

Test(relay, frames_each_kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct relay_case *at = &cases[i];
		struct iovec parts[TEXTS_MAX];
		struct relay_run run;
		char text[256];
		int count = 0;
		for (; count < TEXTS_MAX && at->texts[count] != NULL; count++)
			parts[count] =
				(struct iovec){(void *)(uintptr_t)at->texts[count], strlen(at->texts[count])};
		relay_frame(&run, str_of(at->head), at->kind, parts, count, at->is_last);
		join(&run, text);
		cr_expect_str_eq(text, at->wanted, "case %zu", i);
	}
}

/* What is framed here is read back by the decoder, for sizes of every number of digits, in as many parts as
 * there may be. */
Test(relay, chunks_of_every_size_are_read_back)
{
	static char payload[RELAY_PARTS_MAX * 40000], framed[sizeof(payload) + 128];
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)('a' + i % 26);
	for (size_t part_bytes = 1; part_bytes <= 40000; part_bytes = part_bytes * 3 + 1) {
		struct iovec parts[RELAY_PARTS_MAX], out[4];
		struct relay_run run;
		struct http_body_reader reader;
		size_t used;
		int count = 4;
		for (size_t i = 0; i < RELAY_PARTS_MAX; i++)
			parts[i] = (struct iovec){payload + i * part_bytes, part_bytes};
		relay_frame(&run, STR("HEAD"), HTTP_BODY_CHUNKED, parts, RELAY_PARTS_MAX, true);
		cr_assert_leq(run.count, RELAY_IOV_MAX);
		size_t bytes = join(&run, framed);
		http_body_start(&reader, &(struct http_framing){.kind = HTTP_BODY_CHUNKED});
		cr_expect_eq(
			http_body_read(&reader, framed + 4, bytes - 4, out, &count, &used), HTTP_BODY_DONE);
		cr_expect_eq(used, bytes - 4);
		cr_assert_eq(count, 1);
		cr_expect_eq(out[0].iov_len, RELAY_PARTS_MAX * part_bytes);
		cr_expect_eq(memcmp(out[0].iov_base, payload, out[0].iov_len), 0);
	}
}
