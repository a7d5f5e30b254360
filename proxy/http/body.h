/* body - takes a message body out of its framing: finds the payload in received bytes, copies nothing.
 * Chunked is decoded by our own strict decoder (RFC 9112 section 7.1): llhttp refuses legal extensions. */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/check.h"
#include "http/framing.h"
#include "http/problem.h"

#include <sys/uio.h>

/* A chunk's size with its extensions; a trailer section. Both are read and dropped. */
#define HTTP_CHUNK_LINE_BYTES_MAX 4096
#define HTTP_TRAILER_BYTES_MAX	  16384
/* Extensions may outweigh the payload that they come with by this much (RFC 9112 section 7.1.1). */
#define HTTP_EXTENSION_BYTES_MAX 16384

struct http_body_reader {
	enum http_body_kind kind;
	uint8_t state;		  /* chunked: where in the grammar */
	uint16_t line_bytes;	  /* chunked: bytes of the line at hand, bounded */
	uint32_t extension_bytes; /* chunked: bytes of extensions not yet made good by payload, bounded */
	uint32_t trailer_bytes;	  /* chunked: bytes of the trailer section so far, bounded */
	uint64_t left;		  /* payload bytes left in the body (length) or in the chunk */
	uint64_t room;		  /* chunked: payload bytes that further chunks may announce */
};

/* Begin a body of this framing. */
void http_body_start(struct http_body_reader *reader, const struct http_framing *framing);

/* Bound a body that was just started, and whose length is not known, to `bytes_max` of payload: the chunk
 * that would go beyond is BAD. */
void http_body_limit(struct http_body_reader *reader, uint64_t bytes_max);

enum http_body_verdict {
	HTTP_BODY_MORE, /* all bytes were used; the body goes on */
	HTTP_BODY_FULL, /* `parts` is full: pass the payload on and call again with the bytes that are left */
	HTTP_BODY_DONE, /* the body is complete; bytes after it belong to the next message */
	HTTP_BODY_BAD	/* malformed, or larger than it may be: http_body_problem() says which */
};

/* Read on through `bytes` at `at`. Fills `parts`, of room for `*count`, with the runs of payload found, sets
 * `*count` to their number and `*used` to the bytes consumed. Trailers are checked and dropped. A body of
 * kind NONE, or of length 0, is DONE at once with nothing used. */
MUST_CHECK enum http_body_verdict http_body_read(struct http_body_reader *reader, const char *at,
	size_t bytes, struct iovec *parts, int *count, size_t *used);

/* So many bytes, at least, come next that are payload as they are, whatever they say. Once it was begun to be
 * read, and is not DONE. */
static inline uint64_t http_body_ahead(const struct http_body_reader *reader)
{
	return reader->kind == HTTP_BODY_LENGTH	       ? reader->left
	       : reader->kind == HTTP_BODY_UNTIL_CLOSE ? UINT64_MAX
						       : 0;
}

/* `bytes` of these have passed by. Returns MORE or DONE. */
MUST_CHECK enum http_body_verdict http_body_pass(struct http_body_reader *reader, uint64_t bytes);

/* What is wrong with a body that is BAD: BAD_CHUNK, HEAD_TOO_LARGE (its trailers), BODY_TOO_LARGE. */
enum problem http_body_problem(const struct http_body_reader *reader);

/* May the connection's end here be the body's end? True for UNTIL_CLOSE only; else the body was cut short. */
bool http_body_ends_at_close(const struct http_body_reader *reader);

#endif
