/* loop_test - a turn's order, timers that wake it, waiting awake, what died is freed at its end, the date. */
#include "base/loop.h"

#include "base/stream.h"
#include "loop_until.h"
#include "peer.h"

#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static struct loop loop;

static void start(void)
{
	cr_assert(loop_init(&loop, LOOP_RECEIVE_BYTES));
}

static void finish(void)
{
	loop_finish(&loop);
}

TestSuite(loop, .init = start, .fini = finish);

/* ---- Timers ---------------------------------------------------------------------------------- */

struct alarm {
	struct wheel_timer timer;
	uint64_t fired_ms;
};

static void alarm_stop(struct wheel_timer *timer)
{
	CONTAINER_OF(timer, struct alarm, timer)->fired_ms = clock_coarse_ms();
	loop_stop(&loop);
}

Test(loop, a_timer_wakes_a_loop_that_waits_for_nothing_else)
{
	static const uint64_t waits_ms[] = {0, 1, 20, 60};
	for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
		struct alarm alarm = {0};
		uint64_t begin_ms = clock_coarse_ms();
		wheel_timer_init(&alarm.timer, alarm_stop);
		wheel_arm(&loop.wheel, &alarm.timer, begin_ms + waits_ms[i]);
		loop_run(&loop);
		loop.is_stopped = false;
		cr_expect_geq(alarm.fired_ms - begin_ms, waits_ms[i]);
		cr_expect_leq(alarm.fired_ms - begin_ms, waits_ms[i] + 5000);
	}
}

Test(loop, waiting_for_a_timer_takes_no_processor_time)
{
	struct alarm alarm = {0};
	struct timespec before, after;
	wheel_timer_init(&alarm.timer, alarm_stop);
	wheel_arm(&loop.wheel, &alarm.timer, clock_coarse_ms() + 500);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	loop_run(&loop);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	int64_t used_us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
	cr_expect_lt(used_us, 100000, "%lld us of 500 ms", (long long)used_us);
}

static struct alarm second_alarm;

static void alarm_hurry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	wheel_arm(&loop.wheel, &second_alarm.timer, clock_coarse_ms() + 10);
}

/* The loop sleeps for a far timer; an event arms a near one. */
Test(loop, a_nearer_timer_armed_by_an_event_wakes_it_earlier)
{
	struct alarm far_alarm = {0};
	const struct timeval soon = {.tv_usec = 20000};
	uint64_t begin_ms = clock_coarse_ms();
	wheel_timer_init(&far_alarm.timer, alarm_stop);
	wheel_timer_init(&second_alarm.timer, alarm_stop);
	wheel_arm(&loop.wheel, &far_alarm.timer, begin_ms + 60000);
	cr_assert_eq(event_base_once(loop.base, -1, EV_TIMEOUT, alarm_hurry, NULL, &soon), 0);
	loop_run(&loop);
	cr_expect_gt(second_alarm.fired_ms, 0);
	cr_expect_lt(clock_coarse_ms() - begin_ms, 10000);
	wheel_forget(&far_alarm.timer);
}

/* ---- Waiting awake --------------------------------------------------------------------------- */

struct talker {
	struct stream stream;
	struct peer peer;
	int events_left; /* which bring another one at once */
};

static void talker_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct talker *talker = CONTAINER_OF(stream_note(arg, what), struct talker, stream);
	char byte;
	size_t received;
	(void)fd;
	if (talker->stream.is_readable && stream_receive(&talker->stream, &byte, 1, &received) == STREAM_OK &&
		talker->events_left-- > 0)
		peer_say(&talker->peer, "x");
}

static bool is_knowing; /* that answers come soon */

static struct counted {
	uint32_t waits, successes;
} counted;

static void count_awake(void *arg, uint64_t awake_us, bool is_success)
{
	(void)awake_us;
	((struct counted *)arg)->waits++;
	((struct counted *)arg)->successes += is_success;
}

/* Something comes, `more` times something else at once, and then nothing. Returns the processor time of 700
 * ms. */
static int64_t processor_ms_after(bool is_on, uint64_t poll_us, int more)
{
	struct talker talker = {.events_left = more};
	struct timespec before, after;
	struct alarm alarm = {0};
	int fd = peer_pair(&talker.peer, 0);
	cr_assert(stream_open(&talker.stream, &loop, fd, true, talker_on_ready));
	loop_wait_awake(&loop, is_on, poll_us, count_awake, &counted);
	if (is_knowing) {
		loop.vigil.alone = VIGIL_ALONE_MIN;
		loop.vigil.awake_us8 = 8 * 20;
		loop.vigil.asleep_us8 = 8 * 60;
	}
	wheel_timer_init(&alarm.timer, alarm_stop);
	wheel_arm(&loop.wheel, &alarm.timer, clock_coarse_ms() + 700);
	peer_say(&talker.peer, "x");
	cr_assert_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000),
		1); /* so that it is one event */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	loop_run(&loop);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	stream_close(&talker.stream);
	peer_close(&talker.peer);
	return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
}

Test(loop, waits_awake_after_a_short_wait_and_then_sleeps)
{
	int64_t used_ms = processor_ms_after(false, 350000, 3);
	cr_expect_geq(counted.successes, 2);
	cr_expect(used_ms >= 3 && used_ms < 600, "%lld ms", (long long)used_ms);
}

Test(loop, sleeps_at_once_after_a_long_wait)
{
	int64_t used_ms = processor_ms_after(true, 500000, 0);
	cr_expect_eq(counted.waits, 0);
	cr_expect_lt(used_ms, 100, "%lld ms", (long long)used_ms);
}

Test(loop, sleeps_at_once_unless_told)
{
	int64_t used_ms = processor_ms_after(false, 0, 3);
	cr_expect_eq(counted.waits, 0);
	cr_expect_lt(used_ms, 100, "%lld ms", (long long)used_ms);
}

Test(loop, sleeps_by_the_rule_while_no_answer_is_awaited)
{
	int64_t used_ms = processor_ms_after(true, 0, 3);
	cr_expect_lt(used_ms, 100, "%lld ms", (long long)used_ms);
	cr_expect_eq(counted.waits, 0);
}

/* While one is awaited something else comes at once, three times. */
Test(loop, waits_awake_by_the_rule_while_one_answer_is_awaited)
{
	is_knowing = true;
	loop_await_answer(&loop);
	(void)processor_ms_after(true, 0, 3);
	cr_expect_eq(counted.waits, 3);
	cr_expect_eq(counted.successes, 0);
}

/* ---- The time of a turn ---------------------------------------------------------------------- */

static uint64_t time_said_us[2];
static struct wheel_timer second_look;

static void look_again(struct wheel_timer *timer)
{
	(void)timer;
	time_said_us[1] = loop_now_us(&loop);
	loop_stop(&loop);
}

static void look_twice(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	time_said_us[0] = loop_now_us(&loop);
	usleep(20000);
	cr_expect_eq(loop_now_us(&loop), time_said_us[0], "read twice in one turn");
	wheel_arm(&loop.wheel, &second_look, clock_coarse_ms() + 50);
}

/* Before the wait it is forgotten: what an event says then is not as old as the wait was long. */
Test(loop, the_time_is_read_once_between_two_waits)
{
	const struct timeval soon = {.tv_usec = 30000};
	uint64_t begin_us = clock_ns() / 1000;
	cr_expect_geq(loop_now_us(&loop), begin_us);
	wheel_timer_init(&second_look, look_again);
	cr_assert_eq(event_base_once(loop.base, -1, EV_TIMEOUT, look_twice, NULL, &soon), 0);
	loop_run(&loop);
	uint64_t end_us = clock_ns() / 1000;
	cr_expect_geq(time_said_us[0], begin_us + 25000, "as old as the wait");
	cr_expect_leq(time_said_us[0], end_us);
	cr_expect_geq(time_said_us[1], time_said_us[0] + 20000, "not read again");
	cr_expect_leq(time_said_us[1], end_us);
}

/* ---- What died ------------------------------------------------------------------------------- */

struct mortal {
	struct doomed doomed;
	int *freed_count;
	struct mortal *heir;
};

static bool is_in_callback;

static void mortal_free(struct doomed *doomed)
{
	struct mortal *mortal = CONTAINER_OF(doomed, struct mortal, doomed);
	cr_expect_not(is_in_callback, "freed inside a callback");
	(*mortal->freed_count)++;
	if (mortal->heir != NULL) /* what is freed may take others along */
		loop_doom(&loop, &mortal->heir->doomed, mortal_free);
	free(mortal);
}

static struct mortal *mortal_new(int *freed_count)
{
	struct mortal *mortal = calloc(1, sizeof(*mortal));
	cr_assert_not_null(mortal);
	mortal->freed_count = freed_count;
	return mortal;
}

static int freed_in_turn;

static void doom_in_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	is_in_callback = true;
	struct mortal *mortal = mortal_new(&freed_in_turn);
	loop_doom(&loop, &mortal->doomed, mortal_free);
	cr_expect_eq(freed_in_turn, 0);
	is_in_callback = false;
	loop_stop(&loop);
}

Test(loop, what_died_in_an_event_is_freed_at_the_end_of_the_turn)
{
	const struct timeval soon = {.tv_usec = 1000};
	cr_assert_eq(event_base_once(loop.base, -1, EV_TIMEOUT, doom_in_event, NULL, &soon), 0);
	loop_run(&loop);
	cr_expect_eq(freed_in_turn, 1);
}

static void free_and_stop(struct doomed *doomed)
{
	mortal_free(doomed);
	loop_stop(&loop);
}

static void doom_in_timer(struct wheel_timer *timer)
{
	(void)timer;
	loop_doom(&loop, &mortal_new(&freed_in_turn)->doomed, free_and_stop);
}

/* There is nothing else to wake up for until much later. */
Test(loop, what_died_in_a_timer_is_freed_without_waiting_for_events)
{
	struct wheel_timer timer;
	struct alarm much_later = {0};
	uint64_t begin_ms = clock_coarse_ms();
	wheel_timer_init(&timer, doom_in_timer);
	wheel_timer_init(&much_later.timer, alarm_stop);
	wheel_arm(&loop.wheel, &timer, begin_ms);
	wheel_arm(&loop.wheel, &much_later.timer, begin_ms + 20000);
	loop_run(&loop);
	cr_expect_eq(freed_in_turn, 1);
	cr_expect_lt(clock_coarse_ms() - begin_ms, 10000);
	wheel_forget(&much_later.timer);
}

Test(loop, what_is_freed_may_doom_others)
{
	int freed_count = 0;
	struct mortal *mortal = mortal_new(&freed_count);
	mortal->heir = mortal_new(&freed_count);
	mortal->heir->heir = mortal_new(&freed_count);
	loop_doom(&loop, &mortal->doomed, mortal_free);
	loop_for(&loop, 5);
	cr_expect_eq(freed_count, 3);
}

Test(loop, what_is_doomed_when_it_ends_is_freed)
{
	struct loop other;
	int freed_count = 0;
	cr_assert(loop_init(&other, LOOP_RECEIVE_BYTES));
	loop_doom(&other, &mortal_new(&freed_count)->doomed, mortal_free);
	loop_finish(&other);
	cr_expect_eq(freed_count, 1);
}

/* ---- The date -------------------------------------------------------------------------------- */

Test(loop, the_date_is_an_imf_fixdate_of_now)
{
	for (int look = 0; look < 30; look++) { /* over a few seconds' borders */
		struct tm tm = {0};
		char again[48];
		time_t before = time(NULL);
		struct str date = loop_http_date(&loop);
		time_t after = time(NULL);
		const char *end = strptime(date.at, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		cr_assert(end == date.at + date.bytes && date.bytes == 29, "%s", date.at);
		strftime(again, sizeof(again), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		cr_expect_str_eq(again, date.at, "padded, and the day of the week is right");
		time_t said = timegm(&tm);
		cr_expect(said >= before - 1 && said <= after, "%s is not now", date.at);
		usleep(100000);
	}
}

/* ---- Failure --------------------------------------------------------------------------------- */

Test(loop, without_descriptors_there_is_no_loop_and_nothing_leaks)
{
	struct loop other;
	const struct rlimit none = {.rlim_cur = 3, .rlim_max = 3};
	struct rlimit before;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){none.rlim_cur, before.rlim_max}), 0);
	bool was_made = loop_init(&other, LOOP_RECEIVE_BYTES);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	cr_expect_not(was_made);
}
