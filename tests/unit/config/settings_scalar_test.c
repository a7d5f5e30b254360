/* settings_scalar: one value at a time, each kind of bad one with its place and words. */
#include "loading.h"

#define WORKERS "give a whole number from 1 to 256, or auto"

Test(settings_scalar, numbers)
{
	static const struct bad_text rows[] = {
		{LEAST "workers: 8080abc\n", "t:4:10: workers is \"8080abc\", no whole number: " WORKERS},
		{LEAST "workers: 08\n", "t:4:10: workers is \"08\", with a leading zero, which other "
					"programs read as octal: " WORKERS},
		{LEAST "workers: 08080\n", "t:4:10: workers is \"08080\", with a leading zero, *"},
		{LEAST "workers: 0x1F90\n", "t:4:10: workers is \"0x1F90\", no whole number: " WORKERS},
		{LEAST "workers: 1e3\n", "t:4:10: workers is \"1e3\", no whole number: " WORKERS},
		{LEAST "workers: 1.0\n", "t:4:10: workers is \"1.0\", no whole number: " WORKERS},
		{LEAST "workers: -1\n", "t:4:10: workers is \"-1\", no whole number: " WORKERS},
		{LEAST "workers: +1\n", "t:4:10: workers is \"+1\", no whole number: " WORKERS},
		{LEAST "workers: 1_0\n", "t:4:10: workers is \"1_0\", no whole number: " WORKERS},
		{LEAST "workers: true\n", "t:4:10: workers is \"true\", no whole number: " WORKERS},
		{LEAST "workers: automatic\n", "t:4:10: workers is \"automatic\", no whole number: " WORKERS},
		{LEAST "workers: Auto\n", "t:4:10: workers is \"Auto\", no whole number: " WORKERS},
		{LEAST "workers: \"8\"\n", "t:4:10: workers is \"8\", text because of its quotes: " WORKERS},
		{LEAST "workers: 0\n", "t:4:10: workers is \"0\", out of range: " WORKERS},
		{LEAST "workers: 257\n", "t:4:10: workers is \"257\", out of range: " WORKERS},
		{LEAST "workers: 18446744073709551616\n",
			"t:4:10: workers is \"18446744073709551616\", out of range: " WORKERS},
		{LEAST "workers: 18446744073709551617\n",
			"t:4:10: workers is \"18446744073709551617\", out of range: " WORKERS},
		{LEAST "workers:\n", "t:4:9: workers is empty: " WORKERS ", or leave the key out"},
		{LEAST "workers: ~\n", "t:4:10: workers is empty: " WORKERS ", or leave the key out"},
		{LEAST "workers: null\n", "t:4:10: workers is empty: *"},
		{LEAST "workers: ''\n", "t:4:10: workers is empty: *"},
		{LEAST "limits:\n  fields: 9\n  connections: 1000001\n  idle_per_endpoint: 100001\n  "
		       "children: 0\n",
			"t:5:11: limits.fields is \"9\", out of range: give a whole number from 10 to 256\n"
			"t:6:16: limits.connections is \"1000001\", out of range: give a whole number from 1 "
			"to 1000000\n"
			"t:7:22: limits.idle_per_endpoint is \"100001\", out of range: give a whole number "
			"from 0 to 100000\n"
			"t:8:13: limits.children is \"0\", out of range: give a whole number from 1 to "
			"1000000"},
		{LEAST "retries: {tries: 11}\n",
			"t:4:18: retries.tries is \"11\", out of range: give a whole number from 1 to 10"},
	};
	EXPECT_ALL(rows);
}

#define CONNECT "give a duration from 1ms to 24h (units ms, s, m, h)"

Test(settings_scalar, durations)
{
	static const struct bad_text rows[] = {
		{LEAST "timeouts: {connect: 10}\n",
			"t:4:21: timeouts.connect is \"10\", without a unit: " CONNECT},
		{LEAST "timeouts: {connect: 0}\n",
			"t:4:21: timeouts.connect is \"0\", without a unit: " CONNECT},
		{LEAST "timeouts: {connect: 10 s}\n",
			"t:4:21: timeouts.connect is \"10 s\", with no unit that is known: " CONNECT},
		{LEAST "timeouts: {connect: 10sec}\n",
			"t:4:21: timeouts.connect is \"10sec\", with no unit *"},
		{LEAST "timeouts: {connect: 1.5s}\n", "t:4:21: timeouts.connect is \"1.5s\", with no unit *"},
		{LEAST "timeouts: {connect: 1e3}\n", "t:4:21: timeouts.connect is \"1e3\", with no unit *"},
		{LEAST "timeouts: {connect: 010s}\n",
			"t:4:21: timeouts.connect is \"010s\", with a leading zero, *"},
		{LEAST "timeouts: {connect: s}\n",
			"t:4:21: timeouts.connect is \"s\", no duration: " CONNECT},
		{LEAST "timeouts: {connect: -1s}\n",
			"t:4:21: timeouts.connect is \"-1s\", no duration: " CONNECT},
		{LEAST "timeouts: {connect: never}\n",
			"t:4:21: timeouts.connect is \"never\", no duration: " CONNECT},
		{LEAST "timeouts: {connect: 0s}\n",
			"t:4:21: timeouts.connect is \"0s\", out of range: " CONNECT},
		{LEAST "timeouts: {connect: 25h}\n",
			"t:4:21: timeouts.connect is \"25h\", out of range: " CONNECT},
		{LEAST "timeouts: {connect: 86400001ms}\n",
			"t:4:21: timeouts.connect is \"86400001ms\", out of range: " CONNECT},
		{LEAST "timeouts: {connect: 99999999999999999999h}\n",
			"t:4:21: timeouts.connect is \"99999999999999999999h\", out of range: " CONNECT},
		{LEAST "zookeeper: {session_timeout: 999ms}\n",
			"t:4:30: zookeeper.session_timeout is \"999ms\", out of range: give a duration from "
			"1s to 10m (units ms, "
			"s, m, h)"},
		{LEAST "zookeeper: {session_timeout: 11m}\n",
			"t:4:30: zookeeper.session_timeout is \"11m\", out of range: *"},
		{LEAST "drain_timeout: 61m\n", "t:4:16: drain_timeout is \"61m\", out of range: give a "
					       "duration from 0ms to 1h (units ms, s, m, h)"},
	};
	EXPECT_ALL(rows);
	struct loading loading = load_text(LEAST "timeouts: {connect: '3s'}\n");
	cr_expect_str_eq(loading.complaints, "");
	loading_end(&loading);
}

#define HEAD "give a size from 1k to 65535 (bytes, or with k, m or g)"

Test(settings_scalar, sizes)
{
	static const struct bad_text rows[] = {
		{LEAST "limits: {head: 16K}\n",
			"t:4:16: limits.head is \"16K\", with no unit that is known: " HEAD},
		{LEAST "limits: {head: 16kb}\n",
			"t:4:16: limits.head is \"16kb\", with no unit that is known: " HEAD},
		{LEAST "limits: {head: 0x4000}\n",
			"t:4:16: limits.head is \"0x4000\", with no unit that is known: " HEAD},
		{LEAST "limits: {head: big}\n", "t:4:16: limits.head is \"big\", no size: " HEAD},
		{LEAST "limits: {head: 1023}\n", "t:4:16: limits.head is \"1023\", out of range: " HEAD},
		{LEAST "limits: {head: 64k}\n", "t:4:16: limits.head is \"64k\", out of range: " HEAD},
		{LEAST "limits: {head: 1m}\n", "t:4:16: limits.head is \"1m\", out of range: " HEAD},
		{LEAST "limits: {head: 016k}\n", "t:4:16: limits.head is \"016k\", with a leading zero, *"},
	};
	EXPECT_ALL(rows);
}

Test(settings_scalar, words_and_booleans)
{
	static const struct bad_text rows[] = {
		{LEAST "log: {level: inform}\n",
			"t:4:14: log.level is \"inform\", not known here: did you mean \"info\"?"},
		{LEAST "log: {level: DEBUG}\n",
			"t:4:14: log.level is \"DEBUG\", not known here: did you mean \"debug\"?"},
		{LEAST "log: {level: 3}\n", "t:4:14: log.level is \"3\", not known here: give one of error, "
					    "warning, info, debug"},
		{LEAST "log: {format: xml}\n",
			"t:4:15: log.format is \"xml\", not known here: give one of key_value, json"},
		{LEAST "log: {format: key-value}\n",
			"t:4:15: log.format is \"key-value\", not known here: did you mean \"key_value\"?"},
		{"listeners:\n  - {address: 127.0.0.1:1, shared: yes}\n  - {address: 127.0.0.1:2, shared: "
		 "True}\n"
		 "  - {address: 127.0.0.1:3, shared: 1}\n  - {address: 127.0.0.1:4, shared: 'true'}\n"
		 "  - {address: 127.0.0.1:5, shared: }\nservices: [{name: a, balance: round}]\n"
		 "routes: [{path: /, service: a}]\n",
			"t:2:36: listeners.0.shared is \"yes\", neither true nor false: give true or false\n"
			"t:3:36: listeners.1.shared is \"True\", neither true nor false: give true or false\n"
			"t:4:36: listeners.2.shared is \"1\", neither true nor false: give true or false\n"
			"t:5:36: listeners.3.shared is \"true\", text because of its quotes: give true or "
			"false\n"
			"t:6:36: listeners.4.shared is empty: give true or false, or leave the key out\n"
			"t:7:31: services.0.balance is \"round\", not known here: did you mean "
			"\"round_robin\"?"},
	};
	EXPECT_ALL(rows);
}

Test(settings_scalar, texts)
{
	static const struct bad_text rows[] = {
		{"listeners:\n  - address: localhost:80\n  - address: 127.0.0.1:8080abc\n  - address: "
		 "127.0.0.1:08080\n"
		 "  - address: 8080\n  - address:\n  - address: '127.0.0.1:80\\n'\n  - address: "
		 "\"127.0.0.1:80\\n\"\n"
		 "services: [{name: a}]\nroutes: [{path: /, service: a}]\n",
			"t:2:14: listeners.0.address is \"localhost:80\": a host name, where the IP address "
			"of an interface is "
			"needed: write for example 192.0.2.1:8080, [2001:db8::1]:8080, or 0.0.0.0:8080 for "
			"all\n"
			"t:3:14: listeners.1.address is \"127.0.0.1:8080abc\": *\n"
			"t:4:14: listeners.2.address is \"127.0.0.1:08080\": *\n"
			"t:5:14: listeners.3.address is \"8080\": *\n"
			"t:6:13: listeners.4.address is empty: give an IP address and port\n"
			"t:7:14: listeners.5.address is \"127.0.0.1:80\\n\": *\n"
			"t:8:14: listeners.6.address is \"127.0.0.1:80\\x0a\", with a control character in "
			"it: give *"},
		{"listeners: [{address: 127.0.0.1:80}]\nservices: [{name: a/b}, {name: \"a\\0b\"}, {name: "
		 "..}]\n"
		 "routes:\n  - {path: info, service: a/b}\n  - {path: '/a b', service: a/b, forward_to: "
		 "'http://x/'}\n"
		 "  - {path: /c, service: a/b, forward_to: '/c?d'}\n  - {path: '/c#d', service: a/b, "
		 "forward_to: '*'}\n",
			"t:2:19: services.0.name is \"a/b\": *\n"
			"t:2:32: services.1.name is \"a\\x00b\", with a control character in it: give a "
			"label\n"
			"t:2:48: services.2.name is \"..\": *\n"
			"t:4:12: routes.0.path is \"info\": it does not begin with '/': write a path such as "
			"/info\n"
			"t:4:27: routes.0.service is \"a/b\": *\n"
			"t:5:12: routes.1.path is \"/a b\": a character that no path of a request has: write "
			"it as %xx, a space as "
			"%20\n"
			"t:5:29: routes.1.service is \"a/b\": *\n"
			"t:5:46: routes.1.forward_to is \"http://x/\": it does not begin with '/': write a "
			"path such as /info\n"
			"t:6:25: routes.2.service is \"a/b\": *\n"
			"t:6:42: routes.2.forward_to is \"/c?d\": '?' and '#' end a path: write the path "
			"alone\n"
			"t:7:12: routes.3.path is \"/c#d\": '?' and '#' end a path: write the path alone\n"
			"t:7:29: routes.3.service is \"a/b\": *\n"
			"t:7:46: routes.3.forward_to is \"*\": it does not begin with '/': write a path such "
			"as /info"},
		{LEAST "zookeeper: {servers: 127.0.0.1, registry: data}\nadmin: {address: 127.0.0.1}\n",
			"t:4:22: zookeeper.servers is \"127.0.0.1\": *\nt:4:43: zookeeper.registry is "
			"\"data\": *\n"
			"t:5:18: admin.address is \"127.0.0.1\": *"},
		{"listeners: [{address: 127.0.0.1:1}]\nservices: [{name: a}]\nroutes:\n"
		 "  - {path: /, service: a, upgrade: [H2C, 'a b', a/, /1, a/1/2, websocket]}\n",
			"t:4:37: routes.0.upgrade.0 is \"H2C\": never passed on*\n"
			"t:4:42: routes.0.upgrade.1 is \"a b\": not a protocol: write its name*\n"
			"t:4:49: routes.0.upgrade.2 is \"a/\": not a protocol*\n"
			"t:4:53: routes.0.upgrade.3 is \"/1\": not a protocol*\n"
			"t:4:57: routes.0.upgrade.4 is \"a/1/2\": not a protocol*"},
		{LEAST "admin: {address: on}\n", "t:4:18: admin.address is \"on\": *"},
	};
	EXPECT_ALL(rows);
}
