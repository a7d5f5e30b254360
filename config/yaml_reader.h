/* yaml_reader - YAML to a tree of values, by libyaml's events: every key is seen, also one that stands twice.
 */
#ifndef CONFIG_YAML_READER_H
#define CONFIG_YAML_READER_H

#include "config/value.h"

/* Read one document whose root is a mapping. `name` stands in the places and must outlive the tree.
 * Returns the root, which the caller frees; NULL when there is nothing to go on with. Complaints, of which
 * there may be some in either case, are added to `complaints`. */
struct value *yaml_read(const char *name, const char *text, size_t bytes, struct complaints *complaints);

#endif
