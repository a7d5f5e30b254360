/* admission_test - places of a service: taken, waited for, handed on between workers. */
#include "admission.h"

#include "base/check.h"

#include <criterion/criterion.h>
#include <event2/event.h>
#include <stdlib.h>

#define WORKERS 2

static struct event_base *base;
static struct mailbox mailboxes[WORKERS];
static struct mailbox *mailbox_list[WORKERS];
static struct admission admissions[WORKERS];
static struct admission_places places;
static struct random random_state;

static struct waiter *admitted[8];
static size_t admitted_count;

static void on_admitted(struct waiter *waiter)
{
	admitted[admitted_count++] = waiter;
}

static void on_message(void *arg, struct message *message)
{
	struct admission *admission = arg;
	cr_assert_eq(message->kind, MESSAGE_PLACE);
	cr_assert_eq(message->number, 3);
	admission_receive(admission);
}

static void start(uint64_t limit, uint64_t queue_max)
{
	base = event_base_new();
	cr_assert(random_seed(&random_state));
	for (uint32_t i = 0; i < WORKERS; i++) {
		mailbox_list[i] = &mailboxes[i];
		cr_assert(mailbox_open(&mailboxes[i], base, on_message, &admissions[i]));
		admission_init(&admissions[i], &places, i, &random_state);
	}
	cr_assert(admission_places_init(&places, limit, queue_max, 3, WORKERS, mailbox_list));
	admitted_count = 0;
}

static void stop(void)
{
	for (size_t i = 0; i < WORKERS; i++)
		mailbox_close(&mailboxes[i]);
	admission_places_finish(&places);
	event_base_free(base);
}

static void deliver(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static enum admission_verdict enter(size_t worker, struct waiter *waiter)
{
	waiter->on_admitted = on_admitted;
	return admission_enter(&admissions[worker], waiter);
}

Test(admission, places_are_counted_over_all_workers)
{
	struct waiter waiters[3];
	start(2, 0);
	cr_expect_eq(enter(0, &waiters[0]), ADMISSION_TAKEN);
	cr_expect_eq(enter(1, &waiters[1]), ADMISSION_TAKEN);
	cr_expect_eq(enter(0, &waiters[2]), ADMISSION_REFUSED);
	cr_expect_eq(enter(1, &waiters[2]), ADMISSION_REFUSED);
	admission_leave(&admissions[1]);
	cr_expect_eq(enter(0, &waiters[2]), ADMISSION_TAKEN);
	cr_expect_eq(atomic_load(&places.in_flight), 2);
	cr_expect_eq(atomic_load(&places.waiting), 0);
	stop();
}

Test(admission, the_first_waiter_gets_the_place)
{
	struct waiter waiters[4];
	start(1, 2);
	cr_expect_eq(enter(0, &waiters[0]), ADMISSION_TAKEN);
	cr_expect_eq(enter(0, &waiters[1]), ADMISSION_WAITS);
	cr_expect_eq(enter(0, &waiters[2]), ADMISSION_WAITS);
	cr_expect_eq(enter(0, &waiters[3]), ADMISSION_REFUSED);
	admission_leave(&admissions[0]);
	cr_expect_eq(admitted_count, 0, "not from inside of the call");
	deliver();
	cr_assert_eq(admitted_count, 1);
	cr_expect_eq(admitted[0], &waiters[1]);
	cr_expect_eq(enter(0, &waiters[3]), ADMISSION_WAITS);
	admission_leave(&admissions[0]);
	deliver();
	cr_assert_eq(admitted_count, 2);
	cr_expect_eq(admitted[1], &waiters[2]);
	cr_expect_eq(atomic_load(&places.in_flight), 1);
	admission_leave(&admissions[0]);
	deliver();
	admission_leave(&admissions[0]);
	deliver();
	cr_expect_eq(atomic_load(&places.in_flight), 0);
	cr_expect_eq(atomic_load(&places.waiting), 0);
	stop();
}

Test(admission, a_place_goes_to_a_waiter_of_another_worker)
{
	struct waiter waiters[2];
	start(1, 1);
	cr_expect_eq(enter(0, &waiters[0]), ADMISSION_TAKEN);
	cr_expect_eq(enter(1, &waiters[1]), ADMISSION_WAITS);
	admission_leave(&admissions[0]);
	cr_expect_eq(atomic_load(&places.in_flight), 1, "it is on its way, not free");
	deliver();
	cr_assert_eq(admitted_count, 1);
	cr_expect_eq(admitted[0], &waiters[1]);
	cr_expect_eq(atomic_load(&places.waiting_by_worker[1]), 0);
	stop();
}

/* A newcomer does not overtake: while somebody waits, a place that is on its way is not there to be taken. */
Test(admission, who_waits_comes_first)
{
	struct waiter waiters[3];
	start(1, 5);
	cr_expect_eq(enter(0, &waiters[0]), ADMISSION_TAKEN);
	cr_expect_eq(enter(1, &waiters[1]), ADMISSION_WAITS);
	admission_leave(&admissions[0]);
	cr_expect_eq(enter(0, &waiters[2]), ADMISSION_WAITS);
	deliver();
	cr_expect_eq(admitted_count, 1);
	stop();
}

Test(admission, a_place_for_who_gave_up_goes_on_to_the_next)
{
	struct waiter waiters[3];
	start(1, 5);
	cr_expect_eq(enter(0, &waiters[0]), ADMISSION_TAKEN);
	cr_expect_eq(enter(1, &waiters[1]), ADMISSION_WAITS);
	admission_leave(&admissions[0]);
	admission_cancel(&admissions[1], &waiters[1]);
	cr_expect_eq(enter(0, &waiters[2]), ADMISSION_WAITS);
	deliver();
	deliver();
	cr_assert_eq(admitted_count, 1);
	cr_expect_eq(admitted[0], &waiters[2]);
	admission_leave(&admissions[0]);
	cr_expect_eq(atomic_load(&places.in_flight), 0);
	stop();
}
