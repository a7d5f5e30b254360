/* resolver - host names of endpoints to addresses, on libevent's asynchronous resolver (see resolver.h). */
#include "registry/resolver.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#define RESOLVER_RETRY_FIRST_MS 500
#define RESOLVER_RETRY_MAX_MS	30000

/* News is told at once, then gathered for so long. */
#define RESOLVER_NEWS_MS 100

/* When the timer is due while there is nothing to do: it holds its memory from the start. */
#define RESOLVER_FAR_AWAY_MS UINT64_C(1000000000)

/* Questions to name servers under way, two for each name: so many may hang before others wait for them. */
#define RESOLVER_QUESTIONS_MAX "1024"

#define RESOLVER_BUCKETS 1024

struct name {
	LIST_ENTRY(name) link; /* in its bucket, or among the forgotten */
	struct resolver *resolver;
	struct evdns_getaddrinfo_request *request; /* under way */
	uint64_t due_ms;			   /* next look-up, while none is under way */
	uint64_t retry_ms;			   /* how long to wait after the next failure */
	bool is_failing;			   /* the last look-up did */
	bool is_kept;
	bool is_forgotten; /* freed as soon as it is told that its look-up was cancelled */
	uint32_t count;
	union address *found; /* owned; without port */
	char host[SRSD_HOST_MAX + 1];
};

LIST_HEAD(name_list, name);

/* A file of the system's, and which state of it was read. */
struct source {
	const char *path;
	struct timespec changed;
	ino_t inode;
};

struct resolver {
	struct event_base *base;
	struct evdns_base *dns; /* made when the first name is looked up */
	struct source hosts;
	struct source servers;
	struct event *timer; /* always pending; see RESOLVER_FAR_AWAY_MS */
	uint64_t timer_due_ms;
	uint64_t refresh_ms;
	uint64_t news_due_ms; /* 0: no news */
	uint64_t told_ms;     /* when there was some last */
	void (*on_resolved)(void *arg);
	void *arg;
	uint32_t seed;
	size_t count;
	struct name_list buckets[RESOLVER_BUCKETS];
	struct name_list forgotten;
};

/* ---- Time ------------------------------------------------------------------------------------ */

/* Have the timer due by then. It is pending already, and only moved, which takes no memory. */
static void resolver_wake(struct resolver *resolver, uint64_t due_ms)
{
	uint64_t now_ms = clock_coarse_ms();
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 1; /* 0 would take it out */
	struct timeval wait = {
		.tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000};
	if (due_ms >= resolver->timer_due_ms)
		return;
	resolver->timer_due_ms = due_ms;
	(void)event_add(resolver->timer, &wait);
}

/* From 3/4 to 5/4 of it: names that were first looked up together do not stay together. */
static uint64_t jittered(uint64_t ms)
{
	return ms - ms / 4 + arc4random_uniform((uint32_t)(ms / 2) + 1);
}

static void name_due_in(struct name *name, uint64_t wait_ms)
{
	name->due_ms = clock_coarse_ms() + wait_ms;
	resolver_wake(name->resolver, name->due_ms);
}

static void resolver_note_news(struct resolver *resolver)
{
	if (resolver->news_due_ms == 0)
		resolver->news_due_ms = resolver->told_ms + RESOLVER_NEWS_MS;
	resolver_wake(resolver, resolver->news_due_ms);
}

/* ---- What the system says of names ----------------------------------------------------------- */

/* Is it another file than the one that was read? */
static bool source_has_changed(struct source *source)
{
	struct stat status = {0};
	(void)stat(source->path, &status); /* none: as good as an empty one */
	bool is_same = status.st_mtim.tv_sec == source->changed.tv_sec &&
		       status.st_mtim.tv_nsec == source->changed.tv_nsec && status.st_ino == source->inode;
	source->changed = status.st_mtim;
	source->inode = status.st_ino;
	return !is_same;
}

static bool resolver_open_dns(struct resolver *resolver)
{
	(void)source_has_changed(&resolver->hosts);
	(void)source_has_changed(&resolver->servers);
	resolver->dns = evdns_base_new(
		resolver->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (resolver->dns == NULL)
		return false;
	(void)evdns_base_set_option(resolver->dns, "max-inflight:", RESOLVER_QUESTIONS_MAX);
	return true;
}

/* They are read again when they changed; what is being asked then goes on with the new name servers. */
static void resolver_follow_sources(struct resolver *resolver)
{
	if (source_has_changed(&resolver->hosts)) {
		evdns_base_clear_host_addresses(resolver->dns);
		(void)evdns_base_load_hosts(resolver->dns, resolver->hosts.path);
	}
	if (!source_has_changed(&resolver->servers))
		return;
	if (evdns_base_clear_nameservers_and_suspend(resolver->dns) != 0)
		return;
	int result = evdns_base_resolv_conf_parse(
		resolver->dns, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, resolver->servers.path);
	(void)evdns_base_resume(resolver->dns);
	log_event(result == 0 ? LOG_INFO : LOG_WARNING, "name servers changed",
		LOG_TEXT("file", resolver->servers.path), LOG_INT("result", result));
}

/* ---- One name -------------------------------------------------------------------------------- */

static void name_free(struct name *name)
{
	LIST_REMOVE(name, link);
	free(name->found);
	free(name);
}

/* What was found before stands. */
static void name_fail(struct name *name, const char *reason)
{
	if (!name->is_failing)
		log_event(LOG_WARNING, "host name not resolved", LOG_TEXT("host", name->host),
			LOG_TEXT("reason", reason), LOG_INT("addresses_kept", name->count));
	name->is_failing = true;
	name_due_in(name, jittered(name->retry_ms));
	name->retry_ms *= 2;
	if (name->retry_ms > RESOLVER_RETRY_MAX_MS)
		name->retry_ms = RESOLVER_RETRY_MAX_MS;
}

/* False without memory: nothing changed. */
static bool name_take(struct name *name, const struct addresses *found)
{
	if (addresses_same(name->found, name->count, found->list, found->count))
		return true;
	union address *list = calloc(found->count, sizeof(*list));
	if (list == NULL)
		return false;
	memcpy(list, found->list, found->count * sizeof(*list));
	free(name->found);
	name->found = list;
	name->count = found->count;
	resolver_note_news(name->resolver);
	return true;
}

static bool name_has(const struct name *name, const struct sockaddr *address)
{
	struct addresses one = {0};
	addresses_add(&one, address, 0);
	return one.count == 1 && addresses_have(name->found, name->count, &one.list[0]);
}

/* What is known and still holds comes first: of more than there is room for, which name servers shuffle, the
 * same are taken each time. */
static void name_read_answer(
	const struct name *name, const struct evutil_addrinfo *answer, struct addresses *found)
{
	found->count = 0;
	for (int turn = 0; turn < 2; turn++)
		for (const struct evutil_addrinfo *info = answer; info != NULL; info = info->ai_next)
			if (turn == 1 || name_has(name, info->ai_addr))
				addresses_add(found, info->ai_addr, 0);
}

static void name_on_answer(int result, struct evutil_addrinfo *answer, void *arg)
{
	struct name *name = arg;
	struct addresses found;
	name->request = NULL;
	name_read_answer(name, answer, &found);
	if (answer != NULL)
		evutil_freeaddrinfo(answer);
	if (name->is_forgotten) {
		name_free(name);
		return;
	}
	if (result == EVUTIL_EAI_CANCEL)
		return;
	if (result != 0 || found.count == 0) {
		name_fail(name, result != 0 ? evutil_gai_strerror(result) : "no address");
		return;
	}
	addresses_mix(&found);
	if (!name_take(name, &found)) {
		name_fail(name, "no memory");
		return;
	}
	if (name->is_failing)
		log_event(LOG_INFO, "host name resolved after all", LOG_TEXT("host", name->host));
	name->is_failing = false;
	name->retry_ms = RESOLVER_RETRY_FIRST_MS;
	name_due_in(name, jittered(name->resolver->refresh_ms));
}

static void name_look_up(struct name *name)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct resolver *resolver = name->resolver;
	name->due_ms = UINT64_MAX;
	if (resolver->dns == NULL && !resolver_open_dns(resolver)) {
		name_fail(name, "the resolver cannot be set up: see /etc/resolv.conf");
		return;
	}
	/* It may call back, and so set the next time, before it returns NULL. */
	struct evdns_getaddrinfo_request *request =
		evdns_getaddrinfo(resolver->dns, name->host, NULL, &hints, name_on_answer, name);
	if (request != NULL)
		name->request = request;
}

static struct name_list *resolver_bucket(struct resolver *resolver, const char *host)
{
	uint32_t hash = resolver->seed;
	for (; *host != '\0'; host++)
		hash = (hash ^ (unsigned char)*host) * 16777619U;
	return &resolver->buckets[(hash ^ hash >> 16) % RESOLVER_BUCKETS];
}

static struct name *resolver_known(struct resolver *resolver, const char *host)
{
	struct name *name;
	LIST_FOREACH (name, resolver_bucket(resolver, host), link)
		if (strcmp(name->host, host) == 0)
			return name;
	return NULL;
}

static struct name *resolver_name(struct resolver *resolver, const char *host)
{
	struct name *name = resolver_known(resolver, host);
	if (name != NULL)
		return name;
	name = calloc(1, sizeof(*name));
	if (name == NULL)
		return NULL;
	name->resolver = resolver;
	name->retry_ms = RESOLVER_RETRY_FIRST_MS;
	memcpy(name->host, host, strlen(host) + 1);
	LIST_INSERT_HEAD(resolver_bucket(resolver, host), name, link);
	resolver->count++;
	/* From the loop, not from here: on_resolved must not come inside resolver_find(). */
	name_due_in(name, 0);
	return name;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Begin what is due. Returns when the next one is. */
static uint64_t resolver_look_up_due(struct resolver *resolver, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;
	if (resolver->dns != NULL && resolver->count > 0)
		resolver_follow_sources(resolver);
	for (size_t i = 0; i < RESOLVER_BUCKETS; i++) {
		struct name *name;
		LIST_FOREACH (name, &resolver->buckets[i], link) {
			if (name->request == NULL && name->due_ms <= now_ms)
				name_look_up(name);
			if (name->request == NULL && name->due_ms < next_ms)
				next_ms = name->due_ms;
		}
	}
	return next_ms;
}

static void resolver_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct resolver *resolver = arg;
	uint64_t now_ms = clock_coarse_ms();
	(void)fd;
	(void)what;
	resolver->timer_due_ms = UINT64_MAX;
	resolver_wake(resolver, now_ms + RESOLVER_FAR_AWAY_MS);
	resolver_wake(resolver, resolver_look_up_due(resolver, now_ms));
	if (resolver->news_due_ms != 0 && resolver->news_due_ms <= now_ms) {
		resolver->news_due_ms = 0;
		resolver->told_ms = now_ms;
		resolver->on_resolved(resolver->arg);
	} else if (resolver->news_due_ms != 0) {
		resolver_wake(resolver, resolver->news_due_ms);
	}
}

struct resolver *resolver_new(
	struct event_base *base, uint64_t refresh_ms, void (*on_resolved)(void *arg), void *arg)
{
	const struct timeval far_away = {.tv_sec = RESOLVER_FAR_AWAY_MS / 1000};
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (resolver == NULL)
		return NULL;
	resolver->base = base;
	resolver->refresh_ms = refresh_ms;
	resolver->on_resolved = on_resolved;
	resolver->arg = arg;
	resolver->seed = arc4random();
	resolver->hosts.path = "/etc/hosts";
	resolver->servers.path = "/etc/resolv.conf";
	resolver->timer_due_ms = UINT64_MAX;
	LIST_INIT(&resolver->forgotten);
	for (size_t i = 0; i < RESOLVER_BUCKETS; i++)
		LIST_INIT(&resolver->buckets[i]);
	/* Persistent: it is never taken out, and so keeps its memory. */
	resolver->timer = event_new(base, -1, EV_PERSIST, resolver_on_timer, resolver);
	if (resolver->timer == NULL || event_add(resolver->timer, &far_away) != 0)
		resolver_free(&resolver);
	return resolver;
}

static void from_digits(const struct srsd_address *address, struct addresses *found)
{
	union address one = {0};
	bool is_ipv4 = address->kind == SRSD_HOST_IPV4;
	one.any.sa_family = is_ipv4 ? AF_INET : AF_INET6;
	/* Its form was checked where it was read. */
	(void)inet_pton(one.any.sa_family, address->host,
		is_ipv4 ? (void *)&one.ipv4.sin_addr : (void *)&one.ipv6.sin6_addr);
	addresses_add(found, &one.any, address->port);
}

enum resolver_result resolver_find(
	struct resolver *resolver, const struct srsd_address *address, struct addresses *found)
{
	found->count = 0;
	if (address->kind != SRSD_HOST_NAME) {
		from_digits(address, found);
		return RESOLVER_FOUND;
	}
	const struct name *name = resolver_name(resolver, address->host);
	if (name == NULL)
		return RESOLVER_NO_MEMORY;
	for (uint32_t i = 0; i < name->count; i++)
		addresses_add(found, &name->found[i].any, address->port);
	return name->count > 0 ? RESOLVER_FOUND : RESOLVER_WAITING;
}

bool resolver_has_names(const struct resolver *resolver)
{
	return resolver->count > 0;
}

void resolver_keep_begin(struct resolver *resolver)
{
	struct name *name;
	for (size_t i = 0; i < RESOLVER_BUCKETS; i++)
		LIST_FOREACH (name, &resolver->buckets[i], link)
			name->is_kept = false;
}

void resolver_keep(struct resolver *resolver, const struct srsd_address *address)
{
	struct name *name = address->kind == SRSD_HOST_NAME ? resolver_known(resolver, address->host) : NULL;
	if (name != NULL)
		name->is_kept = true;
}

static void name_forget(struct name *name)
{
	struct resolver *resolver = name->resolver;
	resolver->count--;
	if (name->request == NULL) {
		name_free(name);
		return;
	}
	name->is_forgotten = true;
	LIST_REMOVE(name, link);
	LIST_INSERT_HEAD(&resolver->forgotten, name, link);
	evdns_getaddrinfo_cancel(name->request); /* which is told from the loop */
}

static void resolver_forget(struct resolver *resolver, bool all)
{
	for (size_t i = 0; i < RESOLVER_BUCKETS; i++) {
		struct name *name = LIST_FIRST(&resolver->buckets[i]);
		while (name != NULL) {
			struct name *next = LIST_NEXT(name, link);
			if (all || !name->is_kept)
				name_forget(name);
			name = next;
		}
	}
}

void resolver_keep_end(struct resolver *resolver)
{
	resolver_forget(resolver, false);
}

void resolver_free(struct resolver **resolver_pointer)
{
	struct resolver *resolver = *resolver_pointer;
	*resolver_pointer = NULL;
	if (resolver == NULL)
		return;
	if (resolver->timer != NULL)
		event_free(resolver->timer); /* or it could become due below, without a resolver to ask */
	resolver_forget(resolver, true);
	if (resolver->dns != NULL)
		evdns_base_free(resolver->dns, 1);
	/* Cancelled look-ups are told so from the loop, and freed then. */
	if (!LIST_EMPTY(&resolver->forgotten))
		event_base_loop(resolver->base, EVLOOP_NONBLOCK);
	while (!LIST_EMPTY(&resolver->forgotten))
		name_free(LIST_FIRST(&resolver->forgotten));
	free(resolver);
}
