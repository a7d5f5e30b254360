/* bytes - a queue of bytes that is only held in memory while there are bytes in it. Owns its memory. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

struct bytes {
	char *memory;
	uint32_t start; /* bytes before this one were consumed */
	uint32_t end;
	uint32_t size;
};

#define BYTES_MAX (UINT32_C(1) << 30)

static inline size_t bytes_count(const struct bytes *bytes)
{
	return bytes->end - bytes->start;
}

static inline const char *bytes_at(const struct bytes *bytes)
{
	return bytes->memory == NULL ? NULL : bytes->memory + bytes->start;
}

/* Room for `count` more bytes at the end, contiguous with what is there. Returns where, or NULL without
 * memory. */
MUST_CHECK char *bytes_reserve(struct bytes *bytes, size_t count);

/* `count` bytes were written where bytes_reserve() said. */
void bytes_commit(struct bytes *bytes, size_t count);

/* Append copies. False without memory: then nothing was appended. */
MUST_CHECK bool bytes_append(struct bytes *bytes, const void *at, size_t count);

/* Append what `parts` hold after their first `skip` bytes. */
MUST_CHECK bool bytes_append_parts(struct bytes *bytes, const struct iovec *parts, int count, size_t skip);

/* Drop bytes from the front; the memory goes with the last one. */
void bytes_consume(struct bytes *bytes, size_t count);

/* Drop everything and free the memory. */
void bytes_free(struct bytes *bytes);

/* The sum of the lengths of `parts`. */
size_t parts_bytes(const struct iovec *parts, int count);

#endif
