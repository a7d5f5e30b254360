/* shelf_test - the newest fleet of each service can be looked at, and nothing older is kept. */
#include "balance/shelf.h"

#include "support.h"

#include <pthread.h>

#define SERVICES    2
#define LOOKS_ROUND 20000

static struct shelf shelf;

static struct fleet *fleet_of(uint32_t service, uint64_t version)
{
	struct fleet *fleet = fleet_new(service, version, 0, 0);
	cr_assert_not_null(fleet);
	return fleet;
}

static void start(void)
{
	cr_assert(shelf_init(&shelf, SERVICES));
}

static void finish(void)
{
	shelf_finish(&shelf);
	cr_expect_eq(shelf.count, 0);
}

TestSuite(shelf, .init = start, .fini = finish);

Test(shelf, has_the_newest_of_each_service)
{
	cr_expect_null(shelf_take(&shelf, 0));
	shelf_put(&shelf, fleet_of(0, 1));
	shelf_put(&shelf, fleet_of(1, 7));
	shelf_put(&shelf, fleet_of(0, 2));
	struct fleet *taken = shelf_take(&shelf, 0), *other = shelf_take(&shelf, 1);
	cr_assert(taken != NULL && other != NULL);
	cr_expect_eq(taken->version, 2);
	cr_expect_eq(other->version, 7);
	cr_expect_null(shelf_take(&shelf, 0), "it was taken down");
	shelf_give_back(&shelf, &taken);
	cr_expect_null(taken);
	shelf_give_back(&shelf, &taken);
	fleet_unref(&other);
	taken = shelf_take(&shelf, 0);
	cr_assert_not_null(taken, "it was put back");
	shelf_give_back(&shelf, &taken);
}

Test(shelf, what_is_older_is_let_go)
{
	struct fleet *first = fleet_of(0, 1), *second = fleet_of(0, 2);
	shelf_put(&shelf, fleet_ref(first));
	struct fleet *taken = shelf_take(&shelf, 0);
	shelf_put(&shelf, fleet_ref(second));
	shelf_give_back(&shelf, &taken);
	cr_expect_not(fleet_is_shared(first), "a newer one stood there when it came back");
	shelf_put(&shelf, fleet_of(0, 3));
	cr_expect_not(fleet_is_shared(second), "a newer one took its place");
	fleet_unref(&first);
	fleet_unref(&second);
}

static void *put_many(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; i <= LOOKS_ROUND; i++)
		shelf_put(&shelf, fleet_of(0, i));
	return NULL;
}

Test(shelf, one_puts_while_another_looks)
{
	pthread_t putter;
	uint64_t seen = 0;
	cr_assert_eq(pthread_create(&putter, NULL, put_many, NULL), 0);
	for (int i = 0; i < LOOKS_ROUND; i++) {
		struct fleet *fleet = shelf_take(&shelf, 0);
		if (fleet == NULL)
			continue;
		cr_assert_geq(fleet->version, seen);
		seen = fleet->version;
		shelf_give_back(&shelf, &fleet);
	}
	pthread_join(putter, NULL);
	struct fleet *last = shelf_take(&shelf, 0);
	cr_assert_not_null(last);
	cr_expect_eq(last->version, LOOKS_ROUND);
	fleet_unref(&last);
}
