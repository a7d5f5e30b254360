/* body_test - payload out of its framing, cut in every way. RFC 9112 section 7.1. */
#include "llhttp_oracle.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

#define PAYLOAD_MAX 70000

struct outcome {
	enum http_body_verdict verdict;
	size_t used;
	size_t payload_bytes;
	char payload[PAYLOAD_MAX];
};

static struct http_framing framing_of(enum http_body_kind kind, uint64_t bytes)
{
	return (struct http_framing){.kind = kind, .bytes = bytes};
}

/* Read `bytes` at `text` from a copy of just that size, with room for `room` parts at a time, until MORE or
 * an end. */
static void read_piece(
	struct http_body_reader *reader, const char *text, size_t bytes, int room, struct outcome *out)
{
	char *copy = malloc(bytes > 0 ? bytes : 1);
	size_t done = 0;
	cr_assert(copy != NULL);
	memcpy(copy, text, bytes);
	do {
		struct iovec parts[8];
		int count = room;
		size_t used;
		out->verdict = http_body_read(reader, copy + done, bytes - done, parts, &count, &used);
		cr_assert(count <= room && used <= bytes - done);
		cr_assert(out->verdict != HTTP_BODY_FULL || count == room);
		cr_assert(out->verdict != HTTP_BODY_MORE || used == bytes - done);
		for (int i = 0; i < count; i++) {
			const char *at = parts[i].iov_base;
			cr_assert(parts[i].iov_len > 0);
			cr_assert(at >= copy + done && at + parts[i].iov_len <= copy + done + used);
			cr_assert(out->payload_bytes + parts[i].iov_len <= PAYLOAD_MAX);
			memcpy(out->payload + out->payload_bytes, at, parts[i].iov_len);
			out->payload_bytes += parts[i].iov_len;
		}
		done += used;
	} while (out->verdict == HTTP_BODY_FULL);
	out->used += done;
	free(copy);
}

static void read_cut(struct outcome *out, const struct http_framing *framing, const char *text, size_t bytes,
	size_t first, size_t step, int room)
{
	struct http_body_reader reader;
	http_body_start(&reader, framing);
	out->verdict = HTTP_BODY_MORE;
	out->used = 0;
	out->payload_bytes = 0;
	read_piece(&reader, text, first, room, out);
	while (out->verdict == HTTP_BODY_MORE && out->used < bytes) {
		size_t left = bytes - out->used;
		read_piece(&reader, text + out->used, left < step ? left : step, room, out);
	}
}

/* All ways to cut must give the same; the one outcome is left in `out`. */
static void read_all_ways(
	struct outcome *out, const struct http_framing *framing, const char *text, size_t bytes)
{
	static struct outcome other;
	read_cut(out, framing, text, bytes, bytes, bytes, 8);
	for (size_t first = 0; first <= bytes; first++) {
		for (int room = 1; room <= 2; room++) {
			read_cut(&other, framing, text, bytes, first, first == 0 ? 1 : bytes, room);
			cr_assert_eq(other.verdict, out->verdict, "cut at %zu: %d, not %d: %.100s", first,
				other.verdict, out->verdict, text);
			cr_assert_eq(
				other.payload_bytes, out->payload_bytes, "cut at %zu: %.100s", first, text);
			cr_assert_eq(memcmp(other.payload, out->payload, out->payload_bytes), 0);
			cr_assert_eq(other.used, out->used, "cut at %zu: %.100s", first, text);
		}
	}
}

static void expect_chunked(
	enum http_body_verdict verdict, const char *text, size_t bytes, const char *payload, size_t left)
{
	static struct outcome out;
	const struct http_framing framing = framing_of(HTTP_BODY_CHUNKED, 0);
	read_all_ways(&out, &framing, text, bytes);
	cr_expect_eq(out.verdict, verdict, "verdict %d: %s", out.verdict, text);
	if (out.verdict == HTTP_BODY_DONE && memchr(text, ';', bytes) == NULL) {
		const char *difference =
			llhttp_body_differs(text, out.used, (struct str){out.payload, out.payload_bytes});
		cr_expect_null(difference, "llhttp differs (%s): %s", difference, text);
	}
	if (verdict == HTTP_BODY_BAD)
		return;
	cr_expect_eq(bytes - out.used, left, "%zu left: %s", bytes - out.used, text);
	cr_expect(
		out.payload_bytes == strlen(payload) && memcmp(out.payload, payload, out.payload_bytes) == 0,
		"payload \"%.*s\" of %s", (int)out.payload_bytes, out.payload, text);
}

#define expect_done(payload, left, literal) expect_chunked(HTTP_BODY_DONE, BYTES(literal), payload, left)
#define expect_more(payload, literal)	    expect_chunked(HTTP_BODY_MORE, BYTES(literal), payload, 0)
#define expect_bad(literal)		    expect_chunked(HTTP_BODY_BAD, BYTES(literal), "", 0)

Test(body, lengths)
{
	static struct outcome out;
	struct http_framing framing = framing_of(HTTP_BODY_LENGTH, 5);
	read_all_ways(&out, &framing, BYTES("helloGET /"));
	cr_expect_eq(out.verdict, HTTP_BODY_DONE);
	cr_expect_eq(out.used, 5);
	cr_expect_eq(memcmp(out.payload, "hello", 5), 0);
	read_all_ways(&out, &framing, BYTES("hell"));
	cr_expect_eq(out.verdict, HTTP_BODY_MORE);
	framing = framing_of(HTTP_BODY_LENGTH, 0);
	read_all_ways(&out, &framing, BYTES("GET"));
	cr_expect_eq(out.verdict, HTTP_BODY_DONE);
	cr_expect_eq(out.used, 0);
	framing = framing_of(HTTP_BODY_NONE, 0);
	read_all_ways(&out, &framing, BYTES("GET"));
	cr_expect_eq(out.verdict, HTTP_BODY_DONE);
	cr_expect_eq(out.used, 0);
}

Test(body, until_close)
{
	static struct outcome out;
	struct http_framing framing = framing_of(HTTP_BODY_UNTIL_CLOSE, 0);
	struct http_body_reader reader;
	read_all_ways(&out, &framing, BYTES("all\r\n0\r\n\r\nof it"));
	cr_expect_eq(out.verdict, HTTP_BODY_MORE);
	cr_expect_eq(out.payload_bytes, 15);
	http_body_start(&reader, &framing);
	cr_expect(http_body_ends_at_close(&reader));
	framing = framing_of(HTTP_BODY_LENGTH, 0);
	http_body_start(&reader, &framing);
	cr_expect_not(http_body_ends_at_close(&reader));
}

Test(body, chunks)
{
	expect_done("", 0, "0\r\n\r\n");
	expect_done("hello", 4, "5\r\nhello\r\n0\r\n\r\nGET ");
	expect_done("hello\r\n0\r\n\r\n", 0, "5\r\nhello\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n");
	expect_done(
		"0123456789abcdef0123456789ABCDE", 0, "1F\r\n0123456789abcdef0123456789ABCDE\r\n00\r\n\r\n");
	expect_done("a", 0, "0000000000000001\r\na\r\n0000000000000000\r\n\r\n");
	expect_more("", "");
	expect_more("", "5");
	expect_more("he", "5\r\nhe");
	expect_more("hello", "5\r\nhello");
	expect_more("hello", "5\r\nhello\r\n");
	expect_more("hello", "5\r\nhello\r\n0\r\n");
	expect_more("hello", "5\r\nhello\r\n0\r\n\r");
	expect_more("a", "7fffffffffffffff\r\na");
}

Test(body, chunk_sizes_refused)
{
	expect_bad("\r\n");
	expect_bad(" 5\r\nhello\r\n");
	expect_bad("5 \r\nhello\r\n");
	expect_bad("+5\r\nhello\r\n");
	expect_bad("-5\r\nhello\r\n");
	expect_bad("0x5\r\nhello\r\n");
	expect_bad("5h\r\nhello\r\n");
	expect_bad("g\r\n");
	expect_bad("5,5\r\nhello\r\n");
	expect_bad("5\nhello\r\n");
	expect_bad("5\rhello\r\n");
	expect_bad("5\0\r\nhello\r\n");
	expect_bad("\xb5\r\nhello\r\n");
	expect_bad("8000000000000000\r\n");
	expect_bad("ffffffffffffffff\r\n");
	expect_bad("10000000000000000\r\n");
	expect_bad("00000000000000005\r\nhello\r\n");
	expect_bad("100000000000000000000000000000005\r\nhello\r\n");
}

Test(body, chunk_ends_refused)
{
	expect_bad("5\r\nhello0\r\n");
	expect_bad("5\r\nhello\n0\r\n");
	expect_bad("5\r\nhello\r0\r\n");
	expect_bad("5\r\nhello!\r\n");
	expect_bad("5\r\nhello!\n0\r\n\r\n");
	expect_bad("5\r\nhello\r\n\r\n");
	expect_bad("0\n\r\n");
	expect_bad("0\r\n\n");
	expect_bad("0\r\n\r\r\n");
	expect_bad("0\r\r\n\r\n");
}

Test(body, extensions_are_dropped)
{
	expect_done("hello", 0, "5;a\r\nhello\r\n0;b=c\r\n\r\n");
	expect_done("hello", 0, "5;a=b;c=d\r\nhello\r\n0\r\n\r\n");
	expect_done("hello", 0, "5 ; a = b\t; c\r\nhello\r\n0\r\n\r\n");
	expect_done("hello", 0, "5;a=\"b;\\\"\\\\c\t d\x80\"\r\nhello\r\n0\r\n\r\n");
	expect_done("hello", 0, "5;a=\"\" ;b\r\nhello\r\n0\r\n\r\n");
	expect_done("hello", 0, "5;a ;b\r\nhello\r\n0\r\n\r\n");
	expect_bad("5;\r\nhello\r\n");
	expect_bad("5;;a\r\nhello\r\n");
	expect_bad("5;a;\r\nhello\r\n");
	expect_bad("5;=b\r\nhello\r\n");
	expect_bad("5;a=\r\nhello\r\n");
	expect_bad("5;a=b c\r\nhello\r\n");
	expect_bad("5;a b\r\nhello\r\n");
	expect_bad("5;a \r\nhello\r\n");
	expect_bad("5;a= \r\nhello\r\n");
	expect_bad("5;a=b \r\nhello\r\n");
	expect_bad("5;a=\"b\r\nhello\r\n");
	expect_bad("5;a=\"b\\\r\nhello\r\n");
	expect_bad("5;a=\"b\"c\r\nhello\r\n");
	expect_bad("5;a=\"b\" \r\nhello\r\n");
	expect_bad("5;a\nhello\r\n");
	expect_bad("5;a=\"\n\"\r\nhello\r\n");
	expect_bad("5;a\r;b\r\nhello\r\n");
	expect_bad("5;a\0\r\nhello\r\n");
	expect_bad("5;a=\"\0\"\r\nhello\r\n");
	expect_bad("5;(\r\nhello\r\n");
	expect_bad("5 a\r\nhello\r\n");
}

Test(body, trailers_are_dropped)
{
	expect_done("hello", 3, "5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 7\r\nC:\r\n\r\nGET");
	expect_bad("0\r\nA: b\n\r\n");
	expect_bad("0\r\nA: b\rc\r\n\r\n");
	expect_bad("0\r\nA: b\0\r\n\r\n");
	expect_bad("0\r\nA : b\r\n\r\n");
	expect_bad("0\r\n: b\r\n\r\n");
	expect_bad("0\r\nA\r\n\r\n");
	expect_bad("0\r\n A: b\r\n\r\n");
	expect_bad("0\r\nA: b\r\n c\r\n\r\n");
	expect_bad("0\r\nGET / HTTP/1.1\r\n\r\n");
}

/* Build `head`, `count` times `fill`, then `tail`, read it whole. */
static enum http_body_verdict read_long(const char *head, const char *fill, size_t count, const char *tail)
{
	static char text[200000];
	static struct outcome out;
	const struct http_framing framing = framing_of(HTTP_BODY_CHUNKED, 0);
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", head);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", fill);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", tail);
	cr_assert_lt(used, sizeof(text) - 1);
	read_cut(&out, &framing, text, used, used, used, 8);
	return out.verdict;
}

Test(body, what_is_dropped_is_bounded)
{
	/* one chunk's line: "5;" and so many letters, CR, LF */
	cr_expect_eq(read_long("5;", "a", HTTP_CHUNK_LINE_BYTES_MAX - 4, "\r\nhello\r\n0\r\n\r\n"),
		HTTP_BODY_DONE);
	cr_expect_eq(
		read_long("5;", "a", HTTP_CHUNK_LINE_BYTES_MAX - 3, "\r\nhello\r\n0\r\n\r\n"), HTTP_BODY_BAD);
	/* the trailer section: "A:" and so many letters, two line ends */
	cr_expect_eq(read_long("0\r\nA:", "a", HTTP_TRAILER_BYTES_MAX - 5, "\r\n\r\n"), HTTP_BODY_DONE);
	cr_expect_eq(read_long("0\r\nA:", "a", HTTP_TRAILER_BYTES_MAX - 4, "\r\n\r\n"), HTTP_BODY_BAD);
	/* extensions of 100 bytes: without end on chunks of 100 bytes, not on chunks of one */
#define LONG_EXTENSION                                                                                       \
	";aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aa\r\n"
#define HUNDRED                                                                                              \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aa\r\n"
	cr_expect_eq(read_long("", "64" LONG_EXTENSION HUNDRED, 600, "0\r\n\r\n"), HTTP_BODY_DONE);
	cr_expect_eq(read_long("", "1" LONG_EXTENSION "a\r\n", 100, "0\r\n\r\n"), HTTP_BODY_DONE);
	cr_expect_eq(read_long("", "1" LONG_EXTENSION "a\r\n", 600, "0\r\n\r\n"), HTTP_BODY_BAD);
	/* small chunks without extensions are nobody's fault */
	cr_expect_eq(read_long("", "1\r\na\r\n", 20000, "0\r\n\r\n"), HTTP_BODY_DONE);
}

/* Read `text` at once as a chunked body of at most `bytes_max`. */
static enum problem problem_within(uint64_t bytes_max, const char *text)
{
	const struct http_framing framing = framing_of(HTTP_BODY_CHUNKED, 0);
	struct http_body_reader reader;
	struct iovec parts[8];
	int count = 8;
	size_t used;
	http_body_start(&reader, &framing);
	http_body_limit(&reader, bytes_max);
	enum http_body_verdict verdict = http_body_read(&reader, text, strlen(text), parts, &count, &used);
	return verdict == HTTP_BODY_BAD ? http_body_problem(&reader) : PROBLEM_NONE;
}

Test(body, a_limit_is_kept_to_the_byte)
{
	cr_expect_eq(problem_within(8, "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"), PROBLEM_NONE);
	cr_expect_eq(
		problem_within(8, "5\r\nhello\r\n4\r\n"), PROBLEM_BODY_TOO_LARGE, "when it is announced");
	cr_expect_eq(problem_within(8, "7fffffffffffffff\r\n"), PROBLEM_BODY_TOO_LARGE);
	cr_expect_eq(problem_within(1, "1\r\na\r\n1\r\n"), PROBLEM_BODY_TOO_LARGE);
	cr_expect_eq(problem_within(0, "0\r\n\r\n"), PROBLEM_NONE);
	cr_expect_eq(problem_within(0, "1\r\n"), PROBLEM_BODY_TOO_LARGE);
}

Test(body, what_is_wrong_is_told)
{
	static char trailer[HTTP_TRAILER_BYTES_MAX + 64] = "0\r\nA:";
	cr_expect_eq(problem_within(UINT64_MAX, "x\r\n"), PROBLEM_BAD_CHUNK);
	cr_expect_eq(problem_within(UINT64_MAX, "0\r\nA B: 1\r\n\r\n"), PROBLEM_BAD_CHUNK);
	memset(trailer + 5, 'a', sizeof(trailer) - 6);
	cr_expect_eq(problem_within(UINT64_MAX, trailer), PROBLEM_HEAD_TOO_LARGE);
}
