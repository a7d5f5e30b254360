/* message - a second opinion on whole messages: reads a stream of requests or of responses to the letter of
 * RFC 9112, from the start each time, slowly and plainly. Shares no code with the proxy. */
#ifndef FUZZ_EXCHANGE_MESSAGE_H
#define FUZZ_EXCHANGE_MESSAGE_H

#include "network.h"

#define MESSAGE_FIELDS_MAX 64
#define MESSAGES_MAX	   64

struct text {
	const char *at;
	size_t bytes;
};

bool text_is(struct text text, const char *other);
bool text_is_nocase(struct text text, const char *other);

struct http_message {
	size_t start; /* offset in the stream */
	size_t end;   /* behind it, or behind what there is of it */
	bool is_head_complete;
	bool is_complete;
	bool is_bad; /* and everything behind it */
	struct text method, target, reason;
	int status;
	bool is_http10;
	bool is_persistent;
	bool is_chunked;
	bool has_length;
	bool is_until_close;
	bool has_extras; /* chunk extensions or trailers */
	uint64_t length;
	size_t field_count;
	struct {
		struct text name, value;
	} fields[MESSAGE_FIELDS_MAX];
	struct buffer body; /* decoded */
};

struct messages {
	struct http_message items[MESSAGES_MAX];
	size_t count;
	size_t end;	  /* behind the last one; bytes behind it are of none */
	bool is_cut;	  /* there is no room for more of them */
	bool is_switched; /* what is behind `end` is not HTTP any more */
};

/* All requests in the stream from this byte on; the last one may be incomplete or bad. */
void messages_read_requests(struct messages *out, const struct buffer *stream, size_t from, size_t bytes);

/* Responses, final and informational, to these requests in turn; ends with the last one of them, or with a
 * 101: then what is behind its request is none either. `is_ended`: the stream ended cleanly. */
void messages_read_responses(struct messages *out, const struct buffer *stream, size_t bytes,
	struct messages *requests, bool is_ended);

/* The value of the last field of that name, or {NULL, 0}. */
struct text message_field(const struct http_message *message, const char *name);

static inline bool message_is_final(const struct http_message *message)
{
	return message->status >= 200 || message->status == 101;
}

/* Free the bodies. */
void messages_clear(struct messages *messages);

#endif
