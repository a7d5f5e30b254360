/* network - what stands between the proxy and the peers of the exchange target: socket pairs in place of TCP,
 * and a clock that only moves when it is told to. Calls of the proxy to the kernel are taken over by the
 * linker's --wrap, so that no line of the proxy differs. A reset is played: the error shows where and as
 * often as TCP would show it. Owns the wires. */
#ifndef FUZZ_EXCHANGE_NETWORK_H
#define FUZZ_EXCHANGE_NETWORK_H

#include "../require.h"

struct buffer {
	char *at;
	size_t count;
	size_t size;
};

void buffer_add(struct buffer *buffer, const void *at, size_t bytes);

/* In which turn of the loop did the byte at an offset go out? */
struct journal {
	struct {
		size_t offset;
		uint64_t turn;
	} * entries;
	size_t count, size;
};

uint64_t journal_turn(const struct journal *journal, size_t offset);

#define WIRES_MAX 64

/* One connection between the proxy and a peer of ours. */
struct wire {
	bool is_client;	  /* else a backend's */
	unsigned number;  /* among its kind, from 0; a client is, or is said to be, at 10.0.0.<number> */
	unsigned backend; /* index of the backend that it leads to */
	int fd;		  /* the proxy's end; -1: closed by the proxy */
	int peer;	  /* our end; -1: closed by us */
	int error;	  /* an errno value that the proxy will meet at the end of what was sent */
	bool is_connecting;
	size_t stuffed_bytes; /* in the way of the proxy's while it is connecting */
	bool is_holding;      /* we do not read for now */
	bool has_held;	      /* we did not once */

	/* what we did */
	bool is_shut;	      /* no more from us, cleanly */
	bool was_reset;	      /* by us */
	size_t preface_bytes; /* a PROXY header, in front of all that we send */
	struct buffer out;    /* all that we mean to send */
	size_t out_sent;      /* of it */
	size_t out_due;	      /* of it: to be sent as soon as there is room */
	struct journal out_journal;

	/* what the proxy did */
	bool has_ended;	       /* no more from the proxy */
	bool is_reset_asked;   /* it set SO_LINGER to 0 */
	bool is_shut_by_proxy; /* before it closed */
	uint64_t shut_ms;
	uint64_t closed_turn;
	bool is_closed_rudely; /* with bytes of ours unread: what it sent last may be lost */
	struct buffer in;      /* all that we received */
	size_t in_sent;	       /* by the proxy: more than we received while we hold */
	struct journal in_journal;
};

enum connect_manner {
	CONNECT_AT_ONCE,
	CONNECT_PENDING,
	CONNECT_REFUSED,
	CONNECT_NO_DESCRIPTOR,
	CONNECT_MANNERS
};

struct network {
	struct wire *wires[WIRES_MAX]; /* in the order in which they were made */
	size_t wire_count;
	unsigned client_count, backend_count; /* wires of each kind */
	enum connect_manner connect_manner;   /* of what the proxy connects next */
	bool has_refused;		      /* some connection could not be made */
	bool is_small;			      /* wires made from now on have small buffers */
	uint64_t now_ms;
	uint64_t pass_ms; /* so much time passes when the loop waits next */
	uint64_t turn;
	unsigned turns_left; /* until loop_run() returns */
	int listeners[2];    /* what the worker listens on; the second takes a PROXY header; -1: closed */
	bool is_balanced;    /* clients come through a load balancer, to the second listener */
	struct loop *loop;   /* the worker's */
};

extern struct network network;

/* Start anew: no wires. */
void network_reset(void);

/* Free all wires; the proxy must have closed its ends. */
void network_clear(void);

/* A client connects; NULL: there are too many wires, or nobody listens. */
struct wire *network_client(void);

/* Let the proxy's connect() of this wire succeed, or fail with `error`. */
void wire_accept(struct wire *wire, int error);

/* Send what is due, as far as there is room; receive what is there, at most `most` bytes. */
void wire_send(struct wire *wire);
void wire_receive(struct wire *wire, size_t most);

/* Send no more; close; close with a reset. */
void wire_shut(struct wire *wire);
void wire_close(struct wire *wire);
void wire_reset(struct wire *wire);

/* Take turns of the worker's loop, without waiting. */
void network_turn(unsigned turns);

#endif
