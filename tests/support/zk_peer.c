/* zk_peer - blocking calls on the single-threaded ZooKeeper client. Owns its handle. */
#include "zk_peer.h"

#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 30000
#define TURN_MS	    200
#define BATCH	    500

/* Where an answer goes. */
struct answer {
	int pending;
	int rc;
	int64_t owner;
	int bytes;
	int count;
	char **names;
	char *text;
	size_t text_size;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_log(const char *line)
{
	(void)line;
}

static void on_event(zhandle_t *handle, int type, int state, const char *path, void *context)
{
	(void)handle;
	(void)type;
	(void)state;
	(void)path;
	(void)context;
}

/* One turn of the client's loop. */
static void turn(struct zk_peer *peer)
{
	struct timeval timeout = {0};
	struct pollfd poll_fd = {.fd = -1};
	int interest = 0;
	int wait_ms;

	zookeeper_interest(peer->handle, &poll_fd.fd, &interest, &timeout);
	poll_fd.events = (short)(((interest & ZOOKEEPER_READ) != 0 ? POLLIN : 0) |
				 ((interest & ZOOKEEPER_WRITE) != 0 ? POLLOUT : 0));
	wait_ms = (int)(timeout.tv_sec * 1000 + timeout.tv_usec / 1000);
	if (poll(&poll_fd, poll_fd.fd < 0 ? 0 : 1, wait_ms > TURN_MS || wait_ms == 0 ? TURN_MS : wait_ms) <=
		0)
		return;
	zookeeper_process(
		peer->handle, ((poll_fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 ? ZOOKEEPER_READ : 0) |
				      ((poll_fd.revents & POLLOUT) != 0 ? ZOOKEEPER_WRITE : 0));
}

static void wait_answer(struct zk_peer *peer, const struct answer *answer, const char *what)
{
	uint64_t deadline_ms = now_ms() + PATIENCE_MS;

	while (answer->pending > 0) {
		if (now_ms() > deadline_ms)
			errx(1, "ZooKeeper does not answer: %s", what);
		turn(peer);
	}
}

void zk_peer_open(struct zk_peer *peer, uint16_t port, const clientid_t *id)
{
	uint64_t deadline_ms = now_ms() + PATIENCE_MS;
	char server[32];

	snprintf(server, sizeof(server), "127.0.0.1:%u", (unsigned)port);
	peer->handle = zookeeper_init2(server, on_event, 30000, id, NULL, ZOO_NO_LOG_CLIENTENV, on_log);
	if (peer->handle == NULL)
		err(1, "cannot make a ZooKeeper client");
	while (zoo_state(peer->handle) != ZOO_CONNECTED_STATE) {
		if (now_ms() > deadline_ms || is_unrecoverable(peer->handle))
			errx(1, "cannot connect to ZooKeeper at %s", server);
		turn(peer);
	}
}

void zk_peer_close(struct zk_peer *peer)
{
	if (peer->handle != NULL)
		zookeeper_close(peer->handle);
	peer->handle = NULL;
}

static struct answer *answer_of(const void *data)
{
	return (struct answer *)(uintptr_t)data;
}

static void on_created(int rc, const char *path, const void *data)
{
	struct answer *answer = answer_of(data);

	(void)path;
	if (rc != ZOK)
		answer->rc = rc;
	answer->pending--;
}

static void on_void(int rc, const void *data)
{
	struct answer *answer = answer_of(data);

	if (rc != ZOK)
		answer->rc = rc;
	answer->pending--;
}

static void on_stat(int rc, const struct Stat *stat, const void *data)
{
	struct answer *answer = answer_of(data);

	answer->rc = rc;
	answer->owner = rc == ZOK ? stat->ephemeralOwner : 0;
	answer->bytes = rc == ZOK ? stat->dataLength : 0;
	answer->pending--;
}

static void on_children(int rc, const struct String_vector *names, const void *data)
{
	struct answer *answer = answer_of(data);

	answer->rc = rc;
	answer->count = rc == ZOK ? names->count : -1;
	if (answer->count > 0) {
		answer->names = calloc((size_t)answer->count, sizeof(char *));
		for (int i = 0; answer->names != NULL && i < answer->count; i++)
			answer->names[i] = strdup(names->data[i]);
	}
	answer->pending--;
}

static int create_one(
	struct zk_peer *peer, const char *path, int mode, const char *data, const struct ACL_vector *acl)
{
	struct answer answer = {.pending = 1};

	if (zoo_acreate(peer->handle, path, data, (int)strlen(data), acl, mode, on_created, &answer) != ZOK)
		errx(1, "cannot ask to create %s", path);
	wait_answer(peer, &answer, path);
	return answer.rc;
}

static int create_all(
	struct zk_peer *peer, const char *path, int mode, const char *data, const struct ACL_vector *acl)
{
	char parent[1024];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
		create_one(peer, parent, ZOO_PERSISTENT, "", &ZOO_OPEN_ACL_UNSAFE);
	}
	return create_one(peer, path, mode, data, acl);
}

int zk_peer_create_acl(struct zk_peer *peer, const char *path, int mode, const struct ACL_vector *acl)
{
	return create_all(peer, path, mode, "", acl);
}

int zk_peer_create(struct zk_peer *peer, const char *path, int mode)
{
	return create_all(peer, path, mode, "", &ZOO_OPEN_ACL_UNSAFE);
}

int zk_peer_create_data(struct zk_peer *peer, const char *path, int mode, const char *data)
{
	return create_all(peer, path, mode, data, &ZOO_OPEN_ACL_UNSAFE);
}

int zk_peer_set_data(struct zk_peer *peer, const char *path, const char *data)
{
	struct answer answer = {.pending = 1};

	if (zoo_aset(peer->handle, path, data, (int)strlen(data), -1, on_stat, &answer) != ZOK)
		errx(1, "cannot ask to set %s", path);
	wait_answer(peer, &answer, path);
	return answer.rc;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void zk_peer_create_many(struct zk_peer *peer, const char *parent, const char *format, int first, int last)
{
	zk_peer_create(peer, parent, ZOO_PERSISTENT);
	for (int next = first; next <= last;) {
		struct answer answer = {0};

		for (; next <= last && answer.pending < BATCH; next++) {
			char path[1024];
			int used = snprintf(path, sizeof(path), "%s/", parent);

			snprintf(path + used, sizeof(path) - (size_t)used, format, next);
			answer.pending++;
			if (zoo_acreate(peer->handle, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT,
				    on_created, &answer) != ZOK)
				errx(1, "cannot ask to create %s", path);
		}
		wait_answer(peer, &answer, "to create many");
		if (answer.rc != ZOK)
			errx(1, "cannot create nodes below %s: %s", parent, zerror(answer.rc));
	}
}
#pragma GCC diagnostic pop

void zk_peer_auth(struct zk_peer *peer, const char *auth)
{
	struct answer answer = {.pending = 1};

	if (zoo_add_auth(peer->handle, "digest", auth, (int)strlen(auth), on_void, &answer) != ZOK)
		errx(1, "cannot give a user and password");
	wait_answer(peer, &answer, "a user and password");
}

static void on_data(int rc, const char *bytes, int count, const struct Stat *stat, const void *data)
{
	struct answer *answer = answer_of(data);

	(void)stat;
	answer->rc = rc;
	snprintf(answer->text, answer->text_size, "%.*s", rc == ZOK && count > 0 ? count : 0, bytes);
	answer->pending--;
}

void zk_peer_get(struct zk_peer *peer, const char *path, char *out, size_t size)
{
	struct answer answer = {.pending = 1, .text = out, .text_size = size};

	if (zoo_aget(peer->handle, path, 0, on_data, &answer) != ZOK)
		errx(1, "cannot ask for %s", path);
	wait_answer(peer, &answer, path);
	if (answer.rc != ZOK)
		errx(1, "cannot read %s: %s", path, zerror(answer.rc));
}

int zk_peer_delete(struct zk_peer *peer, const char *path)
{
	struct answer answer = {.pending = 1};

	if (zoo_adelete(peer->handle, path, -1, on_void, &answer) != ZOK)
		errx(1, "cannot ask to delete %s", path);
	wait_answer(peer, &answer, path);
	return answer.rc;
}

static struct answer list_children(struct zk_peer *peer, const char *path)
{
	struct answer answer = {.pending = 1};

	if (zoo_aget_children(peer->handle, path, 0, on_children, &answer) != ZOK)
		errx(1, "cannot ask to list %s", path);
	wait_answer(peer, &answer, path);
	return answer;
}

static void free_names(struct answer *answer)
{
	for (int i = 0; i < answer->count; i++)
		free(answer->names[i]);
	free(answer->names);
}

void zk_peer_delete_children(struct zk_peer *peer, const char *path)
{
	struct answer listed = list_children(peer, path);

	for (int next = 0; next < listed.count;) {
		struct answer answer = {0};

		for (; next < listed.count && answer.pending < BATCH; next++) {
			char child[1024];

			snprintf(child, sizeof(child), "%s/%s", path, listed.names[next]);
			answer.pending++;
			if (zoo_adelete(peer->handle, child, -1, on_void, &answer) != ZOK)
				errx(1, "cannot ask to delete %s", child);
		}
		wait_answer(peer, &answer, "to delete many");
	}
	free_names(&listed);
}

bool zk_peer_exists(struct zk_peer *peer, const char *path, int64_t *owner, int *bytes)
{
	struct answer answer = {.pending = 1};

	if (zoo_aexists(peer->handle, path, 0, on_stat, &answer) != ZOK)
		errx(1, "cannot ask for %s", path);
	wait_answer(peer, &answer, path);
	if (owner != NULL)
		*owner = answer.owner;
	if (bytes != NULL)
		*bytes = answer.bytes;
	return answer.rc == ZOK;
}

int zk_peer_count(struct zk_peer *peer, const char *path)
{
	struct answer answer = list_children(peer, path);

	free_names(&answer);
	return answer.count;
}

void zk_peer_end_session(uint16_t port, const clientid_t *id)
{
	struct zk_peer thief;

	zk_peer_open(&thief, port, id);
	zk_peer_close(&thief);
}
