/* override - walks a key path through a tree of values and puts a scalar at its end. */
#include "config/override.h"

#include "config/encoding.h"

#include <string.h>

struct walk {
	struct complaints *complaints;
	struct place place;
	const char *part; /* of the path, where the walk stands */
	size_t part_bytes;
	const char *path_end;
};

static bool is_last(const struct walk *walk)
{
	return walk->part + walk->part_bytes == walk->path_end;
}

static void take_part(struct walk *walk, const char *from)
{
	const char *dot = memchr(from, '.', (size_t)(walk->path_end - from));
	walk->part = from;
	walk->part_bytes = (size_t)((dot != NULL ? dot : walk->path_end) - from);
}

static bool is_index(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return bytes > 0 && bytes <= 6 && (bytes == 1 || text[0] != '0');
}

static size_t read_index(const char *text, size_t bytes)
{
	size_t index = 0;
	for (size_t i = 0; i < bytes; i++)
		index = index * 10 + (size_t)(text[i] - '0');
	return index;
}

/* The item of a list that the part names: an index up to `count`, or the item's key "name". */
static bool find_item(struct walk *walk, const struct value *list, size_t *out)
{
	if (is_index(walk->part, walk->part_bytes)) {
		*out = read_index(walk->part, walk->part_bytes);
		if (*out <= list->count)
			return true;
		complaints_add(walk->complaints, walk->place,
			"the list has %zu items, no item %zu: count from 0, and use %zu to append one",
			list->count, *out, list->count);
		return false;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct value *name = value_scalar_at(list->entries[i].value, "name");
		if (name != NULL && name->bytes == walk->part_bytes &&
			memcmp(name->text, walk->part, walk->part_bytes) == 0) {
			*out = i;
			return true;
		}
	}
	complaints_add(walk->complaints, walk->place,
		"\"%s\" is no item of the list: give its index, counted from 0, or the name of an item that "
		"has one",
		show(walk->part, walk->part_bytes).text);
	return false;
}

/* What a missing value has to be for the rest of the path: the last is a scalar; "0" stands in a list. */
static struct value *make_missing(const struct walk *walk, const char *text)
{
	if (is_last(walk))
		return value_make_scalar(text, strlen(text), false, walk->place);
	struct walk next = *walk;
	take_part(&next, walk->part + walk->part_bytes + 1);
	return value_make(is_index(next.part, next.part_bytes) ? VALUE_LIST : VALUE_MAPPING, walk->place);
}

/* The value that the part leads to, made where it is missing; at the end of the path, the new scalar.
 * NULL: no further, and why was said. */
static struct value *step(struct walk *walk, struct value *parent, const char *text)
{
	struct value_entry *entry = NULL;
	const char *key = walk->part;
	size_t index;
	if (parent->kind == VALUE_LIST) {
		if (!find_item(walk, parent, &index))
			return NULL;
		key = NULL;
		if (index < parent->count)
			entry = &parent->entries[index];
	} else {
		entry = value_find(parent, walk->part, walk->part_bytes);
	}
	bool is_kept = entry != NULL && !is_last(walk) && !value_is_null(entry->value);
	if (is_kept)
		return entry->value;
	struct value *made = make_missing(walk, text);
	if (made != NULL && entry != NULL) {
		value_free(&entry->value);
		entry->value = made;
	} else if (!value_append(parent, key, walk->part_bytes, walk->place, made)) {
		walk->complaints->is_out_of_memory = true;
		return NULL;
	}
	return made;
}

static bool is_well_formed(
	const char *override, const char *equals, struct place place, struct complaints *complaints)
{
	const char *why = NULL;
	if (equals == NULL) {
		complaints_add(complaints, place,
			"no \"=\" in it: write key.path=value, for example log.level=debug");
		return false;
	}
	size_t path_bytes = (size_t)(equals - override);
	if (path_bytes == 0 || override[0] == '.' || equals[-1] == '.' ||
		memmem(override, path_bytes, "..", 2) != NULL) {
		complaints_add(complaints, place,
			"an empty key in the path: write key.path=value, for example log.level=debug");
		return false;
	}
	if (encoding_check(override, strlen(override), &why) < strlen(override)) {
		complaints_add(complaints, place, "%s in it: give UTF-8 text", why);
		return false;
	}
	return true;
}

void override_apply(struct value *root, const char *override, struct complaints *complaints)
{
	struct place place = {.origin = override};
	const char *equals = strchr(override, '=');
	if (!is_well_formed(override, equals, place, complaints))
		return;
	struct walk walk = {.complaints = complaints, .place = place, .path_end = equals};
	struct value *value = root;
	const char *from = override;
	do {
		take_part(&walk, from);
		if (value->kind == VALUE_SCALAR) {
			complaints_add(complaints, place, "\"%s\" has no keys below it: leave \".%s\" out",
				show(override, (size_t)(walk.part - 1 - override)).text,
				show(walk.part, (size_t)(equals - walk.part)).text);
			return;
		}
		if (value->kind == VALUE_BROKEN)
			return;
		value = step(&walk, value, equals + 1);
		from = walk.part + walk.part_bytes + 1;
	} while (value != NULL && !is_last(&walk));
}
