/* checker - the thread that looks after the endpoints (see checker.h). */
#include "checker/checker.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/priority.h"
#include "checker/care.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Time does its work so often: what is to be forgotten, and what there was no memory for. */
#define CHECKER_TICK_MS 500

/* At least the head of an answer. */
#define CHECKER_RECEIVE_BYTES (32 * 1024)

struct checker {
	const struct settings *settings;
	struct verdicts *verdicts;
	size_t receiver_count;
	struct mailbox **receivers;
	struct shelf *shelf;
	struct loop loop;
	struct mailbox mailbox;
	struct message *stop; /* to ourselves, made ahead: the end must not wait for memory */
	struct rounds rounds;
	struct care *cares; /* one per service */
	struct wheel_timer tick;
	_Atomic bool is_doubt_lost; /* there was no memory for a message */
	bool is_open;		    /* has everything been made? */
	pthread_t thread;
	bool is_started;
};

/* ---- Sets ------------------------------------------------------------------------------------ */

/* What cannot be sent is sent at the next tick. */
static void checker_send(struct checker *checker, struct care *care)
{
	struct fleet *fleet = care->census.listed != NULL ? census_fleet(&care->census) : NULL;
	if (fleet == NULL)
		return;
	care->is_changed = false;
	verdicts_set_count(care->verdicts, (uint32_t)fleet->count);
	for (size_t i = 0; i < checker->receiver_count; i++)
		if (!mailbox_post(checker->receivers[i], MESSAGE_FLEET, fleet->service, fleet_ref(fleet)))
			care->is_changed = true;
	shelf_put(checker->shelf, fleet_ref(fleet));
	care_hold_sent(care, fleet);
	if (care->is_changed)
		log_event(LOG_ERROR, "newer set of backends not sent: no memory, trying again",
			LOG_TEXT("service", care->service));
}

static void checker_send_changed(struct checker *checker)
{
	for (size_t i = 0; i < checker->settings->service_count; i++)
		if (checker->cares[i].is_changed)
			checker_send(checker, &checker->cares[i]);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static bool checker_on_turn(void *owner, struct ward *ward, struct probe_plan *plan)
{
	(void)owner;
	priority_give_way();
	return care_on_turn(ward, plan, clock_coarse_ms());
}

static void checker_on_probed(void *owner, struct ward *ward, enum evidence evidence)
{
	struct care *care = care_of(ward);
	care_on_probed(ward, evidence, clock_coarse_ms());
	if (care->is_changed)
		checker_send(owner, care);
}

static const struct rounds_events checker_rounds_events = {
	.on_turn = checker_on_turn,
	.on_probed = checker_on_probed,
};

static void checker_on_tick(struct wheel_timer *timer)
{
	struct checker *checker = CONTAINER_OF(timer, struct checker, tick);
	uint64_t now_ms = clock_coarse_ms();
	bool is_doubt_lost = atomic_exchange_explicit(&checker->is_doubt_lost, false, memory_order_relaxed);
	for (size_t i = 0; i < checker->settings->service_count; i++) {
		care_tick(&checker->cares[i], now_ms);
		if (is_doubt_lost)
			care_doubt_all(&checker->cares[i], now_ms);
	}
	checker_send_changed(checker);
	rounds_run(&checker->rounds);
	wheel_arm(&checker->loop.wheel, &checker->tick, now_ms + CHECKER_TICK_MS);
}

static void checker_on_message(void *arg, struct message *message)
{
	struct checker *checker = arg;
	uint64_t now_ms = clock_coarse_ms();
	priority_give_way();
	switch (message->kind) {
	case MESSAGE_FLEET:
		care_take(&checker->cares[message->fleet->service], message->fleet, now_ms);
		break;
	case MESSAGE_DOUBT:
		care_doubt(&checker->cares[message->number], message->backend, now_ms);
		backend_unref(&message->backend);
		break;
	case MESSAGE_STOP:
		loop_stop(&checker->loop);
		break;
	default:
		break;
	}
	checker_send_changed(checker);
	rounds_run(&checker->rounds);
}

/* From any thread. */
static void checker_on_doubt(void *arg, struct belief *belief)
{
	struct checker *checker = arg;
	struct backend *backend = CONTAINER_OF(belief, struct backend, belief);
	uint32_t service = (uint32_t)(belief->verdicts - checker->verdicts);
	if (!mailbox_post_backend(&checker->mailbox, MESSAGE_DOUBT, service, backend_ref(backend)))
		atomic_store_explicit(&checker->is_doubt_lost, true, memory_order_relaxed);
}

/* ---- Thread, making, freeing ----------------------------------------------------------------- */

static void *checker_run(void *arg)
{
	struct checker *checker = arg;
	pthread_setname_np(pthread_self(), "checker");
	priority_step_back((int)checker->settings->background_nice);
	loop_run(&checker->loop);
	return NULL;
}

static bool checker_init_cares(struct checker *checker)
{
	const struct settings *settings = checker->settings;
	checker->cares = calloc(settings->service_count, sizeof(*checker->cares));
	if (checker->cares == NULL && settings->service_count > 0)
		return false;
	for (size_t i = 0; i < settings->service_count; i++)
		care_init(&checker->cares[i], settings->services[i].name, &settings->services[i].health,
			&checker->verdicts[i], &checker->rounds);
	return true;
}

static bool checker_init(struct checker *checker, const struct checker_settings *settings)
{
	checker->receivers = calloc(settings->receiver_count, sizeof(struct mailbox *));
	checker->stop = message_new(MESSAGE_STOP, 0);
	if (checker->receivers == NULL || checker->stop == NULL ||
		!loop_init(&checker->loop, CHECKER_RECEIVE_BYTES))
		return false;
	memcpy(checker->receivers, settings->receivers, settings->receiver_count * sizeof(struct mailbox *));
	rounds_init(&checker->rounds, &checker->loop, &checker_rounds_events, checker);
	wheel_timer_init(&checker->tick, checker_on_tick);
	wheel_arm(&checker->loop.wheel, &checker->tick, clock_coarse_ms() + CHECKER_TICK_MS);
	checker->is_open = true;
	if (!mailbox_open(&checker->mailbox, checker->loop.base, checker_on_message, checker) ||
		!checker_init_cares(checker))
		return false;
	for (size_t i = 0; i < checker->settings->service_count; i++) {
		checker->verdicts[i].arg = checker;
		checker->verdicts[i].on_doubt = checker_on_doubt;
	}
	return true;
}

struct checker *checker_new(const struct checker_settings *settings)
{
	struct checker *checker = calloc(1, sizeof(*checker));
	if (checker == NULL)
		return NULL;
	checker->settings = settings->settings;
	checker->verdicts = settings->verdicts;
	checker->receiver_count = settings->receiver_count;
	checker->shelf = settings->shelf;
	checker->mailbox.wake_fd = -1;
	if (!checker_init(checker, settings))
		checker_free(&checker);
	return checker;
}

struct mailbox *checker_mailbox(struct checker *checker)
{
	return &checker->mailbox;
}

int checker_start(struct checker *checker)
{
	/* What has come before is sent on before anybody runs: sets of the configuration are known to workers
	 * from their first request on. */
	(void)event_base_loop(checker->loop.base, EVLOOP_NONBLOCK);
	int error = pthread_create(&checker->thread, NULL, checker_run, checker);
	checker->is_started = error == 0;
	return error;
}

void checker_free(struct checker **checker_pointer)
{
	struct checker *checker = *checker_pointer;
	*checker_pointer = NULL;
	if (checker == NULL)
		return;
	if (checker->is_started) {
		mailbox_send(&checker->mailbox, &checker->stop);
		pthread_join(checker->thread, NULL);
	}
	for (size_t i = 0; i < checker->settings->service_count; i++)
		checker->verdicts[i].on_doubt = NULL;
	for (size_t i = 0; checker->cares != NULL && i < checker->settings->service_count; i++)
		care_finish(&checker->cares[i]);
	mailbox_close(&checker->mailbox);
	loop_finish(&checker->loop);
	if (checker->is_open)
		rounds_finish(&checker->rounds);
	free(checker->stop);
	free(checker->receivers);
	free(checker->cares);
	free(checker);
}
