/* descriptors - one table for each thread that wants it (see descriptors.h). */
#include "base/descriptors.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <unistd.h>

/* ThreadSanitizer takes equal numbers in two tables for one descriptor, and would see races. */
#if defined(__SANITIZE_THREAD__)
#define DESCRIPTORS_ARE_SHARED true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DESCRIPTORS_ARE_SHARED true
#endif
#endif
#ifndef DESCRIPTORS_ARE_SHARED
#define DESCRIPTORS_ARE_SHARED false
#endif

static int descriptors_compare(const void *a, const void *b)
{
	const int *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

bool descriptors_keep_own(int *kept, size_t count)
{
	int last = STDERR_FILENO;
	if (DESCRIPTORS_ARE_SHARED) {
		errno = ENOTSUP;
		return false;
	}
	qsort(kept, count, sizeof(*kept), descriptors_compare);
	if (count > 0 && kept[count - 1] > last)
		last = kept[count - 1];
	/* The only one of these calls that can fail: whoever forbids it has not lost anything yet. */
	if (close_range((unsigned)last + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0)
		return false;
	last = STDERR_FILENO;
	for (size_t i = 0; i < count; i++) {
		if (kept[i] <= last)
			continue;
		if (kept[i] > last + 1)
			(void)close_range((unsigned)last + 1, (unsigned)kept[i] - 1, 0);
		last = kept[i];
	}
	return true;
}
