/* announcement - the data of a node that we register: {"labels":{"rack":"7"},"weight":2,"zone":"a"}.
 * Pure; owns nothing. */
#include "node/announcement.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_data.h"

/* After a failure of the JSON library, which does not say why. */
static enum srsd_status refused(const char *what, struct srsd_error *error)
{
	if (errno == ENOMEM)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node");
	return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s is not UTF-8", what);
}

static enum srsd_status add_labels(
	json_t *root, const struct srsd_register_options *options, struct srsd_error *error)
{
	json_t *labels = json_object();

	/* The root owns them, also where that fails. */
	if (json_object_set_new(root, "labels", labels) != 0)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node");
	for (size_t i = 0; i < options->label_count; i++) {
		const struct srsd_label *label = &options->labels[i];

		if (label->key[0] == '\0')
			return srsd_fail(error, SRSD_BAD_ARGUMENT, "the key of a label is empty");
		if (json_object_get(labels, label->key) != NULL)
			return srsd_fail(
				error, SRSD_BAD_ARGUMENT, "the label \"%s\" is given twice", label->key);
		if (json_object_set_new(labels, label->key, json_string(label->value)) != 0)
			return refused("a label", error);
	}
	return SRSD_OK;
}

static enum srsd_status fill(
	json_t *root, const struct srsd_register_options *options, struct srsd_error *error)
{
	if (json_object_set_new(root, "weight", json_integer((json_int_t)options->weight)) != 0)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node");
	if (options->zone != NULL && options->zone[0] != '\0' &&
		json_object_set_new(root, "zone", json_string(options->zone)) != 0)
		return refused("the zone", error);
	return options->label_count == 0 ? SRSD_OK : add_labels(root, options, error);
}

/* Read it as those will who look for the service. */
static enum srsd_status check(const char *name, const char *data, struct srsd_error *error)
{
	const struct srsd_read_options own = {.format = SRSD_FORMAT_JSON};
	struct srsd_node_data said;
	const char *why = NULL;

	switch (srsd_node_data_read(&own, name, data, strlen(data), &said, &why)) {
	case SRSD_NODE_MEMBER:
		return SRSD_OK;
	case SRSD_NODE_NO_MEMORY:
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node");
	default:
		return srsd_fail(
			error, SRSD_BAD_ARGUMENT, "what is to be said of the node will not do: %s", why);
	}
}

enum srsd_status srsd_announcement_write(
	const struct srsd_register_options *options, const char *name, char **out, struct srsd_error *error)
{
	enum srsd_status status;
	json_t *root;

	*out = NULL;
	if (options == NULL)
		return SRSD_OK;
	errno = 0;
	root = json_object();
	if (root == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node");
	status = fill(root, options, error);
	if (status == SRSD_OK) {
		*out = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
		status = *out == NULL ? srsd_fail(error, SRSD_NO_MEMORY, "no memory for the data of a node")
				      : check(name, *out, error);
	}
	json_decref(root);
	if (status != SRSD_OK) {
		free(*out);
		*out = NULL;
	}
	return status;
}

enum srsd_status srsd_register_options_check(
	const struct srsd_register_options *options, struct srsd_error *error)
{
	enum srsd_status status;
	char *data;

	srsd_error_clear(error);
	status = srsd_announcement_write(options, "127.0.0.1:1", &data, error);
	free(data);
	return status;
}
