/* announce - the options of srsd register that become the data of its node. Owns nothing. */
#include "srsd/command/announce.h"

#include "srsd/command/output.h"

#include <string.h>

#define WEIGHT_MAX 65535

static void begin(struct announce_options *options)
{
	if (!options->is_given)
		options->said = (struct srsd_register_options)SRSD_REGISTER_OPTIONS_DEFAULT;
	options->is_given = true;
}

bool announce_read_weight(const char *value, struct announce_options *options)
{
	size_t digits = strspn(value, "0123456789");
	uint32_t weight = 0;

	begin(options);
	for (size_t i = 0; i < digits && weight <= WEIGHT_MAX; i++)
		weight = weight * 10 + (uint32_t)(value[i] - '0');
	if (digits == 0 || value[digits] != '\0' || weight > WEIGHT_MAX) {
		complain("--weight: \"%s\" is no whole number of 0 to %d", value, WEIGHT_MAX);
		return false;
	}
	options->said.weight = weight;
	return true;
}

void announce_read_zone(const char *value, struct announce_options *options)
{
	begin(options);
	options->said.zone = value;
}

bool announce_read_label(char *value, struct announce_options *options)
{
	char *equals = strchr(value, '=');

	begin(options);
	if (equals == NULL || equals == value) {
		complain("--endpoint-label: \"%s\" has no %s; write KEY=VALUE", value,
			equals == NULL ? "\"=\"" : "key");
		return false;
	}
	if (options->said.label_count == ANNOUNCE_LABELS_MAX) {
		complain("--endpoint-label: more than %d of them", ANNOUNCE_LABELS_MAX);
		return false;
	}
	*equals = '\0';
	options->labels[options->said.label_count++] = (struct srsd_label){value, equals + 1};
	return true;
}

bool announce_settle(struct announce_options *options)
{
	struct srsd_error error = {""};

	if (!options->is_given)
		return true;
	options->said.labels = options->labels;
	if (srsd_register_options_check(&options->said, &error) == SRSD_OK)
		return true;
	complain("%s", error.text);
	return false;
}
