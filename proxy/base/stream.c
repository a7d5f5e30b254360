/* stream - edge-triggered sockets (see stream.h). */
#include "base/stream.h"

#include "base/calls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void stream_open_unwatched(struct stream *stream, struct loop *loop, int fd, stream_ready_fn *on_ready)
{
	const short edges = EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST;
	stream->loop = loop;
	stream->fd = fd;
	stream->is_again = stream->is_readable = stream->is_ended = stream->is_broken = false;
	stream->is_watched = false;
	stream->is_writable = true;
	(void)event_assign(
		&stream->event, loop->base, fd, edges, on_ready, stream); /* it refuses nonsense only */
}

bool stream_watch(struct stream *stream)
{
	stream->is_watched = event_add(&stream->event, NULL) == 0;
	return stream->is_watched;
}

bool stream_open(
	struct stream *stream, struct loop *loop, int fd, bool is_connected, stream_ready_fn *on_ready)
{
	stream_open_unwatched(stream, loop, fd, on_ready);
	stream->is_writable = is_connected;
	if (!stream_watch(stream)) {
		close(fd);
		stream->fd = -1;
		return false;
	}
	return true;
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	if (stream->is_watched)
		event_del(&stream->event);
	stream_not_again(stream);
	close(stream->fd);
	stream->fd = -1;
}

void stream_again(struct stream *stream)
{
	if (stream->is_again || stream->fd < 0)
		return;
	stream->is_again = true;
	TAILQ_INSERT_TAIL(&stream->loop->again, stream, again_link);
	stream->loop->again_count++;
}

void stream_run_again(struct stream *stream)
{
	stream_not_again(stream);
	event_get_callback (&stream->event)(stream->fd, 0, stream);
}

void stream_not_again(struct stream *stream)
{
	if (!stream->is_again)
		return;
	stream->is_again = false;
	TAILQ_REMOVE(&stream->loop->again, stream, again_link);
	stream->loop->again_count--;
}

/* The kernel tells an error once, to whichever call comes first, and says "end" to a receive after it. EPIPE
 * is the reset that follows a FIN: all that the peer said has come then. */
static void stream_note_error(struct stream *stream, int error)
{
	if (error != 0 && error != EAGAIN && error != EPIPE)
		stream->is_broken = true;
}

/* A receive brought nothing. */
static enum stream_result stream_receive_nothing(struct stream *stream, ssize_t got)
{
	stream->is_readable = false;
	if (got < 0)
		return errno == EAGAIN ? STREAM_AGAIN : STREAM_BROKEN;
	stream->is_ended = true;
	return stream->is_broken ? STREAM_BROKEN : STREAM_END;
}

static enum stream_result stream_take(
	struct stream *stream, void *buffer, size_t size, int flags, size_t *received)
{
	ssize_t got;
	do {
		got = call_receive(stream->fd, buffer, size, flags);
	} while (got < 0 && errno == EINTR);
	*received = got > 0 ? (size_t)got : 0;
	if (got <= 0)
		return stream_receive_nothing(stream, got);
	/* A short receive emptied the socket: the next bytes bring an edge. An end that came along
	 * with these bytes does not bring another one, so read on until it shows. */
	if ((size_t)got < size && !stream->is_ended)
		stream->is_readable = false;
	return STREAM_OK;
}

enum stream_result stream_receive(struct stream *stream, void *buffer, size_t size, size_t *received)
{
	return stream_take(stream, buffer, size, 0, received);
}

enum stream_result stream_discard(struct stream *stream, size_t *discarded)
{
	/* With MSG_TRUNC the kernel writes nothing here; sanitizers believe that it does. */
	static _Thread_local char nowhere[STREAM_DISCARD_BYTES];
	return stream_take(stream, nowhere, sizeof(nowhere), MSG_TRUNC, discarded);
}

/* Up to so many bytes, copying parts together costs less than having the kernel take a list of them. */
#define STREAM_JOINED_BYTES 2048

static ssize_t stream_put(int fd, const struct iovec *parts, int count, size_t bytes, int flags)
{
	char joined[STREAM_JOINED_BYTES];
	if (count == 1)
		return call_send(fd, parts->iov_base, bytes, flags);
	if (bytes > sizeof(joined)) {
		struct msghdr message = {
			.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
		return call_send_message(fd, &message, flags);
	}
	char *end = joined;
	for (int i = 0; i < count; i++)
		end = (char *)mempcpy(end, parts[i].iov_base, parts[i].iov_len);
	return call_send(fd, joined, bytes, flags);
}

/* A send failed, for errno. */
static enum stream_result stream_send_nothing(struct stream *stream)
{
	stream->is_writable = false;
	stream_note_error(stream, errno);
	return errno == EAGAIN ? STREAM_AGAIN : STREAM_BROKEN;
}

static enum stream_result stream_give(
	struct stream *stream, const struct iovec *parts, int count, int flags, size_t *sent)
{
	size_t asked = 0;
	for (int i = 0; i < count; i++)
		asked += parts[i].iov_len;
	ssize_t put;
	do {
		put = stream_put(stream->fd, parts, count, asked, flags | MSG_NOSIGNAL);
	} while (put < 0 && errno == EINTR);
	*sent = put > 0 ? (size_t)put : 0;
	if (put < 0)
		return stream_send_nothing(stream);
	if ((size_t)put < asked)
		stream->is_writable = false;
	return STREAM_OK;
}

enum stream_result stream_send(struct stream *stream, const struct iovec *parts, int count, size_t *sent)
{
	return stream_give(stream, parts, count, 0, sent);
}

enum stream_result stream_send_last(struct stream *stream, const struct iovec *parts, int count, size_t *sent)
{
	return stream_give(stream, parts, count, MSG_MORE, sent);
}

/* A pipe has places besides bytes: that it took less than it might does not say that the socket is empty. */
enum stream_result stream_receive_piped(struct stream *stream, size_t *received)
{
	ssize_t got = pipe_fill(&stream->loop->pipe, stream->fd, stream->loop->receive_bytes);
	*received = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return STREAM_OK;
	/* Nor does it say so at a byte that was sent as urgent: only recv() goes past one. */
	if (got < 0 && (errno == EOPNOTSUPP || errno == EAGAIN))
		return STREAM_AGAIN;
	return stream_receive_nothing(stream, got);
}

enum stream_result stream_send_piped(struct stream *stream, struct bytes *held, size_t *sent)
{
	struct pipe *pipe = &stream->loop->pipe;
	ssize_t put = 0;
	*sent = 0;
	if (LIKELY(stream->is_writable && held->memory == NULL)) {
		put = pipe_send(pipe, stream->fd);
		bool is_refused = put < 0 && errno == EOPNOTSUPP;
		if (put < 0 && !is_refused && stream_send_nothing(stream) == STREAM_BROKEN)
			return STREAM_BROKEN;
		if (is_refused)
			stream_again(stream);
		else if (pipe->held > 0)
			stream->is_writable = false;
	}
	*sent = put > 0 ? (size_t)put : 0;
	return pipe_copy_out(pipe, held) ? STREAM_OK : STREAM_BROKEN;
}

bool stream_has_bytes(const struct stream *stream)
{
	char byte;
	return call_receive(stream->fd, &byte, 1, MSG_PEEK) > 0;
}

bool stream_is_quiet(const struct stream *stream)
{
	char byte;
	return call_receive(stream->fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

int stream_error(struct stream *stream)
{
	int error = 0;
	socklen_t bytes = sizeof(error);
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
		error = errno;
	stream_note_error(stream, error);
	return error;
}
