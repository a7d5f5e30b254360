/* info - what the example service says of its machine: processor, system, local time. */
#ifndef EXAMPLES_INFO_H
#define EXAMPLES_INFO_H

#include <stdbool.h>

struct evbuffer;

/* Append one JSON object with the members cpu_info, system_info and localtime, read afresh at each call.
 * Returns false when an allocation or a look-up failed; `out` may then hold a part of it. */
bool info_write_json(struct evbuffer *out);

#endif
