/* question.h - one four-letter word put to a ZooKeeper server, and its answer. */
#ifndef COMMAND_DOCTOR_QUESTION_H
#define COMMAND_DOCTOR_QUESTION_H

#include "srsd/command/doctor/dial.h"

enum question_outcome {
	QUESTION_ANSWERED,
	QUESTION_FORBIDDEN, /* the server's 4lw.commands.whitelist does not have the word */
	QUESTION_FAILED	    /* `why` says how */
};

struct question;

/* `answer` is the whole text, or NULL unless it was answered. Both are valid during the call. */
typedef void question_fn(void *arg, enum question_outcome outcome, const char *answer, const char *why);

/* Ask. The callback comes exactly once, from the loop; connecting and answering may take `timeout_ms` each.
 * False: no memory; then no callback comes. `word` is static. */
bool question_ask(struct dialler *dialler, const struct srsd_address *server, const char *word,
	uint32_t timeout_ms, question_fn *on_done, void *arg);

#endif
