/* settings_read: every key of the table, its default, and the complaints about keys and kinds. */
#include "loading.h"

Test(settings_read, defaults)
{
	struct loading loading = load_text(LEAST);
	cr_expect_str_eq(loading.complaints, "");
	const struct settings *settings = loading.settings;
	cr_assert(settings != NULL);
	cr_expect_str_eq(settings->zookeeper.servers, "127.0.0.1:2181");
	cr_expect_str_eq(settings->zookeeper.registry, "/zk_registry/data");
	cr_expect_eq(settings->zookeeper.session_timeout_ms, 10000);
	cr_expect_null(settings->zookeeper.state_dir);
	cr_expect_eq(settings->zookeeper.state_wait_ms, 50);
	cr_expect_eq(settings->zookeeper.max_stale_ms, 0);
	cr_expect_eq(settings->zookeeper.recheck_ms, 60000);
	cr_expect_null(settings->zookeeper.auth_file);
	cr_expect_eq(settings->listener_count, 1);
	cr_expect_str_eq(settings->listeners[0].address, "127.0.0.1:8080");
	cr_expect_not(settings->listeners[0].is_shared);
	cr_expect_not(settings->listeners[0].is_deferred);
	cr_expect_eq(settings->service_count, 1);
	cr_expect_str_eq(settings->services[0].name, "a");
	cr_expect_str_eq(settings->services[0].balance, "random");
	cr_expect_eq(settings->services[0].choices, 2);
	cr_expect(settings->services[0].static_names == NULL);
	cr_expect_eq(settings->services[0].static_count, 0);
	cr_expect_eq(settings->route_count, 1);
	cr_expect_str_eq(settings->routes[0].path, "/");
	cr_expect_str_eq(settings->routes[0].service, "a");
	cr_expect(settings->routes[0].forward_to == NULL);
	cr_expect_eq(settings->timeouts.request_head_ms, 10000);
	cr_expect_eq(settings->timeouts.request_body_ms, 30000);
	cr_expect_eq(settings->timeouts.connect_ms, 1000);
	cr_expect_eq(settings->timeouts.response_head_ms, 30000);
	cr_expect_eq(settings->timeouts.response_body_ms, 30000);
	cr_expect_eq(settings->timeouts.client_idle_ms, 60000);
	cr_expect_eq(settings->timeouts.upstream_idle_ms, 50000);
	cr_expect_eq(settings->limits.head_bytes, 16384);
	cr_expect_eq(settings->limits.fields, 100);
	cr_expect_eq(settings->limits.request_body_bytes, 0);
	cr_expect_eq(settings->limits.connections, 10000);
	cr_expect_eq(settings->limits.idle_per_endpoint, 256);
	cr_expect(settings->limits.has_splice);
	cr_expect_eq(settings->limits.children, 100000);
	cr_expect_eq(settings->retries.tries, 3);
	cr_expect_eq(settings->log.format, LOG_FORMAT_SETTING_KEY_VALUE);
	cr_expect_eq(settings->log.level, LOG_LEVEL_SETTING_INFO);
	cr_expect_str_eq(settings->admin.address, "127.0.0.1:9901");
	cr_expect_eq(settings->workers, 0);
	cr_expect_eq(settings->name_refresh_ms, 30000);
	cr_expect_eq(settings->drain_timeout_ms, 10000);
	loading_end(&loading);
}

static const char everything[] =
	"zookeeper: {servers: 'a:1,b:2/c', registry: /r, state_dir: /var/s, state_wait: 0s, max_stale: 24h,\n"
	"  session_timeout: 1m, recheck: 5s, auth_file: "
	"/secret}\n"
	"listeners: [{address: '[::1]:0', shared: true}, {address: 0.0.0.0:1, deferred: true}]\n"
	"services:\n"
	"  - {name: x, balance: random, choices: 16, static: [h:1, '[::1]:2'], networks: ['::1', "
	"10.0.0.0/8]}\n"
	"  - {name: y, timeouts: {request_body: 1s, connect: 2s, response_head: 3s, response_body: 4s,\n"
	"      upstream_idle: 5s, tunnel_idle: 6s, queue: 7s, request: 8s},\n"
	"     limits: {requests: 5, queue: 6, connections_per_endpoint: 7},\n"
	"     format: serverset, port_name: http, below: all}\n"
	"routes: [{path: /x, service: x, forward_to: /, repeat: never, upgrade: [websocket, a/1]}, {path: /, "
	"service: y}]\n"
	"timeouts: {request_head: 1ms, request_body: 2s, connect: 3s, response_head: 4m, response_body: 5h,\n"
	"  client_idle: 24h, upstream_idle: 7ms, tunnel_idle: 8ms, queue: 10ms, request: 9ms}\n"
	"limits: {head: 65535, fields: 10, request_body: 2g, connections: 1000000, idle_per_endpoint: 0, "
	"splice: false, children: 1}\n"
	"retries: {tries: 10}\n"
	"log: {format: json, level: error}\n"
	"admin: {address: 'off'}\n"
	"workers: 256\n"
	"answer_wait: auto\n"
	"busy_wait: 2ms\n"
	"name_refresh: 1s\n"
	"drain_timeout: 0ms\n"
	"half_closed: cancel\n"
	"loopback_congestion_control: system\n";

Test(settings_read, every_key)
{
	struct loading loading = load_text(everything);
	cr_expect_str_eq(loading.complaints, "");
	const struct settings *settings = loading.settings;
	cr_assert(settings != NULL);
	cr_expect_str_eq(settings->zookeeper.servers, "a:1,b:2/c");
	cr_expect_str_eq(settings->zookeeper.registry, "/r");
	cr_expect_eq(settings->zookeeper.session_timeout_ms, 60000);
	cr_expect_str_eq(settings->zookeeper.state_dir, "/var/s");
	cr_expect_eq(settings->zookeeper.state_wait_ms, 0);
	cr_expect_eq(settings->zookeeper.max_stale_ms, 86400000);
	cr_expect_eq(settings->zookeeper.recheck_ms, 5000);
	cr_expect_str_eq(settings->zookeeper.auth_file, "/secret");
	cr_expect_eq(settings->listener_count, 2);
	cr_expect_str_eq(settings->listeners[0].address, "[::1]:0");
	cr_expect(settings->listeners[0].is_shared);
	cr_expect_not(settings->listeners[1].is_shared);
	cr_expect_not(settings->listeners[0].is_deferred);
	cr_expect(settings->listeners[1].is_deferred);
	cr_expect_eq(settings->services[0].choices, 16);
	cr_expect_eq(settings->services[0].static_count, 2);
	cr_expect_str_eq(settings->services[0].static_names[0], "h:1");
	cr_expect(settings->services[1].static_names == NULL);
	cr_expect_eq(settings->services[0].network_count, 2);
	cr_expect_str_eq(settings->services[0].networks[1], "10.0.0.0/8");
	cr_expect(settings->services[1].networks == NULL);
	cr_expect_eq(settings->services[0].format, SRSD_FORMAT_NAME);
	cr_expect(settings->services[0].port_name == NULL);
	cr_expect_eq(settings->services[1].format, SRSD_FORMAT_SERVERSET);
	cr_expect_str_eq(settings->services[1].port_name, "http");
	cr_expect(settings->services[0].below == NULL);
	cr_expect_str_eq(settings->services[1].below, "all");
	cr_expect_str_eq(settings->routes[0].forward_to, "/");
	cr_expect_eq(settings->timeouts.request_head_ms, 1);
	cr_expect_eq(settings->timeouts.request_body_ms, 2000);
	cr_expect_eq(settings->timeouts.connect_ms, 3000);
	cr_expect_eq(settings->timeouts.response_head_ms, 240000);
	cr_expect_eq(settings->timeouts.response_body_ms, 18000000);
	cr_expect_eq(settings->timeouts.client_idle_ms, 86400000);
	cr_expect_eq(settings->timeouts.upstream_idle_ms, 7);
	cr_expect_eq(settings->timeouts.tunnel_idle_ms, 8);
	cr_expect_eq(settings->services[0].limits.requests, 0);
	cr_expect_eq(settings->services[1].limits.requests, 5);
	cr_expect_eq(settings->services[1].limits.queue, 6);
	cr_expect_eq(settings->services[1].limits.connections_per_endpoint, 7);
	cr_expect_eq(settings->timeouts.request_ms, 9);
	cr_expect_eq(settings->routes[0].repeat, REPEAT_SETTING_NEVER);
	cr_expect_eq(settings->routes[0].upgrade_count, 2);
	cr_expect_str_eq(settings->routes[0].upgrades[1], "a/1");
	cr_expect(settings->routes[1].upgrades == NULL);
	cr_expect_eq(settings->routes[1].repeat, REPEAT_SETTING_IDEMPOTENT);
	cr_expect_eq(settings->limits.head_bytes, 65535);
	cr_expect_eq(settings->limits.fields, 10);
	cr_expect_eq(settings->limits.request_body_bytes, UINT64_C(2) << 30);
	cr_expect_eq(settings->limits.connections, 1000000);
	cr_expect_eq(settings->limits.idle_per_endpoint, 0);
	cr_expect_not(settings->limits.has_splice);
	cr_expect_eq(settings->limits.children, 1);
	cr_expect_eq(settings->retries.tries, 10);
	cr_expect_eq(settings->log.format, LOG_FORMAT_SETTING_JSON);
	cr_expect_eq(settings->log.level, LOG_LEVEL_SETTING_ERROR);
	cr_expect(settings->admin.address == NULL);
	cr_expect_eq(settings->workers, 256);
	cr_expect_eq(settings->answer_wait, ANSWER_WAIT_SETTING_AUTO);
	cr_expect_eq(settings->busy_wait_ms, 2);
	cr_expect_eq(settings->name_refresh_ms, 1000);
	cr_expect_eq(settings->drain_timeout_ms, 0);
	cr_expect_eq(settings->half_closed, HALF_CLOSED_SETTING_CANCEL);
	cr_expect_eq(settings->loopback_congestion_control, LOOPBACK_CONGESTION_CONTROL_SETTING_SYSTEM);
	loading_end(&loading);
}

/* A service has the overall timeouts, but for those that it has of its own. */
Test(settings_read, timeouts_of_a_service)
{
	struct loading loading = load_text(everything);
	cr_assert(loading.settings != NULL);
	const struct service_timeout_settings *all = &loading.settings->services[0].timeouts;
	const struct service_timeout_settings *own = &loading.settings->services[1].timeouts;
	const uint64_t all_ms[] = {all->request_body_ms, all->connect_ms, all->response_head_ms,
		all->response_body_ms, all->upstream_idle_ms, all->tunnel_idle_ms, all->queue_ms,
		all->request_ms};
	const uint64_t own_ms[] = {own->request_body_ms, own->connect_ms, own->response_head_ms,
		own->response_body_ms, own->upstream_idle_ms, own->tunnel_idle_ms, own->queue_ms,
		own->request_ms};
	const uint64_t overall_ms[] = {2000, 3000, 240000, 18000000, 7, 8, 10, 9};
	for (size_t i = 0; i < sizeof(own_ms) / sizeof(own_ms[0]); i++) {
		cr_expect_eq(all_ms[i], overall_ms[i]);
		cr_expect_eq(own_ms[i], 1000 * (i + 1));
	}
	loading_end(&loading);
}

Test(settings_read, unknown_keys)
{
	static const struct bad_text rows[] = {
		{LEAST "worker: 3\n", "t:4:1: unknown key \"worker\", did you mean \"workers\"?"},
		{LEAST "Workers: 3\n", "t:4:1: unknown key \"Workers\", did you mean \"workers\"?"},
		{LEAST "timeout:\n  conect: 1s\n",
			"t:4:1: unknown key \"timeout\", did you mean \"timeouts\"?"},
		{LEAST "timeouts:\n  conect: 1s\n",
			"t:5:3: unknown key \"conect\" in timeouts, did you mean \"connect\"?"},
		{LEAST "connect: 1s\n", "t:4:1: unknown key \"connect\", did you mean \"timeouts.connect\"?"},
		{LEAST "tls: yes\n",
			"t:4:1: unknown key \"tls\": remove it; the keys here are zookeeper, "
			"listeners, services, routes, "
			"timeouts, limits, retries, forwarded, explain, log, admin, workers, answer_wait, "
			"busy_wait, background_nice, half_closed, loopback_congestion_control, "
			"proxy_status, name_refresh, drain_timeout"},
		{LEAST "log: {colour: red}\n", "t:4:7: unknown key \"colour\" in log: remove it; the keys "
					       "here are format, level, access, access_if, access_slow"},
		{LEAST "'': 1\n", "t:4:1: unknown key \"\": remove it; *"},
		{LEAST "zookeeper.servers: a:1\n", "t:4:1: unknown key \"zookeeper.servers\"*"},
		{LEAST "services[].name: a\n", "t:4:1: unknown key \"services[].name\"*"},
		{"listeners: [{address: 127.0.0.1:80, adress: 1}]\nservices: [{name: a, nmae: b}]\n"
		 "routes: [{path: /, service: a, forward-to: /b}]\n",
			"t:1:37: unknown key \"adress\" in listeners.0, did you mean \"address\"?\n"
			"t:2:22: unknown key \"nmae\" in services.0, did you mean \"name\"?\n"
			"t:3:32: unknown key \"forward-to\" in routes.0, did you mean \"forward_to\"?"},
	};
	EXPECT_ALL(rows);
}

Test(settings_read, lists_of_texts)
{
	static const struct bad_text rows[] = {
		{LEAST "forwarded: {trusted: []}\n", "t:4:22: forwarded.trusted is empty: give at least one "
						     "IP network or address, none, or leave "
						     "the key out"},
		{LEAST "forwarded: {trusted: }\n", "t:4:22: forwarded.trusted is empty: give a list of IP "
						   "network or address, or none, or leave "
						   "the key out"},
		{LEAST "forwarded: {trusted: nobody}\n",
			"t:4:22: forwarded.trusted is text: give a list of IP network or address, or none"},
		{LEAST "forwarded: {trusted: \"none\\0x\"}\n",
			"t:4:22: forwarded.trusted is text: give a list of IP network or address, or none"},
		{LEAST "forwarded: {trusted: [none]}\n",
			"t:4:23: forwarded.trusted.0 is \"none\": no IP address*"},
		{LEAST "forwarded: {trusted: [2001:db8::1, 192.0.2.7/24]}\n",
			"t:4:36: forwarded.trusted.1 is \"192.0.2.7/24\": bits are set behind its prefix: *"},
		{"listeners: [{address: 127.0.0.1:8080}]\nservices: [{name: a, static: []}]\n"
		 "routes: [{path: /, service: a}]\n",
			"t:2:30: services.0.static is empty: give at least one host:port, or leave the key "
			"out"},
	};
	EXPECT_ALL(rows);
	struct loading loading = load_text(LEAST "forwarded: {trusted: none}\n");
	cr_assert(loading.settings != NULL, "%s", loading.complaints);
	cr_expect(loading.settings->forwarded.trusted != NULL &&
		  loading.settings->forwarded.trusted[0] == NULL);
	cr_expect_eq(loading.settings->forwarded.trusted_count, 0);
	loading_end(&loading);
	loading = load_text(LEAST);
	cr_expect(loading.settings != NULL && loading.settings->forwarded.trusted == NULL);
	loading_end(&loading);
}

Test(settings_read, missing_keys)
{
	static const struct bad_text rows[] = {
		{"{}\n", "t:1:1: listeners is missing: give a list of mappings\n"
			 "t:1:1: services is missing: give a list of mappings\n"
			 "t:1:1: routes is missing: give a list of mappings"},
		{"listeners: []\nservices: []\nroutes: []\n",
			"t:1:12: listeners is empty: give at least one item\n"
			"t:2:11: services is empty: give at least one item\n"
			"t:3:9: routes is empty: give at least one item"},
		{"listeners:\nservices:\nroutes:\n", "t:1:11: listeners is empty: give a list of mappings\n"
						     "t:2:10: services is empty: give a list of mappings\n"
						     "t:3:8: routes is empty: give a list of mappings"},
		{"listeners: [{}]\nservices: [{choices: 1}]\nroutes:\n  - forward_to: /\n",
			"t:1:13: listeners.0.address is missing: give an IP address and port\n"
			"t:2:12: services.0.name is missing: give a label\n"
			"t:4:5: routes.0.path is missing: give an absolute path\n"
			"t:4:5: routes.0.service is missing: give the name of a service"},
	};
	EXPECT_ALL(rows);
}

Test(settings_read, wrong_kinds)
{
	static const struct bad_text rows[] = {
		{"listeners: {address: 127.0.0.1:80}\nservices: a\nroutes: [/]\n",
			"t:1:12: listeners is a mapping: give a list of mappings\n"
			"t:2:11: services is text: give a list of mappings\n"
			"t:3:10: routes.0 is text: give a mapping of keys, \"- key: value\""},
		{"listeners:\n  -\n  - ~\n  - [a]\nservices: [{name: a}]\nroutes: [{path: /, service: a}]\n",
			"t:2:4: listeners.0 is empty: give a mapping of keys, \"- key: value\"\n"
			"t:3:5: listeners.1 is empty: give a mapping of keys, \"- key: value\"\n"
			"t:4:5: listeners.2 is a list: give a mapping of keys, \"- key: value\""},
		{LEAST "log: info\nlimits: [1]\ntimeouts:\nadmin: ~\n",
			"t:4:6: log is text: give a mapping of keys\n"
			"t:5:9: limits is a list: give a mapping of keys\n"
			"t:6:10: timeouts is empty: give a mapping of keys, or leave the key out\n"
			"t:7:8: admin is empty: give a mapping of keys, or leave the key out"},
		{LEAST "workers: [1]\ndrain_timeout: {a: 1}\nlog: {level: []}\nzookeeper: {servers: [a:1]}\n",
			"t:4:10: workers is a list: give a whole number from 1 to 256, or auto\n"
			"t:5:16: drain_timeout is a mapping: give a duration from 0ms to 1h (units ms, s, m, "
			"h)\n"
			"t:6:14: log.level is a list: give one of error, warning, info, debug\n"
			"t:7:22: zookeeper.servers is a list: give host:port,...[/chroot]"},
		{"listeners: [{address: 127.0.0.1:80}]\nservices:\n  - {name: a, static: h:1}\n  - {name: b, "
		 "static: []}\n"
		 "  - {name: c, static: }\n  - {name: d, static: [~, [h:1], {a: b}, '', h:1]}\nroutes: "
		 "[{path: /, service: a}]\n",
			"t:3:23: services.0.static is text: give a list of host:port\n"
			"t:4:23: services.1.static is empty: give at least one host:port, or leave the key "
			"out\n"
			"t:5:23: services.2.static is empty: give a list of host:port, or leave the key out\n"
			"t:6:24: services.3.static.0 is empty: give host:port\n"
			"t:6:27: services.3.static.1 is a list: give host:port\n"
			"t:6:34: services.3.static.2 is a mapping: give *\n"
			"t:6:42: services.3.static.3 is empty: give *"},
	};
	EXPECT_ALL(rows);
}
