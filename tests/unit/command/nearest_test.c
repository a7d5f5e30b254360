/* nearest_test - what a mistyped name is taken for. */
#include "srsd/command/nearest.h"

#include <criterion/criterion.h>

static const char *const names[] = {"register", "discover", "watch", "zookeeper", "registry"};

static const char *nearest(const char *typed)
{
	return nearest_name(typed, names, sizeof(names) / sizeof(names[0]));
}

Test(nearest, sees_through_a_slip)
{
	cr_assert_str_eq(nearest("watch"), "watch");
	cr_assert_str_eq(nearest("wacth"), "watch", "two letters swapped");
	cr_assert_str_eq(nearest("zookeper"), "zookeeper", "one left out");
	cr_assert_str_eq(nearest("regsitry"), "registry", "the nearer of two that are alike");
	cr_assert_str_eq(nearest("regista"), "register");
	cr_assert_str_eq(nearest("discoverr"), "discover", "one too many");
	cr_assert_str_eq(nearest("diskover"), "discover", "another one");
}

Test(nearest, does_not_guess_wildly)
{
	cr_assert_null(nearest(""));
	cr_assert_null(nearest("list"));
	cr_assert_null(nearest("x"));
	cr_assert_null(nearest("a word that is much longer than all names are"));
}
