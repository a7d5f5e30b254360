/* stream - one non-blocking socket on a loop, edge-triggered: registered once, never changed, no edge ever
 * lost. What an edge said is remembered until a call that used it up: is_readable until a receive came back
 * short, is_writable until a send did. Owns the descriptor; the holder owns the stream.
 *
 * One that may be over before anything of it has to be waited for is registered late: it brings no edge
 * until stream_watch(), and then tells all that there is.
 *
 * The holder sees one callback, on_ready, after any edge, and after stream_again(). It has the stream note
 * the edge, then does what its state asks for, by the flags. It is libevent's callback as well: a stream
 * stands in every connection, and keeps nothing twice. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/bytes.h"
#include "base/check.h"
#include "base/loop.h"

#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/uio.h>

struct stream {
	struct event event;
	struct loop *loop;
	TAILQ_ENTRY(stream) again_link;
	int fd; /* -1: closed */
	bool is_readable;
	bool is_writable;
	bool is_again : 1;
	bool is_watched : 1; /* registered: edges tell of it */
	bool is_ended : 1;   /* the peer has sent FIN, or the connection is broken: reading on will tell */
	bool is_broken : 1;  /* it was reset before any FIN: no end that is read afterwards is a clean one */
};

/* The holder's callback. It begins with stream_note(arg, what), which returns the stream. */
typedef void stream_ready_fn(evutil_socket_t fd, short what, void *arg);

static inline struct stream *stream_note(void *arg, short what)
{
	struct stream *stream = arg;
	stream->loop->has_worked = true;
	if (what & EV_READ)
		stream->is_readable = true;
	if (what & EV_WRITE)
		stream->is_writable = true;
	if (what & EV_CLOSED)
		stream->is_ended = stream->is_readable = true;
	return stream;
}

/* Take `fd` over (also when this fails). `is_connected`: it can be written to at once; else the first edge
 * tells. False: no memory or descriptors; `fd` is closed. */
MUST_CHECK bool stream_open(
	struct stream *stream, struct loop *loop, int fd, bool is_connected, stream_ready_fn *on_ready);

/* The same of a connection that is not registered yet. What it has received may be asked for at once. */
void stream_open_unwatched(struct stream *stream, struct loop *loop, int fd, stream_ready_fn *on_ready);

/* Register it. False: no memory or descriptors; it is still open. */
MUST_CHECK bool stream_watch(struct stream *stream);

/* Close the descriptor. No callback comes any more. Fine on a closed one. */
void stream_close(struct stream *stream);

/* Have on_ready called in the next turn without an edge: there is more to do than is fair to do at once. */
void stream_again(struct stream *stream);

/* What the loop does then. */
void stream_run_again(struct stream *stream);

/* Take that back. */
void stream_not_again(struct stream *stream);

enum stream_result {
	STREAM_OK,    /* some bytes moved */
	STREAM_AGAIN, /* none; an edge will tell */
	STREAM_END,   /* receive: the peer will send no more */
	STREAM_BROKEN /* reset or otherwise dead */
};

/* Receive up to `size` bytes into `buffer`. A reset that
 * came in one edge with the last bytes does not show in what a short receive returns, nor later: who waits
 * for more asks stream_error() first. */
MUST_CHECK enum stream_result stream_receive(
	struct stream *stream, void *buffer, size_t size, size_t *received);

/* The most that stream_discard() takes. */
#define STREAM_DISCARD_BYTES (256 * 1024)

/* As stream_receive(), of bytes that nobody wants: the kernel throws them away, nothing is copied. */
MUST_CHECK enum stream_result stream_discard(struct stream *stream, size_t *discarded);

/* Send from `parts`; `*sent` may be less than they hold, then is_writable is false. */
MUST_CHECK enum stream_result stream_send(
	struct stream *stream, const struct iovec *parts, int count, size_t *sent);

/* The same right before shutdown(), which the caller calls in any case: the kernel may hold the end of the
 * bytes until then, to send it in one segment with the FIN. */
MUST_CHECK enum stream_result stream_send_last(
	struct stream *stream, const struct iovec *parts, int count, size_t *sent);

/* Receive into the loop's pipe, which is usable and empty, as much as one receive takes. It stays readable
 * while there may be more. STREAM_AGAIN: nothing came this way; only stream_receive() tells whether there is
 * anything. */
MUST_CHECK enum stream_result stream_receive_piped(struct stream *stream, size_t *received);

/* Send what the loop's pipe holds, unless something is held already. What the socket does not take at once is
 * copied behind `held`, to be sent when it is writable; if it is so already, on_ready is called in the next
 * turn. STREAM_BROKEN: it is dead, or there is no memory for that; the pipe's bytes are lost, and its holder
 * drops them. */
MUST_CHECK enum stream_result stream_send_piped(struct stream *stream, struct bytes *held, size_t *sent);

/* Is anything waiting to be received? Not where it has ended or was reset. */
MUST_CHECK bool stream_has_bytes(const struct stream *stream);

/* Is there nothing to receive, no end either? Asks the kernel: what arrived a moment ago may still wait to be
 * told by the loop. */
MUST_CHECK bool stream_is_quiet(const struct stream *stream);

/* The error that the socket has met, an errno value, or 0. */
int stream_error(struct stream *stream);

#endif
