/* look_ups - managers that are opened and closed while the names of their servers are looked up, fail, or
 * hang: a plain program, because Criterion does not start under ThreadSanitizer, which is to look at it.
 * getaddrinfo() stands before the C library's here. Exit status 0, or 1 and what is wrong on standard error.
 */
#include <err.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "srsd/srsd.h"

#define ROUNDS	   300
#define TURNS_MAX  12
#define LOOK_US	   4000
#define PATIENCE_S 30

static atomic_uint running;

static void sleep_us(long us)
{
	const struct timespec pause = {.tv_nsec = us * 1000};

	nanosleep(&pause, NULL);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	(void)node;
	(void)service;
	(void)hints;
	(void)out;
	running++;
	sleep_us((long)arc4random_uniform(LOOK_US));
	running--;
	return EAI_NONAME;
}

static void on_tick(evutil_socket_t descriptor, short what, void *arg)
{
	(void)descriptor;
	(void)what;
	(void)arg;
}

/* Open, turn the loop a little, close, whatever is under way. */
static void run_round(void)
{
	const struct timeval period = {.tv_usec = 500};
	struct srsd_config config = SRSD_CONFIG_DEFAULT;
	struct event_base *base = event_base_new();
	struct event *tick = base == NULL ? NULL : event_new(base, -1, EV_PERSIST, on_tick, NULL);
	struct srsd_error error;
	struct srsd *srsd;

	if (tick == NULL || event_add(tick, &period) != 0)
		errx(1, "no event loop can be made");
	config.servers = "one.test:1,two.test:2,three.test:3";
	if (srsd_open(base, &config, &srsd, &error) != SRSD_OK)
		errx(1, "srsd_open: %s", error.text);
	for (uint32_t turns = arc4random_uniform(TURNS_MAX); turns > 0; turns--)
		event_base_loop(base, EVLOOP_ONCE);
	srsd_close(&srsd);
	event_free(tick);
	event_base_free(base);
}

int main(void)
{
	time_t end = time(NULL) + PATIENCE_S;

	for (int i = 0; i < ROUNDS; i++)
		run_round();
	while (running > 0 && time(NULL) < end)
		sleep_us(LOOK_US);
	sleep_us(20000);
	if (running > 0)
		errx(1, "%u look-ups have not ended", (unsigned)running);
	return 0;
}
