/* downstream - connections from clients, HTTP/1: reads requests, writes responses. One exchange at a time;
 * requests that a client sends ahead wait in the socket. Owns the socket and whatever bytes are held; knows
 * nothing of backends. What happens goes up through downstream_events. */
#ifndef DOWNSTREAM_H
#define DOWNSTREAM_H

#include "base/blocks.h"
#include "base/bytes.h"
#include "base/network.h"
#include "base/stream.h"
#include "downstream/crowd.h"
#include "http/body.h"
#include "http/parser.h"
#include "observe/counters.h"

struct downstream;

struct downstream_events {
	/* A request's head is complete, with as much of its body as came along: `parts` is payload, `is_last`
	 * the body's end. All of it is valid during the call. The receiver sets client->request->exchange,
	 * which the other events are about, and may have answered and ended the request before this returns.
	 */
	void (*on_request)(void *owner, struct downstream *client, const struct http_head *head,
		const struct http_framing *framing, const struct iovec *parts, int count, bool is_last);
	/* What came instead of a request was answered for `problem`, with so many bytes. `head` is NULL where
	 * not even its first line is known; of one that is not complete (0 bytes) method and target are. */
	void (*on_refused)(void *owner, const struct downstream *client, const struct http_head *head,
		enum problem problem, uint64_t bytes_out);
	/* More of the body, valid during the call. */
	void (*on_body)(void *exchange, const struct iovec *parts, int count, bool is_last);
	/* So much more of the body is in the loop's pipe, as downstream_allow_pipe() said that it may be.
	 * Valid during the call, as parts are. */
	void (*on_piped)(void *exchange, size_t bytes, bool is_last);
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
	struct blocks *parsers; /* struct http_parser: lent while a head is being read */
	struct blocks connections;
	struct blocks requests;
	struct crowd *crowd; /* outlives it; NULL: there is no limit */
	TAILQ_HEAD(downstream_list, downstream) open;
	size_t refused_count;	 /* of these: told that there are too many */
	uint64_t drain_grace_ms; /* while draining: for a client that may ask, and has not */
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

/* What is known of a request, from its first byte until the last one of its answer is sent, and of lingering.
 * Most clients have none under way: they share one without content, which nobody may write to. */
struct downstream_request {
	const struct downstream_timeouts *timeouts; /* borrowed: its service's; NULL: the shared ones */
	struct http_parser *parser;		    /* with a part of a head here */
	struct bytes input;			    /* received, not yet used */
	struct bytes output;			    /* not yet taken by the client */
	void *exchange;
	uint64_t bytes_sent; /* since it began */
	bool is_body_done;
	bool is_paused;		      /* the exchange takes no more of the body for now */
	bool is_consuming;	      /* inside downstream_consume(): it goes on by itself */
	bool is_closing;	      /* close as soon as all is sent */
	bool is_send_broken;	      /* the client cannot be written to any more */
	bool is_switched;	      /* to another protocol: the body is whatever comes, until the end */
	bool is_pipe_allowed;	      /* the body may come up by the loop's pipe */
	bool is_plentiful;	      /* the last receive took all that one takes */
	bool is_send_ending;	      /* once all held bytes are sent, say that no more come */
	struct http_body_reader body; /* set where the body begins, as is what follows where lingering does */
	uint32_t linger_bytes_left;   /* and the time, in DOWNSTREAM_LINGER */
	uint64_t linger_end_ms;
};

/* Who is at the ends of a connection, where it is to be known which address the client connected to. */
struct downstream_ends {
	struct network client; /* of no bits: not known */
	struct network own;    /* likewise */
};

/* What an idle client costs, and there may be many: each byte counts. */
struct downstream {
	uint32_t magic;
	uint8_t state;	      /* enum downstream_state; downstream_enter() is its only door */
	uint8_t refusal;      /* enum problem: why it is not served; PROBLEM_NONE: it is */
	uint8_t empty_lines;  /* since the last request, besides those that the parser has counted */
	bool is_ipv6 : 1;     /* the client's address is in `ipv6`, */
	bool has_ends : 1;    /* in `ends`; else in `ipv4` */
	bool is_counted : 1;  /* among the connections that there may be */
	bool is_admitted : 1; /* among those of its client */
	bool is_fresh : 1;    /* no request was served on it yet */
	bool is_trusted : 1;  /* the client is a proxy that is believed */
	struct stream stream;
	struct wheel_timer timer;
	struct downstream_shared *shared;
	union {
		TAILQ_ENTRY(downstream) link;
		struct doomed doomed; /* once it is closed */
	};
	union {
		struct {
			char text[15]; /* as each request needs it */
			uint8_t bytes; /* its length; 0: the address is not known */
		} ipv4;
		uint8_t ipv6[16]; /* in network order */
		struct downstream_ends *ends;
	};
	struct downstream_request *request;
};

/* Make the shared part; `parsers` outlives it. */
void downstream_shared_init(struct downstream_shared *shared, struct loop *loop,
	const struct downstream_events *events, void *owner, struct counters *counters,
	struct blocks *parsers);

/* Free what the shared part keeps; all connections must be closed. */
void downstream_shared_finish(struct downstream_shared *shared);

/* How a connection comes, as bits. */
enum downstream_arrival {
	DOWNSTREAM_PLAIN = 0,
	DOWNSTREAM_BEHIND_BALANCER = BIT(0), /* which first says, in a PROXY header, who its client is */
	DOWNSTREAM_WITH_BYTES = BIT(1) /* that can be received already, mostly: they are asked for at once */
};

/* Serve an accepted socket; takes `fd` over in any case. `arrival`: of enum downstream_arrival. When there
 * are too many connections already, it is told so and closed. False: no memory or descriptors, or too many to
 * tell it to them all; it is closed, and on_closed was not called. */
MUST_CHECK bool downstream_open(
	struct downstream_shared *shared, int fd, const struct sockaddr *peer, unsigned arrival);

/* The client's address. False: it is not known. */
MUST_CHECK bool downstream_network(const struct downstream *client, struct network *address);

/* The same as text, which may be made in `room`; empty where it is not known. Good as long as both are. */
static inline struct str downstream_address(const struct downstream *client, char room[NETWORK_TEXT_MAX])
{
	struct network address;
	if (LIKELY(!client->is_ipv6 && !client->has_ends))
		return (struct str){client->ipv4.text, client->ipv4.bytes};
	if (!downstream_network(client, &address))
		return STR("");
	return (struct str){room, network_write(&address, room)};
}

/* The same of the address that it connected to; empty where that is not kept. */
struct str downstream_own_address(const struct downstream *client, char room[NETWORK_TEXT_MAX]);

/* Send `parts` to the client; what the socket does not take at once is copied and held. */
void downstream_send(struct downstream *client, const struct iovec *parts, int count);

/* The same of a response's last bytes: downstream_end(client, is_persistent) follows before the turn is over.
 */
void downstream_send_last(
	struct downstream *client, const struct iovec *parts, int count, bool is_persistent);

/* The same of what the loop's pipe holds. */
void downstream_send_piped(struct downstream *client);

/* The body of the request under way goes on as it comes from here on, so it may come up by on_piped. */
static inline void downstream_allow_pipe(struct downstream *client)
{
	client->request->is_pipe_allowed = true;
}

/* Is anything held? Then let nothing more come until on_drained. */
static inline bool downstream_is_congested(const struct downstream *client)
{
	return client->request->output.memory != NULL;
}

/* For the request under way, these waits apply. Borrowed until its end. */
void downstream_set_timeouts(struct downstream *client, const struct downstream_timeouts *timeouts);

/* Stop and resume taking the request's body from the client. */
void downstream_pause(struct downstream *client);
void downstream_resume(struct downstream *client);

/* Is it stopped, so that the client waits for us? */
static inline bool downstream_is_paused(const struct downstream *client)
{
	return client->request->is_paused;
}

/* The client was answered 101: from here on what it sends, and what it has sent ahead, comes up by on_body as
 * it is, with `is_last` when it ends its side. The waits do not bind it any more. */
void downstream_switch(struct downstream *client);

/* After a switch: no more will be sent to the client, which is told so behind what is held. */
void downstream_end_sending(struct downstream *client);

/* Bytes that went to the client since its request began, or still will. */
static inline uint64_t downstream_bytes_out(const struct downstream *client)
{
	const struct downstream_request *request = client->request;
	return request->bytes_sent + (request->is_send_broken ? 0 : bytes_count(&request->output));
}

/* The response is complete; the exchange is over. `is_persistent`: another request may follow. */
void downstream_end(struct downstream *client, bool is_persistent);

/* The response cannot be completed: close so that the client sees it was cut. The exchange is over.
 * `is_end_marked`: its framing tells a complete response from a cut one; if not, a reset has to. */
void downstream_abort(struct downstream *client, bool is_end_marked);

/* Answer for `problem` in place of a response, if none has begun, and end the exchange. Returns how many
 * bytes of that went to the client, or are held for it. */
struct downstream_answer {
	enum problem problem;
	struct str detail;     /* added to the sentence; may be empty */
	struct str request_id; /* may be empty */
	struct str fields;     /* more lines of the head, each with its end; may be empty */
	struct str next_hop;   /* the backend that was asked last; may be empty */
	bool is_head;	       /* the request's method was HEAD */
	bool is_persistent;
};
uint64_t downstream_answer(struct downstream *client, const struct downstream_answer *answer);

/* Take no more requests: idle connections close now, the others after the response under way. One that has
 * just been made, or was told in its last response's head that another request may follow, has `grace_ms` for
 * that, and its answer says that the connection ends. */
void downstream_drain(struct downstream_shared *shared, uint64_t grace_ms);

/* Descriptors or memory are short: close up to `count_max` idle connections, those that have waited longest
 * first. Returns how many. */
MUST_CHECK size_t downstream_let_go(struct downstream_shared *shared, size_t count_max);

/* Close all connections now; each exchange under way gets on_broken(PROBLEM_CLIENT_GONE). */
void downstream_close_all(struct downstream_shared *shared);

#endif
