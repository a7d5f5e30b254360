/* settings_key - finds keys in the table, and what they set in memory (see settings_table.h). */
#include "config/settings_table.h"

#include <stdio.h>
#include <string.h>

/* The key's name if it stands directly below `prefix`, or NULL. */
static const char *name_below(const struct settings_key *key, const char *prefix)
{
	const char *name = key->path;
	size_t prefix_bytes = strlen(prefix);
	if (prefix_bytes > 0) {
		if (strncmp(name, prefix, prefix_bytes) != 0 || name[prefix_bytes] != '.')
			return NULL;
		name += prefix_bytes + 1;
	}
	return strchr(name, '.') == NULL ? name : NULL;
}

const struct settings_key *settings_key_next(const char *prefix, const struct settings_key *previous)
{
	for (const struct settings_key *key = previous != NULL ? previous + 1 : settings_keys;
		key->path != NULL; key++)
		if (name_below(key, prefix) != NULL)
			return key;
	return NULL;
}

const struct settings_key *settings_key_find(const char *prefix, const char *name)
{
	for (const struct settings_key *key = settings_keys; key->path != NULL; key++) {
		const char *own = name_below(key, prefix);
		if (own != NULL && strcmp(own, name) == 0)
			return key;
	}
	return NULL;
}

const char *settings_key_name(const struct settings_key *key)
{
	const char *dot = strrchr(key->path, '.');
	return dot != NULL ? dot + 1 : key->path;
}

struct settings_prefix settings_key_prefix(const struct settings_key *key)
{
	struct settings_prefix prefix;
	snprintf(
		prefix.text, sizeof(prefix.text), "%s%s", key->path, key->type == SETTINGS_ITEMS ? "[]" : "");
	return prefix;
}

void *settings_key_at(const struct settings_key *key, void *base)
{
	return (char *)base + key->offset;
}

const void *settings_key_at_const(const struct settings_key *key, const void *base)
{
	return (const char *)base + key->offset;
}
