/* connection - one client's connection: who it is, what it waits for, what is sent to it, how it ends (see
 * internal.h and downstream.h). */
#include "base/clock.h"
#include "base/log.h"
#include "downstream/crowd.h"
#include "downstream/internal.h"
#include "http/proxy_status.h"
#include "http/rewrite.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a client still sends after its last answer is thrown away up to so much, and for so long if it does
 * not pause for timeouts.linger_ms. Enough for most uploads that were refused to come to their end, and their
 * client to its answer. */
#define DOWNSTREAM_LINGER_BYTES_MAX (64 * 1024 * 1024)
#define DOWNSTREAM_LINGER_MAX_MS    30000

_Static_assert(STREAM_DISCARD_BYTES <= DOWNSTREAM_LINGER_BYTES_MAX, "one receive is within the bound");
_Static_assert(DOWNSTREAM_LINGER_BYTES_MAX <= UINT32_MAX, "downstream.linger_bytes_left counts them");

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

void downstream_enter(struct downstream *client, enum downstream_state next)
{
	CHECK_EDGE(downstream_edges, client->state, next);
	client->state = (uint8_t)next;
}

static void downstream_free(struct doomed *doomed)
{
	struct downstream *client = CONTAINER_OF(doomed, struct downstream, doomed);
	bytes_free(&client->input);
	bytes_free(&client->output);
	free(client->own_address);
	MAGIC_CLEAR(client);
	slab_give(&client->shared->connections, client);
}

void downstream_give_parser(struct downstream *client)
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
void downstream_set_client(struct downstream *client, const struct sockaddr *peer, const struct sockaddr *own)
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
void downstream_set_ends(struct downstream *client, const struct sockaddr *peer)
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
void downstream_arm(struct downstream *client)
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
void downstream_turn_away(struct downstream *client, enum problem problem)
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
bool downstream_admit(struct downstream *client, const struct sockaddr *peer)
{
	struct crowd *crowd = client->shared->crowd;
	enum problem problem = PROBLEM_NONE;
	if (crowd != NULL)
		problem = crowd_client_enter(crowd, peer, &client->admitted);
	if (problem != PROBLEM_NONE)
		downstream_turn_away(client, problem);
	return problem == PROBLEM_NONE;
}

/* ---- Sending ---------------------------------------------------------------------------------- */

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
	client->bytes_sent += sent;
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
bool downstream_flush(struct downstream *client)
{
	struct iovec held = {.iov_base = (void *)(uintptr_t)bytes_at(&client->output),
		.iov_len = bytes_count(&client->output)};
	size_t sent;
	if (stream_send(&client->stream, &held, 1, &sent) == STREAM_BROKEN)
		return false;
	if (sent == 0)
		return true;
	client->bytes_sent += sent;
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

/* An answer of our own is in `text`: what else is to be said in its head comes behind the status line. */
static void downstream_send_answer(
	struct downstream *client, const struct downstream_answer *answer, char *text, size_t bytes)
{
	char status[HTTP_PROXY_STATUS_BYTES_MAX];
	const char *end = memchr(text, '\n', bytes);
	size_t line_bytes = end != NULL ? (size_t)(end + 1 - text) : 0;
	struct iovec parts[4] = {{text, line_bytes}};
	int count = 1;
	if (UNLIKELY(client->shared->has_proxy_status)) {
		size_t status_bytes =
			http_write_proxy_status(answer->problem, answer->next_hop, status, sizeof(status));
		parts[count++] = (struct iovec){status, status_bytes};
	}
	if (UNLIKELY(answer->fields.bytes > 0))
		parts[count++] = (struct iovec){(void *)(uintptr_t)answer->fields.at, answer->fields.bytes};
	parts[count++] = (struct iovec){text + line_bytes, bytes - line_bytes};
	downstream_send(client, parts, count);
}

void downstream_answer(struct downstream *client, const struct downstream_answer *answer)
{
	char text[DOWNSTREAM_ANSWER_BYTES];
	struct counters *counters = client->shared->counters;
	bool is_persistent = answer->is_persistent && client->is_body_done && !client->shared->is_draining;
	size_t bytes = http_write_problem(answer->problem, answer->detail, answer->request_id,
		loop_http_date(client->shared->loop), answer->is_head, is_persistent, text, sizeof(text));
	int status = problem_row(answer->problem)->status;
	counter_add(counters, statuses[status / 100], 1);
	counter_add(counters, problems[answer->problem], 1);
	downstream_send_answer(client, answer, text, bytes);
	downstream_end(client, is_persistent);
}
