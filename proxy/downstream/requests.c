/* requests - takes requests out of what a client has sent: the PROXY header before the first, heads, bodies
 * (see internal.h). Refuses what is malformed. */
#include "base/log.h"
#include "downstream/internal.h"
#include "http/proxy_header.h"

/* Parts of a body that one event carries; a body of tiny chunks takes several events. */
#define DOWNSTREAM_PARTS 32

/* `head`: see on_refused. */
static void downstream_refuse_request(
	struct downstream *client, const struct http_head *head, enum problem problem)
{
	const struct downstream_shared *shared = client->shared;
	if (!downstream_begin_request(client)) {
		downstream_lose(client);
		return;
	}
	struct http_parser *parser = client->request->parser; /* the head may be in it */
	bool is_head = parser != NULL && parser->head.method == HTTP_METHOD_HEAD;
	client->request->parser = NULL;
	client->request->is_body_done = false; /* whatever follows is not looked at */
	if (client->state != DOWNSTREAM_BUSY)
		downstream_enter(client, DOWNSTREAM_BUSY);
	uint64_t bytes_out = downstream_answer(
		client, &(struct downstream_answer){.problem = problem, .is_head = is_head});
	shared->events->on_refused(shared->owner, client, head, problem, bytes_out);
	if (parser != NULL)
		blocks_give(shared->parsers, parser);
}

/* A request that is refused before it became an exchange. */
void downstream_refuse(struct downstream *client, enum problem problem)
{
	downstream_refuse_request(client, NULL, problem);
}

/* Without a header nothing says that what follows is HTTP, nor who is asking: there is no answer to give. */
void downstream_refuse_header(struct downstream *client, const char *fault)
{
	counter_add(client->shared->counters, proxy_headers_refused, 1);
	char peer[NETWORK_TEXT_MAX];
	log_event(LOG_DEBUG, "no PROXY header", LOG_SLICE("peer", downstream_address(client, peer)),
		LOG_TEXT("reason", fault));
	downstream_close(client);
}

/* Returns the bytes used: none while the header is not complete. */
static size_t downstream_consume_header(struct downstream *client, const char *at, size_t bytes)
{
	struct proxy_header header;
	switch (proxy_header_read(at, bytes, &header)) {
	case PROXY_HEADER_MORE:
		return 0;
	case PROXY_HEADER_BAD:
		downstream_refuse_header(client, header.fault);
		return bytes;
	case PROXY_HEADER_DONE:
		break;
	}
	downstream_enter(client, DOWNSTREAM_IDLE); /* the time for a first request runs since it connected */
	if (header.source.any.sa_family == AF_UNSPEC)
		return header.bytes; /* nobody's: there is no client whose connections it is one of */
	if (!downstream_set_client(client, &header.source.any, &header.destination.any)) {
		downstream_lose(client);
		return bytes;
	}
	if (downstream_admit(client))
		return header.bytes;
	if (header.bytes < bytes && client->state == DOWNSTREAM_REFUSED)
		downstream_refuse(client, (enum problem)client->refusal);
	return bytes;
}

/* The head is complete: hand it up with the first of its body. Returns the bytes used, the head's included.
 */
static size_t downstream_begin(struct downstream *client, const char *at, size_t bytes)
{
	struct http_head *head = &client->request->parser->head;
	struct http_framing framing;
	struct iovec parts[DOWNSTREAM_PARTS];
	int count = DOWNSTREAM_PARTS;
	size_t used = 0;
	enum problem problem = http_request_framing(head, &framing);
	if (problem == PROBLEM_NONE && UNLIKELY(framing.bytes > client->shared->body_bytes_max))
		problem = PROBLEM_BODY_TOO_LARGE;
	if (problem != PROBLEM_NONE) {
		downstream_refuse_request(client, head, problem);
		return bytes;
	}
	http_body_start(&client->request->body, &framing);
	http_body_limit(&client->request->body, client->shared->body_bytes_max);
	enum http_body_verdict verdict = http_body_read(
		&client->request->body, at + head->bytes, bytes - head->bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		downstream_refuse_request(client, head, http_body_problem(&client->request->body));
		return bytes;
	}
	used += head->bytes;
	struct http_parser *parser = client->request->parser;
	client->request->parser = NULL;
	client->request->is_body_done = verdict == HTTP_BODY_DONE;
	downstream_enter(client, DOWNSTREAM_BUSY);
	downstream_arm(client);
	counter_add(client->shared->counters, requests, 1);
	client->shared->events->on_request(
		client->shared->owner, client, head, &framing, parts, count, client->request->is_body_done);
	blocks_give(client->shared->parsers, parser);
	return used;
}

/* A head that went wrong behind its first line; NULL where there is no good first line. */
static const struct http_head *downstream_begun_head(const struct downstream *client)
{
	const struct http_head *head = &client->request->parser->head;
	return head->field_count > 0 ? head : NULL;
}

/* Returns the bytes used: none while the head is not complete. */
static size_t downstream_consume_head(struct downstream *client, const char *at, size_t bytes)
{
	bool was_blank = client->request->parser == NULL || http_parser_is_blank(client->request->parser);
	if (client->request->parser == NULL) {
		client->request->parser = blocks_take(client->shared->parsers);
		if (client->request->parser == NULL) {
			downstream_refuse(client, PROBLEM_NO_MEMORY);
			return bytes;
		}
		http_parser_start(client->request->parser, HTTP_KIND_REQUEST, &client->shared->limits);
	}
	enum http_verdict verdict = http_parser_feed(client->request->parser, at, bytes);
	/* Counted over all of them, as each one that comes alone makes the client idle anew. */
	unsigned empty_lines = client->empty_lines + client->request->parser->leading_empty_lines;
	if (UNLIKELY(empty_lines > HTTP_LEADING_EMPTY_LINES_MAX)) {
		downstream_refuse(client, PROBLEM_BAD_REQUEST_LINE);
		return bytes;
	}
	switch (verdict) {
	case HTTP_DONE:
		client->empty_lines = 0;
		return downstream_begin(client, at, bytes);
	case HTTP_BAD:
		downstream_refuse_request(
			client, downstream_begun_head(client), client->request->parser->problem);
		return bytes;
	case HTTP_MORE:
		break;
	}
	/* Empty lines before a request are no request (RFC 9112 section 2.2): they do not start its clock,
	 * nor the one that waits for it anew. */
	bool is_blank = http_parser_is_blank(client->request->parser);
	bool is_whole_lines = is_blank && at[bytes - 1] == '\n';
	if (is_whole_lines) {
		client->empty_lines = (uint8_t)empty_lines;
		downstream_give_parser(client);
	}
	if (client->state != (is_whole_lines ? DOWNSTREAM_IDLE : DOWNSTREAM_HEAD))
		downstream_enter(client, is_whole_lines ? DOWNSTREAM_IDLE : DOWNSTREAM_HEAD);
	if (was_blank && !is_blank)
		downstream_arm(client);
	return is_whole_lines ? bytes : 0;
}

static size_t downstream_consume_body(struct downstream *client, const char *at, size_t bytes)
{
	struct iovec parts[DOWNSTREAM_PARTS];
	int count = DOWNSTREAM_PARTS;
	size_t used = 0;
	enum http_body_verdict verdict =
		http_body_read(&client->request->body, at, bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		client->shared->events->on_broken(
			client->request->exchange, http_body_problem(&client->request->body));
		return bytes;
	}
	client->request->is_body_done = verdict == HTTP_BODY_DONE;
	downstream_arm(client);
	if (count > 0 || client->request->is_body_done)
		client->shared->events->on_body(
			client->request->exchange, parts, count, client->request->is_body_done);
	return used;
}

/* Use what was received as far as the state allows. Returns the bytes used; the rest is to be held. */
size_t downstream_consume(struct downstream *client, const char *at, size_t bytes)
{
	size_t used = 0;
	if (!downstream_begin_request(client)) {
		downstream_lose(client);
		return bytes;
	}
	client->request->is_consuming = true;
	while (used < bytes) {
		size_t step = 0;
		if (client->request->is_closing || client->state == DOWNSTREAM_LINGER ||
			client->state == DOWNSTREAM_CLOSED)
			step = bytes - used;
		else if (UNLIKELY(client->state == DOWNSTREAM_HEADER))
			step = downstream_consume_header(client, at + used, bytes - used);
		else if (client->state != DOWNSTREAM_BUSY && !downstream_is_congested(client))
			step = downstream_consume_head(client, at + used, bytes - used);
		else if (client->state == DOWNSTREAM_BUSY && !client->request->is_body_done &&
			 !client->request->is_paused)
			step = downstream_consume_body(client, at + used, bytes - used);
		if (step == 0)
			break;
		used += step;
	}
	client->request->is_consuming = false;
	return used;
}

/* Has a request begun that is not complete? */
bool downstream_is_within_head(const struct downstream *client)
{
	return client->state == DOWNSTREAM_HEAD && !http_parser_is_blank(client->request->parser);
}
