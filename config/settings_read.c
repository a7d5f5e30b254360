/* settings_read - walks a tree of values and the table side by side and fills the struct. */
#include "config/settings_read.h"

#include "config/settings_form.h"
#include "config/settings_scalar.h"
#include "config/settings_table.h"
#include "config/suggestion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A mapping that is being read: its keys in the table, its name for complaints, the struct that it fills. */
struct scope {
	const char *prefix;
	const char *shown;
	const struct value *mapping; /* NULL: left out, all defaults */
	struct place place;
	void *base;
	struct complaints *complaints;
};

/* "services.0.choices": as --set names it. */
struct shown_path {
	char text[2 * SETTINGS_PREFIX_MAX];
};

static struct shown_path path_below(const char *shown, const char *name)
{
	struct shown_path path;
	snprintf(path.text, sizeof(path.text), "%.80s%s%.40s", shown, shown[0] == '\0' ? "" : ".", name);
	return path;
}

static struct shown_path path_of_item(const char *shown, size_t index)
{
	char name[24];
	snprintf(name, sizeof(name), "%zu", index);
	return path_below(shown, name);
}

static void read_scope(const struct scope *scope);

static const char *kind_text(const struct value *value)
{
	return value->kind == VALUE_LIST ? "a list" : value->kind == VALUE_MAPPING ? "a mapping" : "text";
}

/* Is the value of the kind that the key takes? If not, say so. */
static bool is_kind(const struct scope *scope, const struct settings_key *key, const struct value *value,
	enum value_kind kind, const char *shown)
{
	if (value->kind == kind)
		return true;
	if (value_is_null(value))
		complaints_add(scope->complaints, value->place, "%s is empty: give %s%s", shown,
			settings_form(key).text, key->is_required ? "" : ", or leave the key out");
	else if (value->kind != VALUE_BROKEN)
		complaints_add(scope->complaints, value->place, "%s is %s: give %s", shown, kind_text(value),
			settings_form(key).text);
	return false;
}

static void read_items(const struct scope *scope, const struct settings_key *key, const struct value *list,
	const char *shown)
{
	if (!is_kind(scope, key, list, VALUE_LIST, shown))
		return;
	if (list->count == 0) {
		complaints_add(scope->complaints, list->place, "%s is empty: give at least one item", shown);
		return;
	}
	char *items = calloc(list->count, key->item_bytes);
	if (items == NULL) {
		scope->complaints->is_out_of_memory = true;
		return;
	}
	memcpy(settings_key_at(key, scope->base), &items, sizeof(items));
	memcpy((char *)scope->base + key->count_offset, &list->count, sizeof(list->count));
	struct settings_prefix prefix = settings_key_prefix(key);
	for (size_t i = 0; i < list->count; i++) {
		const struct value *item = list->entries[i].value;
		struct shown_path path = path_of_item(shown, i);
		struct scope below = {.prefix = prefix.text,
			.shown = path.text,
			.mapping = item,
			.place = item->place,
			.base = items + i * key->item_bytes,
			.complaints = scope->complaints};
		if (item->kind == VALUE_MAPPING)
			read_scope(&below);
		else if (item->kind != VALUE_BROKEN)
			complaints_add(scope->complaints, item->place,
				"%s is %s: give a mapping of keys, \"- key: value\"", path.text,
				value_is_null(item) ? "empty" : kind_text(item));
	}
}

/* Does the one word that stands for an empty list stand in its place? */
static bool is_special(const struct settings_key *key, const struct value *value)
{
	return key->special != NULL && value->kind == VALUE_SCALAR && value->bytes == strlen(key->special) &&
	       memcmp(key->special, value->text, value->bytes) == 0;
}

static void read_texts(const struct scope *scope, const struct settings_key *key, const struct value *list,
	const char *shown)
{
	bool is_empty = is_special(key, list);
	size_t count = is_empty ? 0 : list->count;
	if (!is_empty && !is_kind(scope, key, list, VALUE_LIST, shown))
		return;
	if (!is_empty && count == 0) {
		complaints_add(scope->complaints, list->place,
			"%s is empty: give at least one %s, %s%sor leave the key out", shown, key->form,
			key->special != NULL ? key->special : "", key->special != NULL ? ", " : "");
		return;
	}
	char **texts = calloc(count + 1, sizeof(*texts));
	if (texts == NULL) {
		scope->complaints->is_out_of_memory = true;
		return;
	}
	memcpy(settings_key_at(key, scope->base), &texts, sizeof(texts));
	memcpy((char *)scope->base + key->count_offset, &count, sizeof(count));
	for (size_t i = 0; i < count; i++)
		texts[i] = settings_text_read(
			key, list->entries[i].value, path_of_item(shown, i).text, scope->complaints);
}

static void read_section(const struct scope *scope, const struct settings_key *key,
	const struct value *section, const char *shown)
{
	if (section != NULL && !is_kind(scope, key, section, VALUE_MAPPING, shown))
		return;
	struct settings_prefix prefix = settings_key_prefix(key);
	struct scope below = *scope;
	below.prefix = prefix.text;
	below.shown = shown;
	below.mapping = section;
	if (section != NULL)
		below.place = section->place;
	read_scope(&below);
}

static void read_absent(const struct scope *scope, const struct settings_key *key, const char *shown)
{
	if (key->is_required)
		complaints_add(scope->complaints, scope->place, "%s is missing: give %s", shown,
			settings_form(key).text);
	else if (key->type == SETTINGS_SECTION)
		read_section(scope, key, NULL, shown);
	else
		settings_scalar_default(key, scope->base, scope->complaints);
}

static void read_key(const struct scope *scope, const struct settings_key *key)
{
	const char *name = settings_key_name(key);
	struct shown_path path = path_below(scope->shown, name);
	const struct value_entry *entry = value_find(scope->mapping, name, strlen(name));
	if (entry == NULL)
		read_absent(scope, key, path.text);
	else if (key->type == SETTINGS_SECTION)
		read_section(scope, key, entry->value, path.text);
	else if (key->type == SETTINGS_ITEMS)
		read_items(scope, key, entry->value, path.text);
	else if (key->type == SETTINGS_TEXTS)
		read_texts(scope, key, entry->value, path.text);
	else
		settings_scalar_read(key, entry->value, path.text, scope->base, scope->complaints);
}

/* Where the table has a key of that name elsewhere: probably indented wrongly, or in the wrong section. The
 * shortest path is that of the overall value. */
static const char *find_elsewhere(const char *name)
{
	const char *nearest = NULL;
	for (const struct settings_key *key = settings_keys; key->path != NULL; key++)
		if (strcmp(settings_key_name(key), name) == 0 &&
			(nearest == NULL || strlen(key->path) < strlen(nearest)))
			nearest = key->path;
	return nearest;
}

static void complain_unknown(const struct scope *scope, const struct value_entry *entry)
{
	struct suggestion suggestion = {.word = entry->key, .bytes = strlen(entry->key)};
	char known[256];
	size_t used = 0;
	const struct settings_key *key = NULL;
	while ((key = settings_key_next(scope->prefix, key)) != NULL) {
		const char *name = settings_key_name(key);
		suggestion_offer(&suggestion, name);
		int bytes = snprintf(known + used, sizeof(known) - used, "%s%s", used == 0 ? "" : ", ", name);
		if (bytes > 0 && (size_t)bytes < sizeof(known) - used)
			used += (size_t)bytes;
	}
	known[used] = '\0';
	const char *nearest = suggestion.nearest != NULL ? suggestion.nearest : find_elsewhere(entry->key);
	const char *inside = scope->shown[0] == '\0' ? "" : " in ";
	if (nearest != NULL)
		complaints_add(scope->complaints, entry->key_place,
			"unknown key \"%s\"%s%s, did you mean \"%s\"?", show_text(entry->key).text, inside,
			scope->shown, nearest);
	else
		complaints_add(scope->complaints, entry->key_place,
			"unknown key \"%s\"%s%s: remove it; the keys here are %s", show_text(entry->key).text,
			inside, scope->shown, known);
}

static void read_scope(const struct scope *scope)
{
	for (size_t i = 0; scope->mapping != NULL && i < scope->mapping->count; i++)
		if (settings_key_find(scope->prefix, scope->mapping->entries[i].key) == NULL)
			complain_unknown(scope, &scope->mapping->entries[i]);
	const struct settings_key *key = NULL;
	while ((key = settings_key_next(scope->prefix, key)) != NULL)
		read_key(scope, key);
}

void settings_read(const struct value *root, struct settings *settings, struct complaints *complaints)
{
	if (root->kind != VALUE_MAPPING)
		return;
	struct scope scope = {.prefix = "",
		.shown = "",
		.mapping = root,
		.place = root->place,
		.base = settings,
		.complaints = complaints};
	read_scope(&scope);
}
