/* override - applies "key.path=value" (--set) to a tree of values. */
#ifndef CONFIG_OVERRIDE_H
#define CONFIG_OVERRIDE_H

#include "config/value.h"

/* Put the value where the path leads, making the mappings and lists on the way. In a list, a part of the path
 * is the index of an item (the next free one appends), or the name of an item that has the key "name".
 * `override` must outlive the tree: places refer to it. What is wrong is added to `complaints`. */
void override_apply(struct value *root, const char *override, struct complaints *complaints);

#endif
