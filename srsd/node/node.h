/* node.h - a node under a label, as it was read: its name, and more where that was asked for. */
#ifndef SRSD_NODE_H
#define SRSD_NODE_H

#include "common/internal.h"

/* All text is borrowed. */
struct srsd_node {
	const char *name;
	const char *data; /* NULL: empty, or not read */
	size_t data_bytes;
	const char *fault;    /* why it could not be read, a static phrase; NULL: none */
	int64_t owner;	      /* session; 0: none */
	int64_t created_ms;   /* since 1970 */
	int64_t created_zxid; /* the number of the change that made it */
	bool is_read;	      /* what stands above, beside the name, is known */
};

/* The fault of a node with more data than the limit: this very text. */
const char *srsd_fault_data_too_large(void);

#endif
