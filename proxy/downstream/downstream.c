/* downstream - connections from clients: taken on, read from when there is something to read, timed (see
 * downstream.h). */
#include "downstream/downstream.h"

#include "base/clock.h"
#include "downstream/crowd.h"
#include "downstream/internal.h"

#include <string.h>
#include <unistd.h>

/* Received at once behind a part of a head that is held. */
#define DOWNSTREAM_HEAD_STEP 4096

/* An idle client whose time is over, while something of it waits to be received, has so long to make it a
 * request. */
#define DOWNSTREAM_LAST_LOOK_MS 100

static stream_ready_fn downstream_on_ready;
static void downstream_on_timer(struct wheel_timer *timer);

void downstream_shared_init(struct downstream_shared *shared, struct loop *loop,
	const struct downstream_events *events, void *owner, struct counters *counters,
	struct blocks *parsers)
{
	*shared = (struct downstream_shared){
		.loop = loop,
		.events = events,
		.owner = owner,
		.counters = counters,
		.body_bytes_max = UINT64_MAX,
		.parsers = parsers,
	};
	blocks_init(&shared->connections, &loop->wheel, sizeof(struct downstream));
	blocks_init(&shared->requests, &loop->wheel, sizeof(struct downstream_request));
	TAILQ_INIT(&shared->open);
}

void downstream_shared_finish(struct downstream_shared *shared)
{
	assert(TAILQ_EMPTY(&shared->open));
	blocks_finish(&shared->connections);
	blocks_finish(&shared->requests);
}

static struct downstream *downstream_new(
	struct downstream_shared *shared, int fd, enum downstream_state state, bool is_unwatched)
{
	struct downstream *client = blocks_take(&shared->connections);
	if (client == NULL) {
		close(fd);
		return NULL;
	}
	memset(client, 0, sizeof(*client));
	client->magic = DOWNSTREAM_MAGIC;
	client->state = (uint8_t)state;
	client->is_fresh = true;
	client->shared = shared;
	client->request = DOWNSTREAM_NO_REQUEST;
	wheel_timer_init(&client->timer, downstream_on_timer);
	stream_open_unwatched(&client->stream, shared->loop, fd, downstream_on_ready);
	if (!is_unwatched && !stream_watch(&client->stream)) {
		stream_close(&client->stream);
		blocks_give(&shared->connections, client);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&shared->open, client, link);
	counter_add(shared->counters, connections_accepted, 1);
	return client;
}

/* Whoever it is can be served. */
static void downstream_start(struct downstream *client, const struct sockaddr *peer)
{
	client->is_counted = true;
	counter_add(client->shared->counters, connections_open, 1);
	if (!downstream_set_ends(client, peer))
		downstream_close(client);
	/* Behind a balancer its client is not known yet. */
	else if (client->state == DOWNSTREAM_HEADER || downstream_admit(client))
		downstream_arm(client);
}

bool downstream_open(struct downstream_shared *shared, int fd, const struct sockaddr *peer, unsigned arrival)
{
	bool is_with_bytes = (arrival & DOWNSTREAM_WITH_BYTES) != 0;
	enum downstream_state state =
		(arrival & DOWNSTREAM_BEHIND_BALANCER) != 0 ? DOWNSTREAM_HEADER : DOWNSTREAM_IDLE;
	bool is_let_in = shared->crowd == NULL || crowd_enter(shared->crowd);
	if (!is_let_in && shared->refused_count >= DOWNSTREAM_REFUSED_MAX) {
		close(fd);
		return false;
	}
	struct downstream *client = downstream_new(shared, fd, state, is_with_bytes);
	if (client == NULL) {
		if (is_let_in && shared->crowd != NULL)
			crowd_leave(shared->crowd);
		return false;
	}
	if (is_let_in)
		downstream_start(client, peer);
	else
		downstream_turn_away(client, PROBLEM_CONNECTION_LIMIT);
	/* Who is turned away is answered when its bytes are sure to be there. */
	if (is_with_bytes && client->state != DOWNSTREAM_CLOSED)
		downstream_on_ready(fd, client->state == DOWNSTREAM_REFUSED ? 0 : EV_READ, &client->stream);
	return true;
}

/* ---- Receiving -------------------------------------------------------------------------------- */

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
		return !client->request->is_closing && !client->request->is_body_done &&
		       !client->request->is_paused;
	default:
		return false;
	}
}

/* The client will send no more, but may still read: a request that is not complete is answered (RFC 9112
 * section 8), and never handed on as if it were. */
static void downstream_on_end(struct downstream *client)
{
	if (client->request->is_switched && client->request->exchange != NULL) {
		client->request->is_body_done = true;
		client->shared->events->on_body(client->request->exchange, NULL, 0, true);
	} else if (downstream_is_within_head(client))
		downstream_refuse(client, PROBLEM_REQUEST_CUT);
	else if (client->state == DOWNSTREAM_BUSY)
		client->shared->events->on_broken(client->request->exchange, PROBLEM_REQUEST_CUT);
	else
		downstream_lose(client);
}

/* Does so much of a body come that it need not be copied? */
static bool downstream_is_piped(const struct downstream *client)
{
	const struct downstream_request *request = client->request;
	return request->is_plentiful && request->is_pipe_allowed && !request->is_body_done &&
	       request->input.memory == NULL &&
	       loop_pipes(client->shared->loop, http_body_ahead(&request->body));
}

static void downstream_receive_piped(struct downstream *client)
{
	struct downstream_request *request = client->request;
	struct loop *loop = client->shared->loop;
	size_t received;
	enum stream_result result = stream_receive_piped(&client->stream, &received);
	request->is_plentiful = loop_is_plenty(loop, received);
	if (result == STREAM_END)
		downstream_on_end(client);
	else if (result == STREAM_BROKEN)
		downstream_lose(client);
	if (result != STREAM_OK)
		return;
	counter_add(client->shared->counters, client_bytes_in, received);
	request->is_body_done = http_body_pass(&request->body, received) == HTTP_BODY_DONE;
	downstream_arm(client);
	counter_add(client->shared->counters, spliced_bytes, received);
	client->shared->events->on_piped(request->exchange, received, request->is_body_done);
	pipe_drop(&loop->pipe); /* nobody else may get what is left in it */
}

/* Receive behind what is held, or into the loop's buffer when nothing is. */
static void downstream_receive(struct downstream *client)
{
	struct loop *loop = client->shared->loop;
	bool is_held = client->request->input.memory != NULL;
	size_t room = loop->receive_bytes;
	if (is_held && room > DOWNSTREAM_HEAD_STEP)
		room = DOWNSTREAM_HEAD_STEP;
	char *buffer = is_held ? bytes_reserve(&client->request->input, room) : loop->receive_buffer;
	size_t received;
	if (UNLIKELY(downstream_is_piped(client))) {
		downstream_receive_piped(client);
		return;
	}
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
		bytes_commit(&client->request->input, received);
		size_t used = downstream_consume(
			client, bytes_at(&client->request->input), bytes_count(&client->request->input));
		bytes_consume(&client->request->input, used);
		return;
	}
	if (UNLIKELY(client->request->is_pipe_allowed))
		client->request->is_plentiful = received == room;
	size_t used = downstream_consume(client, buffer, received);
	if (used < received && !bytes_append(&client->request->input, buffer + used, received - used))
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
	if (received > client->request->linger_bytes_left) {
		downstream_close(client);
		return;
	}
	client->request->linger_bytes_left -= (uint32_t)received;
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
	if (client->request->input.memory != NULL && !downstream_is_in_part(client)) {
		size_t used = downstream_consume(
			client, bytes_at(&client->request->input), bytes_count(&client->request->input));
		bytes_consume(&client->request->input, used);
	}
	if (client->stream.is_readable && downstream_wants_bytes(client) &&
		(client->request->input.memory == NULL || downstream_is_in_part(client)))
		downstream_receive(client);
	if (!downstream_wants_bytes(client))
		return;
	if (client->stream.is_readable)
		stream_again(&client->stream);
	else if (client->state != DOWNSTREAM_IDLE && stream_error(&client->stream) != 0)
		downstream_lose(client); /* it was reset in the edge of its last bytes */
}

/* Nothing is read now, so a reset would not show by itself. A FIN is no reason to stop, unless told so: a
 * client that has said all it wants to say may still wait for its answer. */
static bool downstream_has_left(struct downstream *client)
{
	struct stream *stream = &client->stream;
	bool is_gone = stream->is_ended && client->shared->is_end_final && !client->request->is_switched;
	return is_gone || (stream->is_readable && stream_error(stream) != 0);
}

static bool downstream_is_served(const struct downstream *client)
{
	return client->state == DOWNSTREAM_BUSY && !downstream_wants_bytes(client);
}

/* Do what its state asks for. */
static void downstream_go_on(struct downstream *client)
{
	struct stream *stream = &client->stream;
	if (client->request->output.memory != NULL && stream->is_writable && !downstream_flush(client))
		client->request->is_send_broken = true;
	if (client->state == DOWNSTREAM_CLOSED)
		return;
	if (client->request->is_send_broken) {
		downstream_lose(client);
	} else if (client->state == DOWNSTREAM_REFUSED) {
		if (stream->is_readable)
			downstream_refuse(client, (enum problem)client->refusal);
	} else if (client->state == DOWNSTREAM_LINGER) {
		bytes_free(&client->request->input);
		if (stream->is_readable)
			downstream_discard(client);
	} else if (downstream_is_served(client)) {
		if (downstream_has_left(client))
			downstream_lose(client);
	} else {
		downstream_proceed(client);
		if (client->state == DOWNSTREAM_IDLE)
			downstream_rest(client);
		/* What came in one edge with all of the request brings no other one. */
		else if (UNLIKELY(stream->is_ended) && downstream_is_served(client) &&
			 downstream_has_left(client))
			downstream_lose(client);
	}
}

/* From here on it matters what the client does. */
static void downstream_watch(struct downstream *client)
{
	if (stream_watch(&client->stream))
		downstream_arm(client);
	else
		downstream_lose(client);
}

static void downstream_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = stream_note(arg, what);
	struct downstream *client = CONTAINER_OF(stream, struct downstream, stream);
	(void)fd;
	assert(client->magic == DOWNSTREAM_MAGIC);
	downstream_go_on(client);
	if (UNLIKELY(!stream->is_watched) && client->state != DOWNSTREAM_CLOSED &&
		!downstream_awaits_answer_only(client))
		downstream_watch(client);
}

static void downstream_on_timer(struct wheel_timer *timer)
{
	struct downstream *client = CONTAINER_OF(timer, struct downstream, timer);
	assert(client->magic == DOWNSTREAM_MAGIC);
	if (!client->stream.is_watched)
		downstream_watch(client);
	else if (client->request->output.memory != NULL)
		downstream_lose(client);
	else if (client->state == DOWNSTREAM_HEADER)
		downstream_refuse_header(client, "not in time");
	else if (client->state == DOWNSTREAM_REFUSED)
		downstream_refuse(client, (enum problem)client->refusal);
	else if (downstream_is_within_head(client))
		downstream_refuse(client, PROBLEM_REQUEST_TIMEOUT);
	else if (client->state == DOWNSTREAM_BUSY)
		client->shared->events->on_broken(client->request->exchange, PROBLEM_REQUEST_TIMEOUT);
	else if (client->state != DOWNSTREAM_IDLE || client->stream.is_ended ||
		 !stream_has_bytes(&client->stream))
		downstream_close(client);
	else /* something has come at the last moment: the loop is about to tell of it */
		wheel_arm(&client->shared->loop->wheel, timer, clock_coarse_ms() + DOWNSTREAM_LAST_LOOK_MS);
}
