/* internal.h - what the files of libsrsd share and its users do not see: checks, the clock, the log. */
#ifndef SRSD_INTERNAL_H
#define SRSD_INTERNAL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include "srsd.h"

#define SRSD_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define SRSD_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SRSD_BIT(n)	   (1U << (n))

/* The struct of `type` whose `member` stands at `pointer`. */
#define SRSD_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Every struct that travels as a void * starts with a magic, which a debug build checks on arrival. */
#define SRSD_CAST(type, pointer, magic_value) ((type *)srsd_magic_check((pointer), (magic_value)))

static inline void *srsd_magic_check(void *pointer, uint32_t magic)
{
	assert(pointer != NULL && *(const uint32_t *)pointer == magic);
	(void)magic;
	return pointer;
}

/* May a state machine go from one state to another? `edges` has a set of bits for each state. */
static inline void srsd_check_edge(const unsigned *edges, unsigned from, unsigned to)
{
	assert((edges[from] & SRSD_BIT(to)) != 0);
	(void)edges;
	(void)from;
	(void)to;
}

/* Milliseconds, and microseconds, of CLOCK_MONOTONIC. */
uint64_t srsd_now_ms(void);
uint64_t srsd_now_us(void);

/* Milliseconds since 1970 by this machine's clock, which may be wrong, and put right at any moment. */
int64_t srsd_wall_clock_ms(void);

/* `ms` as libevent takes it. */
static inline struct timeval srsd_timeval_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

static inline struct timeval srsd_timeval_us(uint32_t us)
{
	return (struct timeval){.tv_sec = us / 1000000, .tv_usec = (suseconds_t)(us % 1000000)};
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Write one printable line into `error`, which may be NULL, and return `status`. */
enum srsd_status srsd_fail(struct srsd_error *error, enum srsd_status status, const char *format, ...)
	SRSD_PRINTF(3, 4);

static inline void srsd_error_clear(struct srsd_error *error)
{
	if (error != NULL)
		error->text[0] = '\0';
}

/* Copy `text` into `out` with every byte that is not printable ASCII as \xNN, cut to `size`. Returns `out`.
 * Applied twice it changes nothing more.
 */
const char *srsd_printable(const char *text, char *out, size_t size);

/* Where the lines of one manager go. */
struct srsd_logger {
	srsd_log_fn *log; /* NULL: silence */
	void *arg;
};

void srsd_log(const struct srsd_logger *logger, enum srsd_log_level level, const char *format, ...)
	SRSD_PRINTF(3, 4);

#endif
