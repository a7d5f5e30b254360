/* holding - makes the one node of a registration, and gets it back whenever it is lost.
 *
 *   create --ok--> held, look (sets the watch)         look --ours--> held
 *     | exists --> look                                  | a former session of ours --> replace in one step
 *     | no parent --> make parents --> create            | another's --> conflict: watch, look again later
 *     | not allowed --> denied, try again later          | gone --> create
 *
 * One request is on its way at a time. */
#include "registration/holding.h"

#include <inttypes.h>

#include "session/access.h"

#define CONFLICT_MIN_MS 1000
#define CONFLICT_MAX_MS 3000

static void hold(struct srsd_registration *registration)
{
	uint32_t recheck_ms = registration->srsd->recheck_ms;
	uint64_t now_ms = srsd_now_ms();

	if (registration->held_session != registration->srsd->session_id ||
		registration->state != SRSD_REGISTRATION_HELD)
		registration->held_ms = now_ms;
	registration->held_session = registration->srsd->session_id;
	registration->steps = 0;
	if (now_ms - registration->held_ms >= SRSD_HELD_WELL_MS)
		srsd_backoff_reset(&registration->retry);
	srsd_backoff_reset(&registration->refusal);
	/* It is looked at again, whatever the watch says until then. */
	srsd_record_set_timer(registration, srsd_random_between(recheck_ms / 2, recheck_ms));
	srsd_above_check(&registration->above);
	srsd_record_enter(registration, SRSD_REGISTRATION_HELD, "held by session 0x%" PRIx64,
		(uint64_t)registration->srsd->session_id);
}

/* ---- Making the node ------------------------------------------------------------------------- */

static void on_above_made(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	if (rc == ZOK)
		srsd_holding_create(registration);
	else
		srsd_record_fail(registration, rc);
}

static void make_above(struct srsd_registration *registration)
{
	int rc;

	if (!srsd_record_step(registration))
		return;
	rc = srsd_above_make(&registration->above, &registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

/* The node as it is to be. */
static struct srsd_new_node new_node(const struct srsd_registration *registration)
{
	return (struct srsd_new_node){.data = registration->data,
		.bytes = registration->data_bytes,
		.access = srsd_access_list(registration->srsd->auth != NULL, SRSD_ACCESS_NODE),
		.is_ephemeral = true};
}

static void on_created(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	switch (rc) {
	case ZOK:
		hold(registration);
		if (srsd_record_is_wanted(registration) && registration->request == NULL)
			srsd_holding_look(registration);
		break;
	case ZNODEEXISTS:
		srsd_holding_look(registration);
		break;
	case ZNONODE:
		make_above(registration);
		break;
	default:
		srsd_record_fail(registration, rc);
	}
}

void srsd_holding_create(struct srsd_registration *registration)
{
	struct srsd_new_node node = new_node(registration);
	int rc;

	if (!srsd_record_step(registration))
		return;
	registration->may_exist = true;
	rc = srsd_request_create(registration->srsd, registration->path, &node, on_created, registration,
		&registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

/* ---- Looking at the node --------------------------------------------------------------------- */

static void on_replaced(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	if (rc == ZOK || rc == ZNONODE || rc == ZBADVERSION || rc == ZNODEEXISTS)
		srsd_holding_look(registration);
	else
		srsd_record_fail(registration, rc);
}

/* The node of a former session of ours, which ZooKeeper has not ended yet. When it ends, what belongs to it
 * goes: so the node must become ours, and in one step, so that nobody sees it missing. If that session ends
 * first, the step fails as a whole (ZNONODE), and so it does when the data was changed (ZBADVERSION). */
static void replace(struct srsd_registration *registration, int version)
{
	struct srsd_new_node node = new_node(registration);
	int rc;

	if (!srsd_record_step(registration))
		return;
	registration->may_exist = true;
	rc = srsd_request_replace(registration->srsd, registration->path, version, &node, on_replaced,
		registration, &registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

/* By the clocks of two machines: never less than nothing. */
static int64_t age_ms(int64_t created_ms)
{
	int64_t age = srsd_wall_clock_ms() - created_ms;

	return age < 0 ? 0 : age;
}

static void conflict(struct srsd_registration *registration, const struct Stat *stat)
{
	registration->has_news = registration->holder_session != stat->ephemeralOwner ||
				 registration->holder_created_ms != stat->ctime;
	registration->holder_session = stat->ephemeralOwner;
	registration->holder_created_ms = stat->ctime;
	registration->steps = 0;
	registration->held_session = 0;
	srsd_backoff_reset(&registration->retry);
	srsd_record_set_timer(registration, srsd_random_between(CONFLICT_MIN_MS, CONFLICT_MAX_MS));
	if (stat->ephemeralOwner == 0)
		srsd_record_enter(registration, SRSD_REGISTRATION_CONFLICT,
			"the node is persistent and belongs to no session; remove it; trying on");
	else
		srsd_record_enter(registration, SRSD_REGISTRATION_CONFLICT,
			"held by another session, 0x%" PRIx64 ", for %" PRId64 " s; trying on",
			(uint64_t)stat->ephemeralOwner, age_ms(stat->ctime) / 1000);
}

bool srsd_registration_holder(const struct srsd_registration *registration, struct srsd_holder *out)
{
	if (registration->state != SRSD_REGISTRATION_CONFLICT)
		return false;
	out->session = registration->holder_session;
	out->age_ms = age_ms(registration->holder_created_ms);
	return true;
}

/* It is not there. Make it: at once, unless it was lost a moment after we made it. */
static void gone(struct srsd_registration *registration)
{
	bool was_held = registration->state == SRSD_REGISTRATION_HELD;
	bool is_fresh = was_held && srsd_now_ms() - registration->held_ms < SRSD_HELD_WELL_MS;

	registration->held_session = 0;
	if (was_held)
		srsd_record_enter(registration, SRSD_REGISTRATION_PENDING, "the node was removed by others");
	if (!srsd_record_is_wanted(registration))
		return;
	if (is_fresh)
		srsd_record_try_later(registration, &registration->retry);
	else
		srsd_holding_create(registration);
}

static void on_looked(void *owner, int rc, const struct Stat *stat)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	if (rc == ZNONODE) {
		gone(registration);
		return;
	}
	if (rc != ZOK) {
		srsd_record_fail(registration, rc);
		return;
	}
	if (stat->ephemeralOwner == registration->srsd->session_id)
		hold(registration);
	else if (srsd_is_former_session(registration->srsd, stat->ephemeralOwner))
		replace(registration, stat->version);
	else
		conflict(registration, stat);
	if (registration->is_dirty && registration->request == NULL && srsd_record_is_wanted(registration))
		srsd_holding_look(registration);
}

void srsd_holding_look(struct srsd_registration *registration)
{
	int rc;

	if (!srsd_record_step(registration))
		return;
	registration->is_dirty = false;
	rc = srsd_request_exists(registration->srsd, registration->path, registration->watcher, on_looked,
		registration, &registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

static void on_node_event(void *owner)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	if (!srsd_record_is_wanted(registration))
		return;
	registration->is_dirty = true;
	if (registration->request == NULL && srsd_is_connected(registration->srsd))
		srsd_holding_look(registration);
}

/* ---- Life ------------------------------------------------------------------------------------ */

bool srsd_holding_prepare(struct srsd_registration *registration)
{
	registration->above = (struct srsd_above){.srsd = registration->srsd,
		.path = registration->path,
		.on_made = on_above_made,
		.owner = registration};
	registration->watcher =
		srsd_watcher_take(registration->srsd, registration->path, on_node_event, registration);
	return registration->watcher != NULL;
}
