/* settings: files that can and cannot be read, the shipped ones, and many errors at once. */
#include "loading.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/settings_test.XXXXXX";

static void make_folder(void)
{
	cr_assert(mkdtemp(folder) != NULL);
}

static void remove_folder(void)
{
	char command[200];
	snprintf(command, sizeof(command), "rm -rf -- '%s'", folder);
	cr_assert(system(command) == 0);
}

TestSuite(settings_file, .init = make_folder, .fini = remove_folder);

static void path_in_folder(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", folder, name);
}

static void write_file(const char *path, const char *text, size_t bytes)
{
	FILE *out = fopen(path, "w");
	cr_assert(out != NULL);
	cr_assert(fwrite(text, 1, bytes, out) == bytes);
	cr_assert(fclose(out) == 0);
}

/* Load the file and expect "<path>:<complaint>", and nothing else. */
static void expect_of_file(const char *path, const char *complaint)
{
	char expected[600];
	struct loading loading = load_file(path);
	snprintf(expected, sizeof(expected), "%s:%s", path, complaint);
	cr_expect(loading.settings == NULL);
	cr_expect(complaints_match(loading.complaints, expected), "expected\n%s\ngot\n%s", expected,
		loading.complaints);
	loading_end(&loading);
}

Test(settings_file, good)
{
	char path[200];
	path_in_folder(path, sizeof(path), "good.yaml");
	write_file(path, LEAST, strlen(LEAST));
	struct loading loading = load_file(path);
	cr_expect(loading.settings != NULL, "%s", loading.complaints);
	loading_end(&loading);
}

Test(settings_file, cannot_be_read)
{
	char path[200], other[200];
	path_in_folder(path, sizeof(path), "missing.yaml");
	expect_of_file(path, "1:1: cannot be read: No such file or directory, check the path");
	expect_of_file(folder, "1:1: cannot be read: Is a directory, give a file");
	path_in_folder(path, sizeof(path), "file");
	write_file(path, "", 0);
	expect_of_file(path,
		"1:1: empty: give at least listeners, services and routes, as config/srsd-proxy.yaml does");
	path_in_folder(other, sizeof(other), "file/below");
	expect_of_file(other, "1:1: cannot be read: Not a directory, check the path");
	path_in_folder(other, sizeof(other), "loop");
	cr_assert(symlink(other, other) == 0);
	expect_of_file(other, "1:1: cannot be read: Too many levels of symbolic links, check the path");
	expect_of_file("", "1:1: cannot be read: No such file or directory, check the path");
}

/* root may read everything: another user has to try. */
Test(settings_file, not_allowed)
{
	char path[200];
	path_in_folder(path, sizeof(path), "secret.yaml");
	write_file(path, LEAST, strlen(LEAST));
	cr_assert(chmod(folder, 0755) == 0);
	cr_assert(chmod(path, 0) == 0);
	if (geteuid() == 0)
		cr_assert(seteuid(65534) == 0);
	expect_of_file(path, "1:1: cannot be read: Permission denied, let this user read it");
	if (getuid() == 0)
		cr_assert(seteuid(0) == 0);
}

Test(settings_file, endless)
{
	expect_of_file("/dev/zero", "1:1: more than 1 MiB, which no configuration is: give the right file");
	char path[200];
	path_in_folder(path, sizeof(path), "large.yaml");
	size_t bytes = 1024 * 1024;
	char *text = malloc(bytes + 1);
	cr_assert(text != NULL);
	memset(text, '#', bytes + 1);
	memcpy(text, LEAST, strlen(LEAST));
	write_file(path, text, bytes);
	struct loading loading = load_file(path);
	cr_expect(loading.settings != NULL, "exactly 1 MiB: %s", loading.complaints);
	loading_end(&loading);
	write_file(path, text, bytes + 1);
	expect_of_file(path, "1:1: more than 1 MiB, *");
	free(text);
}

Test(settings_file, name_with_a_newline)
{
	struct loading loading = load_file("/nowhere/a\nb");
	cr_expect_str_eq(loading.complaints,
		"/nowhere/a\\x0ab:1:1: cannot be read: No such file or directory, check the path\n");
	loading_end(&loading);
}

Test(settings, shipped_files)
{
	static const char *const names[] = {"srsd-proxy.yaml", "pass-through.yaml", "several-services.yaml"};
	struct loading loadings[3];
	for (size_t i = 0; i < 3; i++) {
		char path[500];
		snprintf(path, sizeof(path), "%s/%s", SHIPPED_FOLDER, names[i]);
		loadings[i] = load_file(path);
		cr_expect_str_eq(loadings[i].complaints, "");
		cr_assert(loadings[i].settings != NULL, "%s", path);
		cr_expect_str_eq(loadings[i].settings->zookeeper.servers, "127.0.0.1:2181");
		cr_expect_str_eq(loadings[i].settings->zookeeper.registry, "/zk_registry/data");
		cr_expect_eq(loadings[i].settings->listener_count, 1);
		cr_expect_str_eq(loadings[i].settings->listeners[0].address, "0.0.0.0:8080");
		cr_expect_str_eq(loadings[i].settings->services[0].name, "tornado_app");
		cr_expect_str_eq(loadings[i].settings->routes[0].path, "/");
		cr_expect_str_eq(loadings[i].settings->routes[0].service, "tornado_app");
	}
	const struct settings *shipped = loadings[0].settings;
	cr_expect_eq(shipped->zookeeper.session_timeout_ms, 10000);
	cr_expect_eq(shipped->service_count, 1);
	cr_expect_str_eq(shipped->services[0].balance, "random");
	cr_expect_eq(shipped->services[0].choices, 2);
	cr_expect_eq(shipped->route_count, 1);
	cr_expect_str_eq(shipped->routes[0].forward_to, "/info");
	cr_expect_eq(shipped->workers, 0);
	cr_expect_eq(loadings[1].settings->route_count, 1);
	cr_expect(loadings[1].settings->routes[0].forward_to == NULL);
	cr_expect_eq(loadings[2].settings->service_count, 3);
	cr_expect_eq(loadings[2].settings->services[2].static_count, 2);
	cr_expect_eq(loadings[2].settings->route_count, 4);
	for (size_t i = 0; i < 3; i++)
		loading_end(&loadings[i]);
}

/* Every kind of error in one file, and the order of the file in the complaints. */
Test(settings, all_errors_at_once)
{
	static const char text[] = "zokeeper: {}\n"
				   "zookeeper:\n"
				   "  servers:\n"
				   "  session_timeout: 10\n"
				   "listeners:\n"
				   "  - address: 127.0.0.1:80\n"
				   "    shared: yes\n"
				   "services:\n"
				   "  - name: a\n"
				   "    choices: 0x1F90\n"
				   "    choices: 3\n"
				   "  - nam: b\n"
				   "routes:\n"
				   "  - path: /\n"
				   "    service: c\n"
				   "workers: &w 8080abc\n";
	static const char *const overrides[] = {"log.level=loud", "nothing", "retries.tries=0"};
	expect_complaints_with(text, overrides, 3,
		"t:1:1: unknown key \"zokeeper\", did you mean \"zookeeper\"?\n"
		"t:3:11: zookeeper.servers is empty: *\n"
		"t:4:20: zookeeper.session_timeout is \"10\", without a unit: *\n"
		"t:7:13: listeners.0.shared is \"yes\", *\n"
		"t:10:14: services.0.choices is \"0x1F90\", no whole number: *\n"
		"t:11:5: duplicate key \"choices\", *\n"
		"t:12:5: unknown key \"nam\" in services.1, did you mean \"name\"?\n"
		"t:12:5: services.1.name is missing: give a label\n"
		"t:15:14: unknown service \"c\": add one with this name below services\n"
		"t:16:10: anchor \"&w\": *\n"
		"t:16:10: workers is \"8080abc\", *\n"
		"--set nothing: no \"=\" in it: *\n"
		"--set retries.tries=0: retries.tries is \"0\", out of range: *\n"
		"--set log.level=loud: log.level is \"loud\", not known here: *");
}

Test(settings, free_of_nothing)
{
	struct settings *settings = NULL;
	settings_free(&settings);
	cr_expect(settings == NULL);
}
