/* service_test - which paths a route takes. */
#include "service.h"

#include <criterion/criterion.h>

static const struct {
	const char *prefix;
	const char *path;
	bool is_taken;
} cases[] = {
	{"/", "/", true},
	{"/", "/info", true},
	{"/", "/a/b", true},
	{"/api", "/api", true},
	{"/api", "/api/", true},
	{"/api", "/api/users", true},
	{"/api", "/apis", false},
	{"/api", "/ap", false},
	{"/api", "/", false},
	{"/api", "/API", false},
	{"/api", "/other/api", false},
	{"/api/", "/api/", true},
	{"/api/", "/api/users", true},
	{"/api/", "/api", false},
	{"/api/", "/apis", false},
	{"/a/b", "/a/b", true},
	{"/a/b", "/a/b/c", true},
	{"/a/b", "/a/bc", false},
	{"/a/b", "/a", false},
};

Test(service, routes_take_whole_segments)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct route route = {.path = str_of(cases[i].prefix)};
		cr_expect_eq(route_takes(&route, str_of(cases[i].path)), cases[i].is_taken, "%s for %s",
			cases[i].prefix, cases[i].path);
	}
}

/* A path is a slice of the request: what stands behind it is none of a route's business. */
Test(service, a_path_ends_where_its_slice_ends)
{
	const struct route route = {.path = STR("/api")};
	cr_expect(route_takes(&route, (struct str){"/apis", 4}));
	cr_expect_not(route_takes(&route, (struct str){"/api", 3}));
}
