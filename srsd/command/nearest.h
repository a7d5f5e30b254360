/* nearest.h - the name that a mistyped one was probably meant to be. */
#ifndef COMMAND_NEAREST_H
#define COMMAND_NEAREST_H

#include <stddef.h>

/* The one of `count` names that takes the fewest changed, added, left out or swapped letters to get from
 * `typed`, or NULL when none is near enough to be worth a guess. */
const char *nearest_name(const char *typed, const char *const *names, size_t count);

#endif
