/* holding.h - making a registration's node, and looking whose it is. */
#ifndef SRSD_HOLDING_H
#define SRSD_HOLDING_H

#include "registration/record.h"

/* Fill in what holding needs of a registration that has its manager and its path. False: no memory. */
bool srsd_holding_prepare(struct srsd_registration *registration) SRSD_MUST_CHECK;

/* Make the node, and what is missing above it. No request is on its way, and the session is up. */
void srsd_holding_create(struct srsd_registration *registration);

/* Whose is the node? Sets the watch, and goes on by the answer. No request is on its way, and the session is
 * up. */
void srsd_holding_look(struct srsd_registration *registration);

#endif
