/* hash.h - 64 well mixed bits of a run of bytes: the same in every process and on every machine. Not for
 * tables that strangers fill. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

#include <stdint.h>

/* Every bit of the result depends on every bit of `bits` (the end of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t bits)
{
	bits = (bits ^ (bits >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	bits = (bits ^ (bits >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return bits ^ (bits >> 33);
}

/* FNV-1a, mixed. */
static inline uint64_t hash_bytes(struct str bytes)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < bytes.bytes; i++)
		hash = (hash ^ (unsigned char)bytes.at[i]) * UINT64_C(0x100000001b3);
	return hash_mix(hash);
}

#endif
