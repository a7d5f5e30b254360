/* registration - one ephemeral node, from srsd_register() to srsd_deregister(): when it is made, looked at
 * (holding) and taken away (leaving), as the session comes and goes. */
#include <stdlib.h>
#include <string.h>

#include "node/announcement.h"
#include "registration/holding.h"
#include "registration/leaving.h"

#define RETRY_BASE_MS	200 /* after what passes by itself */
#define RETRY_CAP_MS	400
#define REFUSAL_BASE_MS 500 /* after what somebody has to change */
#define REFUSAL_CAP_MS	10000

static struct srsd_registration *registration_of(struct srsd_listener *listener)
{
	return SRSD_CAST(struct srsd_registration,
		SRSD_CONTAINER_OF(listener, struct srsd_registration, listener), SRSD_REGISTRATION_MAGIC);
}

static void go_on(struct srsd_registration *registration)
{
	if (!srsd_is_connected(registration->srsd) || registration->request != NULL)
		return;
	registration->steps = 0;
	if (registration->is_leaving)
		srsd_leaving_start(registration);
	else if (registration->held_session == registration->srsd->session_id ||
		 registration->state == SRSD_REGISTRATION_CONFLICT)
		srsd_holding_look(registration);
	else
		srsd_holding_create(registration);
}

static void registration_connected(struct srsd_listener *listener)
{
	struct srsd_registration *registration = registration_of(listener);

	if (!registration->is_leaving) {
		srsd_backoff_reset(&registration->retry);
		srsd_backoff_reset(&registration->refusal);
		event_del(&registration->timer);
	}
	go_on(registration);
}

static void registration_lost(struct srsd_listener *listener)
{
	struct srsd_registration *registration = registration_of(listener);

	/* Its answer, if it still comes, would be about a connection that is no more. */
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	if (!registration->is_leaving)
		event_del(&registration->timer);
	if (registration->srsd->state != SRSD_EXPIRED)
		return;
	if (registration->is_overdue) {
		srsd_record_release(registration, "it goes with its session");
		return;
	}
	registration->held_session = 0;
	registration->above.is_known = false; /* the label may be another one then */
	if (registration->state == SRSD_REGISTRATION_HELD && !registration->is_leaving)
		srsd_record_enter(registration, SRSD_REGISTRATION_PENDING,
			"the session is over; a new one is on its way");
}

static void registration_free(struct srsd_registration *registration)
{
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	srsd_watcher_drop(&registration->watcher);
	event_del(&registration->timer);
	free(registration->path);
	free(registration->data);
	registration->magic = 0;
	free(registration);
}

static void registration_release(struct srsd_listener *listener)
{
	registration_free(registration_of(listener));
}

static const struct srsd_listener_ops registration_ops = {
	.on_connected = registration_connected,
	.on_lost = registration_lost,
	.release = registration_release,
};

static bool is_same_node(const struct srsd_registration *one, const struct srsd_registration *other)
{
	return strcmp(one->path, other->path) == 0 && one->data_bytes == other->data_bytes &&
	       (one->data == NULL || memcmp(one->data, other->data, one->data_bytes) == 0);
}

/* The same is wanted again: the node is not to be removed any more. But if it is to say something else, it is
 * removed as it was to be, and made anew. */
static void end_overdue(struct srsd_registration *wanted)
{
	struct srsd_listener *listener;

	TAILQ_FOREACH (listener, &wanted->srsd->listeners, link) {
		struct srsd_registration *other;

		if (listener->ops != &registration_ops || listener->is_ended)
			continue;
		other = registration_of(listener);
		if (other->is_overdue && is_same_node(other, wanted)) {
			srsd_record_release(other, "it is wanted again");
			wanted->may_exist = true;
		}
	}
}

static void go_on_leaving(struct srsd_registration *registration)
{
	uint64_t now_ms = srsd_now_ms();

	if (!registration->may_exist) {
		srsd_record_release(registration, "it was never there");
	} else if (registration->is_overdue) {
		go_on(registration);
	} else if (now_ms >= registration->deadline_ms) {
		srsd_leaving_overdue(registration);
	} else {
		srsd_record_set_timer(registration, (uint32_t)(registration->deadline_ms - now_ms));
		go_on(registration);
	}
}

static void on_timer(evutil_socket_t descriptor, short what, void *arg)
{
	struct srsd_registration *registration =
		SRSD_CAST(struct srsd_registration, arg, SRSD_REGISTRATION_MAGIC);
	struct srsd *srsd = registration->srsd;

	(void)descriptor;
	(void)what;
	srsd_enter(srsd);
	if (!registration->is_leaving)
		go_on(registration);
	else
		go_on_leaving(registration);
	srsd_leave(srsd);
}

/* Owns `data` from then on, also where it fails. */
static struct srsd_registration *registration_new(
	struct srsd *srsd, const char *label, const char *name, char *data)
{
	struct srsd_registration *registration = calloc(1, sizeof(*registration));

	if (registration == NULL) {
		free(data);
		return NULL;
	}
	registration->data = data;
	registration->data_bytes = data == NULL ? 0 : strlen(data);
	registration->magic = SRSD_REGISTRATION_MAGIC;
	registration->srsd = srsd;
	registration->state = SRSD_REGISTRATION_PENDING;
	registration->retry = (struct srsd_backoff){.base_ms = RETRY_BASE_MS, .cap_ms = RETRY_CAP_MS};
	registration->refusal = (struct srsd_backoff){.base_ms = REFUSAL_BASE_MS, .cap_ms = REFUSAL_CAP_MS};
	event_assign(&registration->timer, srsd->base, -1, EV_TIMEOUT, on_timer, registration);
	registration->path = srsd_path(srsd, label, name);
	if (registration->path == NULL || !srsd_holding_prepare(registration)) {
		registration_free(registration);
		return NULL;
	}
	return registration;
}

enum srsd_status srsd_register(struct srsd *srsd, const char *label, const char *address,
	const struct srsd_register_options *options, srsd_registration_fn *on_state, void *arg,
	struct srsd_registration **out, struct srsd_error *error)
{
	struct srsd_registration *registration;
	struct srsd_address parsed;
	enum srsd_status status;
	const char *why;
	char *data;

	srsd_error_clear(error);
	if (srsd_label_check(label, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "%s", why);
	if (address == NULL)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "no address is given; write host:port");
	if (srsd_address_parse(address, strlen(address), &parsed, &why) != SRSD_OK)
		return srsd_fail(error, SRSD_BAD_ARGUMENT, "\"%s\": %s; write host:port", address, why);
	status = srsd_announcement_write(options, address, &data, error);
	if (status != SRSD_OK)
		return status;
	registration = registration_new(srsd, label, address, data);
	if (registration == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory to register \"%s\"", address);
	registration->on_state = on_state;
	registration->arg = arg;
	*out = registration;
	srsd_enter(srsd);
	end_overdue(registration);
	srsd_listener_add(srsd, &registration->listener, &registration_ops);
	go_on(registration);
	srsd_leave(srsd);
	return SRSD_OK;
}

void srsd_deregister(struct srsd_registration **registration, uint32_t timeout_ms)
{
	struct srsd_registration *leaving = *registration;
	struct srsd *srsd;

	*registration = NULL;
	if (leaving == NULL)
		return;
	srsd = leaving->srsd;
	srsd_enter(srsd);
	leaving->is_leaving = true;
	leaving->obstacle = "no server answers";
	leaving->deadline_ms = srsd_now_ms() + timeout_ms;
	srsd_watcher_drop(&leaving->watcher);
	srsd_backoff_reset(&leaving->retry);
	srsd_record_set_timer(leaving, leaving->may_exist ? timeout_ms : 0);
	if (leaving->may_exist)
		srsd_leaving_start(leaving);
	srsd_leave(srsd);
}
