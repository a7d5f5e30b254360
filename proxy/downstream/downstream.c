/* downstream - connections from clients (see downstream.h). */
#include "downstream/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/proxy_header.h"
#include "http/rewrite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Parts of a body that one event carries; a body of tiny chunks takes several events. */
#define DOWNSTREAM_PARTS 32

/* Connection objects kept for the next clients. */
#define DOWNSTREAM_CONNECTIONS_KEPT 256

/* Received at once behind a part of a head that is held. */
#define DOWNSTREAM_HEAD_STEP 4096

/* What a client still sends after its last answer is thrown away up to so much, and for so long if it does
 * not pause for timeouts.linger_ms. Enough for most uploads that were refused to come to their end, and their
 * client to its answer. */
#define DOWNSTREAM_LINGER_BYTES_MAX (64 * 1024 * 1024)
#define DOWNSTREAM_LINGER_MAX_MS    30000

_Static_assert(STREAM_DISCARD_BYTES <= DOWNSTREAM_LINGER_BYTES_MAX, "one receive is within the bound");
_Static_assert(DOWNSTREAM_LINGER_BYTES_MAX <= UINT32_MAX, "downstream.linger_bytes_left counts them");

/* Clients that are being told that there are too many, per worker. More of them are closed without a word: a
 * flood of connections costs no more than that. */
#define DOWNSTREAM_REFUSED_MAX 256

/* A response for a problem fits: its sentence, a detail, a request id. */
#define DOWNSTREAM_ANSWER_BYTES 2048

static const uint8_t downstream_edges[] = {
	[DOWNSTREAM_HEADER] = BIT(DOWNSTREAM_IDLE) | BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_REFUSED] = BIT(DOWNSTREAM_BUSY) | BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_IDLE] = BIT(DOWNSTREAM_REFUSED) | BIT(DOWNSTREAM_HEAD) | BIT(DOWNSTREAM_BUSY) |
			    BIT(DOWNSTREAM_LINGER) | BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_HEAD] =
		BIT(DOWNSTREAM_IDLE) | BIT(DOWNSTREAM_BUSY) | BIT(DOWNSTREAM_LINGER) | BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_BUSY] = BIT(DOWNSTREAM_IDLE) | BIT(DOWNSTREAM_LINGER) | BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_LINGER] = BIT(DOWNSTREAM_CLOSED),
	[DOWNSTREAM_CLOSED] = 0,
};

static void downstream_on_ready(struct stream *stream);
static void downstream_on_timer(struct wheel_timer *timer);

static void downstream_enter(struct downstream *client, enum downstream_state next)
{
	CHECK_EDGE(downstream_edges, client->state, next);
	client->state = (uint8_t)next;
}

void downstream_shared_init(struct downstream_shared *shared, struct loop *loop,
	const struct downstream_events *events, void *owner, struct counters *counters, struct slab *parsers)
{
	*shared = (struct downstream_shared){
		.loop = loop,
		.events = events,
		.owner = owner,
		.counters = counters,
		.body_bytes_max = UINT64_MAX,
		.parsers = parsers,
	};
	slab_init(&shared->connections, sizeof(struct downstream), DOWNSTREAM_CONNECTIONS_KEPT);
	TAILQ_INIT(&shared->open);
}

void downstream_shared_finish(struct downstream_shared *shared)
{
	assert(TAILQ_EMPTY(&shared->open));
	slab_finish(&shared->connections);
}

/* ---- One connection's life ------------------------------------------------------------------- */

static void downstream_free(struct doomed *doomed)
{
	struct downstream *client = CONTAINER_OF(doomed, struct downstream, doomed);
	bytes_free(&client->input);
	bytes_free(&client->output);
	free(client->own_address);
	MAGIC_CLEAR(client);
	slab_give(&client->shared->connections, client);
}

static void downstream_give_parser(struct downstream *client)
{
	if (client->parser != NULL)
		slab_give(client->shared->parsers, client->parser);
	client->parser = NULL;
}

/* It does not count as a connection any more. */
static void downstream_leave(struct downstream *client)
{
	struct downstream_shared *shared = client->shared;
	if (!client->is_counted)
		return;
	client->is_counted = false;
	crowd_client_leave(&client->admitted);
	if (shared->crowd != NULL)
		crowd_leave(shared->crowd);
	counter_subtract(shared->counters, connections_open, 1);
}

void downstream_close(struct downstream *client)
{
	struct downstream_shared *shared = client->shared;
	downstream_leave(client);
	if (client->refusal != PROBLEM_NONE)
		shared->refused_count--;
	downstream_enter(client, DOWNSTREAM_CLOSED);
	stream_close(&client->stream);
	wheel_forget(&client->timer);
	downstream_give_parser(client);
	TAILQ_REMOVE(&shared->open, client, link);
	loop_doom(shared->loop, &client->doomed, downstream_free);
	shared->on_closed(shared->on_closed_arg);
}

/* Have the close that follows reset the connection: what the client got so far does not look complete, and
 * the kernel holds nothing more for it. */
static void downstream_close_with_reset(struct downstream *client)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	/* What can go wrong is that the connection is dead already. */
	(void)setsockopt(client->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* The client is lost: tell the exchange, if there is one, and close. */
void downstream_lose(struct downstream *client)
{
	void *exchange = client->exchange;
	client->exchange = NULL;
	if (exchange != NULL || client->output.memory != NULL)
		downstream_close_with_reset(client);
	if (exchange != NULL)
		client->shared->events->on_broken(exchange, PROBLEM_CLIENT_GONE);
	if (client->state != DOWNSTREAM_CLOSED)
		downstream_close(client);
}

/* Say who the client is, and which address of ours it connected to: the ends of its socket, until a balancer
 * before us tells of others. */
static void downstream_set_client(
	struct downstream *client, const struct sockaddr *peer, const struct sockaddr *own)
{
	const struct downstream_shared *shared = client->shared;
	struct network address;
	char own_text[NETWORK_TEXT_MAX];

	client->address[0] = '\0';
	client->is_trusted = shared->trusted == NULL;
	if (network_of_peer(peer, &address)) {
		network_format(&address, client->address);
		client->is_trusted =
			client->is_trusted || networks_have(shared->trusted, shared->trusted_count, &address);
	}
	free(client->own_address);
	client->own_address = NULL;
	/* Without memory a request tells of the client alone. */
	if (UNLIKELY(shared->is_own_address_kept) && network_of_peer(own, &address))
		client->own_address = strdup(network_format(&address, own_text));
}

/* Both ends of the socket. */
static void downstream_set_ends(struct downstream *client, const struct sockaddr *peer)
{
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(own);
	if (UNLIKELY(client->shared->is_own_address_kept) &&
		getsockname(client->stream.fd, (struct sockaddr *)&own, &bytes) != 0)
		own.ss_family = AF_UNSPEC;
	downstream_set_client(client, peer, (const struct sockaddr *)&own);
}

/* The whole of it is bounded as well as each of its waits. */
static uint64_t downstream_linger_ms(const struct downstream *client)
{
	uint64_t now_ms = clock_coarse_ms();
	uint64_t left_ms = client->linger_end_ms > now_ms ? client->linger_end_ms - now_ms : 0;
	return left_ms < client->shared->timeouts.linger_ms ? left_ms : client->shared->timeouts.linger_ms;
}

/* Which wait the connection is in decides what its one timer measures. */
static void downstream_arm(struct downstream *client)
{
	const struct downstream_timeouts *timeouts = client->timeouts;
	bool is_tunnel = client->is_switched && client->exchange != NULL; /* it has a clock of its own */
	uint64_t wait_ms;
	if (UNLIKELY(is_tunnel)) {
		wheel_disarm(&client->timer);
		return;
	}
	if (client->output.memory != NULL)
		wait_ms = timeouts->send_ms;
	else if (client->state == DOWNSTREAM_BUSY && !client->is_body_done && !client->is_paused)
		wait_ms = timeouts->request_body_ms;
	else if (client->state == DOWNSTREAM_HEADER)
		wait_ms = timeouts->request_head_ms;
	else if (client->state == DOWNSTREAM_IDLE)
		wait_ms = client->is_fresh ? timeouts->request_head_ms : timeouts->idle_ms;
	else if (client->state == DOWNSTREAM_HEAD)
		wait_ms = timeouts->request_head_ms;
	else if (client->state == DOWNSTREAM_LINGER)
		wait_ms = downstream_linger_ms(client);
	else if (client->state == DOWNSTREAM_REFUSED)
		wait_ms = timeouts->linger_ms;
	else {
		wheel_disarm(&client->timer);
		return;
	}
	wheel_arm(&client->shared->loop->wheel, &client->timer, clock_coarse_ms() + wait_ms);
}

/* It is not served. The answer waits for the request: some clients take one that comes before it for an
 * error. */
static void downstream_turn_away(struct downstream *client, enum problem problem)
{
	struct downstream_shared *shared = client->shared;
	downstream_leave(client);
	client->refusal = (uint8_t)problem;
	counter_add(shared->counters, connections_refused, 1);
	if (++shared->refused_count > DOWNSTREAM_REFUSED_MAX) {
		downstream_close(client);
		return;
	}
	downstream_enter(client, DOWNSTREAM_REFUSED);
	downstream_arm(client);
}

/* Its client is known now. False: that one has as many connections as it may, and this one is turned away. */
static bool downstream_admit(struct downstream *client, const struct sockaddr *peer)
{
	struct crowd *crowd = client->shared->crowd;
	enum problem problem = PROBLEM_NONE;
	if (crowd != NULL)
		problem = crowd_client_enter(crowd, peer, &client->admitted);
	if (problem != PROBLEM_NONE)
		downstream_turn_away(client, problem);
	return problem == PROBLEM_NONE;
}

static struct downstream *downstream_new(
	struct downstream_shared *shared, int fd, enum downstream_state state)
{
	struct downstream *client = slab_take(&shared->connections);
	if (client == NULL) {
		close(fd);
		return NULL;
	}
	memset(client, 0, sizeof(*client));
	client->magic = DOWNSTREAM_MAGIC;
	client->state = (uint8_t)state;
	client->is_fresh = true;
	client->shared = shared;
	client->timeouts = &shared->timeouts;
	wheel_timer_init(&client->timer, downstream_on_timer);
	if (!stream_open(&client->stream, shared->loop, fd, true, downstream_on_ready)) {
		slab_give(&shared->connections, client);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&shared->open, client, link);
	counter_add(shared->counters, connections_accepted, 1);
	return client;
}

/* `state` is the first one of a connection that is served. */
static bool downstream_take(
	struct downstream_shared *shared, int fd, const struct sockaddr *peer, enum downstream_state state)
{
	bool is_let_in = shared->crowd == NULL || crowd_enter(shared->crowd);
	if (!is_let_in && shared->refused_count >= DOWNSTREAM_REFUSED_MAX) {
		close(fd);
		return false;
	}
	struct downstream *client = downstream_new(shared, fd, state);
	if (client == NULL) {
		if (is_let_in && shared->crowd != NULL)
			crowd_leave(shared->crowd);
		return false;
	}
	if (!is_let_in) {
		downstream_turn_away(client, PROBLEM_CONNECTION_LIMIT);
		return true;
	}
	client->is_counted = true;
	counter_add(shared->counters, connections_open, 1);
	downstream_set_ends(client, peer);
	/* Behind a balancer its client is not known yet. */
	if (state != DOWNSTREAM_HEADER && !downstream_admit(client, peer))
		return true;
	downstream_arm(client);
	return true;
}

bool downstream_open(struct downstream_shared *shared, int fd, const struct sockaddr *peer)
{
	return downstream_take(shared, fd, peer, DOWNSTREAM_IDLE);
}

bool downstream_open_behind_balancer(struct downstream_shared *shared, int fd, const struct sockaddr *peer)
{
	return downstream_take(shared, fd, peer, DOWNSTREAM_HEADER);
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* It may linger so long from now on. A worker that drains does not wait for uploads that were refused. */
void downstream_limit_linger(struct downstream *client)
{
	const struct downstream_shared *shared = client->shared;
	uint64_t most_ms = shared->is_draining ? shared->timeouts.linger_ms : DOWNSTREAM_LINGER_MAX_MS;
	client->linger_end_ms = clock_coarse_ms() + most_ms;
	downstream_arm(client);
}

/* Closing with unread bytes in the socket would reset the connection, and the client could lose an answer
 * that it has not read yet: say that we send no more, and read on for a moment (RFC 9112 section 9.6). */
static void downstream_shut(struct downstream *client)
{
	bool is_ended = client->stream.is_ended && !client->stream.is_readable; /* and was read to its end */
	bool is_quiet = client->is_body_done && client->input.memory == NULL && !client->stream.is_readable;
	if (is_ended || is_quiet || client->is_send_broken || shutdown(client->stream.fd, SHUT_WR) != 0) {
		downstream_close(client);
		return;
	}
	downstream_enter(client, DOWNSTREAM_LINGER);
	client->linger_bytes_left = DOWNSTREAM_LINGER_BYTES_MAX;
	downstream_limit_linger(client);
	stream_again(&client->stream);
}

void downstream_send(struct downstream *client, const struct iovec *parts, int count)
{
	size_t sent = 0;
	if (client->is_send_broken)
		return;
	if (client->output.memory == NULL && client->stream.is_writable &&
		stream_send(&client->stream, parts, count, &sent) == STREAM_BROKEN)
		client->is_send_broken = true;
	counter_add(client->shared->counters, client_bytes_out, sent);
	if (!client->is_send_broken && !bytes_append_parts(&client->output, parts, count, sent))
		client->is_send_broken = true;
	if (client->is_send_broken)
		stream_again(&client->stream); /* on_broken comes from there, not from inside this call */
	else if (client->output.memory != NULL)
		downstream_arm(client);
}

/* Is there nothing more to do for it? Between two requests, when no more are taken. */
static bool downstream_is_drained(const struct downstream *client)
{
	return client->shared->is_draining && client->state == DOWNSTREAM_IDLE &&
	       client->input.memory == NULL && !client->stream.is_readable;
}

static void downstream_shut_sending(struct downstream *client)
{
	/* It fails where the connection is dead, which shows when it is read. */
	if (client->output.memory == NULL)
		(void)shutdown(client->stream.fd, SHUT_WR);
}

/* Send what is held. False: the client is lost. */
static bool downstream_flush(struct downstream *client)
{
	struct iovec held = {.iov_base = (void *)(uintptr_t)bytes_at(&client->output),
		.iov_len = bytes_count(&client->output)};
	size_t sent;
	if (stream_send(&client->stream, &held, 1, &sent) == STREAM_BROKEN)
		return false;
	if (sent == 0)
		return true;
	counter_add(client->shared->counters, client_bytes_out, sent);
	bytes_consume(&client->output, sent);
	downstream_arm(client);
	if (client->output.memory != NULL)
		return true;
	if (client->is_closing || downstream_is_drained(client)) {
		downstream_shut(client);
		return true;
	}
	if (UNLIKELY(client->is_send_ending))
		downstream_shut_sending(client);
	if (client->exchange != NULL)
		client->shared->events->on_drained(client->exchange);
	return true;
}

void downstream_switch(struct downstream *client)
{
	const struct http_framing framing = {.kind = HTTP_BODY_UNTIL_CLOSE};
	client->is_switched = true;
	client->is_body_done = false;
	http_body_start(&client->body, &framing);
	downstream_arm(client);
	stream_again(&client->stream); /* there may be something that was sent ahead */
}

void downstream_end_sending(struct downstream *client)
{
	client->is_send_ending = true;
	downstream_shut_sending(client);
}

void downstream_set_timeouts(struct downstream *client, const struct downstream_timeouts *timeouts)
{
	client->timeouts = timeouts;
	if (!client->is_body_done)
		downstream_arm(client);
}

void downstream_pause(struct downstream *client)
{
	client->is_paused = true;
	downstream_arm(client);
}

void downstream_resume(struct downstream *client)
{
	if (!client->is_paused)
		return;
	client->is_paused = false;
	downstream_arm(client);
	if (!client->is_consuming)
		stream_again(&client->stream);
}

void downstream_end(struct downstream *client, bool is_persistent)
{
	client->exchange = NULL;
	client->timeouts = &client->shared->timeouts;
	client->is_fresh = false;
	client->is_paused = false;
	if (client->is_send_broken) {
		downstream_close_with_reset(client);
		downstream_close(client);
		return;
	}
	if (!is_persistent || !client->is_body_done || client->shared->is_draining) {
		client->is_closing = true;
		if (client->output.memory == NULL)
			downstream_shut(client);
		else
			downstream_arm(client);
		return;
	}
	downstream_enter(client, DOWNSTREAM_IDLE);
	downstream_arm(client);
	if (!client->is_consuming && (client->stream.is_readable || client->input.memory != NULL))
		stream_again(&client->stream);
}

void downstream_abort(struct downstream *client, bool is_end_marked)
{
	client->exchange = NULL;
	if (!is_end_marked) {
		downstream_close_with_reset(client);
		downstream_close(client);
		return;
	}
	downstream_end(client, false);
}

void downstream_answer(struct downstream *client, const struct downstream_answer *answer)
{
	char text[DOWNSTREAM_ANSWER_BYTES];
	struct counters *counters = client->shared->counters;
	bool is_persistent = answer->is_persistent && client->is_body_done && !client->shared->is_draining;
	struct iovec part = {.iov_base = text};
	part.iov_len = http_write_problem(answer->problem, answer->detail, answer->request_id,
		loop_http_date(client->shared->loop), answer->is_head, is_persistent, text, sizeof(text));
	int status = problem_row(answer->problem)->status;
	counter_add(counters, statuses[status / 100], 1);
	counter_add(counters, problems[answer->problem], 1);
	downstream_send(client, &part, 1);
	downstream_end(client, is_persistent);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

/* A request that is refused before it became an exchange. */
static void downstream_refuse(struct downstream *client, enum problem problem)
{
	bool is_head = client->parser != NULL && client->parser->head.method == HTTP_METHOD_HEAD;
	downstream_give_parser(client);
	client->is_body_done = false; /* whatever follows is not looked at */
	if (client->state != DOWNSTREAM_BUSY)
		downstream_enter(client, DOWNSTREAM_BUSY);
	downstream_answer(client, &(struct downstream_answer){.problem = problem, .is_head = is_head});
}

/* Without a header nothing says that what follows is HTTP, nor who is asking: there is no answer to give. */
static void downstream_refuse_header(struct downstream *client, const char *fault)
{
	counter_add(client->shared->counters, proxy_headers_refused, 1);
	log_event(LOG_DEBUG, "no PROXY header", LOG_TEXT("peer", client->address), LOG_TEXT("reason", fault));
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
	downstream_set_client(client, &header.source.any, &header.destination.any);
	if (downstream_admit(client, &header.source.any))
		return header.bytes;
	if (header.bytes < bytes && client->state == DOWNSTREAM_REFUSED)
		downstream_refuse(client, (enum problem)client->refusal);
	return bytes;
}

/* The head is complete: hand it up with the first of its body. Returns the bytes used, the head's included.
 */
static size_t downstream_begin(struct downstream *client, const char *at, size_t bytes)
{
	struct http_head *head = &client->parser->head;
	struct http_framing framing;
	struct iovec parts[DOWNSTREAM_PARTS];
	int count = DOWNSTREAM_PARTS;
	size_t used = 0;
	enum problem problem = http_request_framing(head, &framing);
	if (problem == PROBLEM_NONE && UNLIKELY(framing.bytes > client->shared->body_bytes_max))
		problem = PROBLEM_BODY_TOO_LARGE;
	if (problem != PROBLEM_NONE) {
		downstream_refuse(client, problem);
		return bytes;
	}
	http_body_start(&client->body, &framing);
	http_body_limit(&client->body, client->shared->body_bytes_max);
	enum http_body_verdict verdict =
		http_body_read(&client->body, at + head->bytes, bytes - head->bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		downstream_refuse(client, http_body_problem(&client->body));
		return bytes;
	}
	used += head->bytes;
	struct http_parser *parser = client->parser;
	client->parser = NULL;
	client->is_body_done = verdict == HTTP_BODY_DONE;
	downstream_enter(client, DOWNSTREAM_BUSY);
	downstream_arm(client);
	counter_add(client->shared->counters, requests, 1);
	client->shared->events->on_request(
		client->shared->owner, client, head, &framing, parts, count, client->is_body_done);
	slab_give(client->shared->parsers, parser);
	return used;
}

/* Returns the bytes used: none while the head is not complete. */
static size_t downstream_consume_head(struct downstream *client, const char *at, size_t bytes)
{
	bool was_blank = client->parser == NULL || http_parser_is_blank(client->parser);
	if (client->parser == NULL) {
		client->parser = slab_take(client->shared->parsers);
		if (client->parser == NULL) {
			downstream_refuse(client, PROBLEM_NO_MEMORY);
			return bytes;
		}
		http_parser_start(client->parser, HTTP_KIND_REQUEST, &client->shared->limits);
	}
	enum http_verdict verdict = http_parser_feed(client->parser, at, bytes);
	/* Counted over all of them, as each one that comes alone makes the client idle anew. */
	unsigned empty_lines = client->empty_lines + client->parser->leading_empty_lines;
	if (UNLIKELY(empty_lines > HTTP_LEADING_EMPTY_LINES_MAX)) {
		downstream_refuse(client, PROBLEM_BAD_REQUEST_LINE);
		return bytes;
	}
	switch (verdict) {
	case HTTP_DONE:
		client->empty_lines = 0;
		return downstream_begin(client, at, bytes);
	case HTTP_BAD:
		downstream_refuse(client, client->parser->problem);
		return bytes;
	case HTTP_MORE:
		break;
	}
	/* Empty lines before a request are no request (RFC 9112 section 2.2): they do not start its clock,
	 * nor the one that waits for it anew. */
	bool is_blank = http_parser_is_blank(client->parser);
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
	enum http_body_verdict verdict = http_body_read(&client->body, at, bytes, parts, &count, &used);
	if (verdict == HTTP_BODY_BAD) {
		client->shared->events->on_broken(client->exchange, http_body_problem(&client->body));
		return bytes;
	}
	client->is_body_done = verdict == HTTP_BODY_DONE;
	downstream_arm(client);
	if (count > 0 || client->is_body_done)
		client->shared->events->on_body(client->exchange, parts, count, client->is_body_done);
	return used;
}

/* Use what was received as far as the state allows. Returns the bytes used; the rest is to be held. */
static size_t downstream_consume(struct downstream *client, const char *at, size_t bytes)
{
	size_t used = 0;
	client->is_consuming = true;
	while (used < bytes) {
		size_t step = 0;
		if (client->is_closing || client->state == DOWNSTREAM_LINGER ||
			client->state == DOWNSTREAM_CLOSED)
			step = bytes - used;
		else if (UNLIKELY(client->state == DOWNSTREAM_HEADER))
			step = downstream_consume_header(client, at + used, bytes - used);
		else if (client->state != DOWNSTREAM_BUSY && !downstream_is_congested(client))
			step = downstream_consume_head(client, at + used, bytes - used);
		else if (client->state == DOWNSTREAM_BUSY && !client->is_body_done && !client->is_paused)
			step = downstream_consume_body(client, at + used, bytes - used);
		if (step == 0)
			break;
		used += step;
	}
	client->is_consuming = false;
	return used;
}

/* Would more bytes be used now? If not they stay in the socket, and the client's window closes. */
static bool downstream_wants_bytes(const struct downstream *client)
{
	switch (client->state) {
	case DOWNSTREAM_IDLE:
		return !downstream_is_congested(client);
	case DOWNSTREAM_HEADER:
	case DOWNSTREAM_HEAD:
		return true;
	case DOWNSTREAM_BUSY:
		return !client->is_closing && !client->is_body_done && !client->is_paused;
	default:
		return false;
	}
}

/* Has a request begun that is not complete? */
static bool downstream_is_within_head(const struct downstream *client)
{
	return client->state == DOWNSTREAM_HEAD && !http_parser_is_blank(client->parser);
}

/* The client will send no more, but may still read: a request that is not complete is answered (RFC 9112
 * section 8), and never handed on as if it were. */
static void downstream_on_end(struct downstream *client)
{
	if (client->is_switched && client->exchange != NULL) {
		client->is_body_done = true;
		client->shared->events->on_body(client->exchange, NULL, 0, true);
	} else if (downstream_is_within_head(client))
		downstream_refuse(client, PROBLEM_REQUEST_CUT);
	else if (client->state == DOWNSTREAM_BUSY)
		client->shared->events->on_broken(client->exchange, PROBLEM_REQUEST_CUT);
	else
		downstream_lose(client);
}

/* Receive behind what is held, or into the loop's buffer when nothing is. */
static void downstream_receive(struct downstream *client)
{
	struct loop *loop = client->shared->loop;
	bool is_held = client->input.memory != NULL;
	size_t room = loop->receive_bytes;
	if (is_held && room > DOWNSTREAM_HEAD_STEP)
		room = DOWNSTREAM_HEAD_STEP;
	char *buffer = is_held ? bytes_reserve(&client->input, room) : loop->receive_buffer;
	size_t received;
	if (buffer == NULL) {
		downstream_lose(client);
		return;
	}
	switch (stream_receive(&client->stream, buffer, room, &received)) {
	case STREAM_OK:
		break;
	case STREAM_AGAIN:
		return;
	case STREAM_END:
		downstream_on_end(client);
		return;
	case STREAM_BROKEN:
		downstream_lose(client);
		return;
	}
	counter_add(client->shared->counters, client_bytes_in, received);
	if (is_held) {
		bytes_commit(&client->input, received);
		size_t used =
			downstream_consume(client, bytes_at(&client->input), bytes_count(&client->input));
		bytes_consume(&client->input, used);
		return;
	}
	size_t used = downstream_consume(client, buffer, received);
	if (used < received && !bytes_append(&client->input, buffer + used, received - used))
		downstream_lose(client);
}

static void downstream_discard(struct downstream *client)
{
	size_t received;
	switch (stream_discard(&client->stream, &received)) {
	case STREAM_OK:
		break;
	case STREAM_AGAIN:
		return;
	case STREAM_END:
	case STREAM_BROKEN:
		downstream_close(client);
		return;
	}
	if (received > client->linger_bytes_left) {
		downstream_close(client);
		return;
	}
	client->linger_bytes_left -= (uint32_t)received;
	downstream_arm(client);
	if (client->stream.is_readable)
		stream_again(&client->stream);
}

/* Is a part held that only more bytes help on? */
static bool downstream_is_in_part(const struct downstream *client)
{
	return client->state == DOWNSTREAM_HEAD || client->state == DOWNSTREAM_HEADER;
}

static void downstream_proceed(struct downstream *client)
{
	if (client->input.memory != NULL && !downstream_is_in_part(client)) {
		size_t used =
			downstream_consume(client, bytes_at(&client->input), bytes_count(&client->input));
		bytes_consume(&client->input, used);
	}
	if (client->stream.is_readable && downstream_wants_bytes(client) &&
		(client->input.memory == NULL || downstream_is_in_part(client)))
		downstream_receive(client);
	if (!downstream_wants_bytes(client))
		return;
	if (client->stream.is_readable)
		stream_again(&client->stream);
	else if (client->state != DOWNSTREAM_IDLE && stream_error(&client->stream) != 0)
		downstream_lose(client); /* it was reset in the edge of its last bytes */
}

static void downstream_on_ready(struct stream *stream)
{
	struct downstream *client = CONTAINER_OF(stream, struct downstream, stream);
	assert(client->magic == DOWNSTREAM_MAGIC);
	if (client->output.memory != NULL && stream->is_writable && !downstream_flush(client))
		client->is_send_broken = true;
	if (client->state == DOWNSTREAM_CLOSED)
		return;
	if (client->is_send_broken) {
		downstream_lose(client);
	} else if (client->state == DOWNSTREAM_REFUSED) {
		if (stream->is_readable)
			downstream_refuse(client, (enum problem)client->refusal);
	} else if (client->state == DOWNSTREAM_LINGER) {
		bytes_free(&client->input);
		if (stream->is_readable)
			downstream_discard(client);
	} else if (client->state == DOWNSTREAM_BUSY && !downstream_wants_bytes(client)) {
		/* Nothing is read now, so a reset would not show by itself. A FIN is no reason to stop,
		 * unless told so: a client that has said all it wants to say may still wait for its answer.
		 */
		bool is_gone = stream->is_ended && client->shared->is_end_final && !client->is_switched;
		if (is_gone || (stream->is_readable && stream_error(stream) != 0))
			downstream_lose(client);
	} else {
		downstream_proceed(client);
	}
}

static void downstream_on_timer(struct wheel_timer *timer)
{
	struct downstream *client = CONTAINER_OF(timer, struct downstream, timer);
	assert(client->magic == DOWNSTREAM_MAGIC);
	if (client->output.memory != NULL)
		downstream_lose(client);
	else if (client->state == DOWNSTREAM_HEADER)
		downstream_refuse_header(client, "not in time");
	else if (client->state == DOWNSTREAM_REFUSED)
		downstream_refuse(client, (enum problem)client->refusal);
	else if (downstream_is_within_head(client))
		downstream_refuse(client, PROBLEM_REQUEST_TIMEOUT);
	else if (client->state == DOWNSTREAM_BUSY)
		client->shared->events->on_broken(client->exchange, PROBLEM_REQUEST_TIMEOUT);
	else
		downstream_close(client);
}
