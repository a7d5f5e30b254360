/* server - a cheap HTTP/1.1 server (see server.h). Owns its connections and answers.
 *
 * One call to receive and one to send a request; bodies with Content-Length are read and dropped; pipelining
 * works. */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES (16 * 1024) /* a head longer than that is refused */

struct server_connection {
	struct loop_source source;
	struct server *server;
	struct server_listener *listener;
	uint64_t body_left; /* bytes of the request's body that are still to come */
	const struct message *answer;
	uint64_t answer_left; /* bytes of the answer that are still to be sent */
	uint64_t due_ns;      /* when the answer goes out, while it waits for that */
	bool is_waiting;
	bool is_closing; /* after the answer */
	size_t held;
	TAILQ_ENTRY(server_connection) open_link;
	TAILQ_ENTRY(server_connection) wait_link;
	char input[RECEIVE_BYTES];
};

static void connection_close(struct server_connection *connection)
{
	if (connection->is_waiting)
		TAILQ_REMOVE(&connection->server->waiting, connection, wait_link);
	TAILQ_REMOVE(&connection->server->open, connection, open_link);
	close(connection->source.fd);
	free(connection);
}

/* Send what is left of the answer. False: the connection is gone. */
static bool connection_send(struct server_connection *connection)
{
	struct loop *loop = connection->server->loop;
	const struct message *answer = connection->answer;
	bool was_whole = connection->answer_left == answer->total_bytes;
	if (!message_send(answer, connection->source.fd, &connection->answer_left)) {
		connection_close(connection);
		return false;
	}
	if (connection->answer_left == 0 && connection->is_closing) {
		connection_close(connection);
		return false;
	}
	if (connection->answer_left > 0 && was_whole)
		loop_watch(loop, EPOLL_CTL_MOD, &connection->source, EPOLLOUT);
	else if (connection->answer_left == 0 && !was_whole)
		loop_watch(loop, EPOLL_CTL_MOD, &connection->source, EPOLLIN);
	return true;
}

/* A request is complete. False: the connection is gone. */
static bool connection_answer(struct server_connection *connection)
{
	struct server *server = connection->server;
	struct server_listener *listener = connection->listener;
	if (listener->requests++ == 0)
		printf("first %s %llu\n", listener->address, (unsigned long long)net_now_ns());
	connection->answer_left = connection->answer->total_bytes;
	if (server->delay_ns == 0)
		return connection_send(connection);
	connection->due_ns = net_now_ns() + server->delay_ns;
	connection->is_waiting = true;
	TAILQ_INSERT_TAIL(&server->waiting, connection, wait_link);
	return true;
}

/* The answer with so many bytes of body, which is made when it is asked for first. */
static const struct message *server_find_answer(struct server *server, uint64_t body_bytes)
{
	for (size_t i = 0; i < server->answer_count; i++)
		if (server->answers[i].total_bytes - server->answers[i].head_bytes == body_bytes)
			return &server->answers[i];
	if (server->answer_count == SERVER_ANSWERS_MAX) {
		errno = 0;
		net_fail("more than %d sizes of answers were asked for", SERVER_ANSWERS_MAX);
	}
	char head[256];
	int bytes = snprintf(head, sizeof(head),
		"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: backend\r\n"
		"Content-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
		(unsigned long long)body_bytes);
	struct message *answer = &server->answers[server->answer_count++];
	*answer = message_make(head, (size_t)bytes, body_bytes);
	return answer;
}

/* What the head says that matters here. */
static void connection_read_head(struct server_connection *connection, const char *head, const char *end)
{
	struct server *server = connection->server;
	struct message_fields fields = message_read_fields(head, end);
	const char *slash = memchr(head, '/', (size_t)(end - head));
	connection->body_left = fields.body_bytes;
	connection->is_closing = connection->is_closing || fields.is_closing;
	connection->answer = &server->answers[0];
	if (slash != NULL && slash[1] >= '1' && slash[1] <= '9')
		connection->answer = server_find_answer(server, strtoull(slash + 1, NULL, 10));
}

/* Use what is held until an answer is under way. */
static void connection_consume(struct server_connection *connection)
{
	size_t used = 0;
	while (connection->answer_left == 0 && used < connection->held) {
		const char *at = connection->input + used;
		size_t left = connection->held - used;
		if (connection->body_left == 0) {
			const char *end = message_head_end(at, left);
			if (end == NULL)
				break;
			connection_read_head(connection, at, end);
			used += (size_t)(end - at) + 4;
			left = connection->held - used;
		}
		size_t step = connection->body_left < left ? (size_t)connection->body_left : left;
		connection->body_left -= step;
		used += step;
		if (connection->body_left == 0 && !connection_answer(connection))
			return;
	}
	connection->held -= used;
	if (used > 0 && connection->held > 0)
		memmove(connection->input, connection->input + used, connection->held);
	if (connection->held == RECEIVE_BYTES)
		connection_close(connection);
}

static void connection_receive(struct server_connection *connection)
{
	/* A long body is not even copied, but for its end. */
	bool is_within = connection->body_left > RECEIVE_BYTES && connection->held == 0;
	ssize_t got = is_within ? recv(connection->source.fd, NULL, connection->body_left - 1, MSG_TRUNC)
				: recv(connection->source.fd, connection->input + connection->held,
					  RECEIVE_BYTES - connection->held, 0);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		connection_close(connection);
		return;
	}
	if (is_within) {
		connection->body_left -= (size_t)got;
		return;
	}
	connection->held += (size_t)got;
	connection_consume(connection);
}

static void connection_handle(struct loop_source *source, uint32_t events)
{
	struct server_connection *connection = (struct server_connection *)source;
	if ((events & EPOLLOUT) == 0)
		connection_receive(connection);
	else if (connection_send(connection) && connection->answer_left == 0)
		connection_consume(connection);
}

static void listener_handle(struct loop_source *source, uint32_t events)
{
	struct server_listener *listener = (struct server_listener *)source;
	struct server *server = listener->server;
	int fd;
	(void)events;
	while ((fd = net_accept(source->fd)) >= 0) {
		struct server_connection *connection = malloc(sizeof(*connection));
		if (connection == NULL)
			net_fail("a connection");
		memset(connection, 0, offsetof(struct server_connection, input));
		connection->source = (struct loop_source){.fd = fd, .handle = connection_handle};
		connection->server = server;
		connection->listener = listener;
		TAILQ_INSERT_HEAD(&server->open, connection, open_link);
		loop_watch(server->loop, EPOLL_CTL_ADD, &connection->source, EPOLLIN);
	}
}

uint64_t server_answer_due(struct server *server)
{
	struct server_connection *connection;
	while ((connection = TAILQ_FIRST(&server->waiting)) != NULL) {
		uint64_t now_ns = net_now_ns();
		if (connection->due_ns > now_ns)
			return connection->due_ns - now_ns;
		TAILQ_REMOVE(&server->waiting, connection, wait_link);
		connection->is_waiting = false;
		if (connection_send(connection) && connection->answer_left == 0)
			connection_consume(connection);
	}
	return LOOP_FOR_EVER;
}

void server_start(struct server *server, struct loop *loop)
{
	server->loop = loop;
	server_find_answer(server, server->body_bytes);
	TAILQ_INIT(&server->open);
	TAILQ_INIT(&server->waiting);
	for (size_t i = 0; i < server->listener_count; i++) {
		struct server_listener *listener = &server->listeners[i];
		listener->server = server;
		listener->source.handle = listener_handle;
		listener->source.fd = server->is_everywhere ? net_listen_everywhere(listener->address)
							    : net_listen(0, listener->address);
		loop_watch(loop, EPOLL_CTL_ADD, &listener->source, EPOLLIN);
		printf("listening %s\n", listener->address);
	}
}

void server_end(struct server *server)
{
	for (size_t i = 0; i < server->listener_count; i++)
		printf("served %s %llu\n", server->listeners[i].address,
			(unsigned long long)server->listeners[i].requests);
	while (!TAILQ_EMPTY(&server->open))
		connection_close(TAILQ_FIRST(&server->open));
	for (size_t i = 0; i < server->answer_count; i++)
		free(server->answers[i].bytes);
}
