/* llhttp_oracle.h - what llhttp 8.1, in its strict mode and alone, makes of the same bytes in one piece.
 * Used by the unit tests and the fuzzers of proxy/http. Owns its memory. */
#ifndef UNIT_HTTP_LLHTTP_ORACLE_H
#define UNIT_HTTP_LLHTTP_ORACLE_H

#include "http/parser.h"

/* NULL if llhttp reads `bytes` at `text` as parser->head, which our parser made of the same bytes; else what
 * differs. A head that llhttp refuses for what it does not know (a method, HTTP/1.2) or for its framing
 * (http/framing.h's business here) is no difference. Static text. */
const char *llhttp_differs(
	const struct http_parser *parser, enum http_kind kind, const char *text, size_t bytes);

/* NULL if llhttp reads the chunked body at `text`, all of it, as `payload`; else what differs. Not for bodies
 * with extensions, some of which llhttp refuses though they are legal. */
const char *llhttp_body_differs(const char *text, size_t bytes, struct str payload);

#endif
