/* override: --set reaches every key, makes what is missing, and says what is wrong with a path or value. */
#include "loading.h"

/* Load the least with overrides and expect no complaint. */
#define LOAD_WITH(...)                                                                                       \
	load_bytes(LEAST, strlen(LEAST), (const char *const[]){__VA_ARGS__},                                 \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

#define EXPECT_OF(expected, ...)                                                                             \
	expect_complaints_with(LEAST, (const char *const[]){__VA_ARGS__},                                    \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), expected)

Test(override, replaces_and_makes)
{
	struct loading loading = LOAD_WITH("zookeeper.servers=192.0.2.1:2181,192.0.2.2:2181",
		"services.0.choices=1", "log.level=debug", "workers=7", "routes.0.forward_to=/a=b",
		"listeners.0.shared=true", "admin.address=off", "limits.head=8k", "drain_timeout=0ms");
	cr_expect_str_eq(loading.complaints, "");
	const struct settings *settings = loading.settings;
	cr_assert(settings != NULL);
	cr_expect_str_eq(settings->zookeeper.servers, "192.0.2.1:2181,192.0.2.2:2181");
	cr_expect_str_eq(settings->zookeeper.registry, "/zk_registry/data");
	cr_expect_eq(settings->services[0].choices, 1);
	cr_expect_eq(settings->log.level, LOG_LEVEL_SETTING_DEBUG);
	cr_expect_eq(settings->workers, 7);
	cr_expect_str_eq(settings->routes[0].forward_to, "/a=b");
	cr_expect(settings->listeners[0].is_shared);
	cr_expect(settings->admin.address == NULL);
	cr_expect_eq(settings->limits.head_bytes, 8192);
	cr_expect_eq(settings->drain_timeout_ms, 0);
	loading_end(&loading);
}

Test(override, lists)
{
	struct loading loading = LOAD_WITH("listeners.1.address=127.0.0.1:8081", "services.1.name=b",
		"services.b.static.0=192.0.2.1:80", "services.b.static.1=192.0.2.2:80",
		"services.a.choices=5", "routes.1.path=/b", "routes.1.service=b");
	cr_expect_str_eq(loading.complaints, "");
	const struct settings *settings = loading.settings;
	cr_assert(settings != NULL);
	cr_expect_eq(settings->listener_count, 2);
	cr_expect_str_eq(settings->listeners[1].address, "127.0.0.1:8081");
	cr_expect_eq(settings->service_count, 2);
	cr_expect_eq(settings->services[0].choices, 5);
	cr_expect_eq(settings->services[1].choices, 2);
	cr_expect_eq(settings->services[1].static_count, 2);
	cr_expect_str_eq(settings->services[1].static_names[1], "192.0.2.2:80");
	cr_expect(settings->services[1].static_names[2] == NULL);
	cr_expect_eq(settings->route_count, 2);
	loading_end(&loading);
}

Test(override, a_whole_configuration)
{
	static const char *const overrides[] = {"listeners.0.address=127.0.0.1:80", "services.0.name=a",
		"routes.0.path=/", "routes.0.service=a"};
	struct loading loading = load_bytes("{}", 2, overrides, 4);
	cr_expect_str_eq(loading.complaints, "");
	loading_end(&loading);
}

Test(override, the_last_one_wins)
{
	struct loading loading = LOAD_WITH("workers=1", "workers=2", "workers=3");
	cr_assert(loading.settings != NULL);
	cr_expect_eq(loading.settings->workers, 3);
	loading_end(&loading);
}

/* What the file has wrong, an override puts right; an empty key becomes a section. */
Test(override, mends_the_file)
{
	static const char text[] = LEAST "workers: many\nlog:\nadmin: {address: ''}\n";
	static const char *const overrides[] = {"workers=2", "log.level=error", "admin.address=off"};
	expect_complaints(text,
		"t:4:10: workers is \"many\", no whole number: *\nt:5:5: log is empty: *\nt:6:18: "
		"admin.address is empty: *");
	struct loading loading = load_bytes(text, strlen(text), overrides, 3);
	cr_expect_str_eq(loading.complaints, "");
	loading_end(&loading);
}

Test(override, bad_form)
{
	EXPECT_OF("--set log.level: no \"=\" in it: write key.path=value, for example log.level=debug",
		"log.level");
	EXPECT_OF("--set : no \"=\" in it: *", "");
	static const char *const empty_parts[] = {"=x", ".a=x", "a.=x", "a..b=x", "..=x"};
	for (size_t i = 0; i < sizeof(empty_parts) / sizeof(empty_parts[0]); i++) {
		char expected[200];
		snprintf(expected, sizeof(expected),
			"--set %s: an empty key in the path: write key.path=value, for example "
			"log.level=debug",
			empty_parts[i]);
		EXPECT_OF(expected, empty_parts[i]);
	}
	EXPECT_OF("--set workers=\\xff: not UTF-8 in it: give UTF-8 text", "workers=\xFF");
	EXPECT_OF("--set workers=1\\x1b: a control character in it: give UTF-8 text", "workers=1\x1B");
	EXPECT_OF("--set admin.address=a\\x0ab: admin.address is \"a\\x0ab\", with a control character in "
		  "it: give an IP "
		  "address and port, or off",
		"admin.address=a\nb");
}

Test(override, bad_path)
{
	EXPECT_OF("--set zokeeper.servers=a:1: unknown key \"zokeeper\", did you mean \"zookeeper\"?",
		"zokeeper.servers=a:1");
	EXPECT_OF(
		"--set zookeeper.server=a:1: unknown key \"server\" in zookeeper, did you mean \"servers\"?",
		"zookeeper.server=a:1");
	EXPECT_OF("--set 0=1: unknown key \"0\": *", "0=1");
	EXPECT_OF("--set services.2.name=b: the list has 1 items, no item 2: count from 0, and use 1 to "
		  "append one",
		"services.2.name=b");
	EXPECT_OF("--set services.b.choices=1: \"b\" is no item of the list: give its index, counted from 0, "
		  "or the name of "
		  "an item that has one",
		"services.b.choices=1");
	EXPECT_OF("--set services.00.choices=1: \"00\" is no item of the list: *", "services.00.choices=1");
	EXPECT_OF("--set services.-1.choices=1: \"-1\" is no item of the list: *", "services.-1.choices=1");
	EXPECT_OF("--set services.99999999999999999999.choices=1: \"99999999999999999999\" is no item*",
		"services.99999999999999999999.choices=1");
	EXPECT_OF("--set services.0.name.x=1: \"services.0.name\" has no keys below it: leave \".x\" out",
		"services.0.name.x=1");
	EXPECT_OF("--set services.0.name.x.y=1: \"services.0.name\" has no keys below it: leave \".x.y\" out",
		"services.0.name.x.y=1");
	EXPECT_OF("--set log.0=1: log is a list: give a mapping of keys", "log.0=1");
	EXPECT_OF("--set log.level.0=debug: log.level is a list: give one of error, warning, info, debug",
		"log.level.0=debug");
}

Test(override, bad_value)
{
	EXPECT_OF("--set workers=: workers is empty: give a whole number from 1 to 256, or auto, or leave "
		  "the key out",
		"workers=");
	EXPECT_OF("--set services=x: services is text: give a list of mappings", "services=x");
	EXPECT_OF("t:3:29: unknown service \"a\": *\n--set services.0=x: services.0 is text: give a mapping "
		  "of keys, \"- key: value\"",
		"services.0=x");
	EXPECT_OF("--set log=x: log is text: give a mapping of keys", "log=x");
	EXPECT_OF("--set services.0.static=a:1: services.0.static is text: give a list of host:port",
		"services.0.static=a:1");
	EXPECT_OF("--set services.0.choices=17: services.0.choices is \"17\", out of range: give a whole "
		  "number from 1 to 16",
		"services.0.choices=17");
	EXPECT_OF("--set services.1.choices=1: services.1.name is missing: give a label",
		"services.1.choices=1");
	EXPECT_OF("--set routes.1.service=b: routes.1.path is missing: give an absolute path\n"
		  "--set routes.1.service=b: unknown service \"b\": add one with this name below services",
		"routes.1.service=b");
	EXPECT_OF("--set services.1.name=a: duplicate service name \"a\", which stands on line 2 already: "
		  "change or remove "
		  "one",
		"services.1.name=a");
	EXPECT_OF("--set services.2.name=b: duplicate service name \"b\", which an earlier --set gave "
		  "already: change or "
		  "remove one",
		"services.1.name=b", "services.2.name=b");
}

/* A file that cannot be read as YAML gives no tree: its own complaint is all that can be said. */
Test(override, on_a_broken_file)
{
	static const char *const overrides[] = {"workers=2"};
	expect_complaints_with("a: [", overrides, 1, "t:2:1: YAML syntax: *");
}
