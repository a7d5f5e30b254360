/* node_data - reads what nodes say of their endpoints, by the format of their service. Pure; owns nothing.
 *
 * A format is a row: whether the address is the node's name, and what reads its data. */
#include "node/node_data.h"

#include "node/node_json.h"

#include <string.h>

static const char *const format_names[] = {
	[SRSD_FORMAT_NAME] = "name",
	[SRSD_FORMAT_JSON] = "json",
	[SRSD_FORMAT_SMARTSTACK] = "smartstack",
	[SRSD_FORMAT_SERVERSET] = "serverset",
	[SRSD_FORMAT_CURATOR] = "curator",
};

const char *srsd_format_text(enum srsd_format format)
{
	return (size_t)format < SRSD_ARRAY_SIZE(format_names) ? format_names[format] : "unknown";
}

enum srsd_status srsd_format_parse(const char *text, enum srsd_format *out)
{
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(format_names); i++) {
		if (strcmp(text, format_names[i]) == 0) {
			*out = (enum srsd_format)i;
			return SRSD_OK;
		}
	}
	return SRSD_BAD_ARGUMENT;
}

static enum srsd_node_verdict fault(const char **why, const char *text)
{
	*why = text;
	return text == NULL ? SRSD_NODE_MEMBER : SRSD_NODE_FAULT;
}

/* ---- Our own: the name is the address, data {"weight":2,"zone":"a","labels":{"rack":"7"}} ------ */

static enum srsd_node_verdict read_own(const struct srsd_read_options *options, const json_t *root,
	struct srsd_node_data *out, const char **why)
{
	const enum srsd_node_json_rigour strict = SRSD_NODE_JSON_STRICT;
	const char *text = srsd_node_json_weight(json_object_get(root, "weight"), strict, &out->weight);

	(void)options;
	if (text == NULL)
		text = srsd_node_json_zone(json_object_get(root, "zone"), strict, out->zone);
	if (text == NULL)
		text = srsd_node_json_labels(json_object_get(root, "labels"), strict, out);
	return fault(why, text);
}

/* ---- Nerve, the registering half of SmartStack ------------------------------------------------- */

/* {"host":"192.0.2.1","port":80,"name":"i-1234","weight":2,"haproxy_server_options":"backup",
 *  "labels":{"az":"us-east-1a"}}. What follows Nerve writes its numbers as text now and then, and "available"
 * false where a service is shown while its check fails. */
static enum srsd_node_verdict read_smartstack(const struct srsd_read_options *options, const json_t *root,
	struct srsd_node_data *out, const char **why)
{
	const enum srsd_node_json_rigour lenient = SRSD_NODE_JSON_LENIENT;
	const json_t *labels = srsd_node_json_get(root, "labels");
	const json_t *zone = srsd_node_json_get(labels, "zone");
	const char *text;

	(void)options;
	if (json_is_false(json_object_get(root, "available")))
		return SRSD_NODE_ASIDE;
	text = srsd_node_json_address(
		srsd_node_json_get(root, "host"), srsd_node_json_get(root, "port"), &out->address);
	if (text == NULL)
		text = srsd_node_json_weight(srsd_node_json_get(root, "weight"), lenient, &out->weight);
	if (text == NULL)
		text = srsd_node_json_zone(
			zone != NULL ? zone : srsd_node_json_get(labels, "az"), lenient, out->zone);
	if (text == NULL)
		text = srsd_node_json_labels(labels, lenient, out);
	return fault(why, text);
}

/* ---- What services say of themselves in free form ---------------------------------------------- */

/* Texts by which a service tells others what it likes. A weight or a zone among them is taken where it is
 * one, as those do who gave these names their meaning: what somebody else means by them makes no fault. */
static const char *read_metadata(const json_t *metadata, struct srsd_node_data *out)
{
	const enum srsd_node_json_rigour lenient = SRSD_NODE_JSON_LENIENT;

	(void)srsd_node_json_weight(srsd_node_json_get(metadata, "weight"), lenient, &out->weight);
	(void)srsd_node_json_zone(srsd_node_json_get(metadata, "zone"), lenient, out->zone);
	return srsd_node_json_labels(metadata, lenient, out);
}

/* ---- Server sets, of Twitter's commons, Finagle and Aurora ------------------------------------- */

/* {"serviceEndpoint":{"host":"192.0.2.1","port":80},"additionalEndpoints":{"http":{"host":..,"port":..}},
 *  "status":"ALIVE","shard":0,"metadata":{"zone":"a"}}. A status that is not said is ALIVE. */
static enum srsd_node_verdict read_serverset(const struct srsd_read_options *options, const json_t *root,
	struct srsd_node_data *out, const char **why)
{
	const json_t *status = srsd_node_json_get(root, "status");
	const json_t *endpoint = srsd_node_json_get(root, "serviceEndpoint");
	const char *text;

	if (status != NULL && !json_is_string(status))
		return fault(why, "its status is no text");
	if (status != NULL && strcmp(json_string_value(status), "ALIVE") != 0)
		return SRSD_NODE_ASIDE;
	if (options->port_name != NULL)
		endpoint = srsd_node_json_get(
			srsd_node_json_get(root, "additionalEndpoints"), options->port_name);
	if (endpoint == NULL)
		return fault(why, options->port_name != NULL ? "it has no additional endpoint of that name"
							     : "its service endpoint is missing");
	text = srsd_node_json_address(
		srsd_node_json_get(endpoint, "host"), srsd_node_json_get(endpoint, "port"), &out->address);
	if (text == NULL)
		text = read_metadata(srsd_node_json_get(root, "metadata"), out);
	return fault(why, text);
}

/* ---- Apache Curator's service discovery, and Spring Cloud's on it ------------------------------ */

/* Spring Cloud keeps a map of texts in the payload; who has a payload of his own may put them there. */
static const json_t *curator_metadata(const json_t *root)
{
	const json_t *payload = srsd_node_json_get(root, "payload");
	const json_t *metadata = srsd_node_json_get(payload, "metadata");

	return json_is_object(metadata) ? metadata : payload;
}

/* Taken out of service for a while, by Curator's word or by Spring Cloud's. */
static bool is_out_of_service(const json_t *root, const json_t *metadata)
{
	const char *status = json_string_value(srsd_node_json_get(metadata, "instance_status"));

	return json_is_false(json_object_get(root, "enabled")) ||
	       (status != NULL && status[0] != '\0' && strcmp(status, "UP") != 0);
}

/* {"name":"shop","id":"1c0f..","address":"192.0.2.1","port":80,"sslPort":null,"payload":{"@class":"..",
 *  "metadata":{"weight":"2"}},"registrationTimeUTC":1480963577325,"serviceType":"DYNAMIC","uriSpec":..,
 *  "enabled":true} */
static enum srsd_node_verdict read_curator(const struct srsd_read_options *options, const json_t *root,
	struct srsd_node_data *out, const char **why)
{
	const json_t *metadata = curator_metadata(root);
	const json_t *port = srsd_node_json_get(root, "port");
	const char *text;

	(void)options;
	if (is_out_of_service(root, metadata))
		return SRSD_NODE_ASIDE;
	if (port == NULL && srsd_node_json_get(root, "sslPort") != NULL)
		return fault(why, "it has a port for TLS alone");
	text = srsd_node_json_address(srsd_node_json_get(root, "address"), port, &out->address);
	if (text == NULL)
		text = read_metadata(metadata, out);
	return fault(why, text);
}

/* ---- All formats ----------------------------------------------------------------------------- */

struct format {
	bool is_address_name; /* the node's name is the address, and its data may be empty */
	const char *aside;    /* nodes whose names begin so are something else; NULL: none */
	/* NULL: the name says it all. */
	enum srsd_node_verdict (*read)(const struct srsd_read_options *options, const json_t *root,
		struct srsd_node_data *out, const char **why);
};

/* Finagle keeps weights for whole groups of a server set in nodes "vector_...", beside the members. */
static const struct format formats[] = {
	[SRSD_FORMAT_NAME] = {.is_address_name = true},
	[SRSD_FORMAT_JSON] = {.is_address_name = true, .read = read_own},
	[SRSD_FORMAT_SMARTSTACK] = {.read = read_smartstack},
	[SRSD_FORMAT_SERVERSET] = {.aside = "vector_", .read = read_serverset},
	[SRSD_FORMAT_CURATOR] = {.read = read_curator},
};

static enum srsd_node_verdict read_data(const struct srsd_read_options *options, const char *data,
	size_t bytes, struct srsd_node_data *out, const char **why)
{
	enum srsd_node_verdict verdict;
	json_t *root = srsd_node_json_load(data, bytes, why);

	if (root == NULL)
		return *why == NULL ? SRSD_NODE_NO_MEMORY : SRSD_NODE_FAULT;
	verdict = formats[options->format].read(options, root, out, why);
	json_decref(root);
	return verdict;
}

enum srsd_node_verdict srsd_node_data_read(const struct srsd_read_options *options, const char *name,
	const char *data, size_t bytes, struct srsd_node_data *out, const char **why)
{
	const struct format *format = &formats[options->format];
	size_t name_bytes = strlen(name);

	*why = NULL;
	out->weight = SRSD_WEIGHT_DEFAULT;
	out->zone[0] = '\0';
	out->label_count = 0;
	out->labels_bytes = 0;
	if (name_bytes > SRSD_NODE_NAME_MAX)
		return fault(why, "its name is longer than 512 bytes");
	if (format->aside != NULL && strncmp(name, format->aside, strlen(format->aside)) == 0)
		return SRSD_NODE_ASIDE;
	if (format->is_address_name) {
		if (srsd_address_parse(name, name_bytes, &out->address, why) != SRSD_OK)
			return SRSD_NODE_FAULT;
		if (format->read == NULL || bytes == 0)
			return SRSD_NODE_MEMBER;
	}
	return read_data(options, data, bytes, out, why);
}
