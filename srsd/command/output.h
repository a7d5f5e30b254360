/* output.h - what the command says: results to standard output (text or JSON), the rest to standard error. */
#ifndef COMMAND_OUTPUT_H
#define COMMAND_OUTPUT_H

#include "srsd/command/exit_status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- Results --------------------------------------------------------------------------------- */

/* One JSON object on a line of its own. (The names must differ from those of libjansson, which libsrsd
 * calls.) */
struct json {
	FILE *out;
	bool has_member;
};

void json_begin(struct json *json, FILE *out);
/* `value` may hold any bytes: what is no UTF-8 comes out as U+FFFD, so that the line is always valid JSON. */
void json_text(struct json *json, const char *key, const char *value);
void json_whole(struct json *json, const char *key, int64_t value);
void json_end(struct json *json);

/* A moment, in milliseconds since 1970, as UTC: "2026-01-02T03:04:05.678Z" (RFC 3339). */
#define TIME_TEXT_MAX 32
const char *time_write(int64_t ms, char out[TIME_TEXT_MAX]);
void json_time(struct json *json, const char *key, int64_t ms);

/* A session: "0x100016446170000". A text, since it has more bits than many readers' numbers. */
void json_session(struct json *json, const char *key, int64_t session);

/* This moment. */
int64_t time_now_ms(void);

/* The members "label", "address", "host" and "port" of a registered address. */
void json_address(struct json *json, const char *label, const struct srsd_address *address);

/* What is known beyond that: "node" where its name is not the address, "weight" and "zone" where they were
 * said, "labels"; "owner" and "created" where the node was read. */
void json_endpoint(struct json *json, const struct srsd_endpoint *endpoint);

enum output_result {
	OUTPUT_WRITTEN,
	OUTPUT_UNWANTED, /* whoever reads the pipe has closed it */
	OUTPUT_FAILED	 /* said on standard error */
};

/* Hand over to the system what was written to standard output since the last time, which is no more than its
 * buffer holds (main.c sets that). */
enum output_result output_flush(void);

/* How the program ends after that. A reader that has seen enough (`srsd ... | head -1`) is no failure. */
enum exit_status output_end(enum output_result result);

/* ---- Messages -------------------------------------------------------------------------------- */

/* "srsd: ..." on standard error, one line without newline. Control bytes come out as '?'. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Let output_log() say everything, not only warnings and errors. */
void output_be_verbose(void);

/* The library's log callback; `arg` is not looked at. */
void output_log(void *arg, enum srsd_log_level level, const char *text);

#endif
