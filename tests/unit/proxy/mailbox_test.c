/* mailbox_test - messages arrive once, in order, with what they carry, from any thread. */
#include "mailbox.h"

#include "balance/fleet.h"
#include <criterion/criterion.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#define THREADS	       8
#define MESSAGES       5000
#define WAIT_LIMIT_SEC 60

static struct event_base *base;
static struct mailbox mailbox;
static struct backend *backend;

static struct {
	uint32_t count;
	uint32_t numbers[16];
	enum message_kind kinds[16];
	uint32_t next[THREADS]; /* the number that each thread's next message must have */
	uint32_t wanted;
} got;

static struct fleet *make_fleet(uint32_t number)
{
	struct fleet *fleet = fleet_new(number, 1, 0, 1);
	cr_assert_not_null(fleet);
	fleet_append(fleet, backend, 1, NULL);
	return fleet;
}

static void start(void)
{
	const union address address = {.ipv4.sin_family = AF_INET};
	base = event_base_new();
	backend = backend_new("a:1", &address, 1, 1, NULL);
	cr_assert(base != NULL && backend != NULL);
	memset(&got, 0, sizeof(got));
}

static void finish(void)
{
	event_base_free(base);
	cr_expect_eq(backend->references, 1, "all that was carried was let go of");
	backend_unref(&backend);
}

TestSuite(mailbox, .init = start, .fini = finish);

static void note(void *arg, struct message *message)
{
	cr_assert_eq(arg, &got);
	cr_assert_lt(got.count, 16);
	got.numbers[got.count] = message->number;
	got.kinds[got.count++] = message->kind;
	fleet_unref(&message->fleet);
	backend_unref(&message->backend);
}

Test(mailbox, messages_arrive_in_order_with_what_they_carry)
{
	cr_assert(mailbox_open(&mailbox, base, note, &got));
	cr_assert(mailbox_post(&mailbox, MESSAGE_FLEET, 7, make_fleet(7)));
	cr_assert(mailbox_post(&mailbox, MESSAGE_STATE, 8, NULL));
	cr_assert(mailbox_post(&mailbox, MESSAGE_DRAIN, 9, NULL));
	cr_expect_eq(got.count, 0, "from the loop only");
	event_base_loop(base, EVLOOP_ONCE);
	cr_assert_eq(got.count, 3);
	cr_expect(got.kinds[0] == MESSAGE_FLEET && got.kinds[1] == MESSAGE_STATE &&
		  got.kinds[2] == MESSAGE_DRAIN);
	cr_expect(got.numbers[0] == 7 && got.numbers[1] == 8 && got.numbers[2] == 9);
	cr_assert(mailbox_post_backend(&mailbox, MESSAGE_DOUBT, 10, backend_ref(backend)));
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(got.count, 4, "and again, once each");
	cr_expect(got.kinds[3] == MESSAGE_DOUBT && got.numbers[3] == 10);
	mailbox_close(&mailbox);
}

Test(mailbox, a_message_made_ahead_is_sent_once)
{
	struct message *ahead = message_new(MESSAGE_DRAIN, 11), *unsent = message_new(MESSAGE_STOP, 12);
	cr_assert(ahead != NULL && unsent != NULL);
	cr_assert(mailbox_open(&mailbox, base, note, &got));
	mailbox_send(&mailbox, &ahead);
	cr_expect_null(ahead);
	mailbox_send(&mailbox, &ahead);
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect(got.count == 1 && got.kinds[0] == MESSAGE_DRAIN && got.numbers[0] == 11);
	mailbox_close(&mailbox);
	free(unsent);
}

static void post_another(void *arg, struct message *message)
{
	note(arg, message);
	if (got.count < 5)
		cr_assert(mailbox_post(&mailbox, MESSAGE_STATE, got.count, NULL));
}

Test(mailbox, a_receiver_may_post_to_itself)
{
	cr_assert(mailbox_open(&mailbox, base, post_another, &got));
	cr_assert(mailbox_post(&mailbox, MESSAGE_STATE, 0, NULL));
	for (int turn = 0; turn < 10; turn++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(got.count, 5);
	cr_expect_eq(got.numbers[4], 4);
	mailbox_close(&mailbox);
}

Test(mailbox, closing_lets_go_of_what_was_never_received)
{
	cr_assert(mailbox_open(&mailbox, base, note, &got));
	for (uint32_t i = 0; i < 10; i++)
		cr_assert(mailbox_post(&mailbox, MESSAGE_FLEET, i, make_fleet(i)));
	cr_assert(mailbox_post_backend(&mailbox, MESSAGE_DOUBT, 0, backend_ref(backend)));
	mailbox_close(&mailbox);
	cr_expect_eq(got.count, 0);
	cr_expect_eq(mailbox.wake_fd, -1);
	mailbox_close(&mailbox);
}

Test(mailbox, without_descriptors_it_does_not_open)
{
	struct rlimit before;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, before.rlim_max}), 0);
	bool was_opened = mailbox_open(&mailbox, base, note, &got);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_expect_not(was_opened);
	mailbox_close(&mailbox);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static void *post_many(void *arg)
{
	uint32_t thread = (uint32_t)(uintptr_t)arg;
	for (uint32_t i = 0; i < MESSAGES; i++)
		if (!mailbox_post(&mailbox, MESSAGE_FLEET, thread << 16 | i, make_fleet(i)))
			abort();
	return NULL;
}

static void check_in_turn(void *arg, struct message *message)
{
	uint32_t thread = message->number >> 16, number = message->number & 0xffff;
	(void)arg;
	cr_assert_eq(number, got.next[thread], "thread %u: message %u comes out of turn", thread, number);
	cr_assert_eq(message->fleet->service, number);
	got.next[thread]++;
	fleet_unref(&message->fleet);
	if (++got.count == got.wanted)
		event_base_loopbreak(base);
}

Test(mailbox, threads_post_at_once_and_each_ones_order_is_kept)
{
	pthread_t threads[THREADS];
	const struct timeval limit = {.tv_sec = WAIT_LIMIT_SEC};
	got.wanted = THREADS * MESSAGES;
	cr_assert(mailbox_open(&mailbox, base, check_in_turn, &got));
	for (uintptr_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, post_many, (void *)i), 0);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(got.count, got.wanted);
	mailbox_close(&mailbox);
}
