/* record.h - what is known of one registration, and its state, which is entered by one door. */
#ifndef SRSD_RECORD_H
#define SRSD_RECORD_H

#include <event2/event.h>

#include "registration/above.h"

#define SRSD_REGISTRATION_MAGIC 0x72656769U

/* A node that was lost sooner than this after it was made is not made again at once. */
#define SRSD_HELD_WELL_MS 5000

struct srsd_registration {
	uint32_t magic;
	struct srsd_listener listener;
	struct srsd *srsd;
	char *path;
	char *data; /* of the node, owned; NULL: empty */
	size_t data_bytes;
	struct srsd_above above;
	srsd_registration_fn *on_state;
	void *arg;
	enum srsd_registration_state state;
	struct srsd_watcher *watcher;
	struct srsd_request *request; /* at most one on its way */
	struct event timer;	      /* the next try; once leaving, the deadline if that is sooner */
	struct srsd_backoff retry;
	struct srsd_backoff refusal;
	unsigned steps;
	uint64_t held_ms;	/* since when */
	int64_t held_session;	/* by which session; 0: none */
	int64_t holder_session; /* who else has it, and since when; of SRSD_REGISTRATION_CONFLICT */
	int64_t holder_created_ms;
	bool has_news;	/* to say although the state stays the same */
	bool is_dirty;	/* the watch fired while a request was on its way */
	bool may_exist; /* a node was asked for, ever */
	bool is_leaving;
	bool is_overdue;      /* the end was reported; the node is removed when it can be */
	uint64_t deadline_ms; /* of leaving */
	const char *obstacle; /* to leaving, as a static phrase */
};

/* Enter a state: it is logged, and the user is told. Nothing is said when it is in that state already and has
 * no news. */
void srsd_record_enter(struct srsd_registration *registration, enum srsd_registration_state next,
	const char *format, ...) SRSD_PRINTF(3, 4);

/* Have the timer fire after `delay_ms`; without memory for that, at once. */
void srsd_record_set_timer(struct srsd_registration *registration, uint32_t delay_ms);

/* Has it ended, or is the manager being closed? */
bool srsd_record_is_over(const struct srsd_registration *registration);

/* A callback of the user's may have ended it: is the node still to be held? */
bool srsd_record_is_wanted(const struct srsd_registration *registration);

/* It is the end: nothing is asked any more, and the user is told why by `text`. */
void srsd_record_release(struct srsd_registration *registration, const char *text);

/* Have the timer fire after the backoff's next pause, or when the deadline of leaving has come if that is
 * sooner. */
void srsd_record_try_later(struct srsd_registration *registration, struct srsd_backoff *backoff);

/* An answer `rc`, or a refusal to ask, that leaves nothing to do but to try again. ZOK: too many answers in a
 * row that settle nothing. */
void srsd_record_fail(struct srsd_registration *registration, int rc);

/* Count an answer that settles nothing. False: too many in a row, a later try is on its way. */
bool srsd_record_step(struct srsd_registration *registration);

#endif
