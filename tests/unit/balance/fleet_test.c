/* fleet_test - backends and fleets live as long as the last reference, and no longer. */
#include "support.h"

#include <pthread.h>
#include <srsd.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

Test(backend, is_made_with_its_name_address_and_empty_shares)
{
	struct backend *backend = make_backend("127.0.0.1:80");
	cr_expect_str_eq(backend->name, "127.0.0.1:80");
	cr_expect_eq(backend->address_count, 1);
	cr_expect_eq(ntohs(backend->addresses[0].ipv4.sin_port), 80);
	cr_expect_eq(backend->references, 1);
	struct backend_totals totals = backend_totals(backend);
	cr_expect(totals.requests == 0 && totals.failures == 0 && totals.in_flight == 0);
	backend_unref(&backend);
	cr_expect_null(backend);
	backend_unref(&backend);
}

Test(backend, each_worker_has_a_cache_line_of_its_own_and_totals_add_them_up)
{
	struct backend *backend = make_backend("a:1");
	for (size_t i = 0; i < WORKERS; i++) {
		cr_expect_eq((uintptr_t)&backend->shares[i] % 64, 0);
		share_add(&backend->shares[i].requests, 10 + i);
		share_add(&backend->shares[i].failures, i);
		backend->shares[i].in_flight = 2;
	}
	cr_expect_geq(sizeof(struct backend_share), 64);
	struct backend_totals totals = backend_totals(backend);
	cr_expect_eq(totals.requests, 33);
	cr_expect_eq(totals.failures, 3);
	cr_expect_eq(totals.in_flight, 6);
	backend_unref(&backend);
}

Test(backend, a_name_that_is_too_long_is_cut)
{
	char name[400];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct backend *backend = make_backend(name);
	cr_expect_eq(strlen(backend->name), BACKEND_NAME_BYTES - 1);
	backend_unref(&backend);
}

Test(fleet, holds_its_backends)
{
	struct backend *backends[] = {make_backend("a:1"), make_backend("b:1")};
	struct fleet *fleet = make_fleet(backends, 2);
	cr_expect_eq(backends[0]->references, 2);
	cr_expect_eq(fleet->count, 2);
	struct backend *kept = backend_ref(backends[1]);
	for (size_t i = 0; i < 2; i++)
		backend_unref(&backends[i]);
	cr_expect_str_eq(fleet->entries[0].backend->name, "a:1");

	struct fleet *other = fleet_ref(fleet);
	fleet_unref(&fleet);
	cr_expect_null(fleet);
	cr_expect_str_eq(other->entries[1].backend->name, "b:1", "another reference holds it");
	fleet_unref(&other);
	cr_expect_eq(kept->references, 1, "the fleet gave its reference back");
	backend_unref(&kept);
	fleet_unref(&other);
}

Test(fleet, knows_whether_weights_differ)
{
	static const struct {
		uint32_t weights[3];
		bool is_weighted;
	} cases[] = {{{1, 1, 1}, false}, {{7, 7, 7}, false}, {{1, 1, 2}, true}, {{2, 1, 1}, true},
		{{0, 1, 1}, true}, {{0, 0, 0}, true}};
	struct backend *backends[] = {make_backend("a:1"), make_backend("b:1"), make_backend("c:1")};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fleet *fleet = make_weighted_fleet(backends, cases[i].weights, 3);
		cr_expect_eq(fleet->is_weighted, cases[i].is_weighted, "case %zu", i);
		fleet_unref(&fleet);
	}
	for (size_t i = 0; i < 3; i++)
		backend_unref(&backends[i]);
}

Test(fleet, holds_the_snapshot_that_its_endpoints_are_of)
{
	static const char *const names[] = {"a:1", "b:1"};
	struct srsd_snapshot *snapshot;
	struct backend *backend = make_backend("a:1");
	cr_assert_eq(srsd_snapshot_from_names(names, 2, &snapshot, NULL), SRSD_OK);
	struct fleet *fleet = fleet_new(0, 1, 0, 2);
	fleet_hold(fleet, snapshot);
	fleet_append(fleet, backend, 3, srsd_snapshot_at(snapshot, 1));
	srsd_snapshot_unref(&snapshot);
	cr_expect_str_eq(srsd_endpoint_name(fleet->entries[0].endpoint), "b:1");
	cr_expect_eq(fleet->entries[0].weight, 3);
	fleet_unref(&fleet);
	backend_unref(&backend);
}

Test(fleet, may_be_empty)
{
	struct fleet *fleet = make_fleet(NULL, 0);
	cr_expect_eq(fleet->count, 0);
	cr_expect_not(fleet->is_weighted);
	fleet_unref(&fleet);
}

Test(fleet, is_walked_along_by_names_in_their_order)
{
	struct backend *backends[] = {make_backend("b:1"), make_backend("d:1"), make_backend("e:1")};
	struct fleet *fleet = make_fleet(backends, 3);
	size_t at = 0, nowhere = 0;
	cr_expect_null(fleet_find_from(fleet, &at, "a:1"));
	cr_expect_eq(fleet_find_from(fleet, &at, "b:1"), &fleet->entries[0]);
	cr_expect_null(fleet_find_from(fleet, &at, "c:1"));
	cr_expect_eq(fleet_find_from(fleet, &at, "e:1"), &fleet->entries[2]);
	cr_expect_null(fleet_find_from(fleet, &at, "f:1"));
	cr_expect_null(fleet_find_from(NULL, &nowhere, "a:1"));
	fleet_unref(&fleet);
	for (size_t i = 0; i < 3; i++)
		backend_unref(&backends[i]);
}

Test(fleet, knows_whom_it_refused)
{
	struct fleet *fleet = make_fleet(NULL, 0);
	char name[16];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "h%02d:1", i);
		cr_assert(fleet_refuse(fleet, name));
	}
	cr_expect_eq(fleet->count, 0);
	cr_assert_eq(fleet->refused_count, 100);
	cr_expect_str_eq(fleet->refused[0], "h00:1");
	cr_expect_str_eq(fleet->refused[99], "h99:1");
	fleet_unref(&fleet);
}

/* The same number of others is no matter for a worker, but for who asks whom the proxy refuses. */
Test(fleet, is_another_one_when_it_refused_others)
{
	struct fleet *one = make_fleet(NULL, 0);
	struct fleet *other = make_fleet(NULL, 0);
	cr_assert(fleet_refuse(one, "a:1") && fleet_refuse(other, "a:1"));
	cr_expect(fleet_is_same(one, other));
	cr_assert(fleet_refuse(one, "b:1") && fleet_refuse(other, "c:1"));
	cr_expect_not(fleet_is_same(one, other));
	fleet_unref(&one);
	fleet_unref(&other);
}

#define THREADS 4

static void *hold_and_let_go(void *arg)
{
	struct fleet *fleet = arg;
	for (int i = 0; i < 20000; i++) {
		struct fleet *held = fleet_ref(fleet);
		struct backend *backend = backend_ref(held->entries[0].backend);
		fleet_unref(&held);
		backend_unref(&backend);
	}
	fleet_unref(&fleet);
	return NULL;
}

Test(fleet, references_may_be_taken_and_given_by_any_thread)
{
	struct backend *backend = make_backend("a:1");
	struct fleet *fleet = make_fleet(&backend, 1);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, hold_and_let_go, fleet_ref(fleet)), 0);
	fleet_unref(&fleet);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(backend->references, 1);
	backend_unref(&backend);
}
