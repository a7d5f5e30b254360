/* value - the tree of scalars, mappings and lists that a configuration is read into. */
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

struct value *value_make(enum value_kind kind, struct place place)
{
	struct value *value = calloc(1, sizeof(*value));
	if (value != NULL) {
		value->kind = kind;
		value->place = place;
	}
	return value;
}

static char *copy_bytes(const char *text, size_t bytes)
{
	char *copy = malloc(bytes + 1);
	if (copy != NULL) {
		memcpy(copy, text, bytes);
		copy[bytes] = '\0';
	}
	return copy;
}

struct value *value_make_scalar(const char *text, size_t bytes, bool is_quoted, struct place place)
{
	struct value *value = value_make(VALUE_SCALAR, place);
	if (value == NULL)
		return NULL;
	value->is_quoted = is_quoted;
	value->bytes = bytes;
	value->text = copy_bytes(text, bytes);
	if (value->text == NULL)
		value_free(&value);
	return value;
}

static bool value_grow(struct value *parent)
{
	if (parent->count < parent->capacity)
		return true;
	size_t capacity = parent->capacity == 0 ? 8 : parent->capacity * 2;
	struct value_entry *entries = realloc(parent->entries, capacity * sizeof(*entries));
	if (entries == NULL)
		return false;
	parent->entries = entries;
	parent->capacity = capacity;
	return true;
}

bool value_append(
	struct value *parent, const char *key, size_t key_bytes, struct place key_place, struct value *child)
{
	char *copy = NULL;
	if (child == NULL || !value_grow(parent))
		goto fail;
	if (key != NULL) {
		copy = copy_bytes(key, key_bytes);
		if (copy == NULL)
			goto fail;
	}
	parent->entries[parent->count++] =
		(struct value_entry){.key = copy, .key_place = key_place, .value = child};
	return true;
fail:
	value_free(&child);
	return false;
}

struct value_entry *value_find(const struct value *mapping, const char *key, size_t key_bytes)
{
	if (mapping == NULL || mapping->kind != VALUE_MAPPING)
		return NULL;
	for (size_t i = 0; i < mapping->count; i++) {
		const char *candidate = mapping->entries[i].key;
		if (strncmp(candidate, key, key_bytes) == 0 && candidate[key_bytes] == '\0')
			return &mapping->entries[i];
	}
	return NULL;
}

const struct value *value_scalar_at(const struct value *mapping, const char *key)
{
	const struct value_entry *entry = value_find(mapping, key, strlen(key));
	return entry != NULL && entry->value->kind == VALUE_SCALAR ? entry->value : NULL;
}

bool value_is_null(const struct value *value)
{
	if (value->kind != VALUE_SCALAR || value->is_quoted)
		return false;
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == value->bytes && memcmp(value->text, words[i], value->bytes) == 0)
			return true;
	return false;
}

void value_free(struct value **value)
{
	struct value *freed = *value;
	*value = NULL;
	if (freed == NULL)
		return;
	for (size_t i = 0; i < freed->count; i++) {
		free(freed->entries[i].key);
		value_free(&freed->entries[i].value);
	}
	free(freed->entries);
	free(freed->text);
	free(freed);
}
