/* backoff.h - delays between tries: longer after each, and never the same for two clients. */
#ifndef SRSD_BACKOFF_H
#define SRSD_BACKOFF_H

#include <stdint.h>

struct srsd_backoff {
	uint32_t base_ms; /* upper end of the first delay */
	uint32_t cap_ms;  /* upper end of every delay, at least base_ms */
	unsigned tries;	  /* delays given since the last reset */
};

/* A number from low to high, both included, each equally likely. */
uint32_t srsd_random_between(uint32_t low, uint32_t high);

/* The next delay: its upper end doubles from base to cap, and it lies anywhere in the upper half of that. */
uint32_t srsd_backoff_next_ms(struct srsd_backoff *backoff);

void srsd_backoff_reset(struct srsd_backoff *backoff);

#endif
