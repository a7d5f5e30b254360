/* question - four-letter words of ZooKeeper. A question owns itself from its asking until its callback. */
#include "srsd/command/doctor/question.h"

#include "srsd/command/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ANSWER_ROOM_FIRST = 16 << 10,
	ANSWER_MAX = 64 << 20 /* a line for each connection: about 300,000 of them */
};

struct question {
	struct dial dial;
	const char *word;
	uint32_t timeout_ms;
	question_fn *on_done;
	void *arg;
	struct event readable;
	struct event deadline;
	int fd;
	char *answer; /* owned; always with room for a NUL */
	size_t bytes;
	size_t room;
};

static void finish(struct question *question, enum question_outcome outcome, const char *why)
{
	event_del(&question->readable);
	event_del(&question->deadline);
	if (question->fd >= 0)
		close(question->fd);
	question->on_done(
		question->arg, outcome, outcome == QUESTION_ANSWERED ? question->answer : NULL, why);
	free(question->answer);
	free(question);
}

/* "cons is not executed because it is not in the whitelist." */
static void judge(struct question *question)
{
	if (question->bytes == 0)
		finish(question, QUESTION_FAILED, "it closed the connection without a word");
	else if (strstr(question->answer, "is not in the whitelist") != NULL && question->bytes < 200)
		finish(question, QUESTION_FORBIDDEN, "it is not in the server's 4lw.commands.whitelist");
	else
		finish(question, QUESTION_ANSWERED, "");
}

static bool make_room(struct question *question)
{
	size_t room = question->room == 0 ? ANSWER_ROOM_FIRST : question->room * 2;
	char *answer;

	if (question->bytes + 1 < question->room)
		return true;
	if (room > ANSWER_MAX)
		return false;
	answer = realloc(question->answer, room);
	if (answer == NULL)
		return false;
	question->answer = answer;
	question->room = room;
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct question *question = arg;

	(void)what;
	if (!make_room(question)) {
		finish(question, QUESTION_FAILED, "its answer is too long");
		return;
	}
	ssize_t got = read(fd, question->answer + question->bytes, question->room - question->bytes - 1);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got < 0) {
		finish(question, QUESTION_FAILED, strerror(errno));
		return;
	}
	question->bytes += (size_t)got;
	question->answer[question->bytes] = '\0';
	if (got == 0)
		judge(question);
}

static void on_deadline(evutil_socket_t none, short what, void *arg)
{
	(void)none;
	(void)what;
	finish(arg, QUESTION_FAILED, "it did not answer in time");
}

static void on_dialled(void *arg, enum dial_outcome outcome, int fd, const char *why)
{
	struct question *question = arg;
	struct timeval timeout = clock_timeval(question->timeout_ms);

	if (outcome != DIAL_CONNECTED) {
		finish(question, QUESTION_FAILED, why);
		return;
	}
	question->fd = fd;
	/* Four bytes always fit into the buffer of a new connection. */
	if (write(fd, question->word, strlen(question->word)) != (ssize_t)strlen(question->word)) {
		finish(question, QUESTION_FAILED, "the question could not be sent");
		return;
	}
	event_assign(&question->readable, question->dial.dialler->base, fd, EV_READ | EV_PERSIST, on_readable,
		question);
	if (event_add(&question->readable, NULL) != 0 || event_add(&question->deadline, &timeout) != 0)
		finish(question, QUESTION_FAILED, "out of memory");
}

bool question_ask(struct dialler *dialler, const struct srsd_address *server, const char *word,
	uint32_t timeout_ms, question_fn *on_done, void *arg)
{
	struct question *question = calloc(1, sizeof(*question));

	if (question == NULL)
		return false;
	question->word = word;
	question->on_done = on_done;
	question->arg = arg;
	question->timeout_ms = timeout_ms;
	question->fd = -1;
	event_assign(&question->readable, dialler->base, -1, EV_TIMEOUT, on_deadline, question);
	event_assign(&question->deadline, dialler->base, -1, EV_TIMEOUT, on_deadline, question);
	dial_start(&question->dial, dialler, server, timeout_ms, on_dialled, question);
	return true;
}
