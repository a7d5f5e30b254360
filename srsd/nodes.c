/* nodes - lists the nodes of a label, and reads those that are not known.
 *
 *   children --> names --> which are new? --> get, get, ... (GETS_MAX on their way) --> nodes, read
 *
 * A listing owns its requests, and the names and data it has so far. */
#include "nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_sort.h"
#include "node/snapshot.h"

#define LISTING_MAGIC 0x6c697374U
#define GETS_MAX      64

const char *srsd_fault_data_too_large(void)
{
	static const char fault[] = "its data is longer than the limit";

	return fault;
}

/* One request on its way. */
struct get {
	struct srsd_listing *listing;
	struct srsd_request *request;
	size_t index; /* of the node */
};

struct srsd_listing {
	uint32_t magic;
	struct srsd *srsd;
	srsd_listing_fn *on_done;
	void *owner;
	struct srsd_listing **slot;
	char *path;
	bool wants_reading;
	struct srsd_snapshot *known;  /* a reference of its own, or NULL */
	struct srsd_request *request; /* for the names */
	struct Stat label;	      /* when the names were given */
	struct srsd_node *nodes;
	size_t count;
	size_t read_count; /* those to be read stand in front */
	char *names;	   /* of all, one behind the other */
	bool *is_gone;	   /* of those to be read */
	size_t next;	   /* to be asked for */
	size_t in_flight;
	int rc; /* the first failure */
	struct get gets[GETS_MAX];
};

static void listing_free(struct srsd_listing *listing)
{
	srsd_request_cancel(&listing->request);
	for (size_t i = 0; i < GETS_MAX; i++)
		srsd_request_cancel(&listing->gets[i].request);
	for (size_t i = 0; i < listing->count; i++)
		free((char *)(uintptr_t)listing->nodes[i].data);
	free(listing->nodes);
	free(listing->names);
	free(listing->is_gone);
	free(listing->path);
	srsd_snapshot_unref(&listing->known);
	listing->magic = 0;
	free(listing);
}

static void finish(struct srsd_listing *listing, int rc)
{
	*listing->slot = NULL;
	if (rc == ZOK)
		listing->on_done(listing->owner, ZOK, listing->nodes, listing->count, &listing->label);
	else
		listing->on_done(listing->owner, rc, NULL, 0, NULL);
	listing_free(listing);
}

/* ---- Reading nodes --------------------------------------------------------------------------- */

static void on_data(void *owner, int rc, const char *data, size_t bytes, const struct Stat *stat);

static int ask(struct srsd_listing *listing, struct get *get)
{
	char *path;
	int rc;

	get->index = listing->next++;
	if (asprintf(&path, "%s/%s", listing->path, listing->nodes[get->index].name) < 0)
		return ZSYSTEMERROR;
	rc = srsd_request_data(listing->srsd, path, on_data, get, &get->request);
	free(path);
	if (rc == ZOK)
		listing->in_flight++;
	return rc;
}

static void take_out_gone(struct srsd_listing *listing)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->count; i++) {
		if (i >= listing->read_count || !listing->is_gone[i])
			listing->nodes[kept++] = listing->nodes[i];
	}
	listing->count = kept;
}

/* One answer came: ask for the next, or end when all have come. */
static void go_on(struct srsd_listing *listing, struct get *get)
{
	if (listing->rc == ZOK && listing->next < listing->read_count)
		listing->rc = ask(listing, get);
	if (listing->in_flight > 0)
		return;
	take_out_gone(listing);
	finish(listing, listing->rc);
}

/* Returns false when memory is short. */
static bool keep(struct srsd_listing *listing, struct srsd_node *node, const char *data, size_t bytes,
	const struct Stat *stat)
{
	char *copy;

	node->is_read = true;
	node->owner = stat->ephemeralOwner;
	node->created_ms = stat->ctime;
	node->created_zxid = stat->czxid;
	if (bytes > listing->srsd->data_max)
		node->fault = srsd_fault_data_too_large();
	if (bytes == 0 || node->fault != NULL)
		return true;
	copy = malloc(bytes);
	if (copy == NULL)
		return false;
	node->data = memcpy(copy, data, bytes);
	node->data_bytes = bytes;
	return true;
}

static void on_data(void *owner, int rc, const char *data, size_t bytes, const struct Stat *stat)
{
	struct get *get = owner;
	struct srsd_listing *listing = SRSD_CAST(struct srsd_listing, get->listing, LISTING_MAGIC);
	struct srsd_node *node = &listing->nodes[get->index];

	listing->in_flight--;
	if (rc == ZOK && !keep(listing, node, data, bytes, stat))
		rc = ZSYSTEMERROR;
	if (rc == ZNOAUTH) {
		node->is_read = true;
		node->fault = "there is no permission to read its data";
	} else if (rc == ZNONODE) {
		listing->is_gone[get->index] = true;
	} else if (rc != ZOK && listing->rc == ZOK) {
		listing->rc = rc;
	}
	go_on(listing, get);
}

/* The names have to stay when the answer that they came with goes. */
static bool copy_names(struct srsd_listing *listing)
{
	size_t bytes = 0;
	char *to;

	for (size_t i = 0; i < listing->count; i++)
		bytes += strlen(listing->nodes[i].name) + 1;
	listing->names = to = malloc(bytes);
	for (size_t i = 0; i < listing->count && to != NULL; i++) {
		size_t name_bytes = strlen(listing->nodes[i].name) + 1;

		listing->nodes[i].name = memcpy(to, listing->nodes[i].name, name_bytes);
		to += name_bytes;
	}
	return to != NULL;
}

/* Ask for as many as may be on their way. Fails only when none is. */
static int read_nodes(struct srsd_listing *listing)
{
	listing->is_gone = calloc(listing->read_count, sizeof(*listing->is_gone));
	if (listing->is_gone == NULL || !copy_names(listing))
		return ZSYSTEMERROR;
	for (size_t i = 0; i < GETS_MAX && listing->next < listing->read_count && listing->rc == ZOK; i++)
		listing->rc = ask(listing, &listing->gets[i]);
	return listing->in_flight > 0 ? ZOK : listing->rc;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int take_names(struct srsd_listing *listing, const struct String_vector *names)
{
	size_t count = (size_t)names->count;

	listing->nodes = calloc(count > 0 ? count : 1, sizeof(*listing->nodes));
	if (listing->nodes == NULL)
		return ZSYSTEMERROR;
	for (size_t i = 0; i < count; i++)
		listing->nodes[i].name = names->data[i];
	listing->count = count;
	if (!listing->wants_reading || count > listing->srsd->children_max)
		return ZOK;
	srsd_nodes_sort(listing->nodes, count);
	listing->read_count = srsd_nodes_bring_new_forward(listing->nodes, count, listing->known);
	return listing->read_count > 0 ? read_nodes(listing) : ZOK;
}

static void on_names(void *owner, int rc, const struct String_vector *names, const struct Stat *stat)
{
	struct srsd_listing *listing = SRSD_CAST(struct srsd_listing, owner, LISTING_MAGIC);

	if (rc == ZOK) {
		listing->label = *stat;
		rc = take_names(listing, names);
	}
	if (listing->in_flight == 0)
		finish(listing, rc);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int srsd_listing_start(struct srsd *srsd, const struct srsd_listing_plan *plan, srsd_listing_fn *on_done,
	void *owner, struct srsd_listing **slot)
{
	struct srsd_listing *listing = calloc(1, sizeof(*listing));
	int rc = ZSYSTEMERROR;

	assert(*slot == NULL);
	if (listing == NULL)
		return ZSYSTEMERROR;
	listing->magic = LISTING_MAGIC;
	listing->srsd = srsd;
	listing->on_done = on_done;
	listing->owner = owner;
	listing->slot = slot;
	listing->rc = ZOK;
	listing->wants_reading = plan->wants_reading;
	if (plan->known != NULL)
		listing->known = srsd_snapshot_ref((struct srsd_snapshot *)(uintptr_t)plan->known);
	for (size_t i = 0; i < GETS_MAX; i++)
		listing->gets[i].listing = listing;
	listing->path = strdup(plan->path);
	if (listing->path != NULL)
		rc = srsd_request_children(
			srsd, listing->path, plan->watcher, on_names, listing, &listing->request);
	if (rc == ZOK)
		*slot = listing;
	else
		listing_free(listing);
	return rc;
}

void srsd_listing_cancel(struct srsd_listing **slot)
{
	struct srsd_listing *listing = *slot;

	*slot = NULL;
	if (listing != NULL)
		listing_free(listing);
}
