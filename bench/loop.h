/* loop - one epoll loop for all that a program of the benchmarks waits for, on one thread. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_FOR_EVER UINT64_MAX

/* A descriptor that is waited for; stands first in what it belongs to. */
struct loop_source {
	int fd;
	void (*handle)(struct loop_source *source, uint32_t events); /* as epoll says them */
};

struct loop {
	int epoll;
	uint64_t vain_ns;   /* went by in turns that looked, and found nothing */
	uint64_t looked_ns; /* when the last turn had done so; 0: it did not */
};

/* A loop that nothing is waited for with. */
struct loop loop_open(void);

/* Wait for these events of the source, from now on (EPOLL_CTL_ADD) or instead of others (EPOLL_CTL_MOD). A
 * descriptor that is closed is waited for no longer. The source must outlive the turn in which it is closed,
 * unless it closes itself. */
void loop_watch(struct loop *loop, int operation, struct loop_source *source, uint32_t events);

/* Wait for so long at most, 0: only look, and handle what happened. */
void loop_turn(struct loop *loop, uint64_t wait_ns);

#endif
