/* check - the rhythm of the looks at a service. Owns the probe and what is believed. */
#include "srsd/command/check.h"

#include "srsd/command/clock.h"

static void look(struct check *check)
{
	check->began_ms = clock_ms();
	probe_start(&check->probe);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

/* Intervals are from beginning to beginning: one that takes its time does not make the next one later. */
static void look_later(struct check *check)
{
	uint64_t pause_ms =
		health_pause_ms(&check->health, check->options->interval_ms, &check->start_pause_ms);
	uint64_t spent_ms = clock_ms() - check->began_ms;
	uint64_t left_ms = spent_ms < pause_ms ? pause_ms - spent_ms : 1;
	struct timeval pause = clock_timeval(left_ms);

	if (event_add(check->timer, &pause) != 0)
		event_active(check->timer, EV_TIMEOUT, 1);
}

/* A service that starts may take its time: what it lacks is said once it should be there. */
static bool is_overdue(struct check *check)
{
	uint64_t patience_ms = (uint64_t)check->options->fall * check->options->interval_ms;

	if (check->health.was_healthy || check->has_said_overdue ||
		clock_ms() - check->start_ms < patience_ms)
		return false;
	check->has_said_overdue = true;
	return true;
}

static void on_probed(void *owner, bool is_good, const char *why)
{
	struct check *check = owner;

	look_later(check);
	if (health_count(&check->health, is_good))
		check->on_change(check->owner, is_good, why);
	else if (!is_good && is_overdue(check))
		check->on_change(check->owner, false, why);
}

bool check_begin(struct check *check, struct event_base *base, const struct register_options *options,
	const struct srsd_address *address, check_fn *on_change, void *owner)
{
	*check = (struct check){.options = options,
		.on_change = on_change,
		.owner = owner,
		.health = {.rise = options->rise, .fall = options->fall},
		.start_ms = clock_ms()};
	check->timer = evtimer_new(base, on_timer, check);
	if (!probe_open(&check->probe, base, &options->check, address, options->check_timeout_ms, on_probed,
		    check) ||
		check->timer == NULL)
		return false;
	check->is_running = true;
	look(check);
	return true;
}

void check_end(struct check *check)
{
	if (!check->is_running)
		return;
	check->is_running = false;
	event_del(check->timer);
	probe_stop(&check->probe);
}

void check_close(struct check *check)
{
	probe_close(&check->probe);
	if (check->timer != NULL)
		event_free(check->timer);
}
