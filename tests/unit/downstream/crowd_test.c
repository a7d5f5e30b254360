/* crowd_test - connections counted against their limits, in all and by client, from several threads. */
#include "downstream/crowd.h"

#include "base/network.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

static struct network address_of(const char *text)
{
	struct network address;
	cr_assert_eq(network_parse(text, &address), NETWORK_GOOD, "%s", text);
	return address;
}

static enum problem enter(struct crowd *crowd, const char *text)
{
	struct network address = address_of(text);
	return crowd_client_enter(crowd, &address);
}

static void leave(struct crowd *crowd, const char *text)
{
	struct network address = address_of(text);
	crowd_client_leave(crowd, &address);
}

Test(crowd, in_all)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 2, 0));
	cr_expect(crowd_enter(&crowd));
	cr_expect(crowd_enter(&crowd));
	cr_expect_not(crowd_enter(&crowd));
	cr_expect_not(crowd_enter(&crowd), "who is not let in does not count");
	crowd_leave(&crowd);
	cr_expect(crowd_enter(&crowd));
	cr_expect_eq(crowd.open, 2);
	crowd_finish(&crowd);
}

Test(crowd, clients_are_counted_where_there_is_a_limit)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 1, 0));
	cr_expect_not(crowd_counts_clients(&crowd));
	crowd_finish(&crowd);
	cr_assert(crowd_init(&crowd, 1, 1));
	cr_expect(crowd_counts_clients(&crowd));
	crowd_finish(&crowd);
}

Test(crowd, each_client_has_its_own_count)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 100, 2));
	cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_CLIENT_LIMIT);
	cr_expect_eq(enter(&crowd, "192.0.2.2"), PROBLEM_NONE);
	/* What IPv6 maps an IPv4 address into is that address. */
	cr_expect_eq(enter(&crowd, "::ffff:192.0.2.1"), PROBLEM_CLIENT_LIMIT);
	cr_expect_eq(enter(&crowd, "::ffff:192.0.2.2"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.2"), PROBLEM_CLIENT_LIMIT);
	leave(&crowd, "192.0.2.1");
	cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_CLIENT_LIMIT);
	for (int i = 0; i < 2; i++) {
		leave(&crowd, "192.0.2.1");
		leave(&crowd, "192.0.2.2");
	}
	crowd_finish(&crowd);
}

Test(crowd, ipv6_counts_by_64_bits)
{
	struct crowd crowd;
	cr_assert(crowd_init(&crowd, 100, 1));
	cr_expect_eq(enter(&crowd, "2001:db8:0:1::1"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "2001:db8:0:1:ffff::2"), PROBLEM_CLIENT_LIMIT);
	cr_expect_eq(enter(&crowd, "2001:db8:0:2::1"), PROBLEM_NONE);
	/* Bits that are an IPv4 address's are no IPv4 address. */
	cr_expect_eq(enter(&crowd, "0.0.0.0"), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "::1"), PROBLEM_NONE);
	leave(&crowd, "2001:db8:0:1:eeee::3");
	leave(&crowd, "2001:db8:0:2::1");
	leave(&crowd, "0.0.0.0");
	leave(&crowd, "::1");
	crowd_finish(&crowd);
}

#define THREADS 4
#define ROUNDS	5000
#define CLIENTS 16

static void *come_and_go(void *arg)
{
	struct crowd *crowd = arg;
	uintptr_t refused = 0;
	for (int i = 0; i < ROUNDS; i++) {
		char text[32];
		snprintf(text, sizeof(text), "192.0.2.%d", i % CLIENTS);
		struct network address = address_of(text);
		if (crowd_client_enter(crowd, &address) != PROBLEM_NONE)
			refused++;
		else
			crowd_client_leave(crowd, &address);
	}
	return (void *)refused;
}

/* Nobody holds more than one at a time: no thread is ever refused, and nothing is left. */
Test(crowd, workers_count_together)
{
	struct crowd crowd;
	pthread_t threads[THREADS];
	cr_assert(crowd_init(&crowd, 100, THREADS));
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
	for (int i = 0; i < THREADS; i++) {
		void *refused;
		pthread_join(threads[i], &refused);
		cr_expect_null(refused);
	}
	for (int i = 0; i < THREADS; i++)
		cr_expect_eq(enter(&crowd, "192.0.2.1"), PROBLEM_NONE, "a count was left");
	for (int i = 0; i < THREADS; i++)
		leave(&crowd, "192.0.2.1");
	crowd_finish(&crowd);
}
