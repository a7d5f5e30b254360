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

/* A client that only waits for its answer is not watched until that takes longer than this: most connections
 * of one request are over before, and cost no registration. */
#define DOWNSTREAM_UNWATCHED_MS 50

/* A response for a problem fits: its sentence, a detail, a request id. */
#define DOWNSTREAM_ANSWER_BYTES 2048

static const uint8_t downstream_edges[] = {
	[DOWNSTREAM_HEADER] = BIT(DOWNSTREAM_REFUSED) | BIT(DOWNSTREAM_IDLE) | BIT(DOWNSTREAM_CLOSED),
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

/* ---- Memory of a request ----------------------------------------------------------------------- */

const struct downstream_request downstream_no_request = {.parser = NULL};

bool downstream_begin_request(struct downstream *client)
{
	if (client->request != DOWNSTREAM_NO_REQUEST)
		return true;
	struct downstream_request *request = blocks_take(&client->shared->requests);
	if (request == NULL)
		return false;
	memset(request, 0, offsetof(struct downstream_request, body));
	client->request = request;
	return true;
}

static void downstream_give_request(struct downstream *client)
{
	if (client->request != DOWNSTREAM_NO_REQUEST)
		blocks_give(&client->shared->requests, client->request);
	client->request = DOWNSTREAM_NO_REQUEST;
}

void downstream_rest(struct downstream *client)
{
	const struct downstream_request *request = client->request;
	if (client->state == DOWNSTREAM_IDLE && request->input.memory == NULL &&
		request->output.memory == NULL && !request->is_consuming)
		downstream_give_request(client);
}

static void downstream_free(struct doomed *doomed)
{
	struct downstream *client = CONTAINER_OF(doomed, struct downstream, doomed);
	if (client->request != DOWNSTREAM_NO_REQUEST) {
		bytes_free(&client->request->input);
		bytes_free(&client->request->output);
	}
	downstream_give_request(client);
	if (client->has_ends)
		free(client->ends);
	MAGIC_CLEAR(client);
	blocks_give(&client->shared->connections, client);
}

void downstream_give_parser(struct downstream *client)
{
	if (client->request->parser == NULL)
		return;
	blocks_give(client->shared->parsers, client->request->parser);
	client->request->parser = NULL;
}

/* It does not count as a connection any more. */
static void downstream_leave(struct downstream *client)
{
	struct downstream_shared *shared = client->shared;
	struct network address;
	if (!client->is_counted)
		return;
	client->is_counted = false;
	if (client->is_admitted && downstream_network(client, &address))
		crowd_client_leave(shared->crowd, &address);
	client->is_admitted = false;
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
	void *exchange = client->request->exchange;
	if (exchange != NULL)
		client->request->exchange = NULL;
	if (exchange != NULL || client->request->output.memory != NULL)
		downstream_close_with_reset(client);
	if (exchange != NULL)
		client->shared->events->on_broken(exchange, PROBLEM_CLIENT_GONE);
	if (client->state != DOWNSTREAM_CLOSED)
		downstream_close(client);
}

/* ---- Who it is --------------------------------------------------------------------------------- */

bool downstream_network(const struct downstream *client, struct network *address)
{
	if (client->has_ends) {
		*address = client->ends->client;
		return address->address_bits != 0;
	}
	if (client->is_ipv6) {
		*address = (struct network){.address_bits = 128, .prefix_bits = 128};
		memcpy(address->address, client->ipv6, sizeof(client->ipv6));
		return true;
	}
	char text[NETWORK_TEXT_MAX] = "";
	memcpy(text, client->ipv4.text, client->ipv4.bytes);
	return network_parse(text, address) == NETWORK_GOOD;
}

/* Keep it where it takes no memory beside the connection. */
static void downstream_set_address(struct downstream *client, const struct network *address)
{
	char text[NETWORK_TEXT_MAX];
	client->is_ipv6 = address->address_bits == 128;
	if (client->is_ipv6) {
		memcpy(client->ipv6, address->address, sizeof(client->ipv6));
		return;
	}
	client->ipv4.bytes = address->address_bits == 0 ? 0 : (uint8_t)network_write(address, text);
	memcpy(client->ipv4.text, text, client->ipv4.bytes);
}

struct str downstream_own_address(const struct downstream *client, char room[NETWORK_TEXT_MAX])
{
	if (!client->has_ends || client->ends->own.address_bits == 0)
		return STR("");
	return (struct str){room, network_write(&client->ends->own, room)};
}

/* Say who the client is, and which address of ours it connected to: the ends of its socket, until a balancer
 * before us tells of others. */
bool downstream_set_client(struct downstream *client, const struct sockaddr *peer, const struct sockaddr *own)
{
	const struct downstream_shared *shared = client->shared;
	struct downstream_ends ends = {.client = {.address_bits = 0}};
	bool is_known = network_of_peer(peer, &ends.client);

	client->is_trusted =
		shared->trusted == NULL ||
		(is_known && networks_have(shared->trusted, shared->trusted_count, &ends.client));
	if (LIKELY(!shared->is_own_address_kept)) {
		downstream_set_address(client, &ends.client);
		return true;
	}
	if (!network_of_peer(own, &ends.own))
		ends.own.address_bits = 0;
	if (!client->has_ends && (client->ends = malloc(sizeof(*client->ends))) == NULL)
		return false;
	client->has_ends = true;
	*client->ends = ends;
	return true;
}

/* Both ends of the socket. */
bool downstream_set_ends(struct downstream *client, const struct sockaddr *peer)
{
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	socklen_t bytes = sizeof(own);
	if (UNLIKELY(client->shared->is_own_address_kept) &&
		getsockname(client->stream.fd, (struct sockaddr *)&own, &bytes) != 0)
		own.ss_family = AF_UNSPEC;
	return downstream_set_client(client, peer, (const struct sockaddr *)&own);
}

/* ---- What it waits for ------------------------------------------------------------------------- */

/* The whole of it is bounded as well as each of its waits. */
static uint64_t downstream_linger_ms(const struct downstream *client)
{
	uint64_t now_ms = clock_coarse_ms();
	uint64_t left_ms =
		client->request->linger_end_ms > now_ms ? client->request->linger_end_ms - now_ms : 0;
	return left_ms < client->shared->timeouts.linger_ms ? left_ms : client->shared->timeouts.linger_ms;
}

/* Nothing is waited for that has a time of its own. */
#define DOWNSTREAM_NO_WAIT UINT64_MAX

/* All is said, or it is to wait: is there a reason to look at it? */
static uint64_t downstream_answer_wait_ms(const struct downstream *client)
{
	return client->stream.is_watched ? DOWNSTREAM_NO_WAIT : DOWNSTREAM_UNWATCHED_MS;
}

/* Which wait the connection is in decides what its one timer measures. */
void downstream_arm(struct downstream *client)
{
	const struct downstream_request *request = client->request;
	const struct downstream_timeouts *timeouts =
		request->timeouts != NULL ? request->timeouts : &client->shared->timeouts;
	bool is_tunnel = request->is_switched && request->exchange != NULL; /* it has a clock of its own */
	uint64_t wait_ms;
	if (UNLIKELY(is_tunnel || client->state == DOWNSTREAM_CLOSED))
		wait_ms = DOWNSTREAM_NO_WAIT;
	else if (request->output.memory != NULL)
		wait_ms = timeouts->send_ms;
	else if (client->state == DOWNSTREAM_BUSY)
		wait_ms = request->is_body_done || request->is_paused ? downstream_answer_wait_ms(client)
								      : timeouts->request_body_ms;
	else if (UNLIKELY(client->shared->is_draining) &&
		 (client->state == DOWNSTREAM_IDLE || client->state == DOWNSTREAM_HEADER))
		wait_ms = client->shared->drain_grace_ms;
	else if (client->state == DOWNSTREAM_IDLE && !client->is_fresh)
		wait_ms = timeouts->idle_ms;
	else if (client->state == DOWNSTREAM_LINGER)
		wait_ms = downstream_linger_ms(client);
	else if (client->state == DOWNSTREAM_REFUSED)
		wait_ms = timeouts->linger_ms;
	else
		wait_ms = timeouts->request_head_ms;
	if (wait_ms == DOWNSTREAM_NO_WAIT)
		wheel_disarm(&client->timer);
	else
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
bool downstream_admit(struct downstream *client)
{
	struct crowd *crowd = client->shared->crowd;
	struct network address;
	if (crowd == NULL || !crowd_counts_clients(crowd) || !downstream_network(client, &address))
		return true;
	enum problem problem = crowd_client_enter(crowd, &address);
	client->is_admitted = problem == PROBLEM_NONE;
	if (!client->is_admitted)
		downstream_turn_away(client, problem);
	return client->is_admitted;
}

/* ---- Sending ---------------------------------------------------------------------------------- */

/* It may linger so long from now on. A worker that drains does not wait for uploads that were refused. */
void downstream_limit_linger(struct downstream *client)
{
	const struct downstream_shared *shared = client->shared;
	uint64_t most_ms = shared->is_draining ? shared->timeouts.linger_ms : DOWNSTREAM_LINGER_MAX_MS;
	client->request->linger_end_ms = clock_coarse_ms() + most_ms;
	downstream_arm(client);
}

/* Closing with unread bytes in the socket would reset the connection, and the client could lose an answer
 * that it has not read yet: say that we send no more, and read on for a moment (RFC 9112 section 9.6). Bytes
 * may have come that nobody has told of, and some of the answer wait for the FIN: so it is said even where
 * closing follows at once. Of one that is not watched the kernel is asked. */
static void downstream_shut(struct downstream *client)
{
	bool is_ended = client->stream.is_ended && !client->stream.is_readable; /* and was read to its end */
	bool is_quiet = client->request->is_body_done && client->request->input.memory == NULL &&
			!client->stream.is_readable &&
			(client->stream.is_watched || !stream_has_bytes(&client->stream));
	if (client->request->is_send_broken || shutdown(client->stream.fd, SHUT_WR) != 0 || is_ended ||
		is_quiet) {
		downstream_close(client);
		return;
	}
	downstream_enter(client, DOWNSTREAM_LINGER);
	client->request->linger_bytes_left = DOWNSTREAM_LINGER_BYTES_MAX;
	downstream_limit_linger(client);
	stream_again(&client->stream);
}

/* What it waits for has changed. It may not be watched: that is done in the next turn, where it may fail. */
static void downstream_heed(struct downstream *client)
{
	downstream_arm(client);
	if (!client->stream.is_watched)
		stream_again(&client->stream);
}

/* So much was sent, the rest is held. */
static void downstream_has_sent(struct downstream *client, size_t sent)
{
	client->request->bytes_sent += sent;
	counter_add(client->shared->counters, client_bytes_out, sent);
	if (client->request->is_send_broken)
		stream_again(&client->stream); /* on_broken comes from there, not from inside this call */
	else if (client->request->output.memory != NULL)
		downstream_heed(client);
}

void downstream_send_last(struct downstream *client, const struct iovec *parts, int count, bool is_persistent)
{
	enum stream_result result = STREAM_AGAIN;
	size_t sent = 0;
	if (client->request->is_send_broken)
		return;
	if (client->request->output.memory == NULL && client->stream.is_writable)
		result = is_persistent ? stream_send(&client->stream, parts, count, &sent)
				       : stream_send_last(&client->stream, parts, count, &sent);
	if (result == STREAM_BROKEN)
		client->request->is_send_broken = true;
	bool is_all_sent = client->request->output.memory == NULL && client->stream.is_writable;
	if (UNLIKELY(!is_all_sent) && !client->request->is_send_broken &&
		!bytes_append_parts(&client->request->output, parts, count, sent))
		client->request->is_send_broken = true;
	downstream_has_sent(client, sent);
}

void downstream_send_piped(struct downstream *client)
{
	struct downstream_request *request = client->request;
	size_t sent = 0;
	if (request->is_send_broken)
		return;
	if (stream_send_piped(&client->stream, &request->output, &sent) == STREAM_BROKEN)
		request->is_send_broken = true;
	downstream_has_sent(client, sent);
}

void downstream_send(struct downstream *client, const struct iovec *parts, int count)
{
	downstream_send_last(client, parts, count, true);
}

static void downstream_shut_sending(struct downstream *client)
{
	/* It fails where the connection is dead, which shows when it is read. */
	if (client->request->output.memory == NULL)
		(void)shutdown(client->stream.fd, SHUT_WR);
}

/* Send what is held. False: the client is lost. */
bool downstream_flush(struct downstream *client)
{
	struct iovec held = {.iov_base = (void *)(uintptr_t)bytes_at(&client->request->output),
		.iov_len = bytes_count(&client->request->output)};
	size_t sent;
	if (stream_send(&client->stream, &held, 1, &sent) == STREAM_BROKEN)
		return false;
	if (sent == 0)
		return true;
	client->request->bytes_sent += sent;
	counter_add(client->shared->counters, client_bytes_out, sent);
	bytes_consume(&client->request->output, sent);
	downstream_arm(client);
	if (client->request->output.memory != NULL)
		return true;
	if (client->request->is_closing) {
		downstream_shut(client);
		return true;
	}
	if (UNLIKELY(client->request->is_send_ending))
		downstream_shut_sending(client);
	if (client->request->exchange != NULL)
		client->shared->events->on_drained(client->request->exchange);
	return true;
}

void downstream_switch(struct downstream *client)
{
	const struct http_framing framing = {.kind = HTTP_BODY_UNTIL_CLOSE};
	client->request->is_switched = true;
	client->request->is_body_done = false;
	http_body_start(&client->request->body, &framing);
	downstream_arm(client);
	stream_again(&client->stream); /* there may be something that was sent ahead */
}

void downstream_end_sending(struct downstream *client)
{
	client->request->is_send_ending = true;
	downstream_shut_sending(client);
}

void downstream_set_timeouts(struct downstream *client, const struct downstream_timeouts *timeouts)
{
	client->request->timeouts = timeouts;
	if (!client->request->is_body_done)
		downstream_arm(client);
}

void downstream_pause(struct downstream *client)
{
	client->request->is_paused = true;
	downstream_arm(client);
}

void downstream_resume(struct downstream *client)
{
	if (!client->request->is_paused)
		return;
	client->request->is_paused = false;
	downstream_arm(client);
	if (!client->request->is_consuming)
		stream_again(&client->stream);
}

void downstream_end(struct downstream *client, bool is_persistent)
{
	client->request->exchange = NULL;
	client->request->timeouts = NULL;
	client->is_fresh = false;
	client->request->is_paused = client->request->is_pipe_allowed = client->request->is_plentiful = false;
	if (client->request->is_send_broken) {
		downstream_close_with_reset(client);
		downstream_close(client);
		return;
	}
	/* One that was told before draining began that it may ask again does so just now, perhaps: it may. */
	if (!is_persistent || !client->request->is_body_done) {
		client->request->is_closing = true;
		if (client->request->output.memory == NULL)
			downstream_shut(client);
		else
			downstream_arm(client);
		return;
	}
	downstream_enter(client, DOWNSTREAM_IDLE);
	downstream_heed(client);
	if (!client->request->is_consuming &&
		(client->stream.is_readable || client->request->input.memory != NULL))
		stream_again(&client->stream);
	downstream_rest(client);
}

void downstream_abort(struct downstream *client, bool is_end_marked)
{
	client->request->exchange = NULL;
	if (!is_end_marked) {
		downstream_close_with_reset(client);
		downstream_close(client);
		return;
	}
	downstream_end(client, false);
}

/* An answer of our own is in `text`: what else is to be said in its head comes behind the status line. */
static void downstream_send_answer(struct downstream *client, const struct downstream_answer *answer,
	bool is_persistent, char *text, size_t bytes)
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
	downstream_send_last(client, parts, count, is_persistent);
}

uint64_t downstream_answer(struct downstream *client, const struct downstream_answer *answer)
{
	char text[DOWNSTREAM_ANSWER_BYTES];
	struct counters *counters = client->shared->counters;
	bool is_persistent =
		answer->is_persistent && client->request->is_body_done && !client->shared->is_draining;
	size_t bytes = http_write_problem(answer->problem, answer->detail, answer->request_id,
		loop_http_date(client->shared->loop), answer->is_head, is_persistent, text, sizeof(text));
	int status = problem_row(answer->problem)->status;
	counter_add(counters, statuses[status / 100], 1);
	counter_add(counters, problems[answer->problem], 1);
	const struct downstream_request *request = client->request;
	uint64_t before = request->bytes_sent + bytes_count(&request->output);
	downstream_send_answer(client, answer, is_persistent, text, bytes);
	uint64_t bytes_out = request->bytes_sent + bytes_count(&request->output) - before;
	downstream_end(client, is_persistent);
	return bytes_out;
}
