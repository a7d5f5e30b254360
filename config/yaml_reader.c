/* yaml_reader - reads YAML by libyaml's events into a tree of values, and refuses what a configuration does
 * not need: anchors, tags, several documents, keys that are no text. */
#include "config/yaml_reader.h"

#include "config/encoding.h"

#include <string.h>
#include <yaml.h>

#define YAML_DEPTH_MAX	 32    /* the table needs 5 */
#define YAML_ENTRIES_MAX 10000 /* of one mapping or list: keys are compared pairwise */

struct yaml_reader {
	yaml_parser_t parser;
	const char *name;
	struct complaints *complaints;
};

static struct place place_of(const struct yaml_reader *reader, yaml_mark_t mark)
{
	return (struct place){.origin = reader->name, .line = mark.line + 1, .column = mark.column + 1};
}

/* What to do about libyaml's problem, which says only what it did not find. */
static const char *syntax_advice(const char *problem)
{
	static const struct {
		const char *problem, *advice;
	} rows[] = {
		{"cannot start any token",
			"indent with spaces, not tabs, and put quotes around a value that starts with "
			"@, ` or %"},
		{"tab character", "indent with spaces, not tabs"},
		{"mapping values are not allowed",
			"check the indentation, and put quotes around a value that has "
			"\": \" in it"},
		{"did not find expected key", "begin all keys of one mapping in the same column"},
		{"did not find expected '-' indicator",
			"begin all items of one list with \"- \" in the same column"},
		{"could not find expected ':'", "write \"key: value\", with a space after the colon"},
		{"found unexpected end of stream", "close the quotes that were opened"},
		{"expected ',' or ']'", "close the list with ]"},
		{"expected ',' or '}'", "close the mapping with }"},
		{"document start", "write one mapping of keys; a key ends in \": \""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strstr(problem, rows[i].problem) != NULL)
			return rows[i].advice;
	return "check indentation, quotes and brackets";
}

static void complain_syntax(struct yaml_reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	if (parser->error == YAML_MEMORY_ERROR) {
		reader->complaints->is_out_of_memory = true;
		return;
	}
	struct place place = place_of(reader, parser->problem_mark);
	const char *problem = parser->problem != NULL ? parser->problem : "not understood";
	if (parser->context != NULL)
		complaints_add(reader->complaints, place, "YAML syntax: %s %s that begins on line %zu: %s",
			problem, parser->context, parser->context_mark.line + 1, syntax_advice(problem));
	else
		complaints_add(
			reader->complaints, place, "YAML syntax: %s: %s", problem, syntax_advice(problem));
}

/* The next event, which the caller deletes. False: the rest cannot be read, and that was said. */
static bool next_event(struct yaml_reader *reader, yaml_event_t *event)
{
	if (yaml_parser_parse(&reader->parser, event))
		return true;
	complain_syntax(reader);
	return false;
}

static void refuse_properties(
	struct yaml_reader *reader, yaml_mark_t mark, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		complaints_add(reader->complaints, place_of(reader, mark),
			"anchor \"&%s\": anchors and aliases are not read here, write the value out where it "
			"is used",
			show_text((const char *)anchor).text);
	if (tag != NULL)
		complaints_add(reader->complaints, place_of(reader, mark),
			"tag \"%s\": tags are not read here, leave it out",
			show_text((const char *)tag).text);
}

static struct value *read_node(struct yaml_reader *reader, const yaml_event_t *event, size_t depth);

/* Check a key's event. False: its value is read, and forgotten. */
static bool key_is_usable(struct yaml_reader *reader, const yaml_event_t *event, const struct value *mapping)
{
	struct place place = place_of(reader, event->start_mark);
	if (event->type != YAML_SCALAR_EVENT) {
		complaints_add(reader->complaints, place, "a key that is no text: write \"key: value\"");
		return false;
	}
	const char *key = (const char *)event->data.scalar.value;
	size_t bytes = event->data.scalar.length;
	if (memchr(key, '\0', bytes) != NULL) {
		complaints_add(
			reader->complaints, place, "unknown key \"%s\", remove it", show(key, bytes).text);
		return false;
	}
	const struct value_entry *first = value_find(mapping, key, bytes);
	if (first == NULL)
		return true;
	complaints_add(reader->complaints, place,
		"duplicate key \"%s\", which stands on line %zu already: remove one", show(key, bytes).text,
		first->key_place.line);
	return false;
}

/* Read the event and the node that it begins. NULL: no further; said. */
static struct value *read_next_node(struct yaml_reader *reader, size_t depth)
{
	yaml_event_t event;
	if (!next_event(reader, &event))
		return NULL;
	struct value *value = read_node(reader, &event, depth);
	yaml_event_delete(&event);
	return value;
}

/* Append to the parent; false: no further. */
static bool keep(struct yaml_reader *reader, struct value *parent, const char *key, size_t key_bytes,
	struct place key_place, struct value *child)
{
	if (parent->count == YAML_ENTRIES_MAX) {
		complaints_add(reader->complaints, key_place,
			"more than %d entries in one mapping or list, take some out", YAML_ENTRIES_MAX);
		value_free(&child);
		return false;
	}
	if (value_append(parent, key, key_bytes, key_place, child))
		return true;
	reader->complaints->is_out_of_memory = true;
	return false;
}

/* Read the key that `event` begins, and its value. */
static bool read_pair(
	struct yaml_reader *reader, const yaml_event_t *event, struct value *mapping, size_t depth)
{
	bool is_kept = key_is_usable(reader, event, mapping);
	struct value *key = read_node(reader, event, depth);
	if (key == NULL)
		return false;
	struct value *value = read_next_node(reader, depth);
	bool is_good = value != NULL;
	if (is_good && is_kept)
		is_good = keep(reader, mapping, key->text, key->bytes, key->place, value);
	else
		value_free(&value);
	value_free(&key);
	return is_good;
}

/* Read the entries of a mapping or list up to its end. False: no further. */
static bool read_entries(struct yaml_reader *reader, struct value *parent, size_t depth)
{
	for (;;) {
		yaml_event_t event;
		if (!next_event(reader, &event))
			return false;
		bool is_end = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
		bool is_good = true;
		if (!is_end && parent->kind == VALUE_MAPPING) {
			is_good = read_pair(reader, &event, parent, depth);
		} else if (!is_end) {
			struct value *item = read_node(reader, &event, depth);
			is_good = item != NULL &&
				  keep(reader, parent, NULL, 0, place_of(reader, event.start_mark), item);
		}
		yaml_event_delete(&event);
		if (is_end || !is_good)
			return is_good;
	}
}

static struct value *read_collection(
	struct yaml_reader *reader, enum value_kind kind, struct place place, size_t depth)
{
	if (depth == YAML_DEPTH_MAX) {
		complaints_add(reader->complaints, place,
			"nested more than %d deep, which no key of this configuration is: take some levels "
			"out",
			YAML_DEPTH_MAX);
		return NULL;
	}
	struct value *value = value_make(kind, place);
	if (value == NULL)
		reader->complaints->is_out_of_memory = true;
	else if (!read_entries(reader, value, depth + 1))
		value_free(&value);
	return value;
}

/* Read the node that `event` begins. NULL: no further, and why was said. */
static struct value *read_node(struct yaml_reader *reader, const yaml_event_t *event, size_t depth)
{
	struct place place = place_of(reader, event->start_mark);
	struct value *value;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		refuse_properties(
			reader, event->start_mark, event->data.scalar.anchor, event->data.scalar.tag);
		value = value_make_scalar((const char *)event->data.scalar.value, event->data.scalar.length,
			event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, place);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_properties(reader, event->start_mark, event->data.mapping_start.anchor,
			event->data.mapping_start.tag);
		return read_collection(reader, VALUE_MAPPING, place, depth);
	case YAML_SEQUENCE_START_EVENT:
		refuse_properties(reader, event->start_mark, event->data.sequence_start.anchor,
			event->data.sequence_start.tag);
		return read_collection(reader, VALUE_LIST, place, depth);
	case YAML_ALIAS_EVENT:
		complaints_add(reader->complaints, place,
			"alias \"*%s\": anchors and aliases are not read here, write the value out",
			show_text((const char *)event->data.alias.anchor).text);
		value = value_make(VALUE_BROKEN, place);
		break;
	default:
		complaints_add(
			reader->complaints, place, "YAML syntax: not understood, write \"key: value\"");
		return NULL;
	}
	if (value == NULL)
		reader->complaints->is_out_of_memory = true;
	return value;
}

/* Read the root; NULL: none, or no further, and why was said. */
static struct value *read_root(struct yaml_reader *reader, const yaml_event_t *event)
{
	struct value *root = read_node(reader, event, 0);
	if (root != NULL && root->kind != VALUE_MAPPING && root->kind != VALUE_BROKEN) {
		if (value_is_null(root))
			complaints_add(reader->complaints, (struct place){reader->name, 1, 1},
				"empty: give at least listeners, services and routes, as "
				"config/srsd-proxy.yaml does");
		else
			complaints_add(reader->complaints, root->place,
				"no mapping of keys: write \"key: value\", as config/srsd-proxy.yaml does");
		value_free(&root);
	}
	return root;
}

/* Read from the start of the stream to its end. */
static struct value *read_stream(struct yaml_reader *reader)
{
	struct value *root = NULL;
	bool is_end = false;
	size_t documents = 0;
	while (!is_end) {
		yaml_event_t event;
		if (!next_event(reader, &event))
			break;
		is_end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && documents++ == 1) {
			complaints_add(reader->complaints, place_of(reader, event.start_mark),
				"a second document: keep one, and remove the line \"---\" between them");
			is_end = true;
		} else if (event.type == YAML_MAPPING_START_EVENT ||
			   event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_SCALAR_EVENT ||
			   event.type == YAML_ALIAS_EVENT) {
			root = read_root(reader, &event);
			is_end = root == NULL;
		}
		yaml_event_delete(&event);
	}
	if (documents == 0 && !complaints_any(reader->complaints))
		complaints_add(reader->complaints, (struct place){reader->name, 1, 1},
			"empty: give at least listeners, services and routes, as config/srsd-proxy.yaml "
			"does");
	return root;
}

struct value *yaml_read(const char *name, const char *text, size_t bytes, struct complaints *complaints)
{
	static const char byte_order_mark[] = "\xEF\xBB\xBF";
	if (bytes >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
		text += 3;
		bytes -= 3;
	}
	const char *why = NULL;
	size_t good_bytes = encoding_check(text, bytes, &why);
	if (good_bytes < bytes) {
		struct place place = {.origin = name};
		encoding_place(text, good_bytes, &place.line, &place.column);
		complaints_add(complaints, place, "byte 0x%02x is %s: save the file as UTF-8 text",
			(unsigned char)text[good_bytes], why);
		return NULL;
	}
	struct yaml_reader reader = {.name = name, .complaints = complaints};
	if (!yaml_parser_initialize(&reader.parser)) {
		complaints->is_out_of_memory = true;
		return NULL;
	}
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, bytes);
	struct value *root = read_stream(&reader);
	yaml_parser_delete(&reader.parser);
	return root;
}
