/* leaving - to leave is to look at the node, and to delete what is ours. */
#include "registration/leaving.h"

static void on_removed(void *owner, int rc)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);

	if (rc == ZOK || rc == ZNONODE)
		srsd_record_release(registration, "removed");
	else
		srsd_record_fail(registration, rc);
}

static void on_looked_last(void *owner, int rc, const struct Stat *stat)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, owner, SRSD_REGISTRATION_MAGIC);
	struct srsd *srsd = registration->srsd;

	if (rc == ZNONODE) {
		srsd_record_release(registration, "it is not there any more");
		return;
	}
	if (rc != ZOK) {
		srsd_record_fail(registration, rc);
		return;
	}
	if (stat->ephemeralOwner != srsd->session_id && !srsd_is_former_session(srsd, stat->ephemeralOwner)) {
		srsd_record_release(registration, "it belongs to another session, and stays");
		return;
	}
	rc = srsd_request_delete(srsd, registration->path, on_removed, registration, &registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

/* Requests of one session are answered in order: a node whose creation is on its way is seen by this. */
void srsd_leaving_start(struct srsd_registration *registration)
{
	int rc;

	srsd_request_cancel(&registration->request);
	if (!srsd_is_connected(registration->srsd))
		return;
	rc = srsd_request_exists(registration->srsd, registration->path, NULL, on_looked_last, registration,
		&registration->request);
	if (rc != ZOK)
		srsd_record_fail(registration, rc);
}

/* The deadline has come, and the user has done with it. We have not: a session that comes back would keep a
 * node that nobody wants, for as long as the manager lives. */
void srsd_leaving_overdue(struct srsd_registration *registration)
{
	registration->is_overdue = true;
	srsd_record_enter(registration, SRSD_REGISTRATION_RELEASED,
		"not removed in time (%s): it is removed when a server answers, or goes with the session",
		registration->obstacle);
	registration->on_state = NULL;
	if (registration->request == NULL)
		srsd_record_try_later(registration, &registration->retry);
}
