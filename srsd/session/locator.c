/* locator - host names of servers to addresses, and when to go on without some. Owns its places. */
#include "session/locator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "session/lookup.h"

/* So long the fast wait for the slow. */
#define LATE_MS 500
/* Of one name; a name with more has them taken in the order of getaddrinfo(). */
#define PLACE_ADDRESSES_MAX 64
/* "[", an IPv6 address with its scope, "]:65535" */
#define NUMERIC_HOST_BYTES 64
#define LOCATION_BYTES	   (NUMERIC_HOST_BYTES + sizeof("[]:65535"))

struct srsd_location {
	char text[LOCATION_BYTES];
};

struct srsd_place {
	struct srsd_locator *locator;
	struct srsd_address server;
	struct srsd_lookup *lookup; /* owned; NULL: none is under way */
	bool is_slow;		    /* nobody waits for it */
	bool has_complained;
	size_t count;
	struct srsd_location *locations; /* owned; as found last */
};

/* ---- What is found --------------------------------------------------------------------------- */

static bool write_location(const struct addrinfo *info, struct srsd_location *out)
{
	char host[NUMERIC_HOST_BYTES];
	char port[sizeof("65535")];

	if (getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	snprintf(out->text, sizeof(out->text), info->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return true;
}

/* Put what was found in the place of what was known. False: nothing of it is of use; nothing changed. */
static bool take_found(struct srsd_place *place, const struct addrinfo *found)
{
	struct srsd_location *locations = calloc(PLACE_ADDRESSES_MAX, sizeof(*locations));
	size_t count = 0;

	if (locations == NULL)
		return false;
	for (const struct addrinfo *info = found; info != NULL && count < PLACE_ADDRESSES_MAX;
		info = info->ai_next) {
		if (info->ai_family == AF_INET || info->ai_family == AF_INET6)
			count += write_location(info, &locations[count]);
	}
	if (count == 0) {
		free(locations);
		return false;
	}
	free(place->locations);
	place->locations = locations;
	place->count = count;
	return true;
}

/* ---- Who is waited for ----------------------------------------------------------------------- */

/* Is there anybody yet who may answer in time? */
static bool is_waiting(const struct srsd_locator *locator)
{
	for (unsigned i = 0; i < locator->count; i++) {
		if (locator->places[i].lookup != NULL && !locator->places[i].is_slow)
			return true;
	}
	return false;
}

/* Once, until a look-up succeeds again. */
static void complain(struct srsd_place *place, const char *why)
{
	if (!place->has_complained)
		srsd_log(place->locator->logger, SRSD_LOG_WARNING,
			"the name of server %s:%u cannot be looked up (%s): %s", place->server.host,
			(unsigned)place->server.port, why,
			place->count > 0 ? "the addresses it had are kept" : "trying on");
	place->has_complained = true;
}

static void take_answer(struct srsd_place *place, const struct addrinfo *found, const char *fault)
{
	struct srsd_locator *locator = place->locator;
	bool was_slow = place->is_slow;

	place->lookup = NULL;
	place->is_slow = false;
	if (found == NULL) {
		complain(place, fault);
	} else if (!take_found(place, found)) {
		complain(place, strerrordesc_np(ENOMEM));
	} else if (place->has_complained) {
		srsd_log(locator->logger, SRSD_LOG_INFO, "the name of server %s:%u was looked up after all",
			place->server.host, (unsigned)place->server.port);
		place->has_complained = false;
	}
	if (is_waiting(locator) && !was_slow)
		return;
	if (!is_waiting(locator))
		event_del(&locator->late);
	locator->ops->on_located(locator->owner);
}

static void on_looked_up(void *owner, const struct addrinfo *found, const char *fault)
{
	struct srsd_place *place = owner;
	const struct srsd_locator_ops *ops = place->locator->ops;
	void *above = place->locator->owner;

	ops->on_turn(above, true);
	take_answer(place, found, fault);
	ops->on_turn(above, false);
}

static void on_late(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_locator *locator = arg;
	const struct srsd_locator_ops *ops = locator->ops;
	void *owner = locator->owner;

	(void)descriptor;
	(void)what;
	ops->on_turn(owner, true);
	for (unsigned i = 0; i < locator->count; i++) {
		struct srsd_place *place = &locator->places[i];

		if (place->lookup == NULL)
			continue;
		place->is_slow = true;
		complain(place, "no answer yet");
	}
	ops->on_located(owner);
	ops->on_turn(owner, false);
}

void srsd_locator_ask(struct srsd_locator *locator)
{
	const struct timeval delay = srsd_timeval_ms(LATE_MS);

	if (!locator->has_names)
		return;
	for (unsigned i = 0; i < locator->count; i++) {
		struct srsd_place *place = &locator->places[i];

		if (place->server.kind != SRSD_HOST_NAME || place->lookup != NULL)
			continue;
		place->lookup = srsd_lookup_begin(
			locator->base, place->server.host, place->server.port, on_looked_up, place);
		if (place->lookup == NULL)
			complain(place, "no memory, descriptor or thread for it");
	}
	/* Also if none could begin: somebody waits to be told. */
	if (event_add(&locator->late, &delay) != 0)
		event_active(&locator->late, EV_TIMEOUT, 1);
}

/* ---- The list -------------------------------------------------------------------------------- */

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Sort, and drop doubles. Returns how many are left. */
static size_t tidy(const char **texts, size_t count)
{
	size_t kept = 0;

	if (count > 0)
		qsort(texts, count, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || strcmp(texts[kept - 1], texts[i]) != 0)
			texts[kept++] = texts[i];
	}
	return kept;
}

static char *join(const char *const *texts, size_t count)
{
	char *list = malloc(count * (LOCATION_BYTES + 1) + 1);
	char *end = list;

	if (list == NULL)
		return NULL;
	*end = '\0';
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*end++ = ',';
		end = stpcpy(end, texts[i]);
	}
	return list;
}

char *srsd_locator_list(const struct srsd_locator *locator, unsigned *count)
{
	size_t total = 0;
	const char **texts;
	char *list;

	for (unsigned i = 0; i < locator->count; i++)
		total += locator->places[i].count;
	texts = malloc((total + 1) * sizeof(*texts));
	if (texts == NULL)
		return NULL;
	total = 0;
	for (unsigned i = 0; i < locator->count; i++) {
		const struct srsd_place *place = &locator->places[i];

		for (size_t j = 0; j < place->count; j++)
			texts[total++] = place->locations[j].text;
	}
	total = tidy(texts, total);
	*count = (unsigned)total;
	list = join(texts, total);
	free(texts);
	return list;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* One server of the list. False: memory is short. */
static bool place_init(struct srsd_place *place, struct srsd_locator *locator, const char *text, size_t bytes)
{
	enum srsd_status status = srsd_address_parse(text, bytes, &place->server, NULL);

	assert(status == SRSD_OK);
	(void)status;
	place->locator = locator;
	if (place->server.kind == SRSD_HOST_NAME) {
		locator->has_names = true;
		return true;
	}
	place->locations = calloc(1, sizeof(*place->locations));
	if (place->locations == NULL)
		return false;
	snprintf(place->locations[0].text, sizeof(place->locations[0].text), "%.*s", (int)bytes, text);
	place->count = 1;
	return true;
}

enum srsd_status srsd_locator_init(struct srsd_locator *locator, struct event_base *base, const char *servers,
	unsigned count, const struct srsd_locator_ops *ops, void *owner, const struct srsd_logger *logger)
{
	const char *text = servers;

	*locator = (struct srsd_locator){.base = base, .logger = logger, .ops = ops, .owner = owner};
	if (event_assign(&locator->late, base, -1, EV_TIMEOUT, on_late, locator) != 0)
		return SRSD_SYSTEM;
	locator->count = count;
	locator->places = calloc(locator->count, sizeof(*locator->places));
	if (locator->places == NULL)
		return SRSD_NO_MEMORY;
	for (unsigned i = 0; i < locator->count; i++) {
		size_t bytes = strcspn(text, ",");

		if (!place_init(&locator->places[i], locator, text, bytes)) {
			srsd_locator_clear(locator);
			return SRSD_NO_MEMORY;
		}
		text += bytes + 1;
	}
	return SRSD_OK;
}

void srsd_locator_clear(struct srsd_locator *locator)
{
	event_del(&locator->late);
	for (unsigned i = 0; i < locator->count && locator->places != NULL; i++) {
		srsd_lookup_cancel(&locator->places[i].lookup);
		free(locator->places[i].locations);
	}
	free(locator->places);
	locator->places = NULL;
	locator->count = 0;
}
