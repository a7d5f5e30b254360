/* fixed_random - what tests draw from that judge by statistics: the same numbers in each run, so that none
 * fails by chance. Owns nothing. */
#ifndef SUPPORT_FIXED_RANDOM_H
#define SUPPORT_FIXED_RANDOM_H

#include "base/random.h"

/* The beginning of a generator whose numbers are always the same: 256 bits of pi's fraction. */
#define FIXED_RANDOM                                                                                         \
	{                                                                                                    \
		{                                                                                            \
			UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344),                          \
				UINT64_C(0xa4093822299f31d0), UINT64_C(0x082efa98ec4e6c89)                   \
		}                                                                                            \
	}

#endif
