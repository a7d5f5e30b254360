/* trace - what is noted of one exchange for those who ask how it went: the access log, Proxy-Status. Made
 * only where somebody will; without memory for it less is told, and the request goes on. Owned by the
 * exchange.
 *
 * Each call is for an exchange that has a trace, but for trace_begin(): the callers ask, so that nothing is
 * paid where there is none. */
#ifndef EXCHANGE_TRACE_H
#define EXCHANGE_TRACE_H

#include "access/log.h"
#include "exchange/internal.h"

/* Names of the backends that were tried: of what does not fit the end is missing. */
#define TRACE_NAMES_BYTES 768

struct trace {
	struct access_record record; /* filled bit by bit; its times count from `begun_us` */
	uint64_t begun_us;	     /* the request's head was complete */
	uint64_t sent_before;	     /* bytes that went to the client before this answer */
	struct access_try tries[ACCESS_TRIES_MAX];
	const struct attempt *attempts[ACCESS_TRIES_MAX]; /* whose these are; NULL: over */
	struct explanation *explanation;		  /* NULL: nobody asks for one. explain.c */
	size_t names_used;
	char names[TRACE_NAMES_BYTES];
	char texts[]; /* method, host, path */
};

/* The head of its request is complete. */
void trace_begin(struct exchange *exchange, const struct http_head *head);

/* Free it with what hangs on it. */
void trace_free(struct trace *trace);

/* So much of the request's body has come. */
void trace_take_body(struct trace *trace, const struct iovec *parts, int count);

/* It goes by this route. */
void trace_set_route(struct trace *trace, const struct route *route);

static inline void trace_note(struct trace *trace, enum access_note note)
{
	trace->record.notes |= BIT(note);
}

/* `attempt` begins, on its member, and ends with `evidence`. An attempt that never began may end. */
void trace_try_begins(const struct attempt *attempt);
void trace_try_ends(const struct attempt *attempt, enum evidence evidence);

/* What was `hedge` is the main attempt of its exchange now, and in the place of `attempt`, which is over. */
void trace_try_passes(const struct attempt *hedge, const struct attempt *attempt);

/* The head of the response, with `status`, came from `attempt`. */
void trace_answered(const struct attempt *attempt, int status);

/* The name of the backend that was tried last; empty: none was. */
struct str trace_last_endpoint(const struct trace *trace);

/* The exchange has ended, for `problem` or well: tell the access log. `bytes_out`: what has gone or will go
 * to the client since its request began. */
void trace_end(struct exchange *exchange, enum problem problem, uint64_t bytes_out);

/* A request never became an exchange: tell the access log. `head` and `bytes_out` are those of on_refused().
 */
void trace_refused(const struct exchange_shared *shared, const struct downstream *client,
	const struct http_head *head, enum problem problem, uint64_t bytes_out);

#endif
