/* node_data.h - what a node says of its endpoint, read from its name and its data by the format of its
 * service. Pure: bytes in, verdict out. */
#ifndef SRSD_NODE_DATA_H
#define SRSD_NODE_DATA_H

#include "common/internal.h"

#define SRSD_NODE_NAME_MAX    512   /* bytes; a longer name is a fault */
#define SRSD_WEIGHT_MAX	      65535 /* of an endpoint; 0 takes no requests */
#define SRSD_WEIGHT_DEFAULT   1
#define SRSD_ZONE_MAX	      63   /* bytes */
#define SRSD_LABELS_MAX	      32   /* additional labels of an endpoint */
#define SRSD_LABELS_BYTES_MAX 2048 /* of their keys and values, with a NUL after each */

struct srsd_node_data {
	struct srsd_address address;
	uint32_t weight;
	char zone[SRSD_ZONE_MAX + 1]; /* "": nothing was said */
	size_t label_count;
	size_t labels_bytes;
	char labels[SRSD_LABELS_BYTES_MAX]; /* key NUL value NUL, and so on, in the order of keys */
};

enum srsd_node_verdict {
	SRSD_NODE_MEMBER,
	SRSD_NODE_ASIDE,    /* no member by its own word or by design of the format, and no fault */
	SRSD_NODE_FAULT,    /* `why` says what is wrong */
	SRSD_NODE_NO_MEMORY /* ask again */
};

/* Read a node of that name and data; `data` may be NULL where it is not needed, and needs no terminating NUL.
 * `out` is only meaningful for a member; `why` is a static phrase for a fault, NULL else. */
enum srsd_node_verdict srsd_node_data_read(const struct srsd_read_options *options, const char *name,
	const char *data, size_t bytes, struct srsd_node_data *out, const char **why) SRSD_MUST_CHECK;

#endif
