/* settings_table - every key of the configuration: its path, type, default, unit, bounds and help. */
#ifndef CONFIG_SETTINGS_TABLE_H
#define CONFIG_SETTINGS_TABLE_H

#include "config/quantity.h"
#include "config/text_checks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum settings_type {
	SETTINGS_SECTION,  /* a mapping; its keys follow, with its path before theirs */
	SETTINGS_ITEMS,	   /* a list of mappings; the keys of an item follow, with "path[]" before theirs */
	SETTINGS_TEXT,	   /* char *, checked by `check` */
	SETTINGS_TEXTS,	   /* char **, a list of texts, NULL-terminated, with its count */
	SETTINGS_NAME,	   /* char *, one of `words` */
	SETTINGS_CHOICE,   /* an enum, the index in `words` */
	SETTINGS_BOOLEAN,  /* bool */
	SETTINGS_QUANTITY, /* uint64_t, of the `quantity` kind, from `minimum` to `maximum` */
	SETTINGS_TYPE_COUNT
};

struct settings_key {
	const char *path;
	enum settings_type type;
	bool is_required;
	enum quantity_kind quantity;
	size_t offset;		   /* in the struct of the item, or in struct settings */
	size_t count_offset;	   /* SETTINGS_ITEMS and SETTINGS_TEXTS: of the number of them */
	size_t item_bytes;	   /* SETTINGS_ITEMS: size of one's struct */
	const char *default_text;  /* as it would be written; NULL: none */
	uint64_t minimum, maximum; /* SETTINGS_QUANTITY */
	const char *special;	   /* this word stands for 0, NULL, or an empty list of texts */
	const char *const *words;  /* NULL-terminated */
	text_check_fn *check;
	const char *form;   /* texts: how they are written */
	const char *absent; /* what it means that a key without a default is left out */
	const char *help;
};

/* In the order of the documentation and of the dump. The last has no path. */
extern const struct settings_key settings_keys[];

/* The next key directly below `prefix` ("" is the root, "zookeeper", "services[]") after `previous`, or the
 * first if that is NULL. NULL: no more. */
const struct settings_key *settings_key_next(const char *prefix, const struct settings_key *previous);

/* The key of that name directly below `prefix`, or NULL. */
const struct settings_key *settings_key_find(const char *prefix, const char *name);

/* The last part of the path. */
const char *settings_key_name(const struct settings_key *key);

#define SETTINGS_PREFIX_MAX 64

/* The prefix of the keys below a section or a list of mappings. */
struct settings_prefix {
	char text[SETTINGS_PREFIX_MAX];
};
struct settings_prefix settings_key_prefix(const struct settings_key *key);

/* Where a key's value stands in the struct at `base`. */
void *settings_key_at(const struct settings_key *key, void *base);
const void *settings_key_at_const(const struct settings_key *key, const void *base);

#endif
