/* announce.h - what `srsd register` says of the address beside its name: weight, zone, labels. */
#ifndef COMMAND_ANNOUNCE_H
#define COMMAND_ANNOUNCE_H

#include "srsd/srsd.h"

enum { ANNOUNCE_LABELS_MAX = 32 };

/* Begins as zeros. */
struct announce_options {
	bool is_given; /* else nothing is said */
	struct srsd_register_options said;
	struct srsd_label labels[ANNOUNCE_LABELS_MAX];
};

/* Read the value of an option. False after a complaint. What is read points into `value`, which the last one
 * divides. */
bool announce_read_weight(const char *value, struct announce_options *options);
void announce_read_zone(const char *value, struct announce_options *options);
bool announce_read_label(char *value, struct announce_options *options);

/* All has been read: will the library have it? False after a complaint. */
bool announce_settle(struct announce_options *options);

#endif
