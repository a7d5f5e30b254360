/* settings_table: each row is whole, its default is one that its own bounds allow, and its prefix leads to
 * it. */
#include "config/settings_form.h"
#include "config/settings_scalar.h"
#include "config/settings_table.h"

#include <criterion/criterion.h>
#include <string.h>

#define FOR_EACH_KEY(key) for (const struct settings_key *key = settings_keys; (key)->path != NULL; (key)++)

static bool is_group(const struct settings_key *key)
{
	return key->type == SETTINGS_SECTION || key->type == SETTINGS_ITEMS;
}

Test(settings_table, rows_are_whole)
{
	FOR_EACH_KEY(key)
	{
		cr_expect(key->help != NULL && key->help[strlen(key->help) - 1] == '.', "%s: no help",
			key->path);
		cr_expect(key->type < SETTINGS_TYPE_COUNT, "%s", key->path);
		cr_expect_lt(strlen(key->path), SETTINGS_PREFIX_MAX - 2, "%s", key->path);
		cr_expect_lt(strlen(settings_form(key).text), sizeof(struct settings_form) - 1, "%s: cut",
			key->path);
		if (is_group(key))
			continue;
		cr_expect(key->is_required || key->default_text != NULL || key->absent != NULL,
			"%s: what if it is left out?", key->path);
		cr_expect_not(key->is_required && key->default_text != NULL, "%s: required and a default",
			key->path);
		bool is_text = key->type == SETTINGS_TEXT || key->type == SETTINGS_TEXTS;
		cr_expect_eq(key->check != NULL && key->form != NULL, is_text, "%s", key->path);
		bool is_word = key->type == SETTINGS_CHOICE || key->type == SETTINGS_NAME;
		cr_expect_eq(key->words != NULL, is_word, "%s", key->path);
		cr_expect(key->type != SETTINGS_QUANTITY || key->minimum < key->maximum, "%s", key->path);
		/* 0 cannot be both the special word and a value. */
		cr_expect(key->type != SETTINGS_QUANTITY || key->special == NULL || key->minimum > 0, "%s",
			key->path);
	}
}

Test(settings_table, paths_are_different_and_found)
{
	size_t count = 0, reached = 0;
	FOR_EACH_KEY(key)
	{
		count++;
		FOR_EACH_KEY(other)
		{
			cr_expect(key == other || strcmp(key->path, other->path) != 0, "%s twice", key->path);
		}
		char prefix[SETTINGS_PREFIX_MAX] = "";
		const char *dot = strrchr(key->path, '.');
		if (dot != NULL)
			memcpy(prefix, key->path, (size_t)(dot - key->path));
		cr_expect(settings_key_find(prefix, settings_key_name(key)) == key, "%s", key->path);
	}
	FOR_EACH_KEY(key)
	{
		struct settings_prefix prefix = settings_key_prefix(key);
		const struct settings_key *below = NULL;
		while (is_group(key) && (below = settings_key_next(prefix.text, below)) != NULL)
			reached++;
	}
	const struct settings_key *top = NULL;
	while ((top = settings_key_next("", top)) != NULL)
		reached++;
	cr_expect_eq(count, reached, "%zu rows, %zu reached from the root", count, reached);
}

static void expect_nothing(void *arg, const char *text)
{
	(void)arg;
	cr_expect(false, "%s", text);
}

Test(settings_table, defaults_are_allowed)
{
	union {
		struct settings settings;
		struct listener_settings listener;
		struct service_settings service;
		struct route_settings route;
	} base;
	FOR_EACH_KEY(key)
	{
		if (key->default_text == NULL)
			continue;
		struct complaints complaints = {0};
		memset(&base, 0, sizeof(base));
		settings_scalar_default(key, &base, &complaints);
		complaints_tell(&complaints, key->path, expect_nothing, NULL);
		complaints_clear(&complaints);
		if (key->type == SETTINGS_TEXT || key->type == SETTINGS_NAME) {
			char *text;
			memcpy(&text, settings_key_at(key, &base), sizeof(text));
			cr_expect(text != NULL || key->special != NULL, "%s", key->path);
			free(text);
		}
	}
}

/* The words of an enum stand in the order of its values. */
Test(settings_table, words)
{
	const struct settings_key *format = settings_key_find("log", "format");
	cr_expect_str_eq(format->words[LOG_FORMAT_SETTING_KEY_VALUE], "key_value");
	cr_expect_str_eq(format->words[LOG_FORMAT_SETTING_JSON], "json");
	cr_expect(format->words[2] == NULL);
	const struct settings_key *level = settings_key_find("log", "level");
	cr_expect_str_eq(level->words[LOG_LEVEL_SETTING_ERROR], "error");
	cr_expect_str_eq(level->words[LOG_LEVEL_SETTING_WARNING], "warning");
	cr_expect_str_eq(level->words[LOG_LEVEL_SETTING_INFO], "info");
	cr_expect_str_eq(level->words[LOG_LEVEL_SETTING_DEBUG], "debug");
	cr_expect(level->words[4] == NULL);
}
