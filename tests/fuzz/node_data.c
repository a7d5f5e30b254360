/* node_data - any bytes as the name and the data of a node, in every format: a verdict with a reason or
 * without, an address that can be written and read again, labels in order and within their bounds. The same
 * document written anew by the JSON library means the same. The name ends at the first newline; a first byte
 * of "0" to "9" chooses the format, from "5" on with a port's name. */
#include "srsd/node/node_data.h"
#include "require.h"

#include <jansson.h>
#include <string.h>

#define FORMATS	       (SRSD_FORMAT_CURATOR + 1)
#define DATA_MAX_BYTES (64 << 10)

/* Garbage in `out` beforehand: what is left of it in a member shows as a difference. */
static enum srsd_node_verdict read_node(const struct srsd_read_options *options, const char *name,
	const char *data, size_t bytes, int garbage, struct srsd_node_data *out)
{
	const char *why = "unset";
	memset(out, garbage, sizeof(*out));
	enum srsd_node_verdict verdict = srsd_node_data_read(options, name, data, bytes, out, &why);
	require((verdict == SRSD_NODE_FAULT) == (why != NULL), "a fault without a reason, or the reverse");
	require(why == NULL || (why[0] != '\0' && strlen(why) < 80), "a reason that says nothing, or much");
	return verdict;
}

static void check_address(const struct srsd_address *address)
{
	char text[SRSD_ADDRESS_MAX];
	struct srsd_address again;
	size_t bytes = srsd_address_format(address, text, sizeof(text));
	require(srsd_address_parse(text, bytes, &again, NULL) == SRSD_OK, "an address that is none");
	require(again.kind == address->kind && again.port == address->port &&
			strcmp(again.host, address->host) == 0,
		"an address that is another one when it is read again");
}

/* Is it UTF-8, and as such a text of JSON? */
static void check_text(const char *text)
{
	json_t *string = json_string(text);
	require(string != NULL, "a text that is not UTF-8");
	json_decref(string);
}

static void check_labels(const struct srsd_node_data *said)
{
	const char *at = said->labels, *before = NULL;
	require(said->label_count <= SRSD_LABELS_MAX && said->labels_bytes <= SRSD_LABELS_BYTES_MAX,
		"labels without bounds");
	for (size_t i = 0; i < said->label_count; i++) {
		size_t left = said->labels_bytes - (size_t)(at - said->labels);
		size_t key_bytes = strnlen(at, left) + 1;
		require(key_bytes < left, "a key without an end");
		size_t value_bytes = strnlen(at + key_bytes, left - key_bytes) + 1;
		require(value_bytes <= left - key_bytes, "a value without an end");
		require(before == NULL || strcmp(before, at) < 0, "labels out of order, or one twice");
		check_text(at);
		check_text(at + key_bytes);
		before = at;
		at += key_bytes + value_bytes;
	}
	require(at == said->labels + said->labels_bytes, "bytes beside the labels");
}

static void require_same(const struct srsd_node_data *one, const struct srsd_node_data *other)
{
	require(one->address.kind == other->address.kind && one->address.port == other->address.port &&
			strcmp(one->address.host, other->address.host) == 0,
		"another address");
	require(one->weight == other->weight && strcmp(one->zone, other->zone) == 0,
		"another weight or zone");
	require(one->label_count == other->label_count && one->labels_bytes == other->labels_bytes &&
			memcmp(one->labels, other->labels, one->labels_bytes) == 0,
		"other labels");
}

/* Other spaces, escapes and order, a member that nobody knows: nothing that would change what is said. */
static void check_written_anew(const struct srsd_read_options *options, const char *name, const char *data,
	size_t bytes, enum srsd_node_verdict verdict, const struct srsd_node_data *said)
{
	static struct srsd_node_data again;
	json_t *root = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(root)) {
		json_decref(root);
		require(verdict != SRSD_NODE_MEMBER || bytes == 0 || options->format == SRSD_FORMAT_NAME,
			"a member of what is no JSON object");
		return;
	}
	if (json_object_get(root, "?") == NULL)
		require(json_object_set_new(root, "?", json_pack("[i,n,{s:s}]", 1, "port", "x")) == 0,
			"no memory");
	char *text = json_dumps(root, JSON_ENSURE_ASCII | JSON_SORT_KEYS | JSON_INDENT(2));
	if (text != NULL) {
		require(read_node(options, name, text, strlen(text), 0x55, &again) == verdict,
			"another verdict on the same document");
		if (verdict == SRSD_NODE_MEMBER)
			require_same(said, &again);
	}
	free(text);
	json_decref(root);
}

static void check(const struct srsd_read_options *options, const char *name, const char *data, size_t bytes)
{
	static struct srsd_node_data said, again;
	enum srsd_node_verdict verdict = read_node(options, name, data, bytes, 0xff, &said);
	require(verdict != SRSD_NODE_NO_MEMORY, "memory was short");
	require(read_node(options, name, data, bytes, 0, &again) == verdict, "another verdict");
	if (verdict == SRSD_NODE_MEMBER) {
		require_same(&said, &again);
		require(said.weight <= SRSD_WEIGHT_MAX, "a weight without bounds");
		require(strnlen(said.zone, sizeof(said.zone)) <= SRSD_ZONE_MAX, "a zone without an end");
		check_text(said.zone);
		check_address(&said.address);
		check_labels(&said);
	}
	check_written_anew(options, name, data, bytes, verdict, &said);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
	const uint8_t *newline = bytes > 0 ? memchr(input, '\n', bytes) : NULL;
	if (newline == NULL || newline == input || bytes > DATA_MAX_BYTES)
		return 0;
	unsigned choice = (input[0] - (unsigned)'0') % (2 * FORMATS);
	struct srsd_read_options options = {.format = (enum srsd_format)(choice % FORMATS),
		.port_name = choice < FORMATS ? NULL : "http"};
	size_t data_bytes = bytes - (size_t)(newline - input) - 1;
	char *name = strndup((const char *)input + 1, (size_t)(newline - input) - 1);
	char *data = malloc(data_bytes > 0 ? data_bytes : 1);
	require(name != NULL && data != NULL, "no memory");
	memcpy(data, newline + 1, data_bytes);
	check(&options, name, data, data_bytes);
	free(data);
	free(name);
	return 0;
}
