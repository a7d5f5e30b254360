/* question_test - servers that answer four-letter words in every way there is: whole, in pieces, for ever. */
#include "srsd/command/doctor/question.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct dialler dialler;
static struct srsd_address address;
static enum question_outcome outcome;
static char said[64];
static size_t answer_bytes;
static int listening;

static void begin(void)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t bytes = sizeof(local);

	dialler = (struct dialler){.base = event_base_new()};
	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listening, (const struct sockaddr *)&local, bytes), 0);
	cr_assert_eq(listen(listening, 8), 0);
	cr_assert_eq(getsockname(listening, (struct sockaddr *)&local, &bytes), 0);
	address = (struct srsd_address){
		.kind = SRSD_HOST_IPV4, .port = ntohs(local.sin_port), .host = "127.0.0.1"};
}

static void end(void)
{
	if (listening >= 0)
		close(listening);
	dialler_clear(&dialler);
	event_base_free(dialler.base);
}

TestSuite(question, .init = begin, .fini = end, .timeout = 60);

static void on_done(void *arg, enum question_outcome result, const char *answer, const char *why)
{
	(void)arg;
	outcome = result;
	answer_bytes = answer == NULL ? 0 : strlen(answer);
	strncpy(said, answer == NULL ? why : answer, sizeof(said) - 1);
	event_base_loopbreak(dialler.base);
}

static void ask(uint32_t timeout_ms)
{
	cr_assert(question_ask(&dialler, &address, "cons", timeout_ms, on_done, NULL));
	event_base_dispatch(dialler.base);
}

/* How a server answers. */
struct script {
	const char *text;
	size_t times;
};

static void *serve(void *arg)
{
	const struct script *script = arg;
	char word[4];
	int fd = accept(listening, NULL, NULL);

	cr_assert_geq(fd, 0);
	cr_assert_eq(recv(fd, word, 4, MSG_WAITALL), 4);
	cr_assert_eq(memcmp(word, "cons", 4), 0);
	for (size_t i = 0; i < script->times; i++)
		if (send(fd, script->text, strlen(script->text), MSG_NOSIGNAL) < 0)
			break;
	close(fd);
	return NULL;
}

static void ask_server(const char *text, size_t times)
{
	struct script script = {text, times};
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, serve, &script), 0);
	ask(20000);
	pthread_join(thread, NULL);
}

Test(question, answered)
{
	ask_server(" /127.0.0.1:1[0](queued=0)\n", 1);
	cr_assert_eq(outcome, QUESTION_ANSWERED);
	cr_assert_str_eq(said, " /127.0.0.1:1[0](queued=0)\n");
}

Test(question, long_answers_in_pieces)
{
	ask_server("0123456789012345678901234567890123456789\n", 20000);
	cr_assert_eq(outcome, QUESTION_ANSWERED);
	cr_assert_eq(answer_bytes, 41 * 20000);
}

Test(question, forbidden)
{
	ask_server("cons is not executed because it is not in the whitelist.\n", 1);
	cr_assert_eq(outcome, QUESTION_FORBIDDEN);
}

Test(question, closed_without_a_word)
{
	ask_server("", 0);
	cr_assert_eq(outcome, QUESTION_FAILED);
	cr_assert_str_eq(said, "it closed the connection without a word");
}

/* The kernel takes the connection, nobody accepts it. */
Test(question, never_answered)
{
	ask(200);
	cr_assert_eq(outcome, QUESTION_FAILED);
	cr_assert_str_eq(said, "it did not answer in time");
}

Test(question, nobody_there)
{
	close(listening);
	listening = -1;
	ask(2000);
	cr_assert_eq(outcome, QUESTION_FAILED);
	cr_assert_str_eq(said, "Connection refused");
}
