/* server_answer - any bytes as what a ZooKeeper server answers to "cons" and "conf": sessions and addresses
 * in their one spelling come out, the same line by line as at once, or nothing does. */
#include "require.h"
#include "srsd/command/doctor/canonical.h"
#include "srsd/command/doctor/clients.h"

#include <stdlib.h>
#include <string.h>

static void check_clients(const struct clients *clients)
{
	char host[SRSD_HOST_MAX + 1];

	for (size_t i = 0; i < clients->count; i++) {
		const struct client *client = &clients->items[i],
				    *found = clients_find(clients, client->session);

		require(client->session != 0, "a client without a session");
		require(found != NULL && found->session == client->session, "a session is not found again");
		require(i == 0 || clients->items[i - 1].session <= client->session, "they are not sorted");
		require(client->host[0] == '\0' ||
				(canonical_host(client->host, host) && strcmp(host, client->host) == 0),
			"an address has two spellings");
	}
}

/* The same, a line at a time. */
static size_t count_by_lines(char *text)
{
	struct clients clients = {0};
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		require(clients_read(&clients, line), "no memory");
	size_t count = clients.count;
	clients_clear(&clients);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct clients clients = {0};
	struct server_bounds bounds;
	char *text = strndup((const char *)data, bytes);

	require(text != NULL && clients_read(&clients, text), "no memory");
	clients_sort(&clients);
	check_clients(&clients);
	if (server_bounds_read(text, &bounds))
		require(bounds.session_least_ms != 0 && bounds.session_most_ms != 0 && bounds.members != 0,
			"bounds that are none");
	require(count_by_lines(text) == clients.count, "what a line says depends on the others");
	clients_clear(&clients);
	free(text);
	return 0;
}
