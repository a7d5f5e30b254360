/* server - starts, watches over and stops the parts of the proxy (see server.h). */
#include "server.h"

#include "accepting.h"
#include "access/sink.h"
#include "base/log.h"
#include "base/supervisor.h"
#include "checker/checker.h"
#include "listener.h"
#include "mailbox.h"
#include "observe/admin.h"
#include "registry/registry.h"
#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* When the drain timer is due until it is set: it holds its memory from the start. */
static const struct timeval server_far_away = {.tv_sec = INT32_MAX};

/* Those that the thread of the server handles. */
static const int server_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct server {
	const struct settings *settings;
	struct event_base *base;
	struct event *signals[ARRAY_SIZE(server_signals)];
	struct event *drain_timer;
	struct mailbox mailbox; /* states of the registry, ends of the workers, what they are short of */
	struct shelf shelf; /* the sets that are in use: the checker puts them up, the admin endpoint looks */
	struct admin *admin;
	struct registry *registry;
	struct checker *checker;
	size_t worker_count;
	size_t workers_running;
	struct worker **workers;
	struct mailbox **mailboxes; /* of the workers */
	int *sockets;		    /* that they listen on, those of each together */
	struct accepting_company company;
	struct admission_places *places; /* one per service */
	struct verdicts *verdicts;	 /* one per service: what is believed of its endpoints */
	struct standing *standings;	 /* one per service: the registry writes, the admin endpoint reads */
	struct crowd crowd;
	struct access_sink *access_sink; /* NULL: there is no access log */
	bool is_draining;
	enum exit_code exit_code;
};

/* ---- Stopping -------------------------------------------------------------------------------- */

static void server_stop_now(struct server *server, const char *why)
{
	log_event(LOG_WARNING, "stopping at once", LOG_TEXT("reason", why),
		LOG_INT("connections", atomic_load_explicit(&server->crowd.open, memory_order_relaxed)));
	server->exit_code = EXIT_CODE_FAILURE;
	for (size_t i = 0; i < server->worker_count; i++)
		worker_stop(server->workers[i]);
}

static void server_on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	server_stop_now(arg, "drain_timeout is over");
}

static void server_drain(struct server *server, const char *signal_name)
{
	uint64_t wait_ms = server->settings->drain_timeout_ms;
	struct timeval wait = {
		.tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
	log_event(LOG_INFO, "draining", LOG_TEXT("signal", signal_name),
		LOG_INT("connections", atomic_load_explicit(&server->crowd.open, memory_order_relaxed)),
		LOG_INT("timeout_ms", wait_ms));
	supervisor_tell("STOPPING=1");
	server->is_draining = true;
	admin_set_draining(server->admin);
	for (size_t i = 0; i < server->worker_count; i++)
		worker_drain(server->workers[i]);
	(void)evtimer_add(server->drain_timer, &wait); /* moved, which takes no memory */
}

/* As after logrotate has renamed it. */
static void server_reopen_logs(struct server *server)
{
	if (server->access_sink != NULL)
		access_sink_reopen(server->access_sink);
	else
		log_event(LOG_INFO, "SIGUSR1 ignored: there is no access log");
}

static void server_on_signal(evutil_socket_t number, short what, void *arg)
{
	struct server *server = arg;
	const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
	(void)what;
	if (number == SIGUSR1)
		server_reopen_logs(server);
	else if (number == SIGHUP)
		log_event(LOG_WARNING, "SIGHUP ignored: a changed configuration needs a restart");
	else if (!server->is_draining)
		server_drain(server, name);
	else
		server_stop_now(server, "a second signal");
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void server_on_message(void *arg, struct message *message)
{
	struct server *server = arg;
	switch (message->kind) {
	case MESSAGE_STATE:
		admin_set_registry_state(server->admin, message->number);
		break;
	case MESSAGE_SHORTAGE:
		/* It comes again while that lasts: one that is lost does no harm. */
		for (size_t i = 0; i < server->worker_count; i++)
			if (i != message->number)
				(void)!mailbox_post(server->mailboxes[i], MESSAGE_SHORTAGE, 0, NULL);
		break;
	case MESSAGE_WORKER_ENDED:
		if (--server->workers_running == 0)
			event_base_loopbreak(server->base);
		break;
	default:
		break;
	}
}

/* ---- Starting -------------------------------------------------------------------------------- */

static size_t server_count_workers(const struct settings *settings)
{
	cpu_set_t processors;
	if (settings->workers > 0)
		return settings->workers;
	if (sched_getaffinity(0, sizeof(processors), &processors) != 0)
		return 1;
	return (size_t)CPU_COUNT(&processors);
}

static bool server_make_places(struct server *server)
{
	const struct settings *settings = server->settings;
	server->mailboxes = calloc(server->worker_count, sizeof(*server->mailboxes));
	server->places = calloc(settings->service_count, sizeof(*server->places));
	if (server->mailboxes == NULL || server->places == NULL)
		return false;
	for (size_t i = 0; i < settings->service_count; i++) {
		const struct service_limit_settings *limits = &settings->services[i].limits;
		if (!admission_places_init(&server->places[i], limits->requests, limits->queue, (uint32_t)i,
			    (uint32_t)server->worker_count, server->mailboxes))
			return false;
	}
	return true;
}

static void server_free_places(struct server *server)
{
	for (size_t i = 0; server->places != NULL && i < server->settings->service_count; i++)
		admission_places_finish(&server->places[i]);
	free(server->places);
	free(server->mailboxes);
}

static bool server_make_verdicts(struct server *server)
{
	const struct settings *settings = server->settings;
	server->verdicts = calloc(settings->service_count, sizeof(*server->verdicts));
	for (size_t i = 0; server->verdicts != NULL && i < settings->service_count; i++) {
		const struct health_settings *health = &settings->services[i].health;
		const struct belief_rules rules = {.errors_max = (uint32_t)health->errors,
			.ejected_share = (uint32_t)health->ejected_share,
			.ejection_ms = health->ejection_ms,
			.ejection_max_ms = health->ejection_max_ms};
		verdicts_init(&server->verdicts[i], settings->services[i].name, &rules);
	}
	return server->verdicts != NULL;
}

/* Each worker owns its sockets from the moment it is made; the others are closed when one cannot be made. */
static bool server_make_worker(struct server *server, size_t index)
{
	const struct worker_settings settings = {.settings = server->settings,
		.index = (uint32_t)index,
		.listeners = server->sockets + index * server->settings->listener_count,
		.company = server->worker_count > 1 ? &server->company : NULL,
		.reports = &server->mailbox,
		.crowd = &server->crowd,
		.access_sink = server->access_sink,
		.places = server->places,
		.verdicts = server->verdicts};
	server->workers[index] = worker_new(&settings);
	if (server->workers[index] == NULL)
		return false;
	server->mailboxes[index] = worker_mailbox(server->workers[index]);
	return true;
}

/* What their listeners have to do with each other. */
static bool server_make_company(struct server *server)
{
	server->sockets = calloc(server->worker_count * server->settings->listener_count, sizeof(int));
	server->company.sockets = server->sockets;
	server->company.mailboxes = server->mailboxes;
	return server->sockets != NULL && evenness_init(&server->company.evenness, server->worker_count);
}

static enum exit_code server_make_workers(struct server *server)
{
	size_t stride = server->settings->listener_count;
	enum exit_code code = EXIT_CODE_RESOURCES;
	server->workers = calloc(server->worker_count, sizeof(struct worker *));
	if (server->workers != NULL && server_make_company(server))
		code = listener_open_all(server->settings, server->worker_count, server->sockets);
	for (size_t i = 0; i < server->worker_count && code == EXIT_CODE_OK; i++) {
		if (server_make_worker(server, i))
			continue;
		code = EXIT_CODE_RESOURCES;
		for (size_t s = (i + 1) * stride; s < server->worker_count * stride; s++)
			close(server->sockets[s]);
	}
	return code;
}

static bool server_make_checker(struct server *server)
{
	const struct checker_settings checker = {.settings = server->settings,
		.verdicts = server->verdicts,
		.receivers = server->mailboxes,
		.receiver_count = server->worker_count,
		.shelf = &server->shelf};
	server->checker = checker_new(&checker);
	return server->checker != NULL;
}

static bool server_make_registry(struct server *server)
{
	const struct registry_settings registry = {.settings = server->settings,
		.worker_count = (uint32_t)server->worker_count,
		.verdicts = server->verdicts,
		.standings = server->standings,
		.fleets = checker_mailbox(server->checker),
		.states = &server->mailbox};
	server->registry = registry_new(&registry);
	return server->registry != NULL;
}

static sigset_t server_signal_set(void)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(server_signals); i++)
		sigaddset(&set, server_signals[i]);
	return set;
}

static bool server_make_events(struct server *server)
{
	const sigset_t handled = server_signal_set();
	server->base = event_base_new();
	if (server->base == NULL || !mailbox_open(&server->mailbox, server->base, server_on_message, server))
		return false;
	server->drain_timer = evtimer_new(server->base, server_on_drain_timeout, server);
	for (size_t i = 0; i < ARRAY_SIZE(server_signals); i++) {
		server->signals[i] = evsignal_new(server->base, server_signals[i], server_on_signal, server);
		if (server->signals[i] == NULL || evsignal_add(server->signals[i], NULL) != 0)
			return false;
	}
	/* Whoever starts us may have them blocked, which is inherited. */
	if (pthread_sigmask(SIG_UNBLOCK, &handled, NULL) != 0)
		return false;
	return server->drain_timer != NULL && evtimer_add(server->drain_timer, &server_far_away) == 0;
}

static enum exit_code server_make_admin(struct server *server)
{
	size_t service_count = server->settings->service_count;
	const struct counters **counters = calloc(server->worker_count, sizeof(struct counters *));
	const struct latencies **latencies =
		calloc(server->worker_count * service_count, sizeof(struct latencies *));
	if (counters == NULL || latencies == NULL) {
		free(counters);
		free(latencies);
		return EXIT_CODE_RESOURCES;
	}
	for (size_t i = 0; i < server->worker_count; i++) {
		counters[i] = worker_counters(server->workers[i]);
		for (size_t s = 0; s < service_count; s++)
			latencies[i * service_count + s] = worker_latencies(server->workers[i], s);
	}
	const struct admin_context context = {.settings = server->settings,
		.counters = counters,
		.worker_count = server->worker_count,
		.standings = server->standings,
		.verdicts = server->verdicts,
		.latencies = latencies,
		.shelf = &server->shelf};
	enum exit_code code = admin_new(server->base, &context, &server->admin);
	free(counters);
	free(latencies);
	return code;
}

static enum exit_code server_make(struct server *server)
{
	const struct limit_settings *limits = &server->settings->limits;
	server->standings = calloc(server->settings->service_count, sizeof(*server->standings));
	if (server->standings == NULL || !shelf_init(&server->shelf, server->settings->service_count) ||
		!server_make_events(server) || !server_make_places(server) || !server_make_verdicts(server) ||
		!crowd_init(&server->crowd, limits->connections, limits->connections_per_client))
		return EXIT_CODE_RESOURCES;
	enum exit_code code = EXIT_CODE_OK;
	if (server->settings->log.access != NULL)
		code = access_sink_open(server->settings->log.access, &server->access_sink);
	if (code == EXIT_CODE_OK)
		code = server_make_workers(server);
	if (code == EXIT_CODE_OK)
		code = server_make_admin(server);
	if (code == EXIT_CODE_OK && (!server_make_checker(server) || !server_make_registry(server)))
		code = EXIT_CODE_RESOURCES;
	return code;
}

/* What workers need of what is open: the mailboxes that they and the beliefs they share post to, and what all
 * of them listen on. NULL without memory. */
static int *server_list_kept(const struct server *server, size_t *count)
{
	size_t socket_count = server->worker_count * server->settings->listener_count;
	*count = 2 + server->worker_count + socket_count;
	int *descriptors = calloc(*count, sizeof(int));
	if (descriptors == NULL)
		return NULL;
	descriptors[0] = server->mailbox.wake_fd;
	descriptors[1] = checker_mailbox(server->checker)->wake_fd;
	for (size_t i = 0; i < server->worker_count; i++)
		descriptors[2 + i] = server->mailboxes[i]->wake_fd;
	memcpy(&descriptors[2 + server->worker_count], server->sockets, socket_count * sizeof(int));
	return descriptors;
}

static int server_start_workers(struct server *server)
{
	size_t kept_count;
	int *kept = server_list_kept(server, &kept_count);
	int error = kept != NULL ? 0 : ENOMEM;
	for (size_t i = 0; i < server->worker_count && error == 0; i++) {
		error = worker_start(server->workers[i], kept, kept_count);
		server->workers_running += error == 0;
	}
	free(kept);
	for (size_t i = 0; i < server->worker_count; i++)
		worker_let_listeners_go(server->workers[i]);
	return error;
}

/* Threads inherit a mask without the signals that this thread handles: they are delivered here. */
static int server_start_threads(struct server *server)
{
	const sigset_t blocked = server_signal_set();
	sigset_t before;
	int error = pthread_sigmask(SIG_BLOCK, &blocked, &before);
	if (error == 0 && server->access_sink != NULL)
		error = access_sink_start(server->access_sink);
	if (error == 0)
		error = checker_start(server->checker);
	if (error == 0)
		error = server_start_workers(server);
	if (error == 0)
		error = registry_start(server->registry);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void server_finish(struct server *server)
{
	registry_free(&server->registry); /* each before the mailboxes that it posts to */
	checker_free(&server->checker);
	admin_free(&server->admin);
	for (size_t i = 0; server->workers != NULL && i < server->worker_count; i++)
		worker_free(&server->workers[i]);
	access_sink_free(&server->access_sink); /* behind the last line */
	free(server->workers);
	free(server->sockets);
	evenness_finish(&server->company.evenness);
	free(server->standings);
	server_free_places(server);
	crowd_finish(&server->crowd);
	for (size_t i = 0; i < ARRAY_SIZE(server->signals); i++)
		if (server->signals[i] != NULL)
			event_free(server->signals[i]);
	if (server->drain_timer != NULL)
		event_free(server->drain_timer);
	mailbox_close(&server->mailbox);
	shelf_finish(&server->shelf);
	free(server->verdicts); /* behind the last fleet */
	if (server->base != NULL)
		event_base_free(server->base);
}

/* Every connection takes a descriptor or two: use all that the administrator allows. */
static void server_raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_event(
			LOG_WARNING, "limit of descriptors not raised", LOG_TEXT("reason", strerror(errno)));
}

/* Small pieces that are freed are joined with their neighbours at once, instead of being kept apart until the
 * next large one is asked for, and then all of them joined: with each list of a label a hundred names come
 * and go, or ten thousand, and half of the time that a list takes went into that. */
static void server_configure_memory(void)
{
	(void)mallopt(M_MXFAST, 0);
}

/* Say at once, and not when it is too late, that there may be more clients than descriptors for them. */
static void server_tell_room(const struct server *server)
{
	struct rlimit limit;
	size_t tables = worker_has_own_table(server->workers[0]) ? server->worker_count : 1;
	/* Each worker has those of all: in one table that is a descriptor for each of them. */
	uint64_t listeners = server->worker_count * server->worker_count * server->settings->listener_count;
	uint64_t connections = server->settings->limits.connections;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
		limit.rlim_cur > (connections + listeners) / tables)
		return;
	log_event(LOG_WARNING,
		"limits.connections allows more clients than there are descriptors for: raise the limit of "
		"descriptors (ulimit -Hn, LimitNOFILE) or the number of workers, which have it each",
		LOG_INT("connections", connections), LOG_INT("descriptors", limit.rlim_cur * tables),
		LOG_INT("tables", tables), LOG_INT("listeners", listeners));
}

enum exit_code server_run(const struct settings *settings)
{
	struct server server = {.settings = settings, .worker_count = server_count_workers(settings)};
	server.mailbox.wake_fd = -1;
	server_raise_descriptors();
	server_configure_memory();
	server.exit_code = server_make(&server);
	if (server.exit_code == EXIT_CODE_OK) {
		int error = server_start_threads(&server);
		if (error != 0) {
			log_event(LOG_ERROR,
				error == EMFILE ? "threads could not be started: raise the limit of "
						  "descriptors (ulimit -Hn, LimitNOFILE), or "
						  "have fewer listeners or workers"
						: "threads could not be started",
				LOG_TEXT("reason", strerror(error)));
			server_stop_now(&server, "start failed");
			server.exit_code = EXIT_CODE_RESOURCES;
		} else {
			log_event(LOG_INFO, "serving", LOG_INT("workers", server.worker_count));
			supervisor_tell("READY=1");
			server_tell_room(&server);
		}
		if (server.workers_running > 0)
			event_base_dispatch(server.base);
	} else if (server.exit_code == EXIT_CODE_RESOURCES) {
		log_event(
			LOG_ERROR, "start failed: no memory, descriptors or entropy, or see the line before");
	}
	server_finish(&server);
	if (server.is_draining)
		log_event(LOG_INFO, "ended", LOG_INT("exit_code", server.exit_code));
	return server.exit_code;
}
