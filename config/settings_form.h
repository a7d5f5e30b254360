/* settings_form - in words: what a key takes. For complaints, the dump's comments, and the documentation. */
#ifndef CONFIG_SETTINGS_FORM_H
#define CONFIG_SETTINGS_FORM_H

#include "config/settings_table.h"

struct settings_form {
	char text[160];
};

/* "a whole number from 1 to 256, or auto", "one of key_value, json", "true or false", and so on. */
struct settings_form settings_form(const struct settings_key *key);

/* The type alone: "whole number", "duration", "boolean", and so on. Static text. */
const char *settings_type_text(const struct settings_key *key);

/* "from 1 to 16", or the words, or how the text is written; without the special word. */
struct settings_form settings_bounds(const struct settings_key *key);

#endif
