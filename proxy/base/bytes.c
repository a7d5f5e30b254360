/* bytes - a queue of bytes (see bytes.h). */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_FIRST_SIZE 512

/* Small ones double; larger ones grow to what is asked for, and by a quarter at least. */
#define BYTES_DOUBLED_MAX (64 * 1024)
#define BYTES_PAGE	  4096

static size_t bytes_grown_size(size_t size, size_t needed)
{
	if (size == 0)
		size = BYTES_FIRST_SIZE;
	while (size < needed && size < BYTES_DOUBLED_MAX)
		size *= 2;
	if (size >= needed)
		return size;
	size += size / 4;
	return size >= needed ? size : (needed + BYTES_PAGE - 1) / BYTES_PAGE * BYTES_PAGE;
}

char *bytes_reserve(struct bytes *bytes, size_t count)
{
	size_t held = bytes_count(bytes);
	if (count > BYTES_MAX - held)
		return NULL;
	if (bytes->size - bytes->end >= count)
		return bytes->memory + bytes->end;
	if (bytes->start > 0 && bytes->size - held >= count) {
		memmove(bytes->memory, bytes->memory + bytes->start, held);
	} else {
		size_t size = bytes_grown_size(bytes->size, held + count);
		char *memory = malloc(size);
		if (memory == NULL)
			return NULL;
		if (held > 0)
			memcpy(memory, bytes->memory + bytes->start, held);
		free(bytes->memory);
		bytes->memory = memory;
		bytes->size = (uint32_t)size;
	}
	bytes->start = 0;
	bytes->end = (uint32_t)held;
	return bytes->memory + held;
}

void bytes_commit(struct bytes *bytes, size_t count)
{
	assert(count <= bytes->size - bytes->end);
	bytes->end += (uint32_t)count;
}

bool bytes_append(struct bytes *bytes, const void *at, size_t count)
{
	if (count == 0)
		return true;
	char *room = bytes_reserve(bytes, count);
	if (room == NULL)
		return false;
	memcpy(room, at, count);
	bytes_commit(bytes, count);
	return true;
}

bool bytes_append_parts(struct bytes *bytes, const struct iovec *parts, int count, size_t skip)
{
	size_t total = parts_bytes(parts, count);
	if (total <= skip)
		return true;
	char *room = bytes_reserve(bytes, total - skip);
	if (room == NULL)
		return false;
	for (int i = 0; i < count; i++) {
		size_t length = parts[i].iov_len;
		size_t passed = skip < length ? skip : length;
		memcpy(room, (const char *)parts[i].iov_base + passed, length - passed);
		room += length - passed;
		skip -= passed;
	}
	bytes_commit(bytes, (size_t)(room - (bytes->memory + bytes->end)));
	return true;
}

void bytes_consume(struct bytes *bytes, size_t count)
{
	assert(count <= bytes_count(bytes));
	bytes->start += (uint32_t)count;
	if (bytes->start == bytes->end)
		bytes_free(bytes);
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->memory);
	*bytes = (struct bytes){0};
}

size_t parts_bytes(const struct iovec *parts, int count)
{
	size_t total = 0;
	for (int i = 0; i < count; i++)
		total += parts[i].iov_len;
	return total;
}
