/* value - what stands in a configuration, as a tree of scalars, mappings and lists, each with its place.
 * A parent owns its children; whoever holds the root frees the tree. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/complaints.h"

#include <stdbool.h>
#include <stddef.h>

enum value_kind {
	VALUE_BROKEN, /* stands for something that was complained about already: say nothing more of it */
	VALUE_SCALAR,
	VALUE_MAPPING,
	VALUE_LIST
};

struct value_entry {
	char *key; /* NULL in a list */
	struct place key_place;
	struct value *value;
};

struct value {
	enum value_kind kind;
	bool is_quoted; /* scalars */
	struct place place;
	char *text; /* scalars: NUL-terminated, and may hold a NUL of its own */
	size_t bytes;
	struct value_entry *entries; /* mappings and lists, in the order of the file */
	size_t count;
	size_t capacity;
};

/* Make an empty value, or a scalar with a copy of the text. The caller owns it. NULL: out of memory. */
struct value *value_make(enum value_kind kind, struct place place);
struct value *value_make_scalar(const char *text, size_t bytes, bool is_quoted, struct place place);

/* Append `child` to a mapping (with a copy of `key`) or a list (`key` is NULL). Takes `child` over in any
 * case, NULL too, which fails. Returns false when out of memory. */
bool value_append(struct value *parent, const char *key, size_t key_bytes, struct place key_place,
	struct value *child) __attribute__((warn_unused_result));

/* The first entry with that key, or NULL; NULL also if `mapping` is NULL or no mapping. */
struct value_entry *value_find(const struct value *mapping, const char *key, size_t key_bytes);

/* The text of the scalar under `key`, or NULL where there is none. */
const struct value *value_scalar_at(const struct value *mapping, const char *key);

/* A scalar without text, or one of the words for nothing, without quotes. */
bool value_is_null(const struct value *value);

/* Free the tree; set the pointer to NULL. */
void value_free(struct value **value);

#endif
