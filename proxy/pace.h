/* pace - what is learned of a service's latencies, handed to those who act on it: to the connections of each
 * member when its answer is late, to the roster for how long failures count, to the checker how long a probe
 * may take. A worker's own. */
#ifndef PACE_H
#define PACE_H

#include "service.h"

struct service_settings;

/* Begin to learn, with the timer of `wheel`, which outlives the service. */
void pace_start(struct service *service, const struct service_settings *settings, uint32_t hedge_percent,
	struct wheel *wheel);

/* Learn no more. */
void pace_stop(struct service *service);

/* A member of the service has its pool now. */
void pace_set(struct service *service, struct member *member);

/* It was taken for silent, wrongly: it has longer from now on. */
void pace_ease(struct service *service, struct member *member);

#endif
