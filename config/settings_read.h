/* settings_read - from a tree of values to the struct, key by key of the table. */
#ifndef CONFIG_SETTINGS_READ_H
#define CONFIG_SETTINGS_READ_H

#include "config/complaints.h"
#include "config/settings.h"
#include "config/value.h"

/* Fill `settings`, all zeros before, from `root` and the defaults. What is wrong is added to `complaints`;
 * the struct is then incomplete, and may be freed but not used. */
void settings_read(const struct value *root, struct settings *settings, struct complaints *complaints);

#endif
