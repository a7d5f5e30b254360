/* descriptors - a table of descriptors for one thread alone. While a table has one owner, the kernel looks a
 * descriptor up without counting a reference to it, in each call on a socket. Owns nothing. */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

/* Give the calling thread a table of its own, which has standard input, output and error, and of the open
 * ones the `count` descriptors of `kept`, which is sorted here. What is opened or closed from now on is so
 * for this thread alone; all of it is closed when the thread ends. False with errno: the table is the
 * process's, as it was. */
MUST_CHECK bool descriptors_keep_own(int *kept, size_t count);

#endif
