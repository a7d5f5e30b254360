/* grammar_oracle.h - a second opinion on heads: the grammar of RFC 9112, line by line, as regular
 * expressions. Slow and plain on purpose. Used by the unit tests and the fuzzers of proxy/http. */
#ifndef UNIT_HTTP_GRAMMAR_ORACLE_H
#define UNIT_HTTP_GRAMMAR_ORACLE_H

#include "http/parser.h"

/* NULL if the head that our parser accepted, parser->head at the front of `text`, is one by the grammar, and
 * has as many bytes and fields by it; else what is wrong with it. Static text. */
const char *grammar_differs(
	const struct http_parser *parser, enum http_kind kind, const char *text, size_t bytes);

#endif
