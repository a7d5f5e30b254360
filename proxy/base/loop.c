/* loop - turns of a worker's event loop (see loop.h). */
#include "base/loop.h"

#include "base/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void loop_on_wake(evutil_socket_t fd, short what, void *arg)
{
	/* The turn that follows advances the wheel. */
	(void)fd;
	(void)what;
	struct loop *loop = arg;
	loop->wake_ms = UINT64_MAX;
}

static struct event_base *loop_make_base(void)
{
	struct event_config *config = event_config_new();
	if (config == NULL)
		return NULL;
	struct event_base *base = NULL;
	/* NOLOCK: only its own thread touches it. EARLY_CLOSE: a stream must learn of a FIN that came with
	 * data. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
		event_config_require_features(
			config, EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

/* A descriptor of its own, not a time-out of the wait: that would have the kernel start and cancel a timer in
 * each turn, and this one is set when the wheel's next tick changes. Never read: setting it takes back that
 * it fired, and each firing brings an edge. */
static bool loop_make_timer(struct loop *loop)
{
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->timer_fd < 0)
		return false;
	loop->wake = event_new(loop->base, loop->timer_fd, EV_READ | EV_ET | EV_PERSIST, loop_on_wake, loop);
	if (loop->wake == NULL)
		close(loop->timer_fd);
	return loop->wake != NULL && event_add(loop->wake, NULL) == 0;
}

bool loop_init(struct loop *loop, size_t receive_bytes)
{
	memset(loop, 0, sizeof(*loop));
	loop->wake_ms = UINT64_MAX;
	loop->date_second = -1;
	TAILQ_INIT(&loop->again);
	wheel_init(&loop->wheel, clock_coarse_ms());
	loop->receive_bytes = receive_bytes;
	loop->receive_buffer = malloc(receive_bytes);
	loop->base = loop_make_base();
	if (loop->receive_buffer == NULL || loop->base == NULL || !loop_make_timer(loop) ||
		!random_seed(&loop->random)) {
		loop_finish(loop);
		return false;
	}
	return true;
}

static void loop_free_doomed(struct loop *loop)
{
	while (loop->doomed != NULL) {
		struct doomed *doomed = loop->doomed;
		loop->doomed = doomed->next;
		doomed->free(doomed);
	}
}

void loop_finish(struct loop *loop)
{
	loop_free_doomed(loop);
	if (loop->wake != NULL) {
		event_free(loop->wake);
		close(loop->timer_fd);
	}
	if (loop->base != NULL)
		event_base_free(loop->base);
	free(loop->receive_buffer);
	pipe_close(&loop->pipe);
	memset(loop, 0, sizeof(*loop));
}

/* Set the timer to when the wheel wants it, if that changed. */
static void loop_schedule(struct loop *loop, uint64_t now_ms)
{
	uint64_t next_ms = wheel_next_ms(&loop->wheel);
	if (next_ms == loop->wake_ms)
		return;
	loop->wake_ms = next_ms;
	struct itimerspec wait = {.it_value.tv_nsec = 0}; /* none */
	if (next_ms != UINT64_MAX && next_ms > now_ms) {
		wait.it_value.tv_sec = (time_t)((next_ms - now_ms) / 1000);
		wait.it_value.tv_nsec = (long)((next_ms - now_ms) % 1000) * 1000000;
	} else if (next_ms != UINT64_MAX) {
		wait.it_value.tv_nsec = 1; /* at once */
	}
	(void)timerfd_settime(loop->timer_fd, 0, &wait, NULL); /* it refuses nonsense only */
}

/* Those that ask again meanwhile have their go in the next turn: nobody starves the others. */
static void loop_run_again(struct loop *loop)
{
	for (size_t left = loop->again_count; left > 0 && loop->again_count > 0; left--)
		stream_run_again(TAILQ_FIRST(&loop->again));
}

void loop_wait_awake(
	struct loop *loop, bool is_on, uint64_t fixed_us, loop_awake_fn *on_awake, void *on_awake_arg)
{
	vigil_init(&loop->vigil, is_on);
	vigil_set(&loop->vigil, fixed_us);
	loop->on_awake = on_awake;
	loop->on_awake_arg = on_awake_arg;
}

/* Is it too early to sleep? Timers are no reason to stay awake: they are known of before. */
static bool loop_is_awake(struct loop *loop)
{
	uint64_t now_us = clock_ns() / 1000;
	if (loop->has_worked) {
		uint64_t came_us = loop->now_us != 0 ? loop->now_us : now_us;
		struct vigil_report report = vigil_end(&loop->vigil, came_us, loop->answers);
		if (report.was_awake && loop->on_awake != NULL)
			loop->on_awake(loop->on_awake_arg, report.awake_us, report.is_success);
		vigil_begin(&loop->vigil, now_us, loop->asked - loop->answers, loop->answers);
		loop->has_worked = false;
	}
	return vigil_goes_on(&loop->vigil, now_us);
}

/* May this wait be awake, or is one that was over? With many requests under way this is all that it costs. */
static inline bool loop_is_vigilant(const struct loop *loop)
{
	const struct vigil *vigil = &loop->vigil;
	return vigil->is_on && (vigil->is_waiting || vigil->fixed_us > 0 || loop->asked - loop->answers == 1);
}

void loop_run(struct loop *loop)
{
	while (!loop->is_stopped) {
		uint64_t now_ms = clock_coarse_ms();
		wheel_advance(&loop->wheel, now_ms);
		loop_run_again(loop);
		loop_schedule(loop, now_ms);
		/* Something may have died already: look for events without waiting, then free it. */
		bool is_hurried = loop->again_count > 0 || loop->doomed != NULL || loop->is_stopped ||
				  (loop_is_vigilant(loop) && loop_is_awake(loop));
		loop->now_us = 0;
		event_base_loop(loop->base,
			EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY | (is_hurried ? EVLOOP_NONBLOCK : 0));
		loop_free_doomed(loop);
	}
}

void loop_stop(struct loop *loop)
{
	loop->is_stopped = true;
}

void loop_doom(struct loop *loop, struct doomed *doomed, doomed_free_fn *free)
{
	doomed->free = free;
	doomed->next = loop->doomed;
	loop->doomed = doomed;
}

struct str loop_http_date(struct loop *loop)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != loop->date_second) {
		static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
		static const char months[][4] = {
			"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
		struct tm utc;
		gmtime_r(&now.tv_sec, &utc);
		/* Not strftime: names must not follow a locale. */
		snprintf(loop->date_text, sizeof(loop->date_text), "%s, %02d %s %04d %02d:%02d:%02d GMT",
			days[utc.tm_wday], utc.tm_mday % 100, months[utc.tm_mon],
			(utc.tm_year + 1900) % 10000, utc.tm_hour % 100, utc.tm_min % 100, utc.tm_sec % 100);
		loop->date_second = now.tv_sec;
	}
	return str_of(loop->date_text);
}
