/* lab.h - a test bench for libsrsd: a manager on an event loop, and a record of all that it said.
 * Begin with lab_open(); wait with LAB_WAIT(), which runs the loop. */
#ifndef TEST_LAB_H
#define TEST_LAB_H

#include <criterion/criterion.h>
#include <event2/event.h>

#include "srsd/srsd.h"
#include "zk_peer.h"
#include "zk_server.h"

#define LAB_PATIENCE_MS	 60000
#define LAB_LOG_BYTES	 (256 * 1024)
#define LAB_RECORDED_MAX 256
#define LAB_REGISTRY	 "/zk_registry/data"
#define LAB_PASSWORD	 "open-sesame" /* no line of the log may have it */

struct lab {
	struct event_base *base;
	struct event *tick; /* so that a turn ends */
	struct srsd *srsd;
	struct srsd_config config;
	char servers[256];
	struct srsd_error error;

	char log[LAB_LOG_BYTES]; /* lines "level text\n"; the client's own (debug) are left out */
	size_t log_used;
	enum srsd_state states[LAB_RECORDED_MAX];
	size_t state_count;
};

/* What a watch said. */
struct lab_watch {
	struct srsd_watch *watch;
	struct srsd_snapshot *last; /* owned */
	size_t changes;
};

/* What a registration said. */
struct lab_registration {
	struct srsd_registration *registration;
	enum srsd_registration_state states[LAB_RECORDED_MAX];
	size_t state_count;
	char text[384];
};

/* A configuration for `servers` ("%u" is not expanded), with the lab as its recorder; nothing is opened. */
void lab_prepare(struct lab *lab, const char *servers);

/* prepare for the one server, with a session timeout of 2 s, and open. */
void lab_open(struct lab *lab, const struct zk_server *server);

/* Open what was prepared. */
void lab_start(struct lab *lab);

/* Close the manager and free the loop. */
void lab_close(struct lab *lab);

/* Run the loop for a few milliseconds, or until something happened. */
void lab_turn(struct lab *lab);

/* Run the loop for that long. */
void lab_run_ms(struct lab *lab, uint32_t ms);

uint64_t lab_now_ms(void);

/* Run the loop until `condition` holds; fails the test after LAB_PATIENCE_MS. */
#define LAB_WAIT(lab, condition)                                                                             \
	do {                                                                                                 \
		uint64_t lab_deadline_ms = lab_now_ms() + LAB_PATIENCE_MS;                                   \
		while (!(condition)) {                                                                       \
			cr_assert(lab_now_ms() < lab_deadline_ms, "waited in vain for: %s\nlog:\n%s",        \
				#condition, (lab)->log);                                                     \
			lab_turn(lab);                                                                       \
		}                                                                                            \
	} while (0)

/* How often does `text` stand in the log? */
size_t lab_log_count(const struct lab *lab, const char *text);

/* How often was that state entered? */
size_t lab_state_count(const struct lab *lab, enum srsd_state state);

/* Id and password of the session. */
const clientid_t *lab_session(const struct lab *lab);

/* End the session behind the manager's back, as a server does after a timeout. */
void lab_expire(struct lab *lab, const struct zk_server *server);

void lab_watch(struct lab *lab, struct lab_watch *watch, const char *label);
void lab_watch_with(
	struct lab *lab, struct lab_watch *watch, const char *label, const struct srsd_read_options *options);
void lab_watch_clear(struct lab_watch *watch);
size_t lab_watch_count(const struct lab_watch *watch);
bool lab_watch_has(const struct lab_watch *watch, const char *name);

/* For srsd_register(), with a struct lab_registration. */
void lab_on_registration(void *arg, enum srsd_registration_state state, const char *text);
void lab_register(
	struct lab *lab, struct lab_registration *registration, const char *label, const char *address);
bool lab_registration_is(const struct lab_registration *registration, enum srsd_registration_state state);
size_t lab_registration_count(
	const struct lab_registration *registration, enum srsd_registration_state state);

#endif
