/* node_json.h - what the formats of node data have in common: a JSON object, read with named faults.
 * Each function returns NULL or a static phrase that says what is wrong. */
#ifndef SRSD_NODE_JSON_H
#define SRSD_NODE_JSON_H

#include "node/node_data.h"

#include <jansson.h>

/* How a document of ours is read, and one of others: there what is not needed is left out instead of refused,
 * null means absent, and a number may be written as text. */
enum srsd_node_json_rigour { SRSD_NODE_JSON_STRICT, SRSD_NODE_JSON_LENIENT };

/* The object that `data` holds, owned by the caller; no key twice at any depth, UTF-8 throughout. Else NULL,
 * with `*why`, which is NULL where memory was short. */
json_t *srsd_node_json_load(const char *data, size_t bytes, const char **why) SRSD_MUST_CHECK;

/* The member `key`, or NULL where it is absent or null. */
json_t *srsd_node_json_get(const json_t *object, const char *key);

/* host and port, under the rules of srsd_address_parse(); an IPv6 address may stand without brackets. */
const char *srsd_node_json_address(const json_t *host, const json_t *port, struct srsd_address *out);

/* 0 to SRSD_WEIGHT_MAX. Unchanged where `value` is NULL. */
const char *srsd_node_json_weight(const json_t *value, enum srsd_node_json_rigour rigour, uint32_t *out);

/* `out` has SRSD_ZONE_MAX + 1 bytes. Unchanged where `value` is NULL; lenient: where it is no such text. */
const char *srsd_node_json_zone(const json_t *value, enum srsd_node_json_rigour rigour, char *out);

/* Take the texts of `object` (NULL: none) as labels, in the order of their keys. Lenient: without what is no
 * text, and without those that there is no room for. */
const char *srsd_node_json_labels(
	const json_t *object, enum srsd_node_json_rigour rigour, struct srsd_node_data *out);

#endif
