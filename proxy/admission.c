/* admission - places for requests, and who waits for them (see admission.h). */
#include "admission.h"

#include <stdlib.h>

bool admission_places_init(struct admission_places *places, uint64_t limit, uint64_t queue_max,
	uint32_t service, uint32_t worker_count, struct mailbox *const *mailboxes)
{
	*places = (struct admission_places){.limit = limit,
		.queue_max = queue_max,
		.service = service,
		.worker_count = worker_count,
		.mailboxes = mailboxes};
	if (limit == 0)
		return true;
	places->waiting_by_worker = calloc(worker_count, sizeof(*places->waiting_by_worker));
	return places->waiting_by_worker != NULL;
}

void admission_places_finish(struct admission_places *places)
{
	free((void *)(uintptr_t)places->waiting_by_worker);
	places->waiting_by_worker = NULL;
}

void admission_init(
	struct admission *admission, struct admission_places *places, uint32_t worker, struct random *random)
{
	*admission = (struct admission){.places = places, .worker = worker, .random = random};
	TAILQ_INIT(&admission->waiters);
}

static bool admission_try(struct admission_places *places)
{
	uint64_t taken = atomic_load(&places->in_flight);
	while (taken < places->limit)
		if (atomic_compare_exchange_weak(&places->in_flight, &taken, taken + 1))
			return true;
	return false;
}

/* Join the queue, if it has room. The worker's own number is never less than its part of the whole, so that
 * whoever sees somebody wait finds out where. */
static bool admission_queue(struct admission *admission, struct waiter *waiter)
{
	struct admission_places *places = admission->places;
	atomic_fetch_add(&places->waiting_by_worker[admission->worker], 1);
	if (atomic_fetch_add(&places->waiting, 1) >= places->queue_max) {
		atomic_fetch_sub(&places->waiting, 1);
		atomic_fetch_sub(&places->waiting_by_worker[admission->worker], 1);
		return false;
	}
	TAILQ_INSERT_TAIL(&admission->waiters, waiter, link);
	return true;
}

void admission_cancel(struct admission *admission, struct waiter *waiter)
{
	TAILQ_REMOVE(&admission->waiters, waiter, link);
	atomic_fetch_sub(&admission->places->waiting, 1);
	atomic_fetch_sub(&admission->places->waiting_by_worker[admission->worker], 1);
}

enum admission_verdict admission_enter(struct admission *admission, struct waiter *waiter)
{
	struct admission_places *places = admission->places;
	/* Who came before and waits comes first. */
	if (atomic_load(&places->waiting) == 0 && admission_try(places))
		return ADMISSION_TAKEN;
	if (!admission_queue(admission, waiter))
		return ADMISSION_REFUSED;
	/* The last place may have been given back just before this waiter could be seen. */
	if (TAILQ_FIRST(&admission->waiters) != waiter || !admission_try(places))
		return ADMISSION_WAITS;
	admission_cancel(admission, waiter);
	return ADMISSION_TAKEN;
}

/* Which worker's waiter gets a place: each waiter is equally likely to be that worker's. */
static uint32_t admission_choose(struct admission *admission)
{
	struct admission_places *places = admission->places;
	uint64_t waiting = atomic_load(&places->waiting);
	uint64_t at = waiting > 0 ? random_next(admission->random) % waiting : 0;
	for (uint32_t i = 0; i < places->worker_count; i++) {
		uint64_t here = atomic_load(&places->waiting_by_worker[i]);
		if (at < here)
			return i;
		at -= here;
	}
	return admission->worker;
}

/* A place goes to its next owner in a message, also within this worker: whoever gives it back may be in the
 * middle of something. It is freed if nobody waits; who begins to wait right then has either seen it free, or
 * is seen here. */
void admission_leave(struct admission *admission)
{
	struct admission_places *places = admission->places;
	do {
		if (atomic_load(&places->waiting) > 0) {
			struct mailbox *next = places->mailboxes[admission_choose(admission)];
			if (mailbox_post(next, MESSAGE_PLACE, places->service, NULL))
				return;
			/* No memory: who waits is served when the next place is given back, or gives up. */
			atomic_fetch_sub(&places->in_flight, 1);
			return;
		}
		atomic_fetch_sub(&places->in_flight, 1);
	} while (atomic_load(&places->waiting) > 0 && admission_try(places));
}

void admission_receive(struct admission *admission)
{
	struct waiter *waiter = TAILQ_FIRST(&admission->waiters);
	if (waiter == NULL) {
		admission_leave(admission); /* it gave up meanwhile */
		return;
	}
	admission_cancel(admission, waiter);
	waiter->on_admitted(waiter);
}
