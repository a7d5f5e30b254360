/* clients - reads the answers of ZooKeeper's four-letter words "cons" and "conf". Pure. */
#include "srsd/command/doctor/clients.h"

#include "srsd/command/doctor/canonical.h"

#include <stdlib.h>
#include <string.h>

static int digit_of(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : 16;
}

/* What stands behind `key` in a line is a number in that base: its digits, as far as they go. 0 when it is
 * not there; the lower bits when it is too long. */
static uint64_t number_of(const char *line, size_t bytes, const char *key, int base)
{
	const char *at = memmem(line, bytes, key, strlen(key));
	uint64_t number = 0;

	if (at == NULL)
		return 0;
	for (at += strlen(key); at < line + bytes && digit_of(*at) < base; at++)
		number = number * (uint64_t)base + (uint64_t)digit_of(*at);
	return number;
}

/* " /127.0.0.1:33690[1](queued=0,...", " /0:0:0:0:0:0:0:1:33690[1](..." or, of newer Java,
 * " /[0:0:0:0:0:0:0:1]:33690[1](...": the address stands before the last colon. */
static void read_host(const char *line, size_t bytes, struct client *client)
{
	char text[SRSD_HOST_MAX + 1], host[SRSD_HOST_MAX + 1];
	const char *paren = memchr(line, '(', bytes);
	const char *start = paren == NULL ? NULL : memrchr(line, '/', (size_t)(paren - line));
	const char *end = start == NULL ? NULL : memrchr(start, ':', (size_t)(paren - start));

	client->host[0] = '\0';
	if (end == NULL)
		return;
	start++;
	if (end - start >= 2 && *start == '[' && end[-1] == ']') {
		start++;
		end--;
	}
	if (start >= end || (size_t)(end - start) >= sizeof(text))
		return;
	memcpy(text, start, (size_t)(end - start));
	text[end - start] = '\0';
	if (canonical_host(text, host) && strlen(host) < sizeof(client->host))
		memcpy(client->host, host, strlen(host) + 1);
}

static bool add(struct clients *clients, const struct client *client)
{
	if (clients->count == clients->room) {
		size_t room = clients->room == 0 ? 64 : clients->room * 2;
		struct client *items = reallocarray(clients->items, room, sizeof(*items));

		if (items == NULL)
			return false;
		clients->items = items;
		clients->room = room;
	}
	clients->items[clients->count++] = *client;
	return true;
}

bool clients_read(struct clients *clients, const char *answer)
{
	for (const char *line = answer; *line != '\0';) {
		size_t bytes = strcspn(line, "\n");
		struct client client = {
			.session = (int64_t)number_of(line, bytes, ",sid=0x", 16),
			.timeout_ms = (uint32_t)number_of(line, bytes, ",to=", 10),
		};

		/* Without a session it is a question like ours, or one that is just being made. */
		if (client.session != 0) {
			read_host(line, bytes, &client);
			if (!add(clients, &client))
				return false;
		}
		line += bytes + (line[bytes] == '\n');
	}
	return true;
}

static int by_session(const void *one, const void *other)
{
	int64_t a = ((const struct client *)one)->session;
	int64_t b = ((const struct client *)other)->session;

	return (a > b) - (a < b);
}

void clients_sort(struct clients *clients)
{
	if (clients->count > 1)
		qsort(clients->items, clients->count, sizeof(*clients->items), by_session);
}

const struct client *clients_find(const struct clients *clients, int64_t session)
{
	const struct client wanted = {.session = session};

	if (clients->count == 0)
		return NULL;
	return bsearch(&wanted, clients->items, clients->count, sizeof(wanted), by_session);
}

void clients_clear(struct clients *clients)
{
	free(clients->items);
	*clients = (struct clients){0};
}

bool server_bounds_read(const char *answer, struct server_bounds *out)
{
	static const char least[] = "minSessionTimeout=", most[] = "maxSessionTimeout=";

	*out = (struct server_bounds){0};
	for (const char *line = answer; *line != '\0';) {
		size_t bytes = strcspn(line, "\n");

		if (strncmp(line, least, strlen(least)) == 0)
			out->session_least_ms = (uint32_t)number_of(line, bytes, least, 10);
		else if (strncmp(line, most, strlen(most)) == 0)
			out->session_most_ms = (uint32_t)number_of(line, bytes, most, 10);
		else if (strncmp(line, "server.", strlen("server.")) == 0)
			out->members++;
		line += bytes + (line[bytes] == '\n');
	}
	if (out->members == 0)
		out->members = 1;
	return out->session_least_ms != 0 && out->session_most_ms != 0;
}
