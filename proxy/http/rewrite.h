/* rewrite - the head that is sent on: made from a parsed head, framed anew, hop-by-hop fields left out.
 * RFC 9110 sections 7.6 and 7.7, RFC 9112 sections 6 and 9. Pure: writes into the caller's memory. */
#ifndef HTTP_REWRITE_H
#define HTTP_REWRITE_H

#include "base/check.h"
#include "http/forwarded.h"
#include "http/framing.h"
#include "http/head.h"

/* A head is rewritten into at most its own length and this much more, as long as the texts that are put in
 * (path, host, addresses, request_id, date) come to no more than HTTP_REWRITE_TEXTS_MAX together; and
 * HTTP_FORWARDED_BYTES_MAX more with HTTP_FORWARDED_RFC7239. */
#define HTTP_REWRITE_TEXTS_MAX 1024
#define HTTP_REWRITE_EXTRA     (HTTP_REWRITE_TEXTS_MAX + 640)

/* The name that this proxy gives itself in Via. */
#define HTTP_VIA_NAME "srsd-proxy"

/* A request may come through proxies of this name so many times: chains are short, circles endless. */
#define HTTP_VIA_PASSES_MAX 10

#define HTTP_REQUEST_ID_BYTES_MAX 128

struct http_request_rewrite {
	struct str path; /* replaces the target's path, its query stays; empty: the request's own path */
	struct str host; /* Host for a request that came without one (HTTP/1.0): the backend's address */
	struct http_forwarding forwarding;
	struct str request_id;	   /* X-Request-Id, for a request that has none (or an unusable one) */
	struct str upgrade;	   /* protocols to offer; empty: none. Not part of the texts above */
	bool is_continue_answered; /* the proxy itself answers Expect: 100-continue: it is not passed on */
};

/* The request's own X-Request-Id if it can be passed on: one field of 1 to 128 bytes, of letters, digits and
 * -._~+/=:@. Empty when there is none. Borrowed from the head. */
struct str http_request_id(const struct http_head *head);

/* Must this request be answered here, as by its final recipient? An OPTIONS or TRACE with Max-Forwards: 0
 * (RFC 9110 section 7.6.2). */
bool http_is_last_hop(const struct http_head *head);

/* Does Via say that the request has come through HTTP_VIA_PASSES_MAX proxies of this name? Then it is sent to
 * itself (RFC 9110 section 7.6). */
bool http_is_looping(const struct http_head *head);

/* Write the head of the forwarded request, always HTTP/1.1 on a persistent connection: request line in
 * origin-form (or asterisk-form); Host first; the end-to-end fields in their order, byte for byte (but for
 * tabs around a value, which become spaces); then our framing, Via, what is told of the client (forwarded.h),
 * X-Request-Id, for OPTIONS and TRACE a decremented Max-Forwards. Left out: Connection and the fields that
 * only it names, Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade, HTTP2-Settings, Srsd-Explain, an Expect
 * that expects nothing. Proxy-Authorization is kept: it is not ours to consume (RFC 9110 section 11.7.2).
 * Returns the bytes written, or 0 when `size` does not hold them. */
MUST_CHECK size_t http_rewrite_request(const struct http_head *head, const struct http_framing *framing,
	const struct http_request_rewrite *how, char *out, size_t size);

struct http_response_rewrite {
	bool is_client_http10;	  /* never chunked; Connection: keep-alive is said aloud */
	bool is_persistent;	  /* will the client's connection live on? else Connection: close is added */
	enum http_body_kind body; /* how the body will be framed towards the client */
	struct str upgrade;	  /* a value of Upgrade, for a 101 or 426; else empty */
	struct str date;	  /* IMF-fixdate, for a response that came without Date */
};

/* Write the head of the response for the client: HTTP/1.1 status line, end-to-end fields in their order, our
 * framing, Date, Via. Also for 1xx (body NONE), which get no Connection. Returns the bytes written,
 * or 0 when `size` does not hold them. */
MUST_CHECK size_t http_rewrite_response(const struct http_head *head, const struct http_framing *framing,
	const struct http_response_rewrite *how, char *out, size_t size);

/* Write a whole response of our own for `problem`: status line, Date, Content-Type: text/plain,
 * Content-Length, X-Request-Id if given, Retry-After: 1 with 429 and 503, Connection, and a body "<status>
 * <phrase>: <sentence> [<detail>]\n", in brackets as shown, or without them when `detail` is empty. Bytes of
 * `detail` that are no printable ASCII become '?'. A response to HEAD gets the same head and no body. */
MUST_CHECK size_t http_write_problem(enum problem problem, struct str detail, struct str request_id,
	struct str date, bool is_head, bool is_persistent, char *out, size_t size);

#endif
