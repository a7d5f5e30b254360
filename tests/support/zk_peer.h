/* zk_peer.h - another client of the same ZooKeeper, for a test: plain blocking calls, nothing of libsrsd in
 * it. Every call fails the process with a message when ZooKeeper does not do as it should within 30 s. */
#ifndef TEST_ZK_PEER_H
#define TEST_ZK_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zookeeper/zookeeper.h>

struct zk_peer {
	zhandle_t *handle;
};

/* Connect. `id` is a session to take over, or NULL for one of its own. */
void zk_peer_open(struct zk_peer *peer, uint16_t port, const clientid_t *id);

/* Close, which ends the session and with it its ephemeral nodes. */
void zk_peer_close(struct zk_peer *peer);

/* Say who it is, "user:password", in ZooKeeper's digest scheme. */
void zk_peer_auth(struct zk_peer *peer, const char *auth);

/* Make a node and whatever is missing above it; `mode` is ZOO_PERSISTENT or ZOO_EPHEMERAL. Returns the
 * client's code: ZOK, ZNODEEXISTS... */
int zk_peer_create(struct zk_peer *peer, const char *path, int mode);

/* The same with an access list. */
int zk_peer_create_acl(struct zk_peer *peer, const char *path, int mode, const struct ACL_vector *acl);

/* The same with that text as its data, which all may change. */
int zk_peer_create_data(struct zk_peer *peer, const char *path, int mode, const char *data);

/* Give a node other data; returns the client's code. */
int zk_peer_set_data(struct zk_peer *peer, const char *path, const char *data);

/* Make nodes <parent>/<format of index> for index from first to last, many at a time. */
void zk_peer_create_many(struct zk_peer *peer, const char *parent, const char *format, int first, int last);

/* Read its data into `out`, as a text. */
void zk_peer_get(struct zk_peer *peer, const char *path, char *out, size_t size);

/* Delete one node; returns the client's code. */
int zk_peer_delete(struct zk_peer *peer, const char *path);

/* Delete all children of a node, many at a time. */
void zk_peer_delete_children(struct zk_peer *peer, const char *path);

/* Is it there? Its owner goes to `owner` (may be NULL), the bytes of its data to `bytes` (may be NULL). */
bool zk_peer_exists(struct zk_peer *peer, const char *path, int64_t *owner, int *bytes);

/* Number of children; -1 when there is no such node. */
int zk_peer_count(struct zk_peer *peer, const char *path);

/* End the session of that id, as its server would after a timeout. */
void zk_peer_end_session(uint16_t port, const clientid_t *id);

#endif
