/* text_checks: addresses to listen on, HTTP paths, and addresses that are the same in other words. */
#include "config/text_checks.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_all(text_check_fn *check, const char *const *texts, bool is_good)
{
	for (; *texts != NULL; texts++) {
		struct text_fault fault = {""};
		cr_expect_eq(check(*texts, &fault), is_good, "\"%s\": %s", *texts, fault.text);
		cr_expect(is_good || strstr(fault.text, ": ") != NULL, "\"%s\": no advice in \"%s\"", *texts,
			fault.text);
	}
}

Test(text_checks, listen)
{
	expect_all(text_check_listen,
		(const char *const[]){
			"0.0.0.0:8080", "127.0.0.1:0", "[::]:80", "[::1]:0", "[2001:db8::1]:65535", NULL},
		true);
	expect_all(text_check_listen,
		(const char *const[]){"localhost:80", "8080", ":8080", "127.0.0.1",
			"127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:080", "127.0.0.1:00", "127.0.0.1:8080abc",
			"::1:80", "[::1]", "[::1%lo]:80", "256.0.0.1:80", "127.0.0.1:80 ", " 127.0.0.1:80",
			"*:80", ":0", "[]:0", NULL},
		false);
}

Test(text_checks, listen_on_an_endless_name)
{
	char text[2000];
	struct text_fault fault;
	memset(text, 'a', sizeof(text));
	memcpy(text + sizeof(text) - 3, ":0", 3);
	cr_expect_not(text_check_listen(text, &fault));
}

Test(text_checks, endpoint)
{
	expect_all(text_check_endpoint,
		(const char *const[]){"192.0.2.1:80", "[::1]:80", "name.example:80", "host:1", NULL}, true);
	expect_all(text_check_endpoint,
		(const char *const[]){
			"192.0.2.1:0", "192.0.2.1", "host", "host:port", "a b:80", "http://host:80", NULL},
		false);
}

Test(text_checks, hash_on)
{
	expect_all(text_check_hash_on,
		(const char *const[]){"path", "client_address", "header:x-user", "header:Host",
			"cookie:JSESSIONID", "cookie:a.b", NULL},
		true);
	expect_all(text_check_hash_on,
		(const char *const[]){"Path", "header", "header:", "cookie:", "header:a b", "header:a:",
			"cookie:a=b", "cookie:a;", "query", "client_address:x", "headers:x", " path", NULL},
		false);
}

Test(text_checks, path)
{
	expect_all(text_check_path,
		(const char *const[]){"/", "/info", "/a/b/", "/a%20b", "/~a;b=1,c@d:e!$&'()*+", NULL}, true);
	expect_all(text_check_path,
		(const char *const[]){"info", "*", "http://h/", "/a b", "/a?b", "/a#b", "/a\tb", "/a\nb",
			"/\x7F", "/\xC3\xA9", " /", NULL},
		false);
}

/* Longer ones would not fit into the request of a probe. */
Test(text_checks, path_of_a_probe)
{
	char path[TEXT_PROBE_PATH_MAX + 2];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	expect_all(text_check_probe_path, (const char *const[]){path, "info", "/a?b", NULL}, false);
	path[sizeof(path) - 2] = '\0';
	expect_all(text_check_probe_path, (const char *const[]){"/", "/info", path, NULL}, true);
}

Test(text_checks, network)
{
	static const char *const rows[][2] = {
		{"all", "no IP address: write for example 192.0.2.0/24, 2001:db8::/32, 192.0.2.1"},
		{"192.0.2.0/33", "its prefix is no number of bits: write one from 0 to 32 after the '/'"},
		{"2001:db8::/x", "its prefix is no number of bits: write one from 0 to 128 after the '/'"},
		{"192.0.2.7/24",
			"bits are set behind its prefix: write 192.0.2.0/24, or 192.0.2.7 for the one "
			"address"},
		{"2001:db8::1/32",
			"bits are set behind its prefix: write 2001:db8::/32, or 2001:db8::1 for the one "
			"address"},
	};
	expect_all(text_check_network,
		(const char *const[]){"192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "::1", "0.0.0.0/0",
			"::ffff:192.0.2.0/120", NULL},
		true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct text_fault fault = {""};
		cr_expect_not(text_check_network(rows[i][0], &fault), "%s", rows[i][0]);
		cr_expect_str_eq(fault.text, rows[i][1]);
	}
}

Test(text_checks, zookeeper_and_label)
{
	expect_all(text_check_servers,
		(const char *const[]){"127.0.0.1:2181", "a:2181,b:2181,[::1]:2181", "a:2181/chroot", NULL},
		true);
	expect_all(text_check_servers,
		(const char *const[]){
			"127.0.0.1", "a:2181,", ",a:2181", "a:2181,,b:2181", "a:0", "a:2181 b:2181", NULL},
		false);
	expect_all(text_check_registry, (const char *const[]){"/zk_registry/data", "/a", NULL}, true);
	expect_all(text_check_registry, (const char *const[]){"a", "/a/", "/a//b", NULL}, false);
	expect_all(text_check_file, (const char *const[]){"/", "/etc/srsd-proxy/auth", NULL}, true);
	expect_all(text_check_file, (const char *const[]){"auth", "./auth", "~/auth", NULL}, false);
	expect_all(text_check_directory, (const char *const[]){"/", "/var/lib/srsd-proxy", NULL}, true);
	expect_all(text_check_directory, (const char *const[]){"state", "./state", "~/state", NULL}, false);
	expect_all(text_check_access_log, (const char *const[]){"stdout", "stderr", "/var/log/a.log", NULL},
		true);
	expect_all(text_check_access_log, (const char *const[]){"Stdout", "access.log", "on", NULL}, false);
	expect_all(text_check_label, (const char *const[]){"tornado_app", "a.b", "1", NULL}, true);
	expect_all(text_check_label, (const char *const[]){"a/b", "/", ".", "..", NULL}, false);
	char name[TEXT_PORT_NAME_MAX + 2];
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	expect_all(text_check_port_name, (const char *const[]){name, NULL}, false);
	name[sizeof(name) - 2] = '\0';
	expect_all(text_check_port_name, (const char *const[]){"http", "admin port", name, NULL}, true);
}

Test(text_checks, canonical_address)
{
	static const char *const rows[][2] = {
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"[::1]:80", "[::1]:80"},
		{"[0:0:0:0:0:0:0:1]:80", "[::1]:80"},
		{"[2001:DB8::0001]:80", "[2001:db8::1]:80"},
		{"[2001:db8:0:0:0:0:0:1]:65535", "[2001:db8::1]:65535"},
		{"Host.EXAMPLE:80", "host.example:80"},
		{"127.0.0.1:0", NULL},
		{"[::1]:0", NULL},
		{"off", NULL},
		{"", NULL},
		{":0", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[TEXT_ADDRESS_MAX] = "unset";
		cr_expect_eq(text_canonical_address(rows[i][0], out), rows[i][1] != NULL, "%s", rows[i][0]);
		cr_expect_str_eq(out, rows[i][1] != NULL ? rows[i][1] : "unset");
	}
}

Test(text_checks, the_longest_address)
{
	char text[TEXT_ADDRESS_MAX] = "", out[TEXT_ADDRESS_MAX];
	for (int i = 0; i < 126; i++)
		strcat(text, "A.");
	strcat(text, "b:65535");
	cr_assert(text_canonical_address(text, out));
	cr_expect_eq(strlen(out), strlen(text));
	cr_expect_eq(out[0], 'a');
}
