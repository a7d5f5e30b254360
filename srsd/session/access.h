/* access.h - who may do what to the nodes that we make. */
#ifndef SRSD_ACCESS_H
#define SRSD_ACCESS_H

#include <stdbool.h>
#include <zookeeper/zookeeper.h>

enum srsd_access_kind {
	SRSD_ACCESS_ABOVE, /* a node above a label */
	SRSD_ACCESS_LABEL, /* the node of a label: who may write here may register, and remove registrations
			    */
	SRSD_ACCESS_NODE   /* a registration */
};

/* The access list of a node that we make. Without a user and password (`has_auth`) everyone may do
 * everything. Static. */
const struct ACL_vector *srsd_access_list(bool has_auth, enum srsd_access_kind kind);

/* Why the client's code `rc` means that we may not make a node, as a static phrase. NULL: it means something
 * else. */
const char *srsd_access_denial(int rc, bool has_auth);

/* Overwrite a secret and free it; NULL is fine. */
void srsd_secret_free(char *secret);

/* May everyone make or remove nodes below a node with that list? */
bool srsd_access_is_open(const struct ACL_vector *list);

#endif
