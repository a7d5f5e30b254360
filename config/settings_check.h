/* settings_check - what no key can say alone: names that refer to each other, names and addresses twice. */
#ifndef CONFIG_SETTINGS_CHECK_H
#define CONFIG_SETTINGS_CHECK_H

#include "config/complaints.h"
#include "config/value.h"

/* Check the tree that the settings were read from. Values that are wrong in themselves are passed over: they
 * were complained about. */
void settings_check(const struct value *root, struct complaints *complaints);

#endif
