/* endpoint - one member of a set. Owns its texts, which stand behind it in one piece of memory: there may be
 * a hundred thousand of them. */
#include "node/endpoint.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Whose its node is, and since when; kept behind the texts, where that was read. */
struct origin {
	int64_t owner;
	int64_t created_ms;
};

/* Where texts stand is counted from the beginning of `text`. */
struct srsd_endpoint {
	atomic_uint references;
	uint32_t weight;
	uint16_t port;
	uint16_t host_at; /* a part of the name where the name is the address */
	uint16_t zone_at;
	uint16_t labels_at;
	uint16_t origin_at; /* 0: not known */
	uint8_t host_bytes;
	uint8_t kind; /* enum srsd_host_kind */
	uint8_t label_count;
	char text[]; /* the name first */
};

_Static_assert(
	SRSD_NODE_NAME_MAX + SRSD_HOST_MAX + SRSD_ZONE_MAX + SRSD_LABELS_BYTES_MAX + sizeof(struct origin) <
		UINT16_MAX,
	"the places of texts fit");
_Static_assert(
	sizeof(struct srsd_endpoint) - offsetof(struct srsd_endpoint, text) <= sizeof("n") + sizeof(""),
	"the struct, which is assigned as a whole, ends within the shortest texts: a name and a zone");
_Static_assert(SRSD_HOST_MAX <= UINT8_MAX && SRSD_LABELS_MAX <= UINT8_MAX, "the counts fit");

/* Where the host stands in the name of the node; or behind its end. */
static size_t host_place(const char *name, const struct srsd_address *address)
{
	size_t at = address->kind == SRSD_HOST_IPV6 ? 1 : 0;

	if (strlen(name) > at && strncmp(name + at, address->host, strlen(address->host)) == 0)
		return at;
	return strlen(name) + 1;
}

struct srsd_endpoint *srsd_endpoint_new(const struct srsd_node *node, const struct srsd_node_data *said)
{
	size_t name_bytes = strlen(node->name) + 1;
	size_t host_bytes = strlen(said->address.host);
	size_t host_at = host_place(node->name, &said->address);
	size_t zone_at = host_at < name_bytes ? name_bytes : name_bytes + host_bytes;
	size_t labels_at = zone_at + strlen(said->zone) + 1;
	size_t origin_at = labels_at + said->labels_bytes;
	const struct origin origin = {.owner = node->owner, .created_ms = node->created_ms};
	bool has_origin = origin.owner != 0 || origin.created_ms != 0;
	struct srsd_endpoint *endpoint =
		malloc(offsetof(struct srsd_endpoint, text) + origin_at + (has_origin ? sizeof(origin) : 0));

	if (endpoint == NULL)
		return NULL;
	*endpoint = (struct srsd_endpoint){
		.weight = said->weight,
		.port = said->address.port,
		.host_at = (uint16_t)host_at,
		.zone_at = (uint16_t)zone_at,
		.labels_at = (uint16_t)labels_at,
		.origin_at = (uint16_t)(has_origin ? origin_at : 0),
		.host_bytes = (uint8_t)host_bytes,
		.kind = (uint8_t)said->address.kind,
		.label_count = (uint8_t)said->label_count,
	};
	atomic_init(&endpoint->references, 1);
	memcpy(endpoint->text, node->name, name_bytes);
	memcpy(endpoint->text + host_at, said->address.host, host_bytes);
	memcpy(endpoint->text + zone_at, said->zone, labels_at - zone_at);
	memcpy(endpoint->text + labels_at, said->labels, said->labels_bytes);
	if (has_origin)
		memcpy(endpoint->text + origin_at, &origin, sizeof(origin));
	return endpoint;
}

static struct origin origin_of(const struct srsd_endpoint *endpoint)
{
	struct origin origin = {0};

	if (endpoint->origin_at != 0)
		memcpy(&origin, endpoint->text + endpoint->origin_at, sizeof(origin));
	return origin;
}

static size_t labels_bytes(const struct srsd_endpoint *endpoint)
{
	const char *labels = endpoint->text + endpoint->labels_at;
	const char *end = labels;

	for (unsigned i = 0; i < 2U * endpoint->label_count; i++)
		end += strlen(end) + 1;
	return (size_t)(end - labels);
}

bool srsd_endpoint_is_made_of(
	const struct srsd_endpoint *endpoint, const struct srsd_node *node, const struct srsd_node_data *said)
{
	const char *text = endpoint->text;

	return srsd_endpoint_owner(endpoint) == node->owner &&
	       srsd_endpoint_created_ms(endpoint) == node->created_ms && endpoint->weight == said->weight &&
	       endpoint->port == said->address.port && endpoint->kind == said->address.kind &&
	       endpoint->host_bytes == strlen(said->address.host) &&
	       memcmp(text + endpoint->host_at, said->address.host, endpoint->host_bytes) == 0 &&
	       strcmp(text, node->name) == 0 && strcmp(text + endpoint->zone_at, said->zone) == 0 &&
	       endpoint->label_count == said->label_count && labels_bytes(endpoint) == said->labels_bytes &&
	       memcmp(text + endpoint->labels_at, said->labels, said->labels_bytes) == 0;
}

struct srsd_endpoint *srsd_endpoint_ref(struct srsd_endpoint *endpoint)
{
	atomic_fetch_add_explicit(&endpoint->references, 1, memory_order_relaxed);
	return endpoint;
}

void srsd_endpoint_unref(struct srsd_endpoint *endpoint)
{
	if (atomic_fetch_sub_explicit(&endpoint->references, 1, memory_order_acq_rel) == 1)
		free(endpoint);
}

/* ---- What it says ---------------------------------------------------------------------------- */

const char *srsd_endpoint_name(const struct srsd_endpoint *endpoint)
{
	return endpoint->text;
}

void srsd_endpoint_address(const struct srsd_endpoint *endpoint, struct srsd_address *out)
{
	out->kind = (enum srsd_host_kind)endpoint->kind;
	out->port = endpoint->port;
	memcpy(out->host, endpoint->text + endpoint->host_at, endpoint->host_bytes);
	out->host[endpoint->host_bytes] = '\0';
}

uint32_t srsd_endpoint_weight(const struct srsd_endpoint *endpoint)
{
	return endpoint->weight;
}

const char *srsd_endpoint_zone(const struct srsd_endpoint *endpoint)
{
	return endpoint->text + endpoint->zone_at;
}

size_t srsd_endpoint_label_count(const struct srsd_endpoint *endpoint)
{
	return endpoint->label_count;
}

void srsd_endpoint_label_at(
	const struct srsd_endpoint *endpoint, size_t index, const char **key, const char **value)
{
	const char *at = endpoint->text + endpoint->labels_at;

	assert(index < endpoint->label_count);
	for (size_t i = 0; i < 2 * index; i++)
		at += strlen(at) + 1;
	*key = at;
	*value = at + strlen(at) + 1;
}

const char *srsd_endpoint_label(const struct srsd_endpoint *endpoint, const char *key)
{
	for (size_t i = 0; i < endpoint->label_count; i++) {
		const char *found;
		const char *value;

		srsd_endpoint_label_at(endpoint, i, &found, &value);
		if (strcmp(found, key) == 0)
			return value;
	}
	return NULL;
}

int64_t srsd_endpoint_owner(const struct srsd_endpoint *endpoint)
{
	return origin_of(endpoint).owner;
}

int64_t srsd_endpoint_created_ms(const struct srsd_endpoint *endpoint)
{
	return origin_of(endpoint).created_ms;
}
