/* message - reads streams of messages to the letter (see message.h). */
#include "message.h"

#include <string.h>
#include <strings.h>

/* What is being read: a stream up to its present end. */
struct reader {
	const char *at;
	const char *end;
	struct http_message *message;
};

enum outcome { READ_OK, READ_MORE, READ_BAD };

bool text_is(struct text text, const char *other)
{
	return text.bytes == strlen(other) && memcmp(text.at, other, text.bytes) == 0;
}

bool text_is_nocase(struct text text, const char *other)
{
	return text.bytes == strlen(other) && strncasecmp(text.at, other, text.bytes) == 0;
}

static bool is_token_byte(char c)
{
	return c != '\0' && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
				    c) != NULL;
}

static bool is_text_byte(char c)
{
	unsigned char u = (unsigned char)c;
	return u == '\t' || (u >= 0x20 && u != 0x7f);
}

static bool is_token(struct text text)
{
	for (size_t i = 0; i < text.bytes; i++)
		if (!is_token_byte(text.at[i]))
			return false;
	return text.bytes > 0;
}

/* One line that CR LF ends, of bytes that a line may have. */
static enum outcome read_line(struct reader *reader, struct text *line)
{
	const char *at = reader->at;
	while (at < reader->end && is_text_byte(*at))
		at++;
	if (at == reader->end)
		return READ_MORE;
	if (*at != '\r')
		return READ_BAD;
	if (at + 1 == reader->end)
		return READ_MORE;
	if (at[1] != '\n')
		return READ_BAD;
	*line = (struct text){reader->at, (size_t)(at - reader->at)};
	reader->at = at + 2;
	return READ_OK;
}

static bool is_version(struct http_message *message, struct text text)
{
	if (text.bytes != 8 || memcmp(text.at, "HTTP/1.", 7) != 0 || text.at[7] < '0' || text.at[7] > '9')
		return false;
	message->is_http10 = text.at[7] == '0';
	return true;
}

static enum outcome read_request_line(struct reader *reader)
{
	struct http_message *message = reader->message;
	struct text line;
	do {
		enum outcome outcome = read_line(reader, &line);
		if (outcome != READ_OK)
			return outcome;
	} while (line.bytes == 0);
	const char *space = memchr(line.at, ' ', line.bytes), *end = line.at + line.bytes;
	const char *second = space == NULL ? NULL : memchr(space + 1, ' ', (size_t)(end - space - 1));
	if (second == NULL)
		return READ_BAD;
	message->method = (struct text){line.at, (size_t)(space - line.at)};
	message->target = (struct text){space + 1, (size_t)(second - space - 1)};
	for (size_t i = 0; i < message->target.bytes; i++)
		if (message->target.at[i] <= ' ' || message->target.at[i] > '~')
			return READ_BAD;
	bool is_good = is_token(message->method) && message->target.bytes > 0 &&
		       is_version(message, (struct text){second + 1, (size_t)(end - second - 1)});
	return is_good ? READ_OK : READ_BAD;
}

static enum outcome read_status_line(struct reader *reader)
{
	struct http_message *message = reader->message;
	struct text line;
	enum outcome outcome = read_line(reader, &line);
	if (outcome != READ_OK)
		return outcome;
	if (line.bytes < 13 || !is_version(message, (struct text){line.at, 8}) || line.at[8] != ' ' ||
		line.at[12] != ' ')
		return READ_BAD;
	for (size_t i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return READ_BAD;
		message->status = message->status * 10 + (line.at[i] - '0');
	}
	message->reason = (struct text){line.at + 13, line.bytes - 13};
	return message->status >= 100 ? READ_OK : READ_BAD;
}

static enum outcome read_fields(struct reader *reader)
{
	struct http_message *message = reader->message;
	struct text line;
	enum outcome outcome;
	while ((outcome = read_line(reader, &line)) == READ_OK && line.bytes > 0) {
		const char *colon = memchr(line.at, ':', line.bytes), *end = line.at + line.bytes;
		if (colon == NULL || message->field_count == MESSAGE_FIELDS_MAX)
			return READ_BAD;
		const char *value = colon + 1;
		while (value < end && (*value == ' ' || *value == '\t'))
			value++;
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		message->fields[message->field_count].name =
			(struct text){line.at, (size_t)(colon - line.at)};
		message->fields[message->field_count].value = (struct text){value, (size_t)(end - value)};
		if (!is_token(message->fields[message->field_count++].name))
			return READ_BAD;
	}
	return outcome;
}

struct text message_field(const struct http_message *message, const char *name)
{
	for (size_t i = message->field_count; i-- > 0;)
		if (text_is_nocase(message->fields[i].name, name))
			return message->fields[i].value;
	return (struct text){NULL, 0};
}

static size_t count_fields(const struct http_message *message, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < message->field_count; i++)
		count += text_is_nocase(message->fields[i].name, name);
	return count;
}

/* Has any field of that name, a list, this element? */
static bool list_has(const struct http_message *message, const char *name, const char *element)
{
	for (size_t i = 0; i < message->field_count; i++) {
		struct text value = message->fields[i].value;
		if (!text_is_nocase(message->fields[i].name, name))
			continue;
		while (value.bytes > 0) {
			const char *comma = memchr(value.at, ',', value.bytes);
			struct text one = {value.at, comma ? (size_t)(comma - value.at) : value.bytes};
			value.at += one.bytes + (comma != NULL);
			value.bytes -= one.bytes + (comma != NULL);
			while (one.bytes > 0 && (one.at[0] == ' ' || one.at[0] == '\t'))
				one = (struct text){one.at + 1, one.bytes - 1};
			while (one.bytes > 0 &&
				(one.at[one.bytes - 1] == ' ' || one.at[one.bytes - 1] == '\t'))
				one.bytes--;
			if (text_is_nocase(one, element))
				return true;
		}
	}
	return false;
}

/* What the fields say of the body's length; nothing but the plainest forms is taken. */
static enum outcome read_framing(struct http_message *message, bool has_body)
{
	struct text length = message_field(message, "content-length");
	struct text coding = message_field(message, "transfer-encoding");
	message->is_persistent = !list_has(message, "connection", "close") &&
				 (!message->is_http10 || list_has(message, "connection", "keep-alive"));
	if (!has_body)
		return READ_OK;
	if (count_fields(message, "content-length") > 1 || count_fields(message, "transfer-encoding") > 1)
		return READ_BAD;
	if (length.at != NULL) {
		message->has_length = true;
		for (size_t i = 0; i < length.bytes; i++) {
			if (length.at[i] < '0' || length.at[i] > '9' || message->length > INT64_MAX / 10 - 1)
				return READ_BAD;
			message->length = message->length * 10 + (uint64_t)(length.at[i] - '0');
		}
		if (length.bytes == 0)
			return READ_BAD;
	}
	if (coding.at != NULL) {
		message->is_chunked = true;
		if (!text_is_nocase(coding, "chunked") || message->has_length || message->is_http10)
			return READ_BAD;
	}
	return READ_OK;
}

static enum outcome take(struct reader *reader, uint64_t bytes)
{
	uint64_t there = (uint64_t)(reader->end - reader->at);
	size_t taken = (size_t)(there < bytes ? there : bytes);
	buffer_add(&reader->message->body, reader->at, taken);
	reader->at += taken;
	return taken == bytes ? READ_OK : READ_MORE;
}

/* Returns READ_OK with the size of the next chunk. */
static enum outcome read_chunk_size(struct reader *reader, uint64_t *size)
{
	struct text line;
	size_t digits = 0;
	enum outcome outcome = read_line(reader, &line);
	if (outcome != READ_OK)
		return outcome;
	*size = 0;
	for (; digits < line.bytes; digits++) {
		static const char hex[] = "0123456789abcdef0123456789ABCDEF";
		const char *digit = memchr(hex, line.at[digits], sizeof(hex) - 1);
		if (digit == NULL)
			break;
		if (*size > UINT64_MAX / 32)
			return READ_BAD;
		*size = *size * 16 + (uint64_t)((digit - hex) % 16);
	}
	if (digits == 0)
		return READ_BAD;
	for (size_t i = digits; i < line.bytes; i++) {
		if (line.at[i] == ';') {
			reader->message->has_extras = true;
			break;
		}
		if (line.at[i] != ' ' && line.at[i] != '\t')
			return READ_BAD;
	}
	return READ_OK;
}

static enum outcome read_trailers(struct reader *reader)
{
	struct text line;
	enum outcome outcome;
	while ((outcome = read_line(reader, &line)) == READ_OK && line.bytes > 0)
		reader->message->has_extras = true;
	return outcome;
}

static enum outcome read_chunks(struct reader *reader)
{
	uint64_t size;
	enum outcome outcome;
	while ((outcome = read_chunk_size(reader, &size)) == READ_OK && size > 0) {
		outcome = take(reader, size);
		if (outcome != READ_OK)
			return outcome;
		if (reader->end - reader->at < 2)
			return reader->at < reader->end && *reader->at != '\r' ? READ_BAD : READ_MORE;
		if (memcmp(reader->at, "\r\n", 2) != 0)
			return READ_BAD;
		reader->at += 2;
	}
	return outcome == READ_OK ? read_trailers(reader) : outcome;
}

static void finish(struct reader *reader, enum outcome outcome, const char *stream)
{
	struct http_message *message = reader->message;
	message->is_bad = outcome == READ_BAD;
	message->is_complete = outcome == READ_OK;
	message->end = (size_t)((outcome == READ_OK ? reader->at : reader->end) - stream);
}

static void read_request(struct reader *reader, const char *stream)
{
	struct http_message *message = reader->message;
	enum outcome outcome = read_request_line(reader);
	if (outcome == READ_OK)
		outcome = read_fields(reader);
	if (outcome == READ_OK)
		outcome = read_framing(message, true);
	size_t hosts = count_fields(message, "host");
	if (outcome == READ_OK && (hosts > 1 || (hosts == 0 && !message->is_http10)))
		outcome = READ_BAD;
	message->is_head_complete = outcome == READ_OK;
	if (outcome == READ_OK && message->is_chunked)
		outcome = read_chunks(reader);
	else if (outcome == READ_OK && message->has_length)
		outcome = take(reader, message->length);
	finish(reader, outcome, stream);
}

static void read_response(struct reader *reader, const char *stream, struct text method, bool is_ended)
{
	struct http_message *message = reader->message;
	enum outcome outcome = read_status_line(reader);
	if (outcome == READ_OK)
		outcome = read_fields(reader);
	bool has_body = message->status >= 200 && message->status != 204 && message->status != 304 &&
			!text_is(method, "HEAD");
	if (outcome == READ_OK)
		outcome = read_framing(message, has_body);
	message->is_head_complete = outcome == READ_OK;
	if (outcome == READ_OK && has_body && message->is_chunked) {
		outcome = read_chunks(reader);
	} else if (outcome == READ_OK && has_body && message->has_length) {
		outcome = take(reader, message->length);
	} else if (outcome == READ_OK && has_body) {
		message->is_until_close = true;
		(void)take(reader, (uint64_t)(reader->end - reader->at));
		outcome = is_ended ? READ_OK : READ_MORE;
	}
	finish(reader, outcome, stream);
}

/* The protocol changes after this request and its response. */
static void messages_switch(struct messages *requests, struct messages *responses, size_t request)
{
	while (requests->count > request + 1)
		free(requests->items[--requests->count].body.at);
	requests->is_switched = responses->is_switched = true;
	requests->is_cut = false;
	requests->end = requests->items[request].end;
}

static struct http_message *messages_next(struct messages *out, const char *at, const char *stream)
{
	out->is_cut = out->count == MESSAGES_MAX;
	if (out->is_cut)
		return NULL;
	struct http_message *message = &out->items[out->count++];
	memset(message, 0, sizeof(*message));
	message->start = (size_t)(at - stream);
	return message;
}

void messages_clear(struct messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		free(messages->items[i].body.at);
	messages->count = 0;
}

void messages_read_requests(struct messages *out, const struct buffer *stream, size_t from, size_t bytes)
{
	struct reader reader = {.at = stream->at, .end = stream->at};
	if (bytes > from)
		reader = (struct reader){.at = stream->at + from, .end = stream->at + bytes};
	messages_clear(out);
	out->end = from;
	out->is_cut = out->is_switched = false;
	while (reader.at < reader.end) {
		reader.message = messages_next(out, reader.at, stream->at);
		if (reader.message == NULL)
			break;
		read_request(&reader, stream->at);
		out->end = reader.message->end;
		if (!reader.message->is_complete)
			break;
	}
}

void messages_read_responses(struct messages *out, const struct buffer *stream, size_t bytes,
	struct messages *requests, bool is_ended)
{
	struct reader reader = {.at = stream->at, .end = bytes > 0 ? stream->at + bytes : stream->at};
	size_t answered = 0;
	messages_clear(out);
	out->end = 0;
	out->is_cut = out->is_switched = false;
	while (reader.at < reader.end && answered < requests->count) {
		reader.message = messages_next(out, reader.at, stream->at);
		if (reader.message == NULL)
			break;
		read_response(&reader, stream->at, requests->items[answered].method, is_ended);
		out->end = reader.message->end;
		if (!reader.message->is_complete)
			break;
		if (reader.message->status == 101) {
			messages_switch(requests, out, answered);
			break;
		}
		answered += message_is_final(reader.message);
	}
}
