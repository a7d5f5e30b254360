/* load - sends HTTP/1.1 requests to one address, or several, and counts the answers.
 *
 * Closed loop: each connection has a request under way all the time. Open loop (a rate): requests are due at
 * even intervals whatever the answers do, and a request's latency counts from when it was due, so that a
 * stall shows in all the requests that it delayed (in a closed loop it counts from its beginning). Every
 * answer is checked: status 200, complete body. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "load_order.h"
#include "loop.h"

#include <stdbool.h>
#include <stdint.h>

struct load;

/* Begin what is ordered; the order is kept by the caller until the end. A load that cannot begin ends the
 * program. */
struct load *load_begin(const struct load_order *order, struct loop *loop);

/* Begin what requests are due; to be called before each turn of the loop. Writes how long that may wait at
 * most, in nanoseconds. False: all is over. */
bool load_go_on(struct load *load, uint64_t *wait_ns);

/* Print what was counted, as a line of JSON, close the connections and free it. */
void load_end(struct load *load);

#endif
