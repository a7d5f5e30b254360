/* crowd_test - connections counted against their limits, in all and by client, from several threads. */
#include "downstream/crowd.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static union address address_of(const char *text)
{
	union address address;
	memset(&address, 0, sizeof(address));
	bool is_ipv6 = strchr(text, ':') != NULL;
	address.any.sa_family = is_ipv6 ? AF_INET6 : AF_INET;
	void *at = is_ipv6 ? (void *)&address.ipv6.sin6_addr : &address.ipv4.sin_addr;
	cr_assert_eq(inet_pton(address.any.sa_family, text, at), 1, "%s", text);
	return address;
}

static enum problem enter(struct crowd *crowd, const char *text, struct crowd_client **client)
{
	union address address = address_of(text);
	return crowd_client_enter(crowd, &address.any, client);
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

Test(crowd, without_a_limit_by_client_nothing_is_counted)
{
	struct crowd crowd;
	struct crowd_client *client;
	cr_assert(crowd_init(&crowd, 1, 0));
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(enter(&crowd, "192.0.2.1", &client), PROBLEM_NONE);
		cr_expect_null(client);
		crowd_client_leave(&client);
	}
	crowd_finish(&crowd);
}

Test(crowd, each_client_has_its_own_count)
{
	struct crowd crowd;
	struct crowd_client *clients[5];
	cr_assert(crowd_init(&crowd, 100, 2));
	cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[0]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[1]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[2]), PROBLEM_CLIENT_LIMIT);
	cr_expect_null(clients[2]);
	cr_expect_eq(enter(&crowd, "192.0.2.2", &clients[2]), PROBLEM_NONE);
	/* What IPv6 maps an IPv4 address into is that address. */
	cr_expect_eq(enter(&crowd, "::ffff:192.0.2.1", &clients[3]), PROBLEM_CLIENT_LIMIT);
	cr_expect_eq(enter(&crowd, "::ffff:192.0.2.2", &clients[3]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.2", &clients[4]), PROBLEM_CLIENT_LIMIT);
	crowd_client_leave(&clients[0]);
	cr_expect_null(clients[0]);
	cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[0]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[4]), PROBLEM_CLIENT_LIMIT);
	for (int i = 0; i < 5; i++)
		crowd_client_leave(&clients[i]);
	crowd_finish(&crowd);
}

Test(crowd, ipv6_counts_by_64_bits)
{
	struct crowd crowd;
	struct crowd_client *clients[4];
	cr_assert(crowd_init(&crowd, 100, 1));
	cr_expect_eq(enter(&crowd, "2001:db8:0:1::1", &clients[0]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "2001:db8:0:1:ffff::2", &clients[1]), PROBLEM_CLIENT_LIMIT);
	cr_expect_eq(enter(&crowd, "2001:db8:0:2::1", &clients[1]), PROBLEM_NONE);
	/* Bits that are an IPv4 address's are no IPv4 address. */
	cr_expect_eq(enter(&crowd, "0.0.0.0", &clients[2]), PROBLEM_NONE);
	cr_expect_eq(enter(&crowd, "::1", &clients[3]), PROBLEM_NONE);
	for (int i = 0; i < 4; i++)
		crowd_client_leave(&clients[i]);
	crowd_finish(&crowd);
}

Test(crowd, what_has_no_address_is_not_counted)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct crowd crowd;
	struct crowd_client *client;
	cr_assert(crowd_init(&crowd, 100, 1));
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(crowd_client_enter(&crowd, &none, &client), PROBLEM_NONE);
		cr_expect_null(client);
	}
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
		struct crowd_client *client;
		snprintf(text, sizeof(text), "192.0.2.%d", i % CLIENTS);
		union address address = address_of(text);
		if (crowd_client_enter(crowd, &address.any, &client) != PROBLEM_NONE)
			refused++;
		crowd_client_leave(&client);
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
	struct crowd_client *clients[THREADS];
	for (int i = 0; i < THREADS; i++)
		cr_expect_eq(enter(&crowd, "192.0.2.1", &clients[i]), PROBLEM_NONE, "a count was left");
	for (int i = 0; i < THREADS; i++)
		crowd_client_leave(&clients[i]);
	crowd_finish(&crowd);
}
