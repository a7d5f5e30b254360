/* leaving.h - taking a registration's node away. */
#ifndef SRSD_LEAVING_H
#define SRSD_LEAVING_H

#include "registration/record.h"

/* Look at the node, and delete it if it is ours; what was on its way is forgotten. Without a connection
 * nothing is asked. */
void srsd_leaving_start(struct srsd_registration *registration);

/* The deadline has come: the user is told that the node was not removed in time, and it is removed when it
 * can be. */
void srsd_leaving_overdue(struct srsd_registration *registration);

#endif
