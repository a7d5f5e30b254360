/* problem - what can go wrong with an exchange: one table turns each reason into an answer.
 * A row: name, status, is a retry elsewhere allowed before anything of the request was sent or where the
 * request may be repeated, the code for logs and counters, the type of error for Proxy-Status (RFC 9209
 * section 2.3), the sentence for the body of the answer. */
#ifndef HTTP_PROBLEM_H
#define HTTP_PROBLEM_H

#include <stdbool.h>

#define PROBLEMS(X)                                                                                          \
	X(NONE, 200, false, "none", "", "")                                                                  \
	/* the client's fault: refused, connection closed */                                                 \
	X(BAD_REQUEST_LINE, 400, false, "bad_request_line", "http_request_error",                            \
		"The request line is malformed.")                                                            \
	X(BAD_TARGET, 400, false, "bad_target", "http_request_error", "The request target is malformed.")    \
	X(BAD_FIELD, 400, false, "bad_field", "http_request_error", "A header field is malformed.")          \
	X(BAD_HOST, 400, false, "bad_host", "http_request_error",                                            \
		"The Host field is missing, doubled or malformed.")                                          \
	X(BAD_FRAMING, 400, false, "bad_framing", "http_request_error",                                      \
		"Content-Length or Transfer-Encoding is malformed.")                                         \
	X(BAD_CHUNK, 400, false, "bad_chunk", "http_request_error", "The chunked body is malformed.")        \
	X(TRACE_CONTENT, 400, false, "trace_content", "http_request_error",                                  \
		"A TRACE request has no content.")                                                           \
	X(UNKNOWN_CODING, 501, false, "unknown_coding", "http_request_error",                                \
		"This transfer coding is not supported.")                                                    \
	X(MISDIRECTED, 421, false, "misdirected", "http_request_error",                                      \
		"A request for an https resource is not taken on this connection.")                          \
	X(METHOD_REFUSED, 501, false, "method_refused", "http_request_error",                                \
		"This method is not supported by this proxy.")                                               \
	X(BAD_VERSION, 505, false, "bad_version", "http_request_error",                                      \
		"Only HTTP/1.1 and HTTP/1.0 are spoken here.")                                               \
	X(TARGET_TOO_LONG, 414, false, "target_too_long", "http_request_error",                              \
		"The request target is too long.")                                                           \
	X(HEAD_TOO_LARGE, 431, false, "head_too_large", "http_request_error",                                \
		"The header fields are too large or too many.")                                              \
	X(BODY_TOO_LARGE, 413, false, "body_too_large", "http_request_error",                                \
		"The body of the request is too large.")                                                     \
	X(EXPECTATION, 417, false, "expectation", "http_request_error", "This expectation cannot be met.")   \
	X(REQUEST_TIMEOUT, 408, false, "request_timeout", "http_request_error",                              \
		"The request did not arrive in time.")                                                       \
	X(REQUEST_CUT, 400, false, "request_cut", "http_request_error", "The request ended early.")          \
	X(CLIENT_LIMIT, 429, false, "client_limit", "http_request_denied",                                   \
		"This client has as many connections as one client may have.")                               \
	X(CLIENT_GONE, 499, false, "client_gone", "http_request_error", "The client closed the connection.") \
	X(LOOP, 508, false, "loop", "proxy_loop_detected",                                                   \
		"The request has come through this proxy too often: it goes in a circle.")                   \
	/* no way to a backend */                                                                            \
	X(NO_ROUTE, 404, false, "no_route", "destination_not_found", "No route matches this path.")          \
	X(SET_UNKNOWN, 503, false, "set_unknown", "destination_unavailable",                                 \
		"The backends of this service are not known yet: ZooKeeper has not answered.")               \
	X(SET_EMPTY, 503, false, "set_empty", "destination_unavailable",                                     \
		"No backend of this service is registered to take requests.")                                \
	X(ALL_EJECTED, 503, false, "all_ejected", "destination_unavailable",                                 \
		"No backend of this service works at the moment.")                                           \
	X(OVERLOADED, 503, false, "overloaded", "connection_limit_reached",                                  \
		"This service has as many requests as it may have.")                                         \
	X(QUEUE_TIMEOUT, 503, false, "queue_timeout", "connection_limit_reached",                            \
		"This service had no place for the request in time.")                                        \
	X(ENDPOINTS_FULL, 503, true, "endpoints_full", "connection_limit_reached",                           \
		"The backends have as many connections as they may have.")                                   \
	X(CONNECTION_LIMIT, 503, false, "connection_limit", "http_request_denied",                           \
		"The proxy has as many connections as it may have.")                                         \
	X(NO_MEMORY, 503, false, "no_memory", "proxy_internal_error",                                        \
		"The proxy is out of memory or descriptors.")                                                \
	/* the backend's fault */                                                                            \
	X(CONNECT_REFUSED, 502, true, "connect_refused", "connection_refused",                               \
		"The backend refused the connection.")                                                       \
	X(CONNECT_FAILED, 502, true, "connect_failed", "destination_ip_unroutable",                          \
		"The backend could not be reached.")                                                         \
	X(CONNECT_TIMEOUT, 504, true, "connect_timeout", "connection_timeout",                               \
		"The backend did not accept the connection in time.")                                        \
	X(UPSTREAM_CLOSED, 502, true, "upstream_closed", "connection_terminated",                            \
		"The backend closed the connection without an answer.")                                      \
	X(UPSTREAM_RESET, 502, true, "upstream_reset", "connection_terminated",                              \
		"The backend reset the connection.")                                                         \
	X(BAD_RESPONSE, 502, false, "bad_response", "http_protocol_error",                                   \
		"The backend's answer is malformed.")                                                        \
	X(RESPONSE_TOO_LARGE, 502, false, "response_too_large", "http_response_header_section_size",         \
		"The head of the backend's answer is too large.")                                            \
	X(RESPONSE_TIMEOUT, 504, false, "response_timeout", "http_response_timeout",                         \
		"The backend did not answer in time.")                                                       \
	X(ATTEMPT_TIMEOUT, 504, true, "attempt_timeout", "http_response_timeout",                            \
		"The backend did not answer in time.")                                                       \
	X(REQUEST_DEADLINE, 504, false, "request_deadline", "http_response_timeout",                         \
		"The backend did not answer in time.")                                                       \
	X(TUNNEL_IDLE, 504, false, "tunnel_idle", "connection_read_timeout",                                 \
		"Nothing was sent through the tunnel for too long.")                                         \
	X(RESPONSE_CUT, 502, true, "response_cut", "http_response_incomplete",                               \
		"The backend's answer ended early.")                                                         \
	X(RESPONSE_STALLED, 504, false, "response_stalled", "connection_read_timeout",                       \
		"The backend's answer stalled.")

#define PROBLEM_ENUM(name, status, retry, code, error, text) PROBLEM_##name,
enum problem { PROBLEMS(PROBLEM_ENUM) PROBLEM_COUNT };
#undef PROBLEM_ENUM

struct problem_row {
	int status;
	bool may_retry;
	const char *code;
	const char *proxy_error; /* RFC 9209 section 2.3; empty: none */
	const char *text;
};

/* The row of a problem. Static. */
const struct problem_row *problem_row(enum problem problem);

/* The reason phrase of a status that this program can answer with ("Bad Gateway"); "Error" for the rest. */
const char *http_reason_phrase(int status);

#endif
