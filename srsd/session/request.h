/* request.h - one asynchronous call to ZooKeeper, and one watch on a node, with contexts that we own.
 *
 * The client hands a bare pointer back, perhaps never. So each call has a context on the session's list: its
 * owner may go away before the answer comes (srsd_request_cancel), and what was never answered is freed with
 * the handle. */
#ifndef SRSD_REQUEST_H
#define SRSD_REQUEST_H

#include "session/session.h"

struct srsd_request;
struct srsd_watcher;

/* `rc` is one of the client's codes. The other arguments are the client's and valid during the call; NULL or
 * empty unless `rc` is ZOK. */
typedef void srsd_children_fn(
	void *owner, int rc, const struct String_vector *names, const struct Stat *stat);
typedef void srsd_node_fn(void *owner, int rc, const struct Stat *stat);
typedef void srsd_data_fn(void *owner, int rc, const char *data, size_t bytes, const struct Stat *stat);
typedef void srsd_access_fn(void *owner, int rc, const struct ACL_vector *list);
typedef void srsd_done_fn(void *owner, int rc);

/* What a node is made as. Borrowed for the call only. */
struct srsd_new_node {
	const char *data; /* NULL: empty */
	size_t bytes;
	const struct ACL_vector *access; /* for ever */
	bool is_ephemeral;
};

/* Each returns ZOK, after which the callback comes from the loop exactly once unless it is cancelled or the
 * handle goes; or an error, after which nothing comes. `slot`, which must be NULL, points to the request
 * until its callback begins, and must not move. Only while the session is connected. `watcher` may be NULL.
 */
int srsd_request_children(struct srsd *srsd, const char *path, struct srsd_watcher *watcher,
	srsd_children_fn *on_done, void *owner, struct srsd_request **slot) SRSD_MUST_CHECK;
int srsd_request_exists(struct srsd *srsd, const char *path, struct srsd_watcher *watcher,
	srsd_node_fn *on_done, void *owner, struct srsd_request **slot) SRSD_MUST_CHECK;
int srsd_request_data(struct srsd *srsd, const char *path, srsd_data_fn *on_done, void *owner,
	struct srsd_request **slot) SRSD_MUST_CHECK;
int srsd_request_access(struct srsd *srsd, const char *path, srsd_access_fn *on_done, void *owner,
	struct srsd_request **slot) SRSD_MUST_CHECK;
int srsd_request_create(struct srsd *srsd, const char *path, const struct srsd_new_node *node,
	srsd_done_fn *on_done, void *owner, struct srsd_request **slot) SRSD_MUST_CHECK;
int srsd_request_delete(struct srsd *srsd, const char *path, srsd_done_fn *on_done, void *owner,
	struct srsd_request **slot) SRSD_MUST_CHECK;

/* Delete the node of that version and make it again, in one step. */
int srsd_request_replace(struct srsd *srsd, const char *path, int version, const struct srsd_new_node *node,
	srsd_done_fn *on_done, void *owner, struct srsd_request **slot) SRSD_MUST_CHECK;

/* No callback any more; sets the pointer to NULL, which it may be already. */
void srsd_request_cancel(struct srsd_request **slot);

/* For the session, around the closing of its handle: cancel all; free what was never answered. */
void srsd_requests_forget(struct srsd *srsd);
void srsd_requests_free(struct srsd *srsd);

/* Something happened to a node that is watched: created, deleted, changed, or its children did. Watches fire
 * once; ask again with the same watcher. */
typedef void srsd_event_fn(void *owner);

/* A watcher for `path`, which it copies. NULL: memory is short. The owner drops it. */
struct srsd_watcher *srsd_watcher_take(
	struct srsd *srsd, const char *path, srsd_event_fn *on_event, void *owner) SRSD_MUST_CHECK;

/* No callback any more; sets the pointer to NULL. The context stays as long as the client may know it, and
 * the next watcher for the same path takes it over. */
void srsd_watcher_drop(struct srsd_watcher **watcher);

/* How many contexts there are, dropped ones included. */
size_t srsd_watchers_count(const struct srsd *srsd);

/* Free the dropped ones, for which the client has to be closed; or all. */
void srsd_watchers_free(struct srsd *srsd, bool all);

#endif
