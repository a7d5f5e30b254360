/* settings_check: names that refer to each other, and names and addresses that stand twice. */
#include "loading.h"

Test(settings_check, references)
{
	static const struct bad_text rows[] = {
		{"listeners: [{address: 127.0.0.1:80}]\nservices: [{name: tornado_app}, {name: orders}]\n"
		 "routes:\n  - {path: /, service: tornadoapp}\n  - {path: /a, service: orders}\n"
		 "  - {path: /b, service: elsewhere}\n",
			"t:4:24: unknown service \"tornadoapp\", did you mean \"tornado_app\"?\n"
			"t:6:25: unknown service \"elsewhere\": add one with this name below services"},
	};
	EXPECT_ALL(rows);
}

Test(settings_check, duplicates)
{
	static const struct bad_text rows[] = {
		{"listeners:\n  - {address: 127.0.0.1:80}\n  - {address: '[::1]:80'}\n  - {address: "
		 "127.0.0.1:80}\n"
		 "  - {address: '[0:0:0:0:0:0:0:1]:80'}\n"
		 "services: [{name: a}]\nroutes: [{path: /, service: a}]\n",
			"t:4:15: duplicate listener address \"127.0.0.1:80\", which stands on line 2 "
			"already: change or remove "
			"one\n"
			"t:5:15: duplicate listener address \"[0:0:0:0:0:0:0:1]:80\", which stands on line 3 "
			"already: change or "
			"remove one"},
		{"listeners: [{address: 127.0.0.1:80}]\nservices:\n  - name: a\n  - name: b\n  - name: a\n  "
		 "- name: a\n"
		 "routes:\n  - {path: /, service: a}\n  - {path: /b, service: b}\n  - {path: /, service: "
		 "b}\n",
			"t:5:11: duplicate service name \"a\", which stands on line 3 already: change or "
			"remove one\n"
			"t:6:11: duplicate service name \"a\", which stands on line 3 already: change or "
			"remove one\n"
			"t:10:12: duplicate route path \"/\", which stands on line 8 already: change or "
			"remove one"},
		{"listeners: [{address: 127.0.0.1:80}]\nservices:\n  - name: a\n    static:\n      - "
		 "Host:1\n      - h:2\n"
		 "      - host:1\n  - {name: b, static: [h:2]}\nroutes: [{path: /, service: a}]\n",
			"t:7:9: duplicate address \"host:1\", which stands on line 5 already: change or "
			"remove one"},
		{"listeners: [{address: 127.0.0.1:9901}]\nservices: [{name: a}]\nroutes: [{path: /, service: "
		 "a}]\n",
			"t:1:23: address \"127.0.0.1:9901\" is admin.address too: change one of them"},
		{"listeners: [{address: '[::1]:80'}]\nservices: [{name: a}]\nroutes: [{path: /, service: "
		 "a}]\n"
		 "admin: {address: '[::0001]:80'}\n",
			"t:1:23: address \"[::1]:80\" is admin.address too: change one of them"},
	};
	EXPECT_ALL(rows);
}

/* One on all interfaces leaves nothing of its port to others. IPv4 and IPv6 have ports of their own. */
Test(settings_check, listeners_on_all_interfaces)
{
	static const struct bad_text rows[] = {
		{"listeners:\n  - {address: 127.0.0.1:80}\n  - {address: 0.0.0.0:80}\n  - {address: "
		 "'[::1]:81'}\n"
		 "  - {address: '[0::0]:81'}\n  - {address: '[::1]:80'}\n  - {address: 127.0.0.1:82, shared: "
		 "true}\n"
		 "  - {address: 0.0.0.0:82}\n"
		 "services: [{name: a}]\nroutes: [{path: /, service: a}]\n",
			"t:2:15: listener address \"127.0.0.1:80\" is one of those of \"0.0.0.0:80\", which "
			"listens too: remove one of the two, or write shared: true for both\n"
			"t:4:15: listener address \"[::1]:81\" is one of those of \"[::]:81\", which "
			"listens too: remove one of the two, or write shared: true for both\n"
			"t:7:15: listener address \"127.0.0.1:82\" is one of those of \"0.0.0.0:82\", which "
			"listens too: remove one of the two, or write shared: true for both"},
		{"listeners: [{address: 0.0.0.0:9901}]\nservices: [{name: a}]\nroutes: [{path: /, service: "
		 "a}]\n",
			"t:1:23: address \"0.0.0.0:9901\" takes in admin.address \"127.0.0.1:9901\": change "
			"one of them"},
		{"listeners: [{address: 127.0.0.1:81, shared: true}]\nservices: [{name: a}]\n"
		 "routes: [{path: /, service: a}]\nadmin: {address: 0.0.0.0:81}\n",
			"t:1:23: address \"127.0.0.1:81\" is one of those of admin.address \"0.0.0.0:81\": "
			"change one of them"},
	};
	EXPECT_ALL(rows);
}

Test(settings_check, static_addresses_outside_of_their_networks)
{
	static const struct bad_text rows[] = {
		{"listeners: [{address: 127.0.0.1:80}]\nroutes: [{path: /, service: a}]\n"
		 "services:\n  - name: a\n    networks: [192.0.2.0/24, '2001:db8::/32']\n    static:\n"
		 "      - 192.0.2.1:80\n      - 192.0.3.1:80\n      - '[2001:db8::1]:80'\n      - "
		 "'[::1]:80'\n"
		 "      - host.example:80\n      - '[::ffff:192.0.2.2]:80'\n",
			"t:8:9: address \"192.0.3.1:80\" is outside of the service's networks: add its own "
			"to them, or remove it\n"
			"t:10:9: address \"[::1]:80\" is outside of the service's networks: add its own to "
			"them, or remove it"},
		{"listeners: [{address: 127.0.0.1:80}]\nroutes: [{path: /, service: a}]\n"
		 "services:\n  - {name: a, networks: [192.0.2.0/33], static: [192.0.3.1:80]}\n",
			"t:4:26: services.0.networks.0 is \"192.0.2.0/33\": its prefix is no number*"},
	};
	EXPECT_ALL(rows);
}

Test(settings_check, formats_of_no_nodes)
{
	static const struct bad_text rows[] = {
		{"listeners: [{address: 127.0.0.1:80}]\nroutes: [{path: /, service: a}]\n"
		 "services:\n  - {name: a, port_name: http}\n  - {name: b, format: curator, port_name: x}\n"
		 "  - {name: c, format: serverset, port_name: http}\n"
		 "  - {name: d, format: json, static: [a:1]}\n  - {name: e, format: name, static: [a:1]}\n"
		 "  - {name: f, below: x, static: [a:1]}\n",
			"t:4:26: port_name is for the format serverset alone: write format: serverset, or "
			"remove it\n"
			"t:5:43: port_name is for the format serverset alone: *\n"
			"t:7:23: format is for nodes in the registry, and this service's addresses are "
			"static: remove format, or static\n"
			"t:9:22: below is for nodes in the registry, and this service's addresses are "
			"static: remove below, or static"},
		{"listeners: [{address: 127.0.0.1:80}]\nroutes: [{path: /, service: a}]\n"
		 "services: [{name: a, format: server_set}]\n",
			"t:3:30: services.0.format is \"server_set\", not known here: did you mean "
			"\"serverset\"?"},
	};
	EXPECT_ALL(rows);
}

Test(settings_check, a_subset_of_a_ring)
{
	static const struct bad_text rows[] = {
		{"listeners: [{address: 127.0.0.1:80}]\nroutes: [{path: /, service: a}]\n"
		 "services:\n  - {name: a, balance: ring_hash, subset: {size: 20}}\n"
		 "  - {name: b, balance: ring_hash, subset: {size: off}}\n"
		 "  - {name: c, balance: random, subset: {size: 20}}\n",
			"t:4:50: subset.size is not for balance: ring_hash, as each proxy would have other "
			"backends for a key: remove one of the two"},
	};
	EXPECT_ALL(rows);
}

/* Port 0 is a free port each time, and an admin endpoint that is off takes none. */
Test(settings_check, no_duplicates)
{
	static const char *const rows[] = {
		"listeners: [{address: 127.0.0.1:0}, {address: 127.0.0.1:0}]\nservices: [{name: a}]\n"
		"routes: [{path: /, service: a}, {path: /a, service: a}]\nadmin: {address: 127.0.0.1:0}\n",
		"listeners: [{address: 127.0.0.1:9901}]\nservices: [{name: a}]\nroutes: [{path: /, service: "
		"a}]\n"
		"admin: {address: off}\n",
		"listeners: [{address: 127.0.0.1:80}, {address: 0.0.0.0:80, shared: true}, "
		"{address: 0.0.0.0:81}, {address: 127.0.0.1:81, shared: true}, {address: 0.0.0.0:0}, "
		"{address: 127.0.0.1:0}, {address: '[::]:9901'}]\nservices: [{name: "
		"a}]\n"
		"routes: [{path: /, service: a}]\n",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct loading loading = load_text(rows[i]);
		cr_expect_str_eq(loading.complaints, "");
		loading_end(&loading);
	}
}

/* What is wrong in itself is said once: no second complaint about what follows from it. */
Test(settings_check, broken_values_are_passed_over)
{
	expect_complaints("listeners: [{address: {}}, {address: {}}]\nservices: [{name: []}, 3, {name: []}]\n"
			  "routes: [{path: /, service: ~}, ~, {path: /a, service: ''}]\n",
		"t:1:23: listeners.0.address is a mapping: *\nt:1:38: listeners.1.address is a mapping: *\n"
		"t:2:19: services.0.name is a list: *\nt:2:24: services.1 is text: *\nt:2:34: "
		"services.2.name is a list: *\n"
		"t:3:29: routes.0.service is empty: *\nt:3:33: routes.1 is empty: *\nt:3:56: "
		"routes.2.service is empty: *");
}
