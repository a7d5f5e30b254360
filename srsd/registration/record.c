/* record - the state of a registration: which may follow which, who is told, and when the next try comes. */
#include "registration/record.h"

#include <stdarg.h>
#include <stdio.h>

#include "session/access.h"

#define STEPS_MAX 64 /* answers in a row without one that settles it */
#define TEXT_MAX  320

static const unsigned state_edges[] = {
	[SRSD_REGISTRATION_PENDING] =
		SRSD_BIT(SRSD_REGISTRATION_HELD) | SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
		SRSD_BIT(SRSD_REGISTRATION_DENIED) | SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_HELD] = SRSD_BIT(SRSD_REGISTRATION_PENDING) |
				   SRSD_BIT(SRSD_REGISTRATION_CONFLICT) | SRSD_BIT(SRSD_REGISTRATION_DENIED) |
				   SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_CONFLICT] = SRSD_BIT(SRSD_REGISTRATION_PENDING) |
				       SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
				       SRSD_BIT(SRSD_REGISTRATION_HELD) | SRSD_BIT(SRSD_REGISTRATION_DENIED) |
				       SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_DENIED] = SRSD_BIT(SRSD_REGISTRATION_PENDING) | SRSD_BIT(SRSD_REGISTRATION_HELD) |
				     SRSD_BIT(SRSD_REGISTRATION_CONFLICT) |
				     SRSD_BIT(SRSD_REGISTRATION_RELEASED),
	[SRSD_REGISTRATION_RELEASED] = 0,
};

void srsd_record_enter(
	struct srsd_registration *registration, enum srsd_registration_state next, const char *format, ...)
{
	bool is_trouble = next == SRSD_REGISTRATION_CONFLICT || next == SRSD_REGISTRATION_DENIED;
	struct srsd *srsd = registration->srsd;
	char text[TEXT_MAX];
	va_list arguments;

	if (registration->state == next && !registration->has_news)
		return;
	registration->has_news = false;
	srsd_check_edge(state_edges, registration->state, next);
	registration->state = next;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	srsd_log(&srsd->logger, is_trouble ? SRSD_LOG_WARNING : SRSD_LOG_INFO, "%s: %s: %s",
		registration->path, srsd_registration_state_text(next), text);
	if (registration->on_state != NULL && !srsd->is_closing)
		registration->on_state(registration->arg, next, text);
}

void srsd_record_set_timer(struct srsd_registration *registration, uint32_t delay_ms)
{
	struct timeval delay = srsd_timeval_ms(delay_ms);

	if (event_add(&registration->timer, &delay) != 0)
		event_active(&registration->timer, EV_TIMEOUT, 1);
}

bool srsd_record_is_over(const struct srsd_registration *registration)
{
	return registration->listener.is_ended || registration->srsd->is_closing;
}

bool srsd_record_is_wanted(const struct srsd_registration *registration)
{
	return !registration->is_leaving && !srsd_record_is_over(registration);
}

void srsd_record_release(struct srsd_registration *registration, const char *text)
{
	srsd_request_cancel(&registration->request);
	srsd_above_cancel(&registration->above);
	srsd_watcher_drop(&registration->watcher);
	event_del(&registration->timer);
	srsd_listener_end(registration->srsd, &registration->listener);
	if (registration->is_overdue)
		srsd_log(&registration->srsd->logger, SRSD_LOG_INFO, "%s: after all: %s", registration->path,
			text);
	srsd_record_enter(registration, SRSD_REGISTRATION_RELEASED, "%s", text);
}

void srsd_record_try_later(struct srsd_registration *registration, struct srsd_backoff *backoff)
{
	uint32_t delay_ms = srsd_backoff_next_ms(backoff);
	uint64_t now_ms = srsd_now_ms();

	registration->steps = 0;
	if (srsd_record_is_over(registration))
		return;
	if (registration->is_leaving && !registration->is_overdue &&
		now_ms + delay_ms > registration->deadline_ms)
		delay_ms = now_ms < registration->deadline_ms ? (uint32_t)(registration->deadline_ms - now_ms)
							      : 0;
	srsd_record_set_timer(registration, delay_ms);
}

/* Was it the connection that failed, and not what was asked? */
static bool is_loss(int rc)
{
	return rc == ZCONNECTIONLOSS || rc == ZOPERATIONTIMEOUT || rc == ZSESSIONEXPIRED ||
	       rc == ZINVALIDSTATE || rc == ZCLOSING;
}

void srsd_record_fail(struct srsd_registration *registration, int rc)
{
	struct srsd *srsd = registration->srsd;
	const char *denial = srsd_access_denial(rc, srsd->auth != NULL);

	if (srsd_record_is_over(registration))
		return;
	if (!srsd_is_connected(srsd) || is_loss(rc))
		return; /* on_connected() goes on */
	if (registration->is_leaving)
		registration->obstacle = zerror(rc);
	else if (denial != NULL)
		srsd_record_enter(registration, SRSD_REGISTRATION_DENIED, "%s; trying on", denial);
	else if (rc != ZOK)
		srsd_log(&srsd->logger, SRSD_LOG_ERROR, "%s cannot be registered (%s): trying on",
			registration->path, zerror(rc));
	srsd_record_try_later(
		registration, rc == ZOK || rc == ZNONODE || rc == ZSYSTEMERROR || registration->is_leaving
				      ? &registration->retry
				      : &registration->refusal);
}

bool srsd_record_step(struct srsd_registration *registration)
{
	if (++registration->steps <= STEPS_MAX)
		return true;
	srsd_record_fail(registration, ZOK);
	return false;
}
