/* state_file - the last known set of a label as the bytes of a file, and back (see state_file.h). */
#include "state/state_file.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "node/endpoint.h"
#include "node/snapshot.h"

#define HEADER_MAGIC  "srsd-state "
#define HEADER_FORMAT HEADER_MAGIC "1 %08" PRIx32 " %010" PRIu32 "\n"
#define HEADER_BYTES  (sizeof(HEADER_MAGIC "1 01234567 0123456789\n") - 1)

#define LABEL_SHOWN_MAX 96
#define SERVERS_MAX	64 /* of a list; further ones are told apart by the list as it is written */
#define OWNER_DEFAULT	0
#define JSON_DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

_Static_assert(LABEL_SHOWN_MAX + sizeof("-0123456789abcdef.state") <= SRSD_STATE_NAME_MAX, "a name fits");
_Static_assert(SRSD_STATE_FILE_BYTES_MAX <= UINT32_MAX, "its length fits into ten digits");

/* ---- The subject ----------------------------------------------------------------------------- */

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* "b:1,a:1" as "a:1,b:1": the order says nothing. NULL: memory is short. */
static char *sorted_servers(const char *servers)
{
	char *copy = strdup(servers);
	char *sorted = malloc(strlen(servers) + 1);
	char *parts[SERVERS_MAX];
	char *rest = copy;
	char *to = sorted;
	size_t count = 0;

	if (copy == NULL || sorted == NULL) {
		free(copy);
		free(sorted);
		return NULL;
	}
	while (rest != NULL && count < SERVERS_MAX - 1)
		parts[count++] = strsep(&rest, ",");
	if (rest != NULL)
		parts[count++] = rest;
	qsort(parts, count, sizeof(*parts), compare_texts);
	for (size_t i = 0; i < count; i++)
		to += sprintf(to, "%s%s", i == 0 ? "" : ",", parts[i]);
	free(copy);
	return sorted;
}

/* FNV-1a, and the end of the text in it, so that no two lists of texts are alike by accident. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3U;
	} while (*text++ != '\0');
	return hash;
}

static const char *port_name_of(const struct srsd_state_subject *subject)
{
	return subject->options->port_name == NULL ? "" : subject->options->port_name;
}

bool srsd_state_file_name(const struct srsd_state_subject *subject, char out[SRSD_STATE_NAME_MAX])
{
	static const char harmless[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-";
	const char *label = strrchr(subject->path, '/');
	char *servers = sorted_servers(subject->servers);
	uint64_t hash = 0xcbf29ce484222325U;
	size_t used = 0;

	if (servers == NULL)
		return false;
	hash = hash_text(hash, servers);
	hash = hash_text(hash, subject->path);
	hash = hash_text(hash, srsd_format_text(subject->options->format));
	hash = hash_text(hash, port_name_of(subject));
	for (label = label == NULL ? subject->path : label + 1; *label != '\0' && used < LABEL_SHOWN_MAX;
		label++)
		out[used++] = strchr(harmless, *label) != NULL ? *label : '_';
	snprintf(out + used, SRSD_STATE_NAME_MAX - used, "-%016" PRIx64 ".state", hash);
	free(servers);
	return true;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Write `line`, which it takes over, and a newline. */
static bool write_line(FILE *out, json_t *line)
{
	bool is_written =
		line != NULL && json_dumpf(line, out, JSON_DUMP_FLAGS) == 0 && fputc('\n', out) != EOF;

	json_decref(line);
	return is_written;
}

static bool write_subject(FILE *out, const struct srsd_state_subject *subject, int64_t confirmed_ms)
{
	char *servers = sorted_servers(subject->servers);
	json_t *line = NULL;

	if (servers != NULL)
		line = json_pack("{s:s, s:s, s:s, s:s, s:I}", "servers", servers, "path", subject->path,
			"format", srsd_format_text(subject->options->format), "port_name",
			port_name_of(subject), "confirmed_ms", (json_int_t)confirmed_ms);
	free(servers);
	return write_line(out, line);
}

static json_t *labels_of(const struct srsd_endpoint *endpoint)
{
	json_t *labels = json_object();

	for (size_t i = 0; i < srsd_endpoint_label_count(endpoint) && labels != NULL; i++) {
		const char *key;
		const char *value;

		srsd_endpoint_label_at(endpoint, i, &key, &value);
		if (json_object_set_new(labels, key, json_string(value)) != 0) {
			json_decref(labels);
			labels = NULL;
		}
	}
	return labels;
}

static bool set_if(json_t *line, bool is_said, const char *key, json_t *value)
{
	if (is_said)
		return json_object_set_new(line, key, value) == 0;
	json_decref(value);
	return true;
}

/* What the name does not say. */
static bool set_rest(json_t *line, const struct srsd_endpoint *endpoint)
{
	const char *name = srsd_endpoint_name(endpoint);
	const char *zone = srsd_endpoint_zone(endpoint);
	uint32_t weight = srsd_endpoint_weight(endpoint);
	int64_t owner = srsd_endpoint_owner(endpoint);
	int64_t created_ms = srsd_endpoint_created_ms(endpoint);
	char text[SRSD_ADDRESS_MAX];
	struct srsd_address address;

	srsd_endpoint_address(endpoint, &address);
	srsd_address_format(&address, text, sizeof(text));
	return set_if(line, strcmp(name, text) != 0, "address", json_string(text)) &&
	       set_if(line, weight != SRSD_WEIGHT_DEFAULT, "weight", json_integer(weight)) &&
	       set_if(line, zone[0] != '\0', "zone", json_string(zone)) &&
	       set_if(line, srsd_endpoint_label_count(endpoint) > 0, "labels", labels_of(endpoint)) &&
	       set_if(line, owner != OWNER_DEFAULT, "owner", json_integer(owner)) &&
	       set_if(line, created_ms != 0, "created_ms", json_integer(created_ms));
}

static bool is_ascii(const char *text)
{
	while ((signed char)*text > 0)
		text++;
	return *text == '\0';
}

/* A name that is no UTF-8 cannot be written, and its member is left out. */
static bool write_member(FILE *out, const struct srsd_endpoint *endpoint)
{
	json_t *name = json_string(srsd_endpoint_name(endpoint));
	json_t *line;

	if (name == NULL && !is_ascii(srsd_endpoint_name(endpoint)))
		return true;
	line = json_object();
	if (line == NULL || json_object_set_new(line, "name", name) != 0 || !set_rest(line, endpoint)) {
		json_decref(line);
		return false;
	}
	return write_line(out, line);
}

static unsigned long checksum(const char *body, size_t bytes)
{
	return crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)body, bytes);
}

/* The header that belongs to the body behind it. */
static void make_header(const char *body, size_t bytes, char out[HEADER_BYTES + 1])
{
	snprintf(out, HEADER_BYTES + 1, HEADER_FORMAT, (uint32_t)checksum(body, bytes), (uint32_t)bytes);
}

static bool write_all(FILE *out, const struct srsd_state_subject *subject,
	const struct srsd_snapshot *snapshot, int64_t confirmed_ms)
{
	char header[HEADER_BYTES + 1];

	make_header("", 0, header); /* in its place, for now */
	if (fputs(header, out) == EOF || !write_subject(out, subject, confirmed_ms))
		return false;
	for (size_t i = 0; i < srsd_snapshot_count(snapshot); i++) {
		if (!write_member(out, srsd_snapshot_at(snapshot, i)))
			return false;
	}
	return true;
}

char *srsd_state_file_write(const struct srsd_state_subject *subject, const struct srsd_snapshot *snapshot,
	int64_t confirmed_ms, size_t *bytes)
{
	char header[HEADER_BYTES + 1];
	char *text = NULL;
	FILE *out = open_memstream(&text, bytes);
	bool is_written;

	if (out == NULL)
		return NULL;
	is_written = write_all(out, subject, snapshot, confirmed_ms);
	if (fclose(out) != 0 || !is_written || *bytes > SRSD_STATE_FILE_BYTES_MAX) {
		free(text);
		return NULL;
	}
	make_header(text + HEADER_BYTES, *bytes - HEADER_BYTES, header);
	memcpy(text, header, HEADER_BYTES);
	return text;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* What is left to be read, and what is made of it. */
struct parsing {
	const char *at;
	const char *end;
	const char *why;
	struct srsd_endpoint **members;
	size_t count;
	size_t room;
};

static bool refuse(struct parsing *parsing, const char *why)
{
	parsing->why = why;
	return false;
}

static bool check_header(struct parsing *parsing)
{
	size_t bytes = (size_t)(parsing->end - parsing->at);
	char header[HEADER_BYTES + 1];

	if (bytes < sizeof(HEADER_MAGIC) - 1 ||
		memcmp(parsing->at, HEADER_MAGIC, sizeof(HEADER_MAGIC) - 1) != 0)
		return refuse(parsing, bytes == 0 ? "it is empty" : "it is no such file");
	if (memchr(parsing->at, '\n', bytes) != NULL &&
		memcmp(parsing->at, HEADER_MAGIC "1 ", sizeof(HEADER_MAGIC "1 ") - 1) != 0)
		return refuse(parsing, "it is damaged, or of another version of this library");
	if (bytes < HEADER_BYTES)
		return refuse(parsing, "it is damaged: cut");
	parsing->at += HEADER_BYTES;
	make_header(parsing->at, bytes - HEADER_BYTES, header);
	if (memcmp(parsing->at - HEADER_BYTES, header, HEADER_BYTES) != 0)
		return refuse(parsing, "it is damaged: its length or its checksum is wrong");
	return true;
}

/* The next line; the caller gives it back. NULL: it is not as it should be. */
static json_t *next_line(struct parsing *parsing)
{
	const char *end = memchr(parsing->at, '\n', (size_t)(parsing->end - parsing->at));
	json_t *line;

	if (end == NULL)
		return NULL;
	line = json_loadb(parsing->at, (size_t)(end - parsing->at), JSON_REJECT_DUPLICATES, NULL);
	parsing->at = end + 1;
	return line;
}

static bool read_subject(
	struct parsing *parsing, const struct srsd_state_subject *subject, int64_t *confirmed_ms)
{
	const char *servers, *path, *format, *port_name;
	char *own_servers = sorted_servers(subject->servers);
	json_t *line = next_line(parsing);
	json_int_t confirmed;
	bool is_ours = false;

	if (line == NULL ||
		json_unpack(line, "{s:s, s:s, s:s, s:s, s:I !}", "servers", &servers, "path", &path, "format",
			&format, "port_name", &port_name, "confirmed_ms", &confirmed) != 0 ||
		confirmed < 0) {
		refuse(parsing, "what is in it makes no sense");
	} else if (own_servers != NULL &&
		   (strcmp(servers, own_servers) != 0 || strcmp(path, subject->path) != 0)) {
		refuse(parsing, "it is of another label or registry");
	} else if (strcmp(format, srsd_format_text(subject->options->format)) != 0 ||
		   strcmp(port_name, port_name_of(subject)) != 0) {
		refuse(parsing, "it is of another format of nodes");
	} else {
		*confirmed_ms = confirmed;
		is_ours = own_servers != NULL;
	}
	json_decref(line);
	free(own_servers);
	return is_ours;
}

/* Append key and value as node data has them. */
static bool take_label(struct srsd_node_data *said, const char *key, const char *value)
{
	size_t key_bytes = strlen(key) + 1;
	size_t value_bytes = strlen(value) + 1;

	if (said->label_count == SRSD_LABELS_MAX ||
		key_bytes + value_bytes > sizeof(said->labels) - said->labels_bytes)
		return false;
	memcpy(said->labels + said->labels_bytes, key, key_bytes);
	memcpy(said->labels + said->labels_bytes + key_bytes, value, value_bytes);
	said->labels_bytes += key_bytes + value_bytes;
	said->label_count++;
	return true;
}

static bool take_labels(struct srsd_node_data *said, json_t *labels)
{
	const char *before = NULL;
	const char *key;
	json_t *value;

	json_object_foreach(labels, key, value)
	{
		if (!json_is_string(value) || (before != NULL && strcmp(before, key) >= 0) ||
			!take_label(said, key, json_string_value(value)))
			return false;
		before = key;
	}
	return true;
}

static bool is_name(const struct parsing *parsing, const char *name)
{
	size_t bytes = strlen(name);

	return bytes > 0 && bytes <= SRSD_NODE_NAME_MAX && strchr(name, '/') == NULL &&
	       (parsing->count == 0 ||
		       strcmp(srsd_endpoint_name(parsing->members[parsing->count - 1]), name) < 0);
}

/* Take a member's line apart. The texts of `node` live as long as the line. */
static bool unpack_member(
	const struct parsing *parsing, json_t *line, struct srsd_node *node, struct srsd_node_data *said)
{
	const char *address = NULL, *zone = "";
	json_t *labels = NULL;
	json_int_t weight = SRSD_WEIGHT_DEFAULT, owner = OWNER_DEFAULT, created_ms = 0;

	if (json_unpack(line, "{s:s, s?s, s?I, s?s, s?o, s?I, s?I !}", "name", &node->name, "address",
		    &address, "weight", &weight, "zone", &zone, "labels", &labels, "owner", &owner,
		    "created_ms", &created_ms) != 0 ||
		!is_name(parsing, node->name) || weight < 0 || weight > SRSD_WEIGHT_MAX ||
		strlen(zone) > SRSD_ZONE_MAX || (labels != NULL && !json_is_object(labels)))
		return false;
	if (address == NULL)
		address = node->name;
	memset(said, 0, offsetof(struct srsd_node_data, labels));
	said->weight = (uint32_t)weight;
	memcpy(said->zone, zone, strlen(zone) + 1);
	node->owner = owner;
	node->created_ms = created_ms;
	return srsd_address_parse(address, strlen(address), &said->address, NULL) == SRSD_OK &&
	       (labels == NULL || take_labels(said, labels));
}

static bool add_member(struct parsing *parsing, struct srsd_endpoint *endpoint)
{
	if (endpoint == NULL)
		return false;
	if (parsing->count == parsing->room) {
		size_t room = parsing->room == 0 ? 64 : parsing->room * 2;
		struct srsd_endpoint **members = realloc(parsing->members, room * sizeof(*members));

		if (members == NULL) {
			srsd_endpoint_unref(endpoint);
			return false;
		}
		parsing->members = members;
		parsing->room = room;
	}
	parsing->members[parsing->count++] = endpoint;
	return true;
}

/* False without `why`: memory is short. */
static bool read_member(struct parsing *parsing)
{
	struct srsd_node node = {0};
	struct srsd_node_data said;
	json_t *line = next_line(parsing);
	bool is_read = line != NULL && unpack_member(parsing, line, &node, &said);

	if (!is_read)
		refuse(parsing, "what is in it makes no sense");
	is_read = is_read && add_member(parsing, srsd_endpoint_new(&node, &said));
	json_decref(line);
	return is_read;
}

enum srsd_state_verdict srsd_state_file_read(const struct srsd_state_subject *subject, const char *text,
	size_t bytes, struct srsd_snapshot **snapshot, int64_t *confirmed_ms, const char **why)
{
	struct parsing parsing = {.at = text, .end = text + bytes};
	bool is_read = check_header(&parsing) && read_subject(&parsing, subject, confirmed_ms);

	while (is_read && parsing.at < parsing.end)
		is_read = read_member(&parsing);
	*snapshot = is_read ? srsd_snapshot_of_members(parsing.members, parsing.count) : NULL;
	for (size_t i = 0; i < parsing.count; i++)
		srsd_endpoint_unref(parsing.members[i]);
	free(parsing.members);
	*why = parsing.why;
	if (*snapshot != NULL)
		return SRSD_STATE_GOOD;
	return parsing.why != NULL ? SRSD_STATE_REFUSED : SRSD_STATE_NO_MEMORY;
}
