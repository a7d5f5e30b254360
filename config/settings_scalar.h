/* settings_scalar - one scalar of the configuration, read as its row of the table says. */
#ifndef CONFIG_SETTINGS_SCALAR_H
#define CONFIG_SETTINGS_SCALAR_H

#include "config/complaints.h"
#include "config/settings_table.h"
#include "config/value.h"

/* Read `value` into the struct at `base`. `shown` is the key's path for complaints ("services.0.choices"). */
void settings_scalar_read(const struct settings_key *key, const struct value *value, const char *shown,
	void *base, struct complaints *complaints);

/* Put the default of `key` into the struct at `base`. */
void settings_scalar_default(const struct settings_key *key, void *base, struct complaints *complaints);

/* Read a text of SETTINGS_TEXT or SETTINGS_TEXTS. Returns a copy that the caller frees, or NULL: said. */
char *settings_text_read(const struct settings_key *key, const struct value *value, const char *shown,
	struct complaints *complaints);

#endif
