/* line - one request as a line of the access log, key=value or JSON. Pure: writes into the caller's memory.
 * Values are escaped, and cut where they are longer than any that makes sense: nothing that a client or a
 * backend sent can forge a line, and each line fits into ACCESS_LINE_BYTES. */
#ifndef ACCESS_LINE_H
#define ACCESS_LINE_H

#include "base/check.h"
#include "base/str.h"
#include "http/problem.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a value that are written; escaped they may be six times as many. */
#define ACCESS_PATH_BYTES_MAX	  3072
#define ACCESS_TEXT_BYTES_MAX	  384
#define ACCESS_ENDPOINT_BYTES_MAX 264 /* of a try */
#define ACCESS_TRIES_MAX	  12

#define ACCESS_LINE_BYTES (60 * 1024)

_Static_assert(
	(ACCESS_PATH_BYTES_MAX + 7 * ACCESS_TEXT_BYTES_MAX + ACCESS_TRIES_MAX * ACCESS_ENDPOINT_BYTES_MAX) *
				6 +
			4096 <
		ACCESS_LINE_BYTES,
	"the longest values of a line fit into it, all of them escaped");

/* What else there is to be said of a request. X(name, code) */
#define ACCESS_NOTES(X)                                                                                      \
	X(PAUSED, "paused") /* all backends had been tried: it waited before one was tried again */          \
	X(QUEUED, "queued") /* it waited for a place in its service */                                       \
	X(TUNNEL, "tunnel") /* it switched to another protocol */                                            \
	X(RETRY_DENIED, "retry_denied") /* it might have gone elsewhere, but the budget was spent */         \
	X(HEDGED, "hedged")		/* a second backend was asked while the first was late */            \
	X(PANIC, "panic")		/* all backends were ejected: one of the least bad was asked */      \
	X(CUT, "response_cut")		/* the client got a part of the response */                          \
	X(PATH_CUT, "path_cut")		/* the path is longer than what is written of it */

#define ACCESS_NOTE_ENUM(name, code) ACCESS_NOTE_##name,
enum access_note { ACCESS_NOTES(ACCESS_NOTE_ENUM) ACCESS_NOTE_COUNT };
#undef ACCESS_NOTE_ENUM

/* One backend that was asked. Times are in us since the request's head was complete. */
struct access_try {
	struct str endpoint;
	const char *evidence; /* the code of what came of it */
	uint64_t begun_us;
	uint64_t ended_us;
	bool is_hedge;
};

/* Texts may be empty, and are left out then. */
struct access_record {
	int64_t time_ms; /* since 1970: when the request ended */
	struct str client;
	struct str method;
	struct str host;
	struct str path; /* and query, as they came */
	int status;	 /* 0: it got none */
	enum problem problem;
	bool has_head; /* a response's head came from a backend, after head_us */
	uint64_t head_us;
	uint64_t duration_us;
	uint64_t bytes_in;
	uint64_t bytes_out;
	struct str service;
	struct str route;
	struct str endpoint; /* that answered */
	struct str request_id;
	uint32_t notes; /* BIT(enum access_note), together */
	size_t try_count;
	const struct access_try *tries;
};

/* The date of the last line, so that most lines need no calendar. Begin with one that is all zero. */
struct access_calendar {
	int64_t second;
	char text[20]; /* 2026-11-22T09:31:11 */
};

/* Write a line with its newline. Returns its length, or 0 when `size` does not hold it; one of
 * ACCESS_LINE_BYTES always does. */
MUST_CHECK size_t access_line_write(const struct access_record *record, bool is_json,
	struct access_calendar *calendar, char *out, size_t size);

#endif
