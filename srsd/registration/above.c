/* above - makes what is missing above a registration, and looks whom the label belongs to.
 * Owns its question; the registration owns it. */
#include "registration/above.h"

#include <stdlib.h>
#include <string.h>

#include "session/access.h"

#define STEPS_MAX 64 /* nodes that are made, or found, while others remove them again */

static size_t find_label_end(const char *path)
{
	return (size_t)(strrchr(path, '/') - path);
}

/* ---- Making it ------------------------------------------------------------------------------- */

static int make(struct srsd_above *above);

/* Up to the first one that is there, then down again. False: the label's is there. */
static bool find_next(struct srsd_above *above, int rc)
{
	const char *path = above->path;

	if (rc == ZNONODE) {
		while (above->end > 0 && path[--above->end] != '/')
			;
		return true;
	}
	if (above->end == above->label_end)
		return false;
	above->end = (size_t)(strchr(path + above->end + 1, '/') - path);
	return true;
}

static void on_made(void *owner, int rc)
{
	struct srsd_above *above = owner;

	if (rc == ZNONODE || rc == ZOK || rc == ZNODEEXISTS) {
		if (!find_next(above, rc))
			rc = ZOK;
		else if (above->end == 0)
			rc = ZNONODE; /* there is always a root */
		else
			rc = make(above);
		if (rc == ZOK && *above->slot != NULL)
			return;
	}
	above->on_made(above->owner, rc);
}

static int make(struct srsd_above *above)
{
	struct srsd *srsd = above->srsd;
	struct srsd_new_node node = {
		.access = srsd_access_list(srsd->auth != NULL,
			above->end == above->label_end ? SRSD_ACCESS_LABEL : SRSD_ACCESS_ABOVE)};
	char *path;
	int rc;

	if (above->end == 0 || ++above->steps > STEPS_MAX)
		return ZNONODE;
	path = strndup(above->path, above->end);
	if (path == NULL)
		return ZSYSTEMERROR;
	rc = srsd_request_create(srsd, path, &node, on_made, above, above->slot);
	free(path);
	return rc;
}

int srsd_above_make(struct srsd_above *above, struct srsd_request **slot)
{
	above->slot = slot;
	above->label_end = find_label_end(above->path);
	above->end = above->label_end;
	above->steps = 0;
	return make(above);
}

/* ---- Whose it is ----------------------------------------------------------------------------- */

static void on_access(void *owner, int rc, const struct ACL_vector *list)
{
	struct srsd_above *above = owner;

	if (rc != ZOK)
		return; /* asked again when the node is looked at the next time */
	above->is_known = true;
	if (srsd_access_is_open(list))
		srsd_log(&above->srsd->logger, SRSD_LOG_WARNING,
			"%.*s: everyone may register here and remove what is registered: the label has been "
			"there "
			"before, with an access list of its own; set it with ZooKeeper's setAcl",
			(int)above->label_end, above->path);
}

void srsd_above_check(struct srsd_above *above)
{
	char *label;

	if (above->srsd->auth == NULL || above->is_known || above->question != NULL)
		return;
	above->label_end = find_label_end(above->path);
	label = strndup(above->path, above->label_end);
	if (label == NULL ||
		srsd_request_access(above->srsd, label, on_access, above, &above->question) != ZOK)
		above->question = NULL;
	free(label);
}

void srsd_above_cancel(struct srsd_above *above)
{
	srsd_request_cancel(&above->question);
}
