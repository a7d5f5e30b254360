/* proxy_status - the field that tells how a proxy came to an answer, for programs: Proxy-Status, RFC 9209.
 * Pure: writes into the caller's memory. */
#ifndef HTTP_PROXY_STATUS_H
#define HTTP_PROXY_STATUS_H

#include "base/check.h"
#include "base/str.h"
#include "http/problem.h"

/* A field with the longest name of a backend. */
#define HTTP_PROXY_STATUS_BYTES_MAX 1024

/* Write the field line of an answer of our own for `problem`, with its end. `next_hop`: the backend that was
 * asked last; empty: none was. Returns the bytes written, or 0 when `size` does not hold them. */
MUST_CHECK size_t http_write_proxy_status(enum problem problem, struct str next_hop, char *out, size_t size);

/* The same for an answer of the backend `next_hop` that is passed on, with its own `status`. */
MUST_CHECK size_t http_write_received_status(int status, struct str next_hop, char *out, size_t size);

#endif
