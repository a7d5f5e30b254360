/* message - HTTP/1.1 messages as the benchmarks' programs send and read them: made once, sent often; of what
 * comes only the length and the end matter. */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message whose body is as long as it likes: what is held of it goes out first, then its last bytes again
 * and again. */
struct message {
	char *bytes; /* head and the beginning of the body; free() it */
	size_t head_bytes;
	size_t held_bytes;    /* with the head */
	uint64_t total_bytes; /* with the head */
};

/* A message with that head, which is copied, and a body of so many bytes. */
struct message message_make(const char *head, size_t head_bytes, uint64_t body_bytes);

/* Send what the socket takes of the last `left` bytes, which become fewer by that; nothing where it is full.
 * False: it failed. */
bool message_send(const struct message *message, int fd, uint64_t *left);

/* What a head says that matters here. */
struct message_fields {
	bool has_length;
	bool is_closing;
	uint64_t body_bytes; /* 0 without a length */
};

/* The empty line that ends the head at the beginning of these bytes; NULL: it is not among them. */
const char *message_head_end(const char *bytes, size_t count);

/* Read the fields of a head. `end`: what message_head_end() found. */
struct message_fields message_read_fields(const char *head, const char *end);

#endif
