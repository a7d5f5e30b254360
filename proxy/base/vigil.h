/* vigil - whether a worker waits awake for what comes next, and for how long: the rule alone, told what time
 * it is. Owns nothing.
 *
 * A worker that sleeps may be woken up later than all that it then does takes. Waiting awake brings an answer
 * sooner by that, and takes a processor meanwhile. So, unless a time for it is given (vigil_set), each wait
 * has to be worth what it takes:
 *
 *   alone:   one answer is awaited, and so it was the last times: a worker with more to do is awake anyway
 *   soon:    answers came within a few dozen microseconds while it was awake
 *   worth:   they came later by half of that when it slept, as they do now and then so that this is known
 *   budget:  what was waited awake in vain is one part in a hundred of all time at most */
#ifndef BASE_VIGIL_H
#define BASE_VIGIL_H

#include <stdbool.h>
#include <stdint.h>

/* So many waits one after the other were for one answer each. */
#define VIGIL_ALONE_MIN 32

/* Answers that take longer, on the average, are slept for: awake, and asleep where it is not known how soon
 * they would come to who is awake. */
#define VIGIL_AWAKE_US_MAX  50
#define VIGIL_ASLEEP_US_MAX 250

/* The longest wait for an answer, twice the average else. */
#define VIGIL_US_MAX 100

/* While being awake pays, one wait of so many is asleep. */
#define VIGIL_ASLEEP_EACH 16

/* While it does not, so many waits of each period are awake, one after the other: a single one finds the
 * other side slow, as that has slept for longer as well. */
#define VIGIL_TRIAL  16
#define VIGIL_PERIOD 1024

/* Waiting in vain takes one part in so many of all time, and so much at once after a quiet time. */
#define VIGIL_VAIN_PART	  100
#define VIGIL_VAIN_US_MAX 10000

struct vigil {
	uint64_t fixed_us; /* wait awake for so long; 0: by the rule */
	bool is_on;
	bool is_waiting; /* since began_us: awake until until_us, unless that is over */
	bool is_awake;
	bool is_soon;	  /* with fixed_us: what came last came within that time */
	uint8_t alone;	  /* waits for one answer so far, one after the other */
	uint32_t answers; /* that had come when the wait began */
	uint32_t waits;
	uint32_t awake_us8; /* how long answers took: eight times the moving average; 0: not known */
	uint32_t asleep_us8;
	int64_t budget_us;     /* what may be waited in vain */
	uint64_t budget_at_us; /* as of then */
	uint64_t began_us, until_us;
};

/* What a wait was, as it is over. */
struct vigil_report {
	bool was_awake;
	bool is_success; /* what was waited for came meanwhile */
	uint64_t awake_us;
};

/* Wait awake by the rule, or not at all. */
void vigil_init(struct vigil *vigil, bool is_on);

/* Wait awake for `fixed_us` from when there is nothing to do any more, whatever comes next, if what there was
 * last came within that time. 0: by the rule. */
void vigil_set(struct vigil *vigil, uint64_t fixed_us);

/* There is nothing to do: a wait begins, while `awaited` answers are still to come, of which `answers` came
 * so far. */
void vigil_begin(struct vigil *vigil, uint64_t now_us, uint32_t awaited, uint32_t answers);

/* Is it to go on awake? After false the rest of it is asleep. */
bool vigil_goes_on(struct vigil *vigil, uint64_t now_us);

/* It is over, as something came at `now_us`. */
struct vigil_report vigil_end(struct vigil *vigil, uint64_t now_us, uint32_t answers);

#endif
