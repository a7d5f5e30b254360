/* responses - what backends send: heads and bodies, and their ends. */
#include "upstream/internal.h"

/* Parts of a body that one event carries; a body of tiny chunks takes several events. */
#define UPSTREAM_PARTS 32

/* Received at once behind a part of a head that is held. */
#define UPSTREAM_HEAD_STEP 4096

/* Bytes behind the response would be taken for the next one: such a connection is not used again. */
static void upstream_note_end(struct upstream *upstream, enum http_body_verdict verdict, size_t left)
{
	upstream->is_response_done = verdict == HTTP_BODY_DONE;
	if (upstream->is_response_done && left > 0)
		upstream->is_persistent = false;
}

/* What follows a 101 is the body of its own kind; one that nobody asked for is no answer (RFC 9110 section
 * 15.2.2). */
static enum problem upstream_frame(
	struct upstream *upstream, const struct http_head *head, struct http_framing *out)
{
	if (LIKELY(head->status != 101))
		return http_response_framing(head, upstream->method, out);
	*out = (struct http_framing){.kind = HTTP_BODY_UNTIL_CLOSE};
	upstream->is_switched = upstream->is_switch_asked;
	return upstream->is_switch_asked ? PROBLEM_NONE : PROBLEM_BAD_RESPONSE;
}

/* The final head is complete. Returns the bytes used, the head's included; 0: broken. */
static size_t upstream_respond(struct upstream *upstream, const char *at, size_t bytes)
{
	struct http_head *head = &upstream->parser->head;
	const struct upstream_events *events = upstream_shared_of(upstream)->events;
	struct http_framing framing;
	struct iovec parts[UPSTREAM_PARTS];
	int count = UPSTREAM_PARTS;
	size_t used = 0;
	enum problem problem = upstream_frame(upstream, head, &framing);
	if (problem != PROBLEM_NONE) {
		upstream_break(upstream, problem);
		return 0;
	}
	http_body_start(&upstream->body, &framing);
	enum http_body_verdict verdict =
		http_body_read(&upstream->body, at + head->bytes, bytes - head->bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		upstream_break(upstream, PROBLEM_BAD_RESPONSE);
		return 0;
	}
	used += head->bytes;
	struct http_parser *parser = upstream->parser;
	struct blocks *parsers = upstream_shared_of(upstream)->parsers;
	upstream->parser = NULL;
	upstream->is_head_done = true;
	upstream_await_no_more(upstream);
	upstream->is_persistent = framing.is_persistent;
	upstream_note_end(upstream, verdict, bytes - used);
	if (!upstream->is_response_done)
		upstream_arm(upstream);
	events->on_response(upstream->attempt, head, &framing, parts, count, upstream->is_response_done);
	blocks_give(parsers, parser);
	return used;
}

/* Returns the bytes used: none while the head is not complete, or when the connection broke. */
static size_t upstream_consume_head(struct upstream *upstream, const char *at, size_t bytes)
{
	struct upstream_shared *shared = upstream_shared_of(upstream);
	if (UNLIKELY(!upstream->is_sent)) {
		/* Said before it was asked: that is no answer to this request. */
		upstream_break(upstream, PROBLEM_UPSTREAM_RESET);
		return 0;
	}
	if (upstream->parser == NULL) {
		upstream->parser = blocks_take(shared->parsers);
		if (upstream->parser == NULL) {
			upstream_break(upstream, PROBLEM_NO_MEMORY);
			return 0;
		}
		http_parser_start(upstream->parser, HTTP_KIND_RESPONSE, &shared->limits);
	}
	struct http_head *head = &upstream->parser->head;
	switch (http_parser_feed(upstream->parser, at, bytes)) {
	case HTTP_MORE:
		return 0;
	case HTTP_BAD:
		upstream_break(upstream, upstream->parser->problem);
		return 0;
	case HTTP_DONE:
		break;
	}
	if (head->status >= 200 || head->status == 101)
		return upstream_respond(upstream, at, bytes);
	size_t used = head->bytes;
	shared->events->on_informational(upstream->attempt, head);
	http_parser_start(upstream->parser, HTTP_KIND_RESPONSE, &shared->limits);
	return used;
}

static size_t upstream_consume_body(struct upstream *upstream, const char *at, size_t bytes)
{
	struct iovec parts[UPSTREAM_PARTS];
	int count = UPSTREAM_PARTS;
	size_t used = 0;
	enum http_body_verdict verdict = http_body_read(&upstream->body, at, bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		upstream_break(upstream, PROBLEM_BAD_RESPONSE);
		return 0;
	}
	upstream_note_end(upstream, verdict, bytes - used);
	if (!upstream->is_response_done)
		upstream_arm(upstream);
	if (count > 0 || upstream->is_response_done)
		upstream_shared_of(upstream)->events->on_body(
			upstream->attempt, parts, count, upstream->is_response_done);
	return used;
}

/* Use what was received, while the lease lasts. Returns the bytes used; what is left is a part of a head, or
 * heads for which it is paused: 1xx responses grow by what is added to each, so they are held here. A pause
 * is not looked at for a body: what was received goes on at once, to be held by the receiver. */
static size_t upstream_consume(struct upstream *upstream, const char *at, size_t bytes)
{
	size_t used = 0;
	while (used < bytes && upstream->state == UPSTREAM_BUSY && !upstream->is_response_done) {
		if (UNLIKELY(upstream->is_paused) && !upstream->is_head_done)
			break;
		size_t step = upstream->is_head_done
				      ? upstream_consume_body(upstream, at + used, bytes - used)
				      : upstream_consume_head(upstream, at + used, bytes - used);
		if (step == 0)
			break;
		used += step;
	}
	return used;
}

void upstream_finish(struct upstream *upstream, bool is_reset)
{
	if (UNLIKELY(upstream->is_response_done) && !is_reset)
		return; /* a tunnel's other direction goes on */
	if (!upstream->is_head_done) {
		bool is_silent = upstream->parser == NULL;
		upstream_break(upstream, !is_silent ? PROBLEM_RESPONSE_CUT
					 : is_reset ? PROBLEM_UPSTREAM_RESET
						    : PROBLEM_UPSTREAM_CLOSED);
	} else if (!is_reset && http_body_ends_at_close(&upstream->body)) {
		upstream->is_response_done = true;
		upstream->is_persistent = false;
		upstream_shared_of(upstream)->events->on_body(upstream->attempt, NULL, 0, true);
	} else {
		upstream_break(upstream, PROBLEM_RESPONSE_CUT);
	}
}

void upstream_consume_held(struct upstream *upstream)
{
	size_t used = upstream_consume(upstream, bytes_at(&upstream->input), bytes_count(&upstream->input));
	/* Behind the head it was all used, or is of no more use. */
	if (upstream->state == UPSTREAM_BUSY && !upstream->is_head_done)
		bytes_consume(&upstream->input, used);
	else
		bytes_free(&upstream->input);
}

/* Does so much of a body come that it need not be copied? */
static bool upstream_is_piped(const struct upstream *upstream)
{
	return upstream->is_plentiful && upstream->is_pipe_allowed && !upstream->is_response_done &&
	       loop_pipes(upstream_shared_of(upstream)->loop, http_body_ahead(&upstream->body));
}

static void upstream_receive_piped(struct upstream *upstream)
{
	struct upstream_shared *shared = upstream_shared_of(upstream);
	size_t received;
	enum stream_result result = stream_receive_piped(&upstream->stream, &received);
	upstream->is_plentiful = loop_is_plenty(shared->loop, received);
	if (result == STREAM_END || result == STREAM_BROKEN)
		upstream_finish(upstream, result == STREAM_BROKEN || upstream->is_reset);
	if (result != STREAM_OK)
		return;
	upstream_note_end(upstream, http_body_pass(&upstream->body, received), 0);
	if (!upstream->is_response_done)
		upstream_arm(upstream);
	counter_add(shared->counters, spliced_bytes, received);
	shared->events->on_piped(upstream->attempt, upstream->is_response_done);
	pipe_drop(&shared->loop->pipe); /* nobody else may get what is left in it */
}

void upstream_receive(struct upstream *upstream)
{
	struct loop *loop = upstream_shared_of(upstream)->loop;
	bool is_held = upstream->input.memory != NULL;
	size_t room = loop->receive_bytes;
	if (is_held && room > UPSTREAM_HEAD_STEP)
		room = UPSTREAM_HEAD_STEP;
	char *buffer = is_held ? bytes_reserve(&upstream->input, room) : loop->receive_buffer;
	size_t received;
	if (UNLIKELY(upstream_is_piped(upstream))) {
		upstream_receive_piped(upstream);
		return;
	}
	if (buffer == NULL) {
		upstream_break(upstream, PROBLEM_NO_MEMORY);
		return;
	}
	enum stream_result result = stream_receive(&upstream->stream, buffer, room, &received);
	if (result == STREAM_END || result == STREAM_BROKEN) {
		upstream_finish(upstream, result == STREAM_BROKEN || upstream->is_reset);
		return;
	}
	if (result == STREAM_AGAIN)
		return;
	if (is_held) {
		bytes_commit(&upstream->input, received);
		upstream_consume_held(upstream);
		return;
	}
	upstream->is_plentiful = received == room;
	size_t used = upstream_consume(upstream, buffer, received);
	if (upstream->state == UPSTREAM_BUSY && !upstream->is_head_done &&
		!bytes_append(&upstream->input, buffer + used, received - used))
		upstream_break(upstream, PROBLEM_NO_MEMORY);
}

bool upstream_is_silent(const struct upstream *upstream)
{
	return upstream->parser == NULL && !upstream->is_head_done && stream_is_quiet(&upstream->stream);
}
