/* downstream - connections from clients, HTTP/1: reads requests, writes responses. One exchange at a time;
 * requests that a client sends ahead wait in the socket. Owns the socket and whatever bytes are held; knows
 * nothing of backends. What happens goes up through downstream_events. */
#ifndef DOWNSTREAM_H
#define DOWNSTREAM_H

#include "base/bytes.h"
#include "base/network.h"
#include "base/slab.h"
#include "base/stream.h"
#include "downstream/crowd.h"
#include "http/body.h"
#include "http/parser.h"
#include "observe/counters.h"

struct downstream;

struct downstream_events {
	/* A request's head is complete, with as much of its body as came along: `parts` is payload, `is_last`
	 * the body's end. All of it is valid during the call. The receiver sets client->exchange, which the
	 * other events are about, and may have answered and ended the request before this returns. */
	void (*on_request)(void *owner, struct downstream *client, const struct http_head *head,
		const struct http_framing *framing, const struct iovec *parts, int count, bool is_last);
	/* What came instead of a request was answered for `problem`, with so many bytes. `head` is NULL where
	 * not even its first line is known; of one that is not complete (0 bytes) method and target are. */
	void (*on_refused)(void *owner, const struct downstream *client, const struct http_head *head,
		enum problem problem, uint64_t bytes_out);
	/* More of the body, valid during the call. */
	void (*on_body)(void *exchange, const struct iovec *parts, int count, bool is_last);
	/* The client took all that was held for it. */
	void (*on_drained)(void *exchange);
	/* The request will not be completed, or its client is not there any more: `problem` says which.
	 * Unless it is PROBLEM_CLIENT_GONE the client can still be answered. The exchange must end. */
	void (*on_broken)(void *exchange, enum problem problem);
};

struct downstream_timeouts {
	uint64_t request_head_ms;
	uint64_t request_body_ms;
	uint64_t send_ms; /* the client takes nothing */
	uint64_t idle_ms;
	uint64_t linger_ms; /* while an answered client sends nothing more */
};

/* What all connections of a worker share. Owned by the worker. */
struct downstream_shared {
	struct loop *loop;
	const struct downstream_events *events;
	void *owner;
	struct counters *counters;
	struct downstream_timeouts timeouts; /* unless a request's service has its own */
	struct http_parser_limits limits;
	uint64_t body_bytes_max;       /* of a request; UINT64_MAX: no limit */
	const struct network *trusted; /* proxies whose word on their clients is believed; NULL: every peer */
	size_t trusted_count;
	bool is_own_address_kept;
	struct slab *parsers; /* struct http_parser: lent while a head is being read */
	struct slab connections;
	struct crowd *crowd; /* outlives it; NULL: there is no limit */
	TAILQ_HEAD(downstream_list, downstream) open;
	size_t refused_count; /* of these: told that there are too many */
	bool is_draining;
	bool has_proxy_status;	      /* answers of our own tell the reason in Proxy-Status */
	bool is_end_final;	      /* a client that ends its side is taken to be gone */
	void (*on_closed)(void *arg); /* a connection was closed */
	void *on_closed_arg;
};

enum downstream_state {
	DOWNSTREAM_HEADER,  /* a PROXY header has to come before anything else */
	DOWNSTREAM_REFUSED, /* too many: its request, when it comes, is answered with that */
	DOWNSTREAM_IDLE,    /* between two requests, nothing of the next one seen */
	DOWNSTREAM_HEAD,    /* some of a head is here */
	DOWNSTREAM_BUSY,    /* an exchange is under way */
	DOWNSTREAM_LINGER,  /* answered and shut down; what the client still sends is thrown away for a moment
			     */
	DOWNSTREAM_CLOSED
};

#define DOWNSTREAM_MAGIC UINT32_C(0x646f776e)

struct downstream {
	uint32_t magic;
	uint8_t state;	 /* enum downstream_state; downstream_enter() is its only door */
	uint8_t refusal; /* enum problem: why it is not served; PROBLEM_NONE: it is */
	bool is_counted; /* among the connections that there may be */
	bool is_fresh;	 /* no request was served on it yet */
	bool is_body_done;
	bool is_paused;	     /* the exchange takes no more of the body for now */
	bool is_consuming;   /* inside downstream_consume(): it goes on by itself */
	bool is_closing;     /* close as soon as all is sent */
	bool is_send_broken; /* the client cannot be written to any more */
	uint8_t empty_lines; /* since the last request, besides those that the parser has counted */
	bool is_switched;    /* to another protocol: the body is whatever comes, until the end */
	bool is_send_ending; /* once all held bytes are sent, say that no more come */
	bool is_trusted;     /* the client is a proxy that is believed */
	struct stream stream;
	struct wheel_timer timer;
	struct downstream_shared *shared;
	const struct downstream_timeouts *timeouts; /* borrowed: the shared ones, or a service's */
	TAILQ_ENTRY(downstream) link;
	struct doomed doomed;
	struct http_parser *parser; /* with a part of a head here */
	struct bytes input;	    /* received, not yet used */
	struct bytes output;	    /* not yet taken by the client */
	struct http_body_reader body;
	uint32_t linger_bytes_left; /* and the time, in DOWNSTREAM_LINGER */
	uint64_t linger_end_ms;
	uint64_t bytes_sent; /* on all of this connection */
	void *exchange;
	struct crowd_client *admitted;	/* where the client's connections are counted; NULL: nowhere */
	char *own_address;		/* the one that the client connected to; NULL: not kept */
	char address[NETWORK_TEXT_MAX]; /* of the client, without port; may be empty */
};

/* Make the shared part; `parsers` outlives it. */
void downstream_shared_init(struct downstream_shared *shared, struct loop *loop,
	const struct downstream_events *events, void *owner, struct counters *counters, struct slab *parsers);

/* Free what the shared part keeps; all connections must be closed. */
void downstream_shared_finish(struct downstream_shared *shared);

/* Serve an accepted socket; takes `fd` over in any case. When there are too many connections already, it is
 * told so and closed. False: no memory or descriptors, or too many to tell it to them all; it is closed. */
MUST_CHECK bool downstream_open(struct downstream_shared *shared, int fd, const struct sockaddr *peer);

/* The same for a socket on which a load balancer first says, in a PROXY header, who its client is. */
MUST_CHECK bool downstream_open_behind_balancer(
	struct downstream_shared *shared, int fd, const struct sockaddr *peer);

/* Send `parts` to the client; what the socket does not take at once is copied and held. */
void downstream_send(struct downstream *client, const struct iovec *parts, int count);

/* Is anything held? Then let nothing more come until on_drained. */
static inline bool downstream_is_congested(const struct downstream *client)
{
	return client->output.memory != NULL;
}

/* For the request under way, these waits apply. Borrowed until its end. */
void downstream_set_timeouts(struct downstream *client, const struct downstream_timeouts *timeouts);

/* Stop and resume taking the request's body from the client. */
void downstream_pause(struct downstream *client);
void downstream_resume(struct downstream *client);

/* The client was answered 101: from here on what it sends, and what it has sent ahead, comes up by on_body as
 * it is, with `is_last` when it ends its side. The waits do not bind it any more. */
void downstream_switch(struct downstream *client);

/* After a switch: no more will be sent to the client, which is told so behind what is held. */
void downstream_end_sending(struct downstream *client);

/* The response is complete; the exchange is over. `is_persistent`: another request may follow. */
void downstream_end(struct downstream *client, bool is_persistent);

/* The response cannot be completed: close so that the client sees it was cut. The exchange is over.
 * `is_end_marked`: its framing tells a complete response from a cut one; if not, a reset has to. */
void downstream_abort(struct downstream *client, bool is_end_marked);

/* Answer for `problem` in place of a response, if none has begun, and end the exchange. */
struct downstream_answer {
	enum problem problem;
	struct str detail;     /* added to the sentence; may be empty */
	struct str request_id; /* may be empty */
	struct str fields;     /* more lines of the head, each with its end; may be empty */
	struct str next_hop;   /* the backend that was asked last; may be empty */
	bool is_head;	       /* the request's method was HEAD */
	bool is_persistent;
};
void downstream_answer(struct downstream *client, const struct downstream_answer *answer);

/* Take no more requests: idle connections close now, the others after the response under way. */
void downstream_drain(struct downstream_shared *shared);

/* Descriptors or memory are short: close up to `count_max` idle connections, those that have waited longest
 * first. Returns how many. */
MUST_CHECK size_t downstream_let_go(struct downstream_shared *shared, size_t count_max);

/* Close all connections now; each exchange under way gets on_broken(PROBLEM_CLIENT_GONE). */
void downstream_close_all(struct downstream_shared *shared);

#endif
