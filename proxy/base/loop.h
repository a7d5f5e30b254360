/* loop - one thread's event loop, in turns: what a worker does between two waits.
 *
 *   turn:  timers that are due -> streams that asked for another go -> wait for events and handle them
 *          -> free what died in this turn
 *
 * Owns the event_base, the wheel, the receive buffer and the pipe that all streams of the thread share, and
 * the doomed list: what is finished inside a callback is freed at the end of the turn, never inside it. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/check.h"
#include "base/clock.h"
#include "base/pipe.h"
#include "base/random.h"
#include "base/str.h"
#include "base/vigil.h"
#include "base/wheel.h"

#include <event2/event.h>
#include <stdbool.h>
#include <sys/queue.h>

/* One receive buffer for all connections of a thread, of this size unless told otherwise: at 256 KB large
 * bodies cost the fewest calls. What a short send leaves over is copied to the connection; nothing else
 * outlives the callback. */
#define LOOP_RECEIVE_BYTES (256 * 1024)

struct stream;
TAILQ_HEAD(stream_list, stream);

struct doomed;
typedef void doomed_free_fn(struct doomed *doomed);

/* A wait was awake for so long, and what was waited for came meanwhile, or not. */
typedef void loop_awake_fn(void *arg, uint64_t awake_us, bool is_success);

/* Embedded in whatever dies inside callbacks. */
struct doomed {
	struct doomed *next;
	doomed_free_fn *free;
};

struct loop {
	struct event_base *base;
	struct event *wake; /* of timer_fd: fires when the wheel has something due. NULL: there is none */
	int timer_fd;
	uint64_t wake_ms; /* what it is set to; UINT64_MAX: not set */
	struct wheel wheel;
	struct stream_list again;
	size_t again_count;
	struct doomed *doomed;
	char *receive_buffer;
	size_t receive_bytes; /* its size: the most that one receive takes */
	struct pipe pipe;     /* beside it; the loop closes it, who wants one opens it */
	struct random random;
	uint64_t now_us;     /* what loop_now_us() says until the next wait; 0: nobody asked yet */
	int64_t date_second; /* what date_text says */
	char date_text[48];
	bool is_stopped;
	bool has_worked;  /* a stream had its go in this turn */
	uint32_t asked;	  /* requests that were sent whole; goes round, as does the next one */
	uint32_t answers; /* of these: which have an answer, or will have none */
	struct vigil vigil;
	loop_awake_fn *on_awake;
	void *on_awake_arg;
};

/* Make the loop, with a receive buffer of `receive_bytes`, at least 1. False without memory, descriptors or
 * entropy. */
MUST_CHECK bool loop_init(struct loop *loop, size_t receive_bytes);

/* Free it; nothing may be doomed or wait any more. */
void loop_finish(struct loop *loop);

/* Take turns until loop_stop(). */
void loop_run(struct loop *loop);

/* End loop_run() after this turn. From the loop's own thread. */
void loop_stop(struct loop *loop);

/* Wait awake from now on, where base/vigil.h says so: by the rule if `is_on`, or for `fixed_us` if that is
 * not 0. At first each wait is asleep. `on_awake` is told of each wait that began awake, on the loop's
 * thread; may be NULL. */
void loop_wait_awake(
	struct loop *loop, bool is_on, uint64_t fixed_us, loop_awake_fn *on_awake, void *on_awake_arg);

/* All of a request was sent: an answer is awaited until loop_has_answer(). */
static inline void loop_await_answer(struct loop *loop)
{
	loop->asked++;
}

/* It has begun to come, or will not come. */
static inline void loop_has_answer(struct loop *loop)
{
	loop->answers++;
}

/* Call `free` on it at the end of this turn. */
void loop_doom(struct loop *loop, struct doomed *doomed, doomed_free_fn *free);

/* Microseconds of the monotonic clock, the same to everyone between two waits for events: the clock is read
 * when the first one asks, and not at all while nobody does. What takes long within a turn does not show. */
static inline uint64_t loop_now_us(struct loop *loop)
{
	if (loop->now_us == 0)
		loop->now_us = clock_ns() / 1000;
	return loop->now_us;
}

/* Bytes of which so many are still to come as they are: may they go through the pipe? Fewer than one receive
 * takes are not worth it. */
static inline bool loop_pipes(const struct loop *loop, uint64_t ahead)
{
	return ahead >= loop->receive_bytes && pipe_is_usable(&loop->pipe);
}

/* Did a receive take so much that the next one is likely to find as much again? A part is enough of a pipe,
 * which may run out of places before. */
static inline bool loop_is_plenty(const struct loop *loop, size_t received)
{
	return received >= loop->receive_bytes / 4;
}

/* The time now as an IMF-fixdate (RFC 9110 section 5.6.7), made once a second. Valid during the turn. */
struct str loop_http_date(struct loop *loop);

#endif
