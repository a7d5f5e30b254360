/* parser - bytes to a message head: strict checks of our own, and llhttp for what is odd.
 * Pure: no I/O, no allocation. Stops after the empty line; bodies are http/body.h's business. */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include "base/check.h"
#include "http/head.h"
#include "http/problem.h"

#include <llhttp.h>

enum http_kind { HTTP_KIND_REQUEST, HTTP_KIND_RESPONSE };

/* Empty lines that may stand before a request line (RFC 9112 section 2.2). */
#define HTTP_LEADING_EMPTY_LINES_MAX 8

struct http_parser_limits {
	uint32_t head_bytes; /* at most HTTP_HEAD_BYTES_MAX */
	uint32_t fields;     /* at most HTTP_HEAD_FIELDS_MAX */
};

struct http_parser {
	struct http_parser_limits limits;
	enum problem problem;
	uint32_t parsed; /* bytes of the message that were looked at */

	/* private */
	llhttp_t llhttp;
	uint32_t line; /* where the first line starts that is not parsed */
	uint8_t state;
	uint8_t kind;		     /* enum http_kind */
	uint8_t leading_empty_lines; /* so far */
	bool is_asked;		     /* llhttp is in use: something was odd */
	bool is_line_open;	     /* llhttp has seen a field's name, and not yet the end of its line */

	struct http_head head;
};

/* Begin a message. Costs a few stores: the fields of the last message are left where they are. */
void http_parser_start(
	struct http_parser *parser, enum http_kind kind, const struct http_parser_limits *limits);

enum http_verdict {
	HTTP_MORE, /* well-formed so far */
	HTTP_DONE, /* parser->head is complete; head.bytes tells where the body starts */
	HTTP_BAD   /* parser->problem says why, and with what status to answer */
};

/* Parse on. `base` is the first byte of the message and `bytes` all there is of it from there: bytes of an
 * earlier call come again at its front (their address may have changed), and are not looked at twice. The
 * outcome does not depend on how the bytes were cut into calls. */
MUST_CHECK enum http_verdict http_parser_feed(struct http_parser *parser, const char *base, size_t bytes);

/* Has nothing but empty lines been read? Then no request has begun: its clock does not run yet. */
static inline bool http_parser_is_blank(const struct http_parser *parser)
{
	return parser->parsed == 2U * parser->leading_empty_lines;
}

#endif
