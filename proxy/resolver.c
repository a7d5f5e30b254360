/* resolver - host names of endpoints to addresses, on libevent's asynchronous resolver (see resolver.h). */
#include "resolver.h"

#include "base/log.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define RESOLVER_RETRY_FIRST_MS 500
#define RESOLVER_RETRY_MAX_MS	30000

struct look_up {
	LIST_ENTRY(look_up) link;
	struct resolver *resolver;
	struct evdns_getaddrinfo_request *request; /* under way */
	struct event *retry;
	uint64_t retry_ms;
	bool is_found;
	socklen_t bytes;
	struct sockaddr_storage found; /* without port */
	char host[SRSD_HOST_MAX + 1];
};

struct resolver {
	struct event_base *base;
	struct evdns_base *dns; /* made when the first name is looked up */
	void (*on_resolved)(void *arg);
	void *arg;
	LIST_HEAD(, look_up) look_ups;
};

struct resolver *resolver_new(struct event_base *base, void (*on_resolved)(void *arg), void *arg)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	if (resolver == NULL)
		return NULL;
	resolver->base = base;
	resolver->on_resolved = on_resolved;
	resolver->arg = arg;
	LIST_INIT(&resolver->look_ups);
	return resolver;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)address)->sin_port = htons(port);
}

static bool from_digits(
	const struct srsd_address *address, struct sockaddr_storage *resolved, socklen_t *bytes)
{
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)resolved;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)resolved;
	memset(resolved, 0, sizeof(*resolved));
	if (address->kind == SRSD_HOST_IPV4) {
		ipv4->sin_family = AF_INET;
		*bytes = sizeof(*ipv4);
		return inet_pton(AF_INET, address->host, &ipv4->sin_addr) == 1;
	}
	ipv6->sin6_family = AF_INET6;
	*bytes = sizeof(*ipv6);
	return inet_pton(AF_INET6, address->host, &ipv6->sin6_addr) == 1;
}

static void look_up_start(struct look_up *look_up);

static void look_up_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look_up_start(arg);
}

static void look_up_fail(struct look_up *look_up, const char *reason)
{
	struct timeval wait = {.tv_sec = (time_t)(look_up->retry_ms / 1000),
		.tv_usec = (suseconds_t)(look_up->retry_ms % 1000) * 1000};
	log_event(LOG_WARNING, "host name not resolved", LOG_TEXT("host", look_up->host),
		LOG_TEXT("reason", reason), LOG_INT("retry_ms", look_up->retry_ms));
	look_up->retry_ms =
		look_up->retry_ms * 2 < RESOLVER_RETRY_MAX_MS ? look_up->retry_ms * 2 : RESOLVER_RETRY_MAX_MS;
	evtimer_add(look_up->retry, &wait);
}

static void look_up_done(int result, struct evutil_addrinfo *list, void *arg)
{
	struct look_up *look_up = arg;
	look_up->request = NULL;
	if (result == EVUTIL_EAI_CANCEL)
		return;
	if (result != 0 || list == NULL) {
		look_up_fail(look_up, result != 0 ? evutil_gai_strerror(result) : "no address");
		return;
	}
	memcpy(&look_up->found, list->ai_addr, list->ai_addrlen);
	look_up->bytes = (socklen_t)list->ai_addrlen;
	look_up->is_found = true;
	evutil_freeaddrinfo(list);
	look_up->resolver->on_resolved(look_up->resolver->arg);
}

static void look_up_start(struct look_up *look_up)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
	struct resolver *resolver = look_up->resolver;
	if (resolver->dns == NULL)
		resolver->dns = evdns_base_new(
			resolver->base, EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (resolver->dns == NULL) {
		look_up_fail(look_up, "the resolver cannot be set up: see /etc/resolv.conf");
		return;
	}
	/* It may call back, and so clear the request, before it returns NULL. */
	struct evdns_getaddrinfo_request *request =
		evdns_getaddrinfo(resolver->dns, look_up->host, NULL, &hints, look_up_done, look_up);
	if (request != NULL)
		look_up->request = request;
}

static struct look_up *resolver_look_up(struct resolver *resolver, const char *host)
{
	struct look_up *look_up;
	LIST_FOREACH (look_up, &resolver->look_ups, link)
		if (strcmp(look_up->host, host) == 0)
			return look_up;
	look_up = calloc(1, sizeof(*look_up));
	if (look_up == NULL)
		return NULL;
	look_up->resolver = resolver;
	look_up->retry_ms = RESOLVER_RETRY_FIRST_MS;
	look_up->retry = evtimer_new(resolver->base, look_up_again, look_up);
	if (look_up->retry == NULL) {
		free(look_up);
		return NULL;
	}
	memcpy(look_up->host, host, strlen(host) + 1);
	LIST_INSERT_HEAD(&resolver->look_ups, look_up, link);
	/* From the loop, not from here: on_resolved must not come inside resolver_find(). */
	event_active(look_up->retry, EV_TIMEOUT, 0);
	return look_up;
}

enum resolver_result resolver_find(struct resolver *resolver, const struct srsd_address *address,
	struct sockaddr_storage *resolved, socklen_t *bytes)
{
	if (address->kind != SRSD_HOST_NAME) {
		/* Its form was checked where it was read. */
		if (!from_digits(address, resolved, bytes))
			return RESOLVER_WAITING;
		set_port(resolved, address->port);
		return RESOLVER_FOUND;
	}
	const struct look_up *look_up = resolver_look_up(resolver, address->host);
	if (look_up == NULL)
		return RESOLVER_NO_MEMORY;
	if (!look_up->is_found)
		return RESOLVER_WAITING;
	*resolved = look_up->found;
	*bytes = look_up->bytes;
	set_port(resolved, address->port);
	return RESOLVER_FOUND;
}

void resolver_free(struct resolver **resolver_pointer)
{
	struct resolver *resolver = *resolver_pointer;
	*resolver_pointer = NULL;
	if (resolver == NULL)
		return;
	struct look_up *look_up;
	LIST_FOREACH (look_up, &resolver->look_ups, link) {
		event_del(look_up->retry); /* or it could become due below, without a resolver to ask */
		if (look_up->request != NULL)
			evdns_getaddrinfo_cancel(look_up->request);
	}
	if (resolver->dns != NULL)
		evdns_base_free(resolver->dns, 1);
	/* Cancelled look-ups are told so from the loop, and freed then. */
	event_base_loop(resolver->base, EVLOOP_NONBLOCK);
	while ((look_up = LIST_FIRST(&resolver->look_ups)) != NULL) {
		LIST_REMOVE(look_up, link);
		event_free(look_up->retry);
		free(look_up);
	}
	free(resolver);
}
