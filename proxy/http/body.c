/* body - payload out of its framing, by a state machine over the bytes of chunk lines and trailers. Owns
 * nothing.
 *
 *   SIZE --> (extensions) --> SIZE_LF --> DATA --> DATA_CR --> DATA_LF --> SIZE
 *                                |
 *                            (size 0) --> TRAILER_START --> NAME --> VALUE --> VALUE_LF --> TRAILER_START
 *                                              |
 *                                             (CR) --> LAST_LF --> DONE
 */
#include "http/body.h"

#include "http/characters.h"

enum chunk_state {
	CHUNK_SIZE,
	CHUNK_EXTENSION_SPACE, /* after white space: a ';' must come */
	CHUNK_NAME_START,      /* after ';' */
	CHUNK_NAME,
	CHUNK_NAME_SPACE,  /* white space after a name: '=' or ';' must come */
	CHUNK_VALUE_START, /* after '=' */
	CHUNK_VALUE,
	CHUNK_QUOTED,
	CHUNK_QUOTED_PAIR, /* after a backslash */
	CHUNK_QUOTED_END,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_VALUE_LF,
	CHUNK_LAST_LF,
	CHUNK_DONE,
	/* What is wrong: */
	CHUNK_BAD,
	CHUNK_BEYOND_LIMIT,
	TRAILER_BEYOND_LIMIT
};

/* As many hexadecimal digits as 64 bits have, leading zeros included. */
#define CHUNK_SIZE_DIGITS_MAX 16

void http_body_start(struct http_body_reader *reader, const struct http_framing *framing)
{
	*reader = (struct http_body_reader){
		.kind = framing->kind,
		.state = CHUNK_SIZE,
		.left = framing->kind == HTTP_BODY_LENGTH ? framing->bytes : 0,
		.room = UINT64_MAX,
	};
}

void http_body_limit(struct http_body_reader *reader, uint64_t bytes_max)
{
	reader->room = bytes_max;
}

enum problem http_body_problem(const struct http_body_reader *reader)
{
	switch ((enum chunk_state)reader->state) {
	case CHUNK_BEYOND_LIMIT:
		return PROBLEM_BODY_TOO_LARGE;
	case TRAILER_BEYOND_LIMIT:
		return PROBLEM_HEAD_TOO_LARGE;
	default:
		return PROBLEM_BAD_CHUNK;
	}
}

/* What may follow an extension's name or value, or a chunk's size: white space, the next extension, the
 * line's end. */
static enum chunk_state after_item(char c, enum chunk_state at_space)
{
	if (c == '\r')
		return CHUNK_SIZE_LF;
	if (c == ';')
		return CHUNK_NAME_START;
	return http_is_space(c) ? at_space : CHUNK_BAD;
}

static enum chunk_state step_size(struct http_body_reader *reader, char c)
{
	if (!http_is(c, HTTP_HEX))
		return reader->line_bytes > 1 ? after_item(c, CHUNK_EXTENSION_SPACE) : CHUNK_BAD;
	if (reader->line_bytes > CHUNK_SIZE_DIGITS_MAX || reader->left > INT64_MAX >> 4)
		return CHUNK_BAD;
	unsigned digit = http_is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
	reader->left = reader->left << 4 | digit;
	return CHUNK_SIZE;
}

/* chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum chunk_state step_extension(enum chunk_state state, char c)
{
	switch (state) {
	case CHUNK_EXTENSION_SPACE:
		return http_is_space(c) ? state : c == ';' ? CHUNK_NAME_START : CHUNK_BAD;
	case CHUNK_NAME_START:
		return http_is_space(c) ? state : http_is(c, HTTP_TOKEN) ? CHUNK_NAME : CHUNK_BAD;
	case CHUNK_NAME:
		if (http_is(c, HTTP_TOKEN))
			return state;
		return c == '=' ? CHUNK_VALUE_START : after_item(c, CHUNK_NAME_SPACE);
	case CHUNK_NAME_SPACE:
		if (http_is_space(c))
			return state;
		return c == '=' ? CHUNK_VALUE_START : c == ';' ? CHUNK_NAME_START : CHUNK_BAD;
	case CHUNK_VALUE_START:
		if (http_is_space(c))
			return state;
		return c == '"' ? CHUNK_QUOTED : http_is(c, HTTP_TOKEN) ? CHUNK_VALUE : CHUNK_BAD;
	case CHUNK_VALUE:
		return http_is(c, HTTP_TOKEN) ? state : after_item(c, CHUNK_EXTENSION_SPACE);
	case CHUNK_QUOTED:
		if (c == '"')
			return CHUNK_QUOTED_END;
		return c == '\\' ? CHUNK_QUOTED_PAIR : http_is(c, HTTP_QUOTED) ? state : CHUNK_BAD;
	case CHUNK_QUOTED_PAIR:
		return http_is(c, HTTP_VALUE) ? CHUNK_QUOTED : CHUNK_BAD;
	case CHUNK_QUOTED_END:
		return after_item(c, CHUNK_EXTENSION_SPACE);
	default:
		return CHUNK_BAD;
	}
}

/* The chunk's line is complete: account for its extensions, which its payload makes good. */
static enum chunk_state chunk_opened(struct http_body_reader *reader)
{
	uint64_t debt = reader->extension_bytes + (uint64_t)reader->line_bytes;
	debt = debt > reader->left + CHUNK_SIZE_DIGITS_MAX + 2
		       ? debt - reader->left - CHUNK_SIZE_DIGITS_MAX - 2
		       : 0;
	if (debt > HTTP_EXTENSION_BYTES_MAX)
		return CHUNK_BAD;
	if (UNLIKELY(reader->left > reader->room))
		return CHUNK_BEYOND_LIMIT;
	reader->room -= reader->left;
	reader->extension_bytes = (uint32_t)debt;
	reader->line_bytes = 0;
	return reader->left > 0 ? CHUNK_DATA : TRAILER_START;
}

static enum chunk_state step_trailer(struct http_body_reader *reader, enum chunk_state state, char c)
{
	if (++reader->trailer_bytes > HTTP_TRAILER_BYTES_MAX)
		return TRAILER_BEYOND_LIMIT;
	switch (state) {
	case TRAILER_START:
		return c == '\r' ? CHUNK_LAST_LF : http_is(c, HTTP_TOKEN) ? TRAILER_NAME : CHUNK_BAD;
	case TRAILER_NAME:
		return c == ':' ? TRAILER_VALUE : http_is(c, HTTP_TOKEN) ? state : CHUNK_BAD;
	case TRAILER_VALUE:
		return c == '\r' ? TRAILER_VALUE_LF : http_is(c, HTTP_VALUE) ? state : CHUNK_BAD;
	case TRAILER_VALUE_LF:
		return c == '\n' ? TRAILER_START : CHUNK_BAD;
	default:
		return CHUNK_BAD;
	}
}

/* The state after one byte of framing. */
static enum chunk_state step(struct http_body_reader *reader, char c)
{
	enum chunk_state state = (enum chunk_state)reader->state;
	if (state <= CHUNK_SIZE_LF && ++reader->line_bytes > HTTP_CHUNK_LINE_BYTES_MAX)
		return CHUNK_BAD;
	switch (state) {
	case CHUNK_SIZE:
		return step_size(reader, c);
	case CHUNK_SIZE_LF:
		return c == '\n' ? chunk_opened(reader) : CHUNK_BAD;
	case CHUNK_DATA_CR:
		return c == '\r' ? CHUNK_DATA_LF : CHUNK_BAD;
	case CHUNK_DATA_LF:
		return c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
	case TRAILER_START:
	case TRAILER_NAME:
	case TRAILER_VALUE:
	case TRAILER_VALUE_LF:
		return step_trailer(reader, state, c);
	case CHUNK_LAST_LF:
		return c == '\n' ? CHUNK_DONE : CHUNK_BAD;
	default:
		return step_extension(state, c);
	}
}

/* iovec serves readers and writers alike, and so has no const. */
static struct iovec part_of(const char *at, size_t bytes)
{
	return (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = bytes};
}

/* Payload at the front of [at, at + bytes): at most reader->left of it. */
static size_t take(struct http_body_reader *reader, const char *at, size_t bytes, struct iovec *part)
{
	size_t taken = bytes < reader->left ? bytes : (size_t)reader->left;
	*part = part_of(at, taken);
	reader->left -= taken;
	return taken;
}

static enum http_body_verdict read_chunked(struct http_body_reader *reader, const char *at, size_t bytes,
	struct iovec *parts, int *count, size_t *used)
{
	const char *start = at;
	const char *end = at + bytes;
	const int room = *count;
	enum http_body_verdict verdict = HTTP_BODY_MORE;

	*count = 0;
	while (at < end && reader->state < CHUNK_DONE) {
		if (reader->state != CHUNK_DATA) {
			reader->state = (uint8_t)step(reader, *at++);
			continue;
		}
		if (*count == room) {
			verdict = HTTP_BODY_FULL;
			break;
		}
		at += take(reader, at, (size_t)(end - at), &parts[(*count)++]);
		if (reader->left == 0)
			reader->state = CHUNK_DATA_CR;
	}
	*used = (size_t)(at - start);
	if (reader->state == CHUNK_DONE)
		return HTTP_BODY_DONE;
	return reader->state >= CHUNK_BAD ? HTTP_BODY_BAD : verdict;
}

enum http_body_verdict http_body_read(struct http_body_reader *reader, const char *at, size_t bytes,
	struct iovec *parts, int *count, size_t *used)
{
	const int room = *count;

	if (reader->kind == HTTP_BODY_CHUNKED)
		return read_chunked(reader, at, bytes, parts, count, used);
	*count = 0;
	*used = 0;
	if (reader->kind == HTTP_BODY_NONE || (reader->kind == HTTP_BODY_LENGTH && reader->left == 0))
		return HTTP_BODY_DONE;
	if (bytes == 0)
		return HTTP_BODY_MORE;
	if (room == 0)
		return HTTP_BODY_FULL;
	*count = 1;
	if (reader->kind == HTTP_BODY_UNTIL_CLOSE) {
		parts[0] = part_of(at, bytes);
		*used = bytes;
		return HTTP_BODY_MORE;
	}
	*used = take(reader, at, bytes, &parts[0]);
	return reader->left == 0 ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

enum http_body_verdict http_body_pass(struct http_body_reader *reader, uint64_t bytes)
{
	if (reader->kind == HTTP_BODY_UNTIL_CLOSE)
		return HTTP_BODY_MORE;
	reader->left -= bytes;
	return reader->left == 0 ? HTTP_BODY_DONE : HTTP_BODY_MORE;
}

bool http_body_ends_at_close(const struct http_body_reader *reader)
{
	return reader->kind == HTTP_BODY_UNTIL_CLOSE;
}
