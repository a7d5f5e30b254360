/* node_data - reads what nodes say of their endpoints, by the format of their service. Pure; owns nothing. */
#include "node_data.h"

#include <jansson.h>
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
	return format_names[format];
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

/* ---- Our own: {"weight":2,"zone":"a"} -------------------------------------------------------- */

static const char *read_weight(const json_t *value, uint32_t *out)
{
	if (value == NULL)
		return NULL;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		json_integer_value(value) > SRSD_WEIGHT_MAX)
		return "its weight is no integer of 0 to 65535";
	*out = (uint32_t)json_integer_value(value);
	return NULL;
}

static const char *read_zone(const json_t *value, char *out)
{
	if (value == NULL)
		return NULL;
	if (!json_is_string(value) || json_string_length(value) > SRSD_ZONE_MAX)
		return "its zone is no text of up to 63 bytes";
	memcpy(out, json_string_value(value), json_string_length(value) + 1);
	return NULL;
}

static enum srsd_node_verdict read_json(
	const char *data, size_t bytes, struct srsd_node_data *out, const char **why)
{
	json_error_t error;
	json_t *root;

	if (bytes == 0)
		return SRSD_NODE_MEMBER;
	root = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
		return SRSD_NODE_NO_MEMORY;
	if (!json_is_object(root))
		*why = "its data is no JSON object";
	else if ((*why = read_weight(json_object_get(root, "weight"), &out->weight)) == NULL)
		*why = read_zone(json_object_get(root, "zone"), out->zone);
	json_decref(root);
	return *why == NULL ? SRSD_NODE_MEMBER : SRSD_NODE_FAULT;
}

/* ---- All formats ----------------------------------------------------------------------------- */

enum srsd_node_verdict srsd_node_data_read(const struct srsd_read_options *options, const char *name,
	const char *data, size_t bytes, struct srsd_node_data *out, const char **why)
{
	size_t name_bytes = strlen(name);

	*why = name_bytes > SRSD_NODE_NAME_MAX ? "its name is longer than 512 bytes" : NULL;
	out->weight = SRSD_WEIGHT_DEFAULT;
	out->zone[0] = '\0';
	out->label_count = 0;
	out->labels_bytes = 0;
	if (*why != NULL || srsd_address_parse(name, name_bytes, &out->address, why) != SRSD_OK)
		return SRSD_NODE_FAULT;
	if (options->format == SRSD_FORMAT_JSON)
		return read_json(data, bytes, out, why);
	return SRSD_NODE_MEMBER;
}
