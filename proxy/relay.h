/* relay - frames one run of a message's body for the side it goes to. Owns nothing: the parts stay where they
 * were received, and go out in one call with the head before them and the framing around them. */
#ifndef RELAY_H
#define RELAY_H

#include "base/check.h"
#include "base/str.h"
#include "http/framing.h"

#include <stdbool.h>
#include <sys/uio.h>

/* The most parts that a connection hands up at once; with head, chunk size and chunk end around them. */
#define RELAY_PARTS_MAX 32
#define RELAY_IOV_MAX	(RELAY_PARTS_MAX + 3)

struct relay_run {
	struct iovec parts[RELAY_IOV_MAX];
	int count;
	char chunk_size[24];
};

/* Lay out `head` (may be empty) and `count` parts of payload under the framing `kind`; `is_last` adds the end
 * of a chunked body. The run is to be sent before it goes out of scope. */
void relay_frame(struct relay_run *run, struct str head, enum http_body_kind kind, const struct iovec *parts,
	int count, bool is_last);

#endif
