/* access - the secret that says who we are, and the access lists that follow from having one. Owns nothing.
 *
 * ZooKeeper asks the parent whether a child may be made or removed: so it is the label's node that protects
 * registrations. "auth" stands for whoever makes the node, by all the users that its connection has given. */
#include "session/access.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/internal.h"

/* ---- Access lists ---------------------------------------------------------------------------- */

static char auth_scheme[] = "auth";
static char world_scheme[] = "world";
static char anyone[] = "anyone";
static char nobody_else[] = "";

/* The client has these as variables, which no static list can be made of. */
enum { MAY_READ = 1, MAY_WRITE = 2, MAY_CREATE = 4, MAY_DELETE = 8, MAY_ADMIN = 16, MAY_ALL = 31 };

#define CREATOR_MAY_ALL                                                                                      \
	{                                                                                                    \
		.perms = MAY_ALL, .id = {.scheme = auth_scheme, .id = nobody_else }                          \
	}
#define WORLD_MAY(what)                                                                                      \
	{                                                                                                    \
		.perms = (what), .id = {.scheme = world_scheme, .id = anyone }                               \
	}

static struct ACL open_entries[] = {WORLD_MAY(MAY_ALL)};
static struct ACL above_entries[] = {CREATOR_MAY_ALL, WORLD_MAY(MAY_READ | MAY_CREATE)};
static struct ACL own_entries[] = {CREATOR_MAY_ALL, WORLD_MAY(MAY_READ)};

static const struct ACL_vector open_list = {SRSD_ARRAY_SIZE(open_entries), open_entries};
static const struct ACL_vector above_list = {SRSD_ARRAY_SIZE(above_entries), above_entries};
static const struct ACL_vector own_list = {SRSD_ARRAY_SIZE(own_entries), own_entries};

const struct ACL_vector *srsd_access_list(bool has_auth, enum srsd_access_kind kind)
{
	if (!has_auth)
		return &open_list;
	return kind == SRSD_ACCESS_ABOVE ? &above_list : &own_list;
}

bool srsd_access_is_open(const struct ACL_vector *list)
{
	for (int i = 0; i < list->count; i++) {
		const struct ACL *entry = &list->data[i];

		if (strcmp(entry->id.scheme, world_scheme) == 0 &&
			(entry->perms & (MAY_CREATE | MAY_DELETE | MAY_ADMIN)) != 0)
			return true;
	}
	return false;
}

const char *srsd_access_denial(int rc, bool has_auth)
{
	if (rc == ZNOCHILDRENFOREPHEMERALS)
		return "a node above it is ephemeral and can have no children";
	if (rc != ZNOAUTH)
		return NULL;
	return has_auth ? "no permission: the label, or a node above it, belongs to another user or has "
			  "another "
			  "password"
			: "no permission: the label, or a node above it, takes only those who give its user "
			  "and "
			  "password";
}

/* ---- The secret ------------------------------------------------------------------------------ */

/* What is wrong with it, as a static phrase; NULL: nothing. It must never be in a message itself. */
static const char *auth_fault(const char *auth, size_t bytes)
{
	const char *colon = memchr(auth, ':', bytes);

	if (bytes >= SRSD_AUTH_MAX)
		return "it is longer than 255 bytes";
	for (size_t i = 0; i < bytes; i++) {
		if ((unsigned char)auth[i] < ' ' || auth[i] == 0x7f)
			return "it has a control byte, or more than one line";
	}
	if (colon == NULL)
		return "it has no colon";
	if (colon == auth)
		return "the user is empty";
	if (colon == auth + bytes - 1)
		return "the password is empty";
	return NULL;
}

void srsd_secret_free(char *secret)
{
	if (secret != NULL)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

enum srsd_status srsd_auth_check(const char *auth, struct srsd_error *error)
{
	const char *fault = auth_fault(auth, strlen(auth));

	srsd_error_clear(error);
	return fault == NULL ? SRSD_OK
			     : srsd_fail(error, SRSD_BAD_ARGUMENT,
				       "this is not user:password, as it should be: %s", fault);
}

/* Who else may read it, or change it? */
static enum srsd_status check_mode(int descriptor, const char *path, struct srsd_error *error)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0)
		return srsd_fail(error, SRSD_SYSTEM, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s is no regular file", path);
	if ((status.st_mode & (S_IWGRP | S_IRWXO)) != 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"%s has mode %04o: others could read or change the password in it; chmod 600 it (or "
			"640)",
			path, (unsigned)status.st_mode & 07777U);
	return SRSD_OK;
}

static enum srsd_status read_line(int descriptor, const char *path, char *out, struct srsd_error *error)
{
	char text[SRSD_AUTH_MAX + 1];
	enum srsd_status status = SRSD_OK;
	ssize_t bytes = read(descriptor, text, sizeof(text));
	const char *fault;

	if (bytes < 0)
		return srsd_fail(error, SRSD_SYSTEM, "%s: %s", path, strerror(errno));
	if (bytes > 0 && text[bytes - 1] == '\n')
		bytes--;
	fault = auth_fault(text, (size_t)bytes);
	if (fault == NULL) {
		memcpy(out, text, (size_t)bytes);
		out[bytes] = '\0';
	} else {
		status = srsd_fail(
			error, SRSD_BAD_ARGUMENT, "%s does not hold one line user:password: %s", path, fault);
	}
	explicit_bzero(text, sizeof(text));
	return status;
}

enum srsd_status srsd_auth_read(const char *path, char out[SRSD_AUTH_MAX], struct srsd_error *error)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum srsd_status status;

	srsd_error_clear(error);
	if (descriptor < 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s: %s", path, strerror(errno));
	status = check_mode(descriptor, path, error);
	if (status == SRSD_OK)
		status = read_line(descriptor, path, out, error);
	close(descriptor);
	return status;
}
