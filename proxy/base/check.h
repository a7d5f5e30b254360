/* check.h - what the compiler and a debug build check for us: magics, results that must be read. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK    __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n)	      (1U << (n))

/* May a state machine go from `from` to `to`? `edges` has a bit for each allowed next state. */
#define CHECK_EDGE(edges, from, to) ((void)(edges), assert((edges)[(from)] & BIT(to)))

/* The struct of `type` whose `member` stands at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Every struct that travels as a void * starts with a magic. CAST() checks it on arrival in a debug build;
 * a release build (NDEBUG) pays nothing. MAGIC_CLEAR() at release makes a use after it visible. */
#define CAST(type, pointer, magic_value) ((type *)magic_check((pointer), (magic_value)))
#define MAGIC_CLEAR(object)		 ((object)->magic = 0)

static inline void *magic_check(void *pointer, uint32_t magic)
{
	assert(pointer != NULL && *(const uint32_t *)pointer == magic);
	(void)magic;
	return pointer;
}

#endif
