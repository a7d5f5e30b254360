/* request - contexts of asynchronous calls to ZooKeeper and of watches on its nodes. The session owns them.
 */
#include "session/request.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_MAGIC 0x72657175U
#define WATCHER_MAGIC 0x77617463U

struct srsd_request {
	uint32_t magic;
	TAILQ_ENTRY(srsd_request) link;
	struct srsd *srsd;
	uint64_t generation;
	struct srsd_request **slot; /* NULL: cancelled */
	void *owner;
	srsd_children_fn *on_children;
	srsd_node_fn *on_node;
	srsd_data_fn *on_data;
	srsd_access_fn *on_access;
	srsd_done_fn *on_done;
	zoo_op_result_t results[2];  /* of a replacement */
	struct srsd_zk_loop *before; /* whose log lines came before, until the call is made */
};

struct srsd_watcher {
	uint32_t magic;
	TAILQ_ENTRY(srsd_watcher) link;
	struct srsd *srsd;
	srsd_event_fn *on_event;
	void *owner; /* NULL: dropped */
	char path[];
};

/* ---- Requests -------------------------------------------------------------------------------- */

/* The next thing is a call to the client, and request_sent(). NULL: memory is short. */
static struct srsd_request *request_begin(struct srsd *srsd, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = calloc(1, sizeof(*request));

	assert(*slot == NULL && srsd->loop.handle != NULL);
	if (request == NULL)
		return NULL;
	request->magic = REQUEST_MAGIC;
	request->srsd = srsd;
	request->generation = srsd->generation;
	request->owner = owner;
	request->slot = slot;
	TAILQ_INSERT_TAIL(&srsd->requests, request, link);
	*slot = request;
	request->before = srsd_zk_loop_speak(&srsd->loop);
	return request;
}

static void request_free(struct srsd_request *request)
{
	TAILQ_REMOVE(&request->srsd->requests, request, link);
	request->magic = 0;
	free(request);
}

/* After the call to the client: a call that it refused has no answer. */
static int request_sent(struct srsd_request *request, int rc)
{
	struct srsd *srsd = request->srsd;

	srsd_zk_loop_hush(request->before);
	if (rc != ZOK) {
		*request->slot = NULL;
		request_free(request);
	} else {
		srsd_zk_loop_asked(&srsd->loop);
	}
	srsd_zk_loop_kick(&srsd->loop);
	return rc;
}

/* An answer came. Returns NULL when nobody waits for it; else a copy, and the original is gone. */
static bool request_finish(const void *data, struct srsd_request *out)
{
	struct srsd_request *request = SRSD_CAST(struct srsd_request, (void *)(uintptr_t)data, REQUEST_MAGIC);
	bool is_wanted = request->slot != NULL;

	assert(!is_wanted || request->generation == request->srsd->generation);
	if (is_wanted)
		*request->slot = NULL;
	*out = *request;
	request_free(request);
	return is_wanted;
}

static void on_children(int rc, const struct String_vector *names, const struct Stat *stat, const void *data)
{
	static const struct String_vector none = {0};
	struct srsd_request request;

	if (request_finish(data, &request))
		request.on_children(request.owner, rc, rc == ZOK && names != NULL ? names : &none,
			rc == ZOK ? stat : NULL);
}

static void on_node(int rc, const struct Stat *stat, const void *data)
{
	struct srsd_request request;

	if (request_finish(data, &request))
		request.on_node(request.owner, rc, rc == ZOK ? stat : NULL);
}

static void on_data(int rc, const char *bytes, int count, const struct Stat *stat, const void *data)
{
	struct srsd_request request;
	bool has_bytes = rc == ZOK && bytes != NULL && count > 0;

	if (request_finish(data, &request))
		request.on_data(request.owner, rc, has_bytes ? bytes : NULL, has_bytes ? (size_t)count : 0,
			rc == ZOK ? stat : NULL);
}

static void on_access(int rc, struct ACL_vector *list, struct Stat *stat, const void *data)
{
	struct srsd_request request;

	(void)stat;
	if (request_finish(data, &request))
		request.on_access(request.owner, rc, rc == ZOK ? list : NULL);
}

static void on_created(int rc, const char *path, const void *data)
{
	struct srsd_request request;

	(void)path;
	if (request_finish(data, &request))
		request.on_done(request.owner, rc);
}

static void on_done(int rc, const void *data)
{
	struct srsd_request request;

	if (request_finish(data, &request))
		request.on_done(request.owner, rc);
}

void srsd_request_cancel(struct srsd_request **slot)
{
	struct srsd_request *request = *slot;

	*slot = NULL;
	if (request != NULL)
		request->slot = NULL;
}

void srsd_requests_forget(struct srsd *srsd)
{
	struct srsd_request *request;

	TAILQ_FOREACH (request, &srsd->requests, link) {
		if (request->slot != NULL)
			*request->slot = NULL;
		request->slot = NULL;
	}
}

void srsd_requests_free(struct srsd *srsd)
{
	while (!TAILQ_EMPTY(&srsd->requests))
		request_free(TAILQ_FIRST(&srsd->requests));
}

/* ---- Watchers -------------------------------------------------------------------------------- */

static void on_watch_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	struct srsd_watcher *watcher;

	(void)handle;
	(void)state;
	(void)path;
	/* Every watcher is told of every change of the session as well, and stays set. */
	if (type == ZOO_SESSION_EVENT)
		return;
	watcher = SRSD_CAST(struct srsd_watcher, context, WATCHER_MAGIC);
	if (watcher->owner != NULL && !watcher->srsd->is_closing)
		watcher->on_event(watcher->owner);
}

struct srsd_watcher *srsd_watcher_take(
	struct srsd *srsd, const char *path, srsd_event_fn *on_event, void *owner)
{
	struct srsd_watcher *watcher;
	size_t bytes = strlen(path) + 1;

	TAILQ_FOREACH (watcher, &srsd->watchers, link) {
		if (watcher->owner == NULL && strcmp(watcher->path, path) == 0)
			break;
	}
	if (watcher == NULL) {
		watcher = calloc(1, sizeof(*watcher) + bytes);
		if (watcher == NULL)
			return NULL;
		watcher->magic = WATCHER_MAGIC;
		watcher->srsd = srsd;
		memcpy(watcher->path, path, bytes);
		TAILQ_INSERT_TAIL(&srsd->watchers, watcher, link);
	}
	watcher->on_event = on_event;
	watcher->owner = owner;
	return watcher;
}

void srsd_watcher_drop(struct srsd_watcher **watcher)
{
	if (*watcher != NULL)
		(*watcher)->owner = NULL;
	*watcher = NULL;
}

size_t srsd_watchers_count(const struct srsd *srsd)
{
	const struct srsd_watcher *watcher;
	size_t count = 0;

	TAILQ_FOREACH (watcher, &srsd->watchers, link) {
		count++;
	}
	return count;
}

void srsd_watchers_free(struct srsd *srsd, bool all)
{
	struct srsd_watcher *watcher = TAILQ_FIRST(&srsd->watchers);

	while (watcher != NULL) {
		struct srsd_watcher *next = TAILQ_NEXT(watcher, link);

		if (all || watcher->owner == NULL) {
			TAILQ_REMOVE(&srsd->watchers, watcher, link);
			watcher->magic = 0;
			free(watcher);
		}
		watcher = next;
	}
}

/* ---- Calls ----------------------------------------------------------------------------------- */

int srsd_request_children(struct srsd *srsd, const char *path, struct srsd_watcher *watcher,
	srsd_children_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_children = done;
	return request_sent(
		request, zoo_awget_children2(srsd->loop.handle, path, watcher == NULL ? NULL : on_watch_event,
				 watcher, on_children, request));
}

int srsd_request_exists(struct srsd *srsd, const char *path, struct srsd_watcher *watcher, srsd_node_fn *done,
	void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_node = done;
	return request_sent(
		request, zoo_awexists(srsd->loop.handle, path, watcher == NULL ? NULL : on_watch_event,
				 watcher, on_node, request));
}

int srsd_request_data(
	struct srsd *srsd, const char *path, srsd_data_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_data = done;
	return request_sent(request, zoo_awget(srsd->loop.handle, path, NULL, NULL, on_data, request));
}

int srsd_request_access(
	struct srsd *srsd, const char *path, srsd_access_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_access = done;
	return request_sent(request, zoo_aget_acl(srsd->loop.handle, path, on_access, request));
}

static const char *data_of(const struct srsd_new_node *node)
{
	return node->data == NULL ? "" : node->data;
}

static int flags_of(const struct srsd_new_node *node)
{
	return node->is_ephemeral ? ZOO_EPHEMERAL : ZOO_PERSISTENT;
}

int srsd_request_create(struct srsd *srsd, const char *path, const struct srsd_new_node *node,
	srsd_done_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_done = done;
	return request_sent(request, zoo_acreate(srsd->loop.handle, path, data_of(node), (int)node->bytes,
					     node->access, flags_of(node), on_created, request));
}

int srsd_request_delete(
	struct srsd *srsd, const char *path, srsd_done_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_done = done;
	return request_sent(request, zoo_adelete(srsd->loop.handle, path, -1, on_done, request));
}

int srsd_request_replace(struct srsd *srsd, const char *path, int version, const struct srsd_new_node *node,
	srsd_done_fn *done, void *owner, struct srsd_request **slot)
{
	struct srsd_request *request = request_begin(srsd, owner, slot);
	zoo_op_t steps[2];

	if (request == NULL)
		return ZSYSTEMERROR;
	request->on_done = done;
	zoo_delete_op_init(&steps[0], path, version);
	zoo_create_op_init(
		&steps[1], path, data_of(node), (int)node->bytes, node->access, flags_of(node), NULL, 0);
	return request_sent(request, zoo_amulti(srsd->loop.handle, (int)SRSD_ARRAY_SIZE(steps), steps,
					     request->results, on_done, request));
}
