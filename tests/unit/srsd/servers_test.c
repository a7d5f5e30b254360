/* servers_test - where ZooKeeper is: what is read, what is refused and why. */
#include "srsd/session/servers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct bad {
	const char *text;
	const char *why; /* a part of the reason */
};

struct good {
	const char *servers;
	const char *registry;
	const char *list;
	const char *root;
	unsigned count;
};

Test(servers, reads_servers_chroot_and_registry)
{
	static const struct good cases[] = {
		{"127.0.0.1:2181", "/zk_registry/data", "127.0.0.1:2181", "/zk_registry/data", 1},
		{"a:1,b:2,[::1]:3", "/r", "a:1,b:2,[::1]:3", "/r", 3},
		{"a:1,b:2/some/chroot", "/r", "a:1,b:2", "/some/chroot/r", 2},
		{"a:1/", "/r", "a:1", "/r", 1},
		{"a:1/c", "/", "a:1", "/c", 1},
		{"a:1", "/", "a:1", "", 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct srsd_servers servers;
		struct srsd_error error;

		cr_assert_eq(srsd_servers_read(cases[i].servers, cases[i].registry, &servers, &error),
			SRSD_OK, "%s", error.text);
		cr_assert_str_eq(error.text, "");
		cr_assert_str_eq(servers.list, cases[i].list);
		cr_assert_str_eq(servers.root, cases[i].root);
		cr_assert_eq(servers.count, cases[i].count);
		srsd_servers_clear(&servers);
		cr_assert_null(servers.list);
	}
}

Test(servers, refuses_what_is_no_list_of_servers)
{
	static const struct bad cases[] = {
		{NULL, "no ZooKeeper server is given"},
		{"", "the address is empty"},
		{"127.0.0.1", "port is missing"},
		{"127.0.0.1:2181,", "server \"\": the address is empty"},
		{",127.0.0.1:2181", "the address is empty"},
		{"a:1,,b:2", "the address is empty"},
		{"a:1, b:2", "no name has"},
		{"a:1;b:2", "no name has"},
		{"a:1 ", "not a decimal"},
		{"/chroot", "the address is empty"},
		{"a:1//x", "empty part"},
		{"a:1/x/", "ends in a slash"},
		{"a:1/x,b:2//", "empty part"},
		{"a:1/x,b:2/x", "after the last server"},
		{"a:1/../x", "relative part"},
		{"a:1/x\ny", "control byte"},
		{"a:99999", "above 65535"},
		{"a\n:1", "a\\x0a:1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct srsd_error error;

		cr_assert_eq(
			srsd_servers_check(cases[i].text, &error), SRSD_BAD_ARGUMENT, "%s", cases[i].text);
		cr_assert(strstr(error.text, cases[i].why) != NULL, "%s: %s", cases[i].text, error.text);
		cr_assert(strchr(error.text, '\n') == NULL, "one line");
		cr_assert_eq(srsd_servers_check(cases[i].text, NULL), SRSD_BAD_ARGUMENT);
	}
}

Test(servers, refuses_what_is_no_registry_path)
{
	static const struct bad cases[] = {{NULL, "no registry path"}, {"", "begin with a slash"},
		{"zk", "begin with a slash"}, {"/zk/", "ends in a slash"}, {"//", "empty part"},
		{"/a//b", "empty part"}, {"/./a", "relative"}, {"/a/..", "relative"}, {"/a\tb", "control"}};
	struct srsd_error error;
	char path[1100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(
			srsd_registry_check(cases[i].text, &error), SRSD_BAD_ARGUMENT, "%s", cases[i].text);
		cr_assert(strstr(error.text, cases[i].why) != NULL, "%s: %s", cases[i].text, error.text);
	}
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[1025] = '\0';
	cr_assert_eq(srsd_registry_check(path, &error), SRSD_BAD_ARGUMENT);
	path[1024] = '\0';
	cr_assert_eq(srsd_registry_check(path, &error), SRSD_OK);
	cr_assert_str_eq(error.text, "");
	cr_assert_eq(srsd_registry_check("/...", NULL), SRSD_OK);
}

Test(servers, refuses_more_than_it_can_use)
{
	char *list = calloc(1, 20000);
	struct srsd_error error;

	for (int i = 0; i < 65; i++)
		strcat(list, i == 0 ? "a:1" : ",a:1");
	cr_assert_eq(srsd_servers_check(list, &error), SRSD_BAD_ARGUMENT);
	cr_assert(strstr(error.text, "more than 64") != NULL, "%s", error.text);
	list[strlen(list) - 4] = '\0';
	cr_assert_eq(srsd_servers_check(list, &error), SRSD_OK);
	memset(list, 'a', 9000);
	list[9000] = '\0';
	cr_assert_eq(srsd_servers_check(list, &error), SRSD_BAD_ARGUMENT);
	free(list);
}
