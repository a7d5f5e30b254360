/* upstream - connections to backends, HTTP/1: sends requests, reads responses. Owns the socket and whatever
 * bytes are held; belongs to a pool; knows nothing of clients. What happens goes up through upstream_events
 * to the attempt that has leased it. */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include "base/blocks.h"
#include "base/bytes.h"
#include "base/stream.h"
#include "http/body.h"
#include "http/parser.h"
#include "observe/counters.h"

struct upstream;
struct upstream_home;

/* All of them concern the lease's attempt; slices are valid during the call. */
struct upstream_events {
	/* It may be sent to now. Not called for a connection that was leased connected. */
	void (*on_connected)(void *attempt);
	/* A 1xx response; the final one is still to come. */
	void (*on_informational)(void *attempt, const struct http_head *head);
	/* The final response's head, with as much of its body as came along. */
	void (*on_response)(void *attempt, const struct http_head *head, const struct http_framing *framing,
		const struct iovec *parts, int count, bool is_last);
	void (*on_body)(void *attempt, const struct iovec *parts, int count, bool is_last);
	/* More of the body is in the loop's pipe, as upstream_allow_pipe() said that it may. Valid during the
	 * call, as parts are. */
	void (*on_piped)(void *attempt, bool is_last);
	/* The backend took all that was held for it. */
	void (*on_drained)(void *attempt);
	/* It has not connected, or begun to answer the request, for longer than is usual: see
	 * upstream_home.late_ms and latencies.connect_late_ms, which is told of a backend's last
	 * address. The lease may be released inside. Returns after
	 * how many ms to tell so again; 0: only when the time for it is over. */
	uint64_t (*on_late)(void *attempt);
	/* No complete response will come. The connection is closed and the lease over: touch it no more. */
	void (*on_broken)(void *attempt, enum problem problem);
};

struct upstream_timeouts {
	uint64_t connect_ms;
	uint64_t response_head_ms;
	uint64_t response_body_ms;
	uint64_t idle_ms;
};

/* Connections to a backend may be limited over all workers: what a pool says of that to others. */
struct upstream_places {
	/* It has none to open one more. True: others were asked, and pool_receive_place() may follow. */
	bool (*on_wanted)(void *arg, struct backend *backend);
	/* A place is another worker's now, who asked for it. */
	void (*on_handed_on)(void *arg, struct backend *backend, uint32_t worker);
};

/* What all connections of a worker share. Owned by the worker. */
struct upstream_shared {
	struct loop *loop;
	const struct upstream_events *events;
	struct counters *counters;
	struct http_parser_limits limits;
	size_t idle_max; /* per pool */
	struct blocks *parsers;
	struct blocks connections;
	bool is_loopback_unpaced;	      /* what goes to backends on this machine */
	uint32_t worker;		      /* its index */
	const struct upstream_places *places; /* NULL: nobody is asked */
	void *places_arg;
};

struct upstream_home_events {
	/* A lease is over, and the connection can serve another one: keep it, idle, or return false to have
	 * it closed. */
	bool (*on_returned)(struct upstream_home *home, struct upstream *upstream);
	/* A lease is over, and the connection is closed. */
	void (*on_lost)(struct upstream_home *home);
	/* An idle connection is about to be closed. */
	void (*on_idle_closed)(struct upstream_home *home, struct upstream *upstream);
	/* The socket of a connection, idle or not, is closed. */
	void (*on_closed)(struct upstream_home *home);
};

/* Where a connection belongs: a pool, seen from below. */
struct upstream_home {
	struct upstream_shared *shared;
	struct backend *backend; /* where it leads; borrowed, outlives the home */
	const struct upstream_home_events *events;
	const struct upstream_timeouts *timeouts; /* of the service; borrowed, outlive the home */
	struct latencies *latencies; /* of the service, where connects are learned; may be NULL */
	uint64_t late_ms;	     /* a response whose head takes longer is late; 0: none is */
};

enum upstream_state {
	UPSTREAM_CONNECTING,
	UPSTREAM_IDLE, /* in its pool */
	UPSTREAM_BUSY, /* leased and connected */
	UPSTREAM_CLOSED
};

#define UPSTREAM_MAGIC UINT32_C(0x7570636f)

struct upstream {
	uint32_t magic;
	uint8_t state;	      /* enum upstream_state; upstream_enter() is its only door */
	uint8_t method;	      /* of the request, enum http_method */
	uint8_t address;      /* of the backend's: where it leads */
	uint8_t others_left;  /* addresses that were not tried yet */
	bool is_reused;	      /* it has served an attempt before this one */
	bool is_request_done; /* all of the request was handed to upstream_send() */
	bool is_awaited;      /* the loop was told that an answer is to come */
	bool is_head_done;    /* the final response's head was read */
	bool is_response_done;
	bool is_persistent; /* the response allows another one */
	bool is_paused;	    /* no more of the body is taken for now */
	bool is_sent;	    /* some of the request went into the socket */
	bool is_send_broken;
	bool is_reset;	      /* nothing more comes; what came before may wait in the socket */
	bool is_switch_asked; /* a 101 is an answer */
	bool is_switched;     /* to another protocol: the body is whatever comes, until the end */
	bool is_pipe_allowed; /* the body may come up by the loop's pipe */
	bool is_plentiful;    /* the last receive took all that one takes */
	bool is_send_ending;  /* once all held bytes are sent, say that no more come */
	enum problem problem; /* what became of the addresses that were tried in vain */
	uint64_t connect_end_ms;
	uint64_t dialled_us;  /* loop_now_us(), when the address was begun to be connected to */
	uint64_t wait_end_ms; /* of the wait for an address to connect, or for the response's head */
	struct stream stream;
	struct wheel_timer timer;
	struct upstream_home *home;
	TAILQ_ENTRY(upstream) link; /* the home's, while idle */
	struct doomed doomed;
	struct http_parser *parser; /* while a head is being read */
	struct bytes input;	    /* a part of a head */
	struct bytes output;	    /* not yet taken by the backend */
	struct http_body_reader body;
	void *attempt; /* that has leased it */
};

void upstream_shared_init(struct upstream_shared *shared, struct loop *loop,
	const struct upstream_events *events, struct counters *counters, struct blocks *parsers);

/* Free what the shared part keeps; all connections must be closed. */
void upstream_shared_finish(struct upstream_shared *shared);

/* For the pool: connect to its backend, leased to `attempt`: to the address that worked last, then to the
 * others, all within the time for connecting, of which each gets an equal part of what is left. NULL with
 * `*problem` set when all fail at once. */
MUST_CHECK struct upstream *upstream_connect(
	struct upstream_home *home, void *attempt, enum problem *problem);

/* For the pool: lease an idle connection, which is off the pool's list, to `attempt`. False: it died
 * meanwhile and was closed. `is_careful` asks the socket itself, for a request that must not be lost to a
 * connection just closed. */
MUST_CHECK bool upstream_lease(struct upstream *upstream, void *attempt, bool is_careful);

/* For the pool: close it. */
void upstream_close(struct upstream *upstream);

/* The request that is about to be sent has this method: it decides on the response's body. `is_switch_asked`:
 * it asks to switch protocols, so a 101 may be the answer; what follows one comes up as its body. */
void upstream_begin(struct upstream *upstream, enum http_method method, bool is_switch_asked);

/* The body of the response under way goes on as it comes, so it may come up by on_piped. */
static inline void upstream_allow_pipe(struct upstream *upstream)
{
	upstream->is_pipe_allowed = true;
}

/* Send `parts`; what the socket does not take at once is copied and held. */
void upstream_send(struct upstream *upstream, const struct iovec *parts, int count);

/* The same of what the loop's pipe holds. */
void upstream_send_piped(struct upstream *upstream);

/* All of the request was handed over: from now on an answer is waited for. */
void upstream_request_done(struct upstream *upstream);

static inline bool upstream_is_connected(const struct upstream *upstream)
{
	return upstream->state == UPSTREAM_BUSY;
}

/* Did any of the request leave? If not, no backend can have seen it, whatever became of the connection. Good
 * also for a connection that on_broken tells of, during that call. */
static inline bool upstream_is_sent(const struct upstream *upstream)
{
	return upstream->is_sent;
}

static inline bool upstream_is_congested(const struct upstream *upstream)
{
	return upstream->output.memory != NULL;
}

/* After a switch of protocols: no more will be sent to the backend, which is told so behind what is held. */
void upstream_end_sending(struct upstream *upstream);

/* Stop and resume taking the response's body from the backend. */
void upstream_pause(struct upstream *upstream);
void upstream_resume(struct upstream *upstream);

/* Has nothing of an answer come, not even a part of a head? Asks the socket as well: what waits there has
 * come, and it is we who are late. */
MUST_CHECK bool upstream_is_silent(const struct upstream *upstream);

/* The lease goes on as that of another attempt. */
static inline void upstream_pass_on(struct upstream *upstream, void *attempt)
{
	upstream->attempt = attempt;
}

/* The attempt is over: back to the pool if it can serve another one, else closed. */
void upstream_release(struct upstream *upstream);

#endif
