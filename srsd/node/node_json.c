/* node_json - members of JSON documents, checked one by one (see node_json.h). Pure; owns nothing. */
#include "node/node_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The document ---------------------------------------------------------------------------- */

static const char *load_fault(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "its data has a key twice";
	case json_error_invalid_utf8:
		return "its data is not UTF-8";
	case json_error_numeric_overflow:
		return "its data has a number that is out of range";
	case json_error_null_byte_in_key:
	case json_error_null_character:
		return "its data has a NUL in a text";
	case json_error_premature_end_of_input:
		return "its data ends within the JSON";
	case json_error_end_of_input_expected:
		return "its data goes on after the JSON";
	case json_error_stack_overflow:
		return "its data is nested too deeply";
	default:
		return "its data is not JSON";
	}
}

/* The parser loses bytes of a text, unseen, where its buffer for one cannot grow: is there room for the
 * longest that these bytes may hold? */
static bool has_room(size_t bytes)
{
	void *volatile room = malloc(2 * bytes); /* or the compiler would leave it out */

	free(room);
	return room != NULL;
}

/* The parser reports its other allocations that fail as any other error, or as none: errno tells. */
json_t *srsd_node_json_load(const char *data, size_t bytes, const char **why)
{
	json_error_t error = {0};
	json_t *root;

	*why = bytes == 0 ? "its data is empty" : NULL;
	if (bytes == 0 || !has_room(bytes))
		return NULL;
	errno = 0;
	root = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		*why = errno == ENOMEM ? NULL : load_fault(json_error_code(&error));
		return NULL;
	}
	if (!json_is_object(root)) {
		*why = "its data is no JSON object";
		json_decref(root);
		return NULL;
	}
	*why = NULL;
	return root;
}

json_t *srsd_node_json_get(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_null(value) ? NULL : value;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* A whole number of up to `max`, below 10^6; or, lenient, one in decimal digits. */
static bool read_number(const json_t *value, enum srsd_node_json_rigour rigour, uint32_t max, uint32_t *out)
{
	json_int_t number = 0;

	if (json_is_string(value) && rigour == SRSD_NODE_JSON_LENIENT) {
		const char *text = json_string_value(value);
		size_t digits = strspn(text, "0123456789");

		if (digits == 0 || digits > 6 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
			return false;
		for (size_t i = 0; i < digits; i++)
			number = number * 10 + (text[i] - '0');
	} else if (json_is_integer(value)) {
		number = json_integer_value(value);
	} else {
		return false;
	}
	if (number < 0 || number > max)
		return false;
	*out = (uint32_t)number;
	return true;
}

const char *srsd_node_json_weight(const json_t *value, enum srsd_node_json_rigour rigour, uint32_t *out)
{
	if (value == NULL || read_number(value, rigour, SRSD_WEIGHT_MAX, out))
		return NULL;
	return "its weight is no whole number of 0 to 65535";
}

/* ---- Addresses ------------------------------------------------------------------------------- */

const char *srsd_node_json_address(const json_t *host, const json_t *port, struct srsd_address *out)
{
	char text[sizeof("[]:65535") + SRSD_HOST_MAX + sizeof("[]")];
	struct in6_addr binary;
	uint32_t number;
	const char *why;
	bool is_bare;
	int bytes;

	if (host == NULL)
		return "its host is missing";
	if (!json_is_string(host))
		return "its host is no text";
	if (port == NULL)
		return "its port is missing";
	if (!read_number(port, SRSD_NODE_JSON_LENIENT, UINT16_MAX, &number) || number == 0)
		return "its port is no whole number of 1 to 65535";
	if (json_string_length(host) > SRSD_HOST_MAX + 2)
		return "the host is longer than 253 bytes";
	is_bare = inet_pton(AF_INET6, json_string_value(host), &binary) == 1;
	bytes = snprintf(text, sizeof(text), "%s%s%s:%u", is_bare ? "[" : "", json_string_value(host),
		is_bare ? "]" : "", (unsigned)number);
	return srsd_address_parse(text, (size_t)bytes, out, &why) == SRSD_OK ? NULL : why;
}

/* ---- Zones and labels ------------------------------------------------------------------------ */

const char *srsd_node_json_zone(const json_t *value, enum srsd_node_json_rigour rigour, char *out)
{
	if (value == NULL)
		return NULL;
	if (!json_is_string(value) || json_string_length(value) > SRSD_ZONE_MAX)
		return rigour == SRSD_NODE_JSON_LENIENT ? NULL : "its zone is no text of up to 63 bytes";
	memcpy(out, json_string_value(value), json_string_length(value) + 1);
	return NULL;
}

struct label {
	const char *key;
	const json_t *value;
};

/* The first ones in the order of their keys. False: there are more. */
struct sorted_labels {
	struct label labels[SRSD_LABELS_MAX];
	size_t count;
};

static bool insert_label(struct sorted_labels *sorted, const char *key, const json_t *value)
{
	bool is_full = sorted->count == SRSD_LABELS_MAX;
	size_t at = sorted->count;

	while (at > 0 && strcmp(sorted->labels[at - 1].key, key) > 0)
		at--;
	if (at == SRSD_LABELS_MAX)
		return false;
	memmove(&sorted->labels[at + 1], &sorted->labels[at],
		(sorted->count - (is_full ? 1 : 0) - at) * sizeof(sorted->labels[0]));
	sorted->labels[at] = (struct label){key, value};
	if (!is_full)
		sorted->count++;
	return !is_full;
}

static bool append_text(struct srsd_node_data *out, const char *text)
{
	size_t bytes = strlen(text) + 1;

	if (bytes > sizeof(out->labels) - out->labels_bytes)
		return false;
	memcpy(out->labels + out->labels_bytes, text, bytes);
	out->labels_bytes += bytes;
	return true;
}

static bool append_label(struct srsd_node_data *out, const struct label *label)
{
	size_t before = out->labels_bytes;

	if (!append_text(out, label->key) || !append_text(out, json_string_value(label->value))) {
		out->labels_bytes = before;
		return false;
	}
	out->label_count++;
	return true;
}

const char *srsd_node_json_labels(
	const json_t *object, enum srsd_node_json_rigour rigour, struct srsd_node_data *out)
{
	struct sorted_labels sorted = {.count = 0};
	bool is_strict = rigour == SRSD_NODE_JSON_STRICT;
	json_t *walked = (json_t *)(uintptr_t)object; /* an iterator only reads, but is not declared so */

	if (object == NULL)
		return NULL;
	if (!json_is_object(object))
		return is_strict ? "its labels are no JSON object" : NULL;
	for (void *at = json_object_iter(walked); at != NULL; at = json_object_iter_next(walked, at)) {
		const json_t *value = json_object_iter_value(at);

		if (!json_is_string(value)) {
			if (is_strict)
				return "one of its labels is no text";
			continue;
		}
		if (!insert_label(&sorted, json_object_iter_key(at), value) && is_strict)
			return "it has more than 32 labels";
	}
	for (size_t i = 0; i < sorted.count; i++)
		if (!append_label(out, &sorted.labels[i]) && is_strict)
			return "its labels are longer than 2048 bytes together";
	return NULL;
}
