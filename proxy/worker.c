/* worker - one thread that serves clients (see worker.h). */
#include "worker.h"

#include "accepting.h"
#include "access/log.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/loop.h"
#include "downstream/downstream.h"
#include "exchange/exchange.h"
#include "http/forwarded.h"
#include "lending.h"
#include "pace.h"
#include "service.h"
#include "upstream/pool.h"
#include "upstream/upstream.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A set of backends that there was no memory for is tried again after this long. */
#define WORKER_FLEET_RETRY_MS 1000

/* Idle connections that are closed to make room, at a time. */
#define WORKER_LET_GO 16

/* A shortage that comes again within this time is the same one, and is not logged again. */
#define WORKER_SHORTAGE_QUIET_MS 10000

/* A client that was answered and shut down may still send for this long. */
#define WORKER_LINGER_MS 2000

/* While draining, connections are taken for a moment still where listeners are deferred: for no more than
 * this part of the time that draining may take, as they are to be served in the rest. */
#define WORKER_LAST_CALL_SHARE 2

/* And clients that were not told yet that it ends have this long to ask once more, or this part of it where
 * that is less. */
#define WORKER_GRACE_MAX_MS 1000
#define WORKER_GRACE_SHARE  4

struct worker {
	const struct settings *settings;
	uint32_t index;
	struct mailbox *reports;
	pthread_t thread;
	bool is_started;
	bool is_draining;
	uint64_t shortage_ms; /* when descriptors or memory were last short; 0: never */
	bool is_open;	      /* its thread has what it needs to serve, and has not given it back */
	bool has_own_table;   /* of descriptors */
	int start_error;      /* why its thread cannot serve, an errno value; 0: it can */
	sem_t start_is_known; /* that */
	int *kept;	      /* descriptors that its thread needs of those that are open, while it starts */
	size_t kept_count;
	struct crowd *crowd;
	struct admission_places *places;
	struct verdicts *verdicts;
	struct loop loop;
	struct mailbox mailbox;
	/* Made ahead: an end must not wait for memory. NULL once they are sent. */
	struct message *drain, *stop, *ended;
	struct blocks parsers;
	struct counters counters;
	struct downstream_shared downstream;
	struct upstream_shared upstream;
	struct lending lending;
	struct exchange_shared exchange;
	struct access_sink *access_sink;
	struct access_log access;
	struct network *trusted; /* NULL: every peer is */
	struct network *explain_networks;
	struct wheel_timer fleet_retry;
	struct accepting accepting;
	struct service *services;
	struct route *routes;
};

/* ---- Members and their pools ----------------------------------------------------------------- */

static bool worker_on_member_added(void *owner, struct member *member)
{
	struct service *service = owner;
	member->pool = pool_new(service->upstream, member->backend, &service->upstream_timeouts,
		service->connections_per_endpoint);
	if (member->pool != NULL)
		pace_set(service, member);
	return member->pool != NULL;
}

static void worker_on_member_ejected(void *owner, struct member *member)
{
	(void)owner;
	(void)!pool_let_go(member->pool, SIZE_MAX);
}

static void worker_on_member_cleared(void *owner, struct member *member)
{
	pace_ease(owner, member);
}

static void worker_on_member_leaving(void *owner, struct member *member)
{
	(void)owner;
	pool_retire(member->pool);
}

static void worker_on_member_gone(void *owner, struct member *member)
{
	(void)owner;
	pool_free(member->pool);
}

static const struct roster_events worker_roster_events = {
	.on_added = worker_on_member_added,
	.on_ejected = worker_on_member_ejected,
	.on_cleared = worker_on_member_cleared,
	.on_leaving = worker_on_member_leaving,
	.on_gone = worker_on_member_gone,
};

/* ---- Making room ----------------------------------------------------------------------------- */

static size_t worker_let_pooled_go(struct worker *worker, size_t count_max)
{
	size_t count = 0;
	for (size_t i = 0; i < worker->settings->service_count; i++) {
		struct roster *roster = &worker->services[i].roster;
		uint32_t first =
			roster->count > 0 ? random_below(&worker->loop.random, (uint32_t)roster->count) : 0;
		for (size_t m = 0; m < roster->count && count < count_max; m++)
			count += pool_let_go(
				roster->members[(first + m) % roster->count]->pool, count_max - count);
	}
	return count;
}

/* Connections of clients go first: those to backends are what the others are served with. */
static size_t worker_let_go(struct worker *worker)
{
	size_t count = downstream_let_go(&worker->downstream, WORKER_LET_GO);
	count += worker_let_pooled_go(worker, WORKER_LET_GO - count);
	counter_add(&worker->counters, connections_let_go, count);
	return count;
}

/* Descriptors or memory are short, as errno or a failed connect says. True: something was freed. */
static bool worker_make_room(void *arg)
{
	struct worker *worker = arg;
	int error = errno;
	uint64_t now_ms = clock_coarse_ms();
	if (worker->shortage_ms == 0 || now_ms - worker->shortage_ms > WORKER_SHORTAGE_QUIET_MS)
		log_event(LOG_WARNING, "descriptors or memory are short: idle connections are let go",
			LOG_INT("worker", worker->index), LOG_TEXT("reason", strerror(error)));
	worker->shortage_ms = now_ms;
	counter_add(&worker->counters, shortages, 1);
	if (worker_let_go(worker) > 0)
		return true;
	/* Others may have some, unless each has its own; this one is to come again. */
	if (error != EMFILE || !worker->has_own_table)
		(void)!mailbox_post(worker->reports, MESSAGE_SHORTAGE, worker->index, NULL);
	return false;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void worker_end_if_idle(struct worker *worker)
{
	if (worker->is_draining && worker->accepting.is_closed && worker->accepting.connections == 0)
		loop_stop(&worker->loop);
}

static void worker_on_closed(void *arg)
{
	struct worker *worker = arg;
	accepting_count_off(&worker->accepting);
	worker_end_if_idle(worker);
}

static void worker_on_accepting_closed(void *arg)
{
	worker_end_if_idle(arg);
}

/* ---- Messages, turns ------------------------------------------------------------------------- */

static bool worker_knows_all(const struct worker *worker)
{
	for (size_t i = 0; i < worker->settings->service_count; i++)
		if (!worker->services[i].roster.is_known)
			return false;
	return true;
}

/* Take over the reference. What there is no memory for is tried again, unless a newer fleet comes first. */
static void worker_take_fleet(struct worker *worker, struct fleet *fleet)
{
	struct service *service = &worker->services[fleet->service];
	if (service->behind != fleet)
		fleet_unref(&service->behind);
	if (roster_update(&service->roster, fleet)) {
		service->behind = NULL;
		counter_add(&worker->counters, fleet_updates, 1);
		fleet_unref(&fleet);
		if (UNLIKELY(worker->accepting.is_waiting) && worker_knows_all(worker))
			accepting_go_on(&worker->accepting);
		return;
	}
	log_event(LOG_ERROR, "newer set of backends not taken on: no memory, trying again",
		LOG_TEXT("service", service->name), LOG_INT("worker", worker->index));
	service->behind = fleet;
	wheel_arm(&worker->loop.wheel, &worker->fleet_retry, clock_coarse_ms() + WORKER_FLEET_RETRY_MS);
}

static void worker_on_fleet_retry(struct wheel_timer *timer)
{
	struct worker *worker = CONTAINER_OF(timer, struct worker, fleet_retry);
	for (size_t i = 0; i < worker->settings->service_count; i++)
		if (worker->services[i].behind != NULL)
			worker_take_fleet(worker, worker->services[i].behind);
}

static void worker_on_drain(struct worker *worker)
{
	uint64_t drain_ms = worker->settings->drain_timeout_ms;
	uint64_t grace_ms = drain_ms / WORKER_GRACE_SHARE;
	worker->is_draining = true;
	accepting_drain(&worker->accepting, drain_ms / WORKER_LAST_CALL_SHARE);
	downstream_drain(
		&worker->downstream, grace_ms < WORKER_GRACE_MAX_MS ? grace_ms : WORKER_GRACE_MAX_MS);
}

static void worker_on_message(void *arg, struct message *message)
{
	struct worker *worker = arg;
	switch (message->kind) {
	case MESSAGE_FLEET:
		worker_take_fleet(worker, message->fleet);
		break;
	case MESSAGE_PLACE:
		admission_receive(&worker->services[message->number].admission);
		break;
	case MESSAGE_TAKE:
		accepting_take_lent(&worker->accepting, message->number);
		break;
	case MESSAGE_TAKEN:
		accepting_get_back(&worker->accepting, message->number);
		break;
	case MESSAGE_WANTED:
		lending_on_wanted(&worker->lending, message->backend, message->number);
		break;
	case MESSAGE_HANDED_ON:
		lending_on_handed_on(&worker->lending, message->backend);
		break;
	case MESSAGE_SHORTAGE:
		(void)worker_let_go(worker);
		break;
	case MESSAGE_DRAIN:
		worker_on_drain(worker);
		break;
	case MESSAGE_STOP:
		worker->is_draining = true;
		accepting_close(&worker->accepting, false);
		downstream_close_all(&worker->downstream);
		worker_end_if_idle(worker);
		break;
	default:
		break;
	}
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

static void worker_init_sides(struct worker *worker)
{
	const struct settings *settings = worker->settings;
	const struct timeout_settings *timeouts = &settings->timeouts;
	const struct http_parser_limits limits = {.head_bytes = (uint32_t)settings->limits.head_bytes,
		.fields = (uint32_t)settings->limits.fields};
	blocks_init(&worker->parsers, &worker->loop.wheel, sizeof(struct http_parser));
	downstream_shared_init(&worker->downstream, &worker->loop, &exchange_downstream_events,
		&worker->exchange, &worker->counters, &worker->parsers);
	worker->downstream.on_closed = worker_on_closed;
	worker->downstream.is_end_final = settings->half_closed == HALF_CLOSED_SETTING_CANCEL;
	worker->downstream.on_closed_arg = worker;
	worker->downstream.has_proxy_status = settings->proxy_status != PROXY_STATUS_SETTING_OFF;
	worker->downstream.crowd = worker->crowd;
	worker->downstream.limits = limits;
	if (settings->limits.request_body_bytes > 0)
		worker->downstream.body_bytes_max = settings->limits.request_body_bytes;
	worker->downstream.timeouts = (struct downstream_timeouts){
		.request_head_ms = timeouts->request_head_ms,
		.request_body_ms = timeouts->request_body_ms,
		.send_ms = timeouts->response_body_ms,
		.idle_ms = timeouts->client_idle_ms,
		.linger_ms = WORKER_LINGER_MS,
	};
	upstream_shared_init(&worker->upstream, &worker->loop, &exchange_upstream_events, &worker->counters,
		&worker->parsers);
	lending_init(&worker->lending, worker->index, worker->places->worker_count, worker->places->mailboxes,
		&worker->upstream);
	worker->upstream.limits = limits;
	worker->upstream.idle_max = settings->limits.idle_per_endpoint;
	worker->upstream.is_loopback_unpaced =
		settings->loopback_congestion_control == LOOPBACK_CONGESTION_CONTROL_SETTING_RENO;
}

/* A label may hold what no Host field may. */
static const char *host_of_service(const char *name)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	return name[strspn(name, safe)] == '\0' ? name : "localhost";
}

/* The downstream's own timeouts, with what the service has its own of. */
static void worker_init_timeouts(
	struct worker *worker, struct service *service, const struct service_timeout_settings *from)
{
	service->upstream_timeouts = (struct upstream_timeouts){
		.connect_ms = from->connect_ms,
		.response_head_ms = from->response_head_ms,
		.response_body_ms = from->response_body_ms,
		.idle_ms = from->upstream_idle_ms,
	};
	service->client_timeouts = worker->downstream.timeouts;
	service->client_timeouts.request_body_ms = from->request_body_ms;
	service->client_timeouts.send_ms = from->response_body_ms;
	service->tunnel_idle_ms = from->tunnel_idle_ms;
	service->queue_ms = from->queue_ms;
	service->request_ms = from->request_ms;
	service->attempt_ms = worker->settings->retries.attempt_timeout_ms;
	if (service->attempt_ms != 0 && service->attempt_ms < from->connect_ms)
		service->upstream_timeouts.connect_ms = service->attempt_ms;
}

static void worker_init_services(struct worker *worker)
{
	const struct settings *settings = worker->settings;
	wheel_timer_init(&worker->fleet_retry, worker_on_fleet_retry);
	for (size_t i = 0; i < settings->service_count; i++) {
		const struct service_settings *from = &settings->services[i];
		struct service *service = &worker->services[i];
		const struct policy_settings policy = {.choices = (uint32_t)from->choices};
		service->name = from->name;
		service->host = host_of_service(from->name);
		roster_init(&service->roster, policy_find(from->balance), &policy,
			worker->verdicts != NULL ? &worker->verdicts[i] : NULL, worker->index,
			&worker_roster_events, service);
		service->roster.has_panic = from->health.has_panic;
		service->roster.slow_start_ms = from->health.slow_start_ms;
		service->affinity = http_affinity_parse(from->hash_on);
		service->upstream = &worker->upstream;
		service->answers_continue = from->expect_continue == EXPECT_CONTINUE_SETTING_ANSWER;
		worker_init_timeouts(worker, service, &from->timeouts);
		pace_start(service, from, (uint32_t)settings->retries.hedge, &worker->loop.wheel);
		budget_init(&service->budget, (uint32_t)settings->retries.budget,
			settings->retries.budget_min, worker->places[i].worker_count);
		admission_init(&service->admission, &worker->places[i], worker->index, &worker->loop.random);
		service->connections_per_endpoint = from->limits.connections_per_endpoint > 0
							    ? (uint32_t)from->limits.connections_per_endpoint
							    : POOL_UNLIMITED;
	}
}

/* The settings' words and ours. */
static const enum route_repeat route_repeats[] = {
	[REPEAT_SETTING_IDEMPOTENT] = ROUTE_REPEAT_IDEMPOTENT,
	[REPEAT_SETTING_NEVER] = ROUTE_REPEAT_NEVER,
	[REPEAT_SETTING_ALWAYS] = ROUTE_REPEAT_ALWAYS,
};

static int route_compare(const void *a, const void *b)
{
	const struct route *left = a, *right = b;
	return left->path.bytes < right->path.bytes ? 1 : left->path.bytes > right->path.bytes ? -1 : 0;
}

static bool worker_init_routes(struct worker *worker)
{
	const struct settings *settings = worker->settings;
	worker->routes = calloc(settings->route_count, sizeof(*worker->routes));
	if (worker->routes == NULL ||
		!exchange_shared_init(&worker->exchange, &worker->loop, &worker->counters))
		return false;
	for (size_t i = 0; i < settings->route_count; i++) {
		const struct route_settings *from = &settings->routes[i];
		struct route *route = &worker->routes[i];
		route->path = str_of(from->path);
		route->repeat = route_repeats[from->repeat];
		route->upgrades = (const char *const *)from->upgrades;
		route->forward_to = from->forward_to != NULL ? str_of(from->forward_to) : STR("");
		for (size_t s = 0; s < settings->service_count; s++)
			if (strcmp(settings->services[s].name, from->service) == 0)
				route->service = &worker->services[s];
	}
	qsort(worker->routes, settings->route_count, sizeof(*worker->routes), route_compare);
	worker->exchange.routes = worker->routes;
	worker->exchange.route_count = settings->route_count;
	worker->exchange.make_room = worker_make_room;
	worker->exchange.make_room_arg = worker;
	worker->exchange.has_received_status = settings->proxy_status == PROXY_STATUS_SETTING_ALL;
	worker->exchange.tries_max = (uint32_t)settings->retries.tries;
	worker->exchange.is_status_retried = settings->retries.has_status_5xx;
	return true;
}

/* Who is told how each request went. */
static void worker_init_access(struct worker *worker)
{
	static const uint8_t conditions[] = {
		[ACCESS_IF_SETTING_ALL] = ACCESS_ALL,
		[ACCESS_IF_SETTING_FAILED] = ACCESS_FAILED,
		[ACCESS_IF_SETTING_SLOW] = ACCESS_SLOW,
	};
	const struct settings *settings = worker->settings;
	const struct access_log_settings access = {.is_json = settings->log.format == LOG_FORMAT_SETTING_JSON,
		.condition = conditions[settings->log.access_if],
		.slow_us = settings->log.access_slow_ms * 1000};
	access_log_init(&worker->access, worker->access_sink, &access, &worker->loop, &worker->counters);
	worker->exchange.access = &worker->access;
	worker->exchange.is_traced =
		worker->access_sink != NULL || settings->proxy_status != PROXY_STATUS_SETTING_OFF;
}

/* NULL without memory: the settings were checked. */
static struct network *worker_read_networks(char *const *texts, size_t count)
{
	struct network *networks = calloc(count + 1, sizeof(*networks));
	bool is_good = networks != NULL;
	for (size_t i = 0; is_good && i < count; i++)
		is_good = network_parse(texts[i], &networks[i]) == NETWORK_GOOD;
	if (is_good)
		return networks;
	free(networks);
	return NULL;
}

static bool worker_init_explain(struct worker *worker)
{
	const struct explain_settings *from = &worker->settings->explain;
	if (from->networks == NULL)
		return true;
	worker->explain_networks = worker_read_networks(from->networks, from->network_count);
	worker->exchange.explain_networks = worker->explain_networks;
	worker->exchange.explain_count = from->network_count;
	return worker->explain_networks != NULL;
}

/* What backends are told of clients, and whose word on that is believed. */
static bool worker_init_forwarding(struct worker *worker)
{
	static const uint8_t kinds[] = {
		[FORWARDED_FIELDS_SETTING_X_FORWARDED] = HTTP_FORWARDED_X,
		[FORWARDED_FIELDS_SETTING_RFC7239] = HTTP_FORWARDED_RFC7239,
		[FORWARDED_FIELDS_SETTING_BOTH] = HTTP_FORWARDED_X | HTTP_FORWARDED_RFC7239,
		[FORWARDED_FIELDS_SETTING_OFF] = 0,
	};
	const struct forwarded_settings *from = &worker->settings->forwarded;
	worker->exchange.forwarded_kinds = kinds[from->fields];
	worker->downstream.is_own_address_kept = (kinds[from->fields] & HTTP_FORWARDED_RFC7239) != 0;
	if (from->trusted == NULL)
		return true;
	worker->trusted = worker_read_networks(from->trusted, from->trusted_count);
	worker->downstream.trusted = worker->trusted;
	worker->downstream.trusted_count = from->trusted_count;
	return worker->trusted != NULL;
}

static bool worker_init_messages(struct worker *worker)
{
	worker->drain = message_new(MESSAGE_DRAIN, 0);
	worker->stop = message_new(MESSAGE_STOP, 0);
	worker->ended = message_new(MESSAGE_WORKER_ENDED, worker->index);
	return worker->drain != NULL && worker->stop != NULL && worker->ended != NULL;
}

static bool worker_init(struct worker *worker, const struct worker_settings *settings)
{
	if (!accepting_init(&worker->accepting, worker->settings, settings->listeners, settings->company,
		    settings->index))
		return false;
	worker->accepting.make_room = worker_make_room;
	worker->accepting.on_closed = worker_on_accepting_closed;
	worker->accepting.arg = worker;
	worker->services = calloc(worker->settings->service_count, sizeof(*worker->services));
	return worker->services != NULL && worker_init_messages(worker) &&
	       mailbox_make(&worker->mailbox, worker_on_message, worker);
}

struct worker *worker_new(const struct worker_settings *settings)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL) {
		for (size_t i = 0; i < settings->settings->listener_count; i++)
			close(settings->listeners[i]);
		return NULL;
	}
	worker->settings = settings->settings;
	worker->index = settings->index;
	worker->reports = settings->reports;
	worker->mailbox.wake_fd = -1;
	worker->crowd = settings->crowd;
	worker->places = settings->places;
	worker->access_sink = settings->access_sink;
	worker->verdicts = settings->verdicts;
	if (!worker_init(worker, settings))
		worker_free(&worker);
	return worker;
}

/* ---- Its thread ------------------------------------------------------------------------------ */

/* What is missing without it is speed. */
static void worker_open_pipe(struct worker *worker)
{
	if (worker->settings->limits.has_splice && !pipe_open(&worker->loop.pipe))
		log_event(LOG_WARNING, "long bodies are copied: there is no pipe to splice them through",
			LOG_INT("worker", worker->index), LOG_TEXT("reason", strerror(errno)));
}

static void worker_on_awake(void *arg, uint64_t awake_us, bool is_success)
{
	struct worker *worker = arg;
	counter_add(&worker->counters, waits_awake, 1);
	counter_add(&worker->counters, waits_awake_in_vain, is_success ? 0 : 1);
	counter_add(&worker->counters, awake_us, awake_us);
}

bool worker_open(struct worker *worker)
{
	if (!loop_init(&worker->loop, (size_t)worker->settings->limits.receive_bytes))
		return false;
	loop_wait_awake(&worker->loop, worker->settings->answer_wait == ANSWER_WAIT_SETTING_AUTO,
		worker->settings->busy_wait_ms * 1000, worker_on_awake, worker);
	worker_open_pipe(worker);
	worker_init_sides(worker);
	worker_init_services(worker);
	worker->is_open = true;
	if (!mailbox_receive(&worker->mailbox, worker->loop.base) || !worker_init_routes(worker))
		return false;
	worker_init_access(worker);
	return worker_init_forwarding(worker) && worker_init_explain(worker) &&
	       accepting_open(&worker->accepting, &worker->loop, &worker->downstream, worker->has_own_table);
}

/* What was opened on this thread is closed on it: it may have a table of its own. */
static void worker_close(struct worker *worker)
{
	if (!worker->is_open)
		return;
	worker->is_open = false;
	accepting_close(&worker->accepting, false);
	for (size_t i = 0; i < worker->settings->service_count; i++) {
		roster_finish(&worker->services[i].roster);
		pace_stop(&worker->services[i]);
		fleet_unref(&worker->services[i].behind);
	}
	mailbox_leave(&worker->mailbox);
	loop_finish(&worker->loop);
	exchange_shared_finish(&worker->exchange);
	access_log_finish(&worker->access);
	downstream_shared_finish(&worker->downstream);
	upstream_shared_finish(&worker->upstream);
	blocks_finish(&worker->parsers);
}

static void worker_take_table(struct worker *worker)
{
	worker->has_own_table = descriptors_keep_own(worker->kept, worker->kept_count);
	if (!worker->has_own_table && worker->index == 0)
		log_event(LOG_INFO,
			"workers share one table of descriptors, and its limit: the system refuses others",
			LOG_TEXT("reason", strerror(errno)));
}

static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	char name[16]; /* for top, gdb and the like */
	snprintf(name, sizeof(name), "worker-%u", worker->index % 1000);
	pthread_setname_np(pthread_self(), name);
	worker_take_table(worker);
	errno = 0;
	bool is_ready = worker_open(worker);
	worker->start_error = is_ready ? 0 : errno != 0 ? errno : ENOMEM;
	if (!is_ready)
		worker_close(worker);
	sem_post(&worker->start_is_known);
	if (!is_ready)
		return NULL;
	loop_run(&worker->loop);
	worker_close(worker);
	mailbox_send(worker->reports, &worker->ended);
	return NULL;
}

static int worker_run_thread(struct worker *worker)
{
	if (sem_init(&worker->start_is_known, 0, 0) != 0)
		return errno;
	int error = pthread_create(&worker->thread, NULL, worker_run, worker);
	if (error == 0) {
		while (sem_wait(&worker->start_is_known) != 0) {
		}
		error = worker->start_error;
		worker->is_started = error == 0;
		if (error != 0)
			pthread_join(worker->thread, NULL);
	}
	sem_destroy(&worker->start_is_known);
	return error;
}

int worker_start(struct worker *worker, int *kept, size_t kept_count)
{
	worker->kept = kept;
	worker->kept_count = kept_count;
	int error = worker_run_thread(worker);
	worker->kept = NULL;
	return error;
}

void worker_let_listeners_go(struct worker *worker)
{
	accepting_let_go(&worker->accepting);
}

struct mailbox *worker_mailbox(struct worker *worker)
{
	return &worker->mailbox;
}

void worker_drain(struct worker *worker)
{
	mailbox_send(&worker->mailbox, &worker->drain);
}

void worker_stop(struct worker *worker)
{
	mailbox_send(&worker->mailbox, &worker->stop);
}

bool worker_has_own_table(const struct worker *worker)
{
	return worker->has_own_table;
}

const struct counters *worker_counters(const struct worker *worker)
{
	return &worker->counters;
}

const struct latencies *worker_latencies(const struct worker *worker, size_t service)
{
	return &worker->services[service].latencies;
}

void worker_free(struct worker **worker_pointer)
{
	struct worker *worker = *worker_pointer;
	*worker_pointer = NULL;
	if (worker == NULL)
		return;
	if (worker->is_started)
		pthread_join(worker->thread, NULL);
	worker_close(worker); /* if nobody ran it */
	mailbox_close(&worker->mailbox);
	accepting_finish(&worker->accepting);
	free(worker->drain);
	free(worker->stop);
	free(worker->ended);
	free(worker->services);
	free(worker->routes);
	free(worker->trusted);
	free(worker->explain_networks);
	free(worker);
}
