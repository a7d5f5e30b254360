/* settings_dump: what it writes is read back to the same settings, whatever they are. */
#include "loading.h"

#include "config/settings_table.h"

/* Load, dump, load, dump: the dumps must be equal, and `text` without complaint. Returns the first dump. */
static char *expect_round_trip(const char *text, const char *const *overrides, size_t override_count)
{
	struct loading first = load_bytes(text, strlen(text), overrides, override_count);
	cr_assert(first.settings != NULL, "%s", first.complaints);
	char *dump = dump_of(first.settings);
	struct loading second = load_text(dump);
	cr_assert(second.settings != NULL, "%s of\n%s", second.complaints, dump);
	char *again = dump_of(second.settings);
	cr_expect_str_eq(again, dump);
	free(again);
	loading_end(&second);
	loading_end(&first);
	return dump;
}

static void expect_line(const char *dump, const char *line)
{
	char needle[500];
	snprintf(needle, sizeof(needle), "\n%s\n", line);
	cr_expect(strstr(dump, needle) != NULL, "no line \"%s\" in\n%s", line, dump);
}

Test(settings_dump, defaults)
{
	char *dump = expect_round_trip(LEAST, NULL, 0);
	static const char *const lines[] = {"zookeeper:", "  servers: 127.0.0.1:2181",
		"  session_timeout: 10s", "  recheck: 1m", "  auth_file: none",
		"listeners:", "  - address: 127.0.0.1:8080", "    shared: false", "services:", "  - name: a",
		"    balance: random", "    choices: 2", "    # static is left out: those in the registry",
		"  - path: /", "    service: a", "    # forward_to is left out: the request's own path",
		"  head: 16k", "  level: info", "  address: 127.0.0.1:9901", "workers: auto",
		"name_refresh: 30s", "drain_timeout: 10s"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_line(dump, lines[i]);
	free(dump);
}

Test(settings_dump, everything)
{
	static const char *const overrides[] = {"listeners.1.address=[::1]:0", "listeners.1.shared=true",
		"services.1.name=b", "services.b.static.0=[2001:db8::1]:1", "services.b.static.1=h:2",
		"services.b.choices=16", "routes.1.path=/b%20c", "routes.1.service=b",
		"routes.1.forward_to=/x:", "admin.address=off", "workers=3", "log.format=json",
		"log.level=error", "drain_timeout=0ms", "limits.head=1025", "timeouts.connect=1500ms",
		"services.b.timeouts.connect=7ms", "routes.1.repeat=always"};
	char *dump = expect_round_trip(LEAST, overrides, sizeof(overrides) / sizeof(overrides[0]));
	static const char *const lines[] = {"  - address: \"[::1]:0\"", "    shared: true",
		"    static:", "      - \"[2001:db8::1]:1\"", "      - h:2", "    forward_to: \"/x:\"",
		"  - path: \"/b%20c\"", "  address: off", "workers: 3", "  format: json",
		"drain_timeout: 0ms", "  head: 1025", "  connect: 1500ms",
		"    timeouts:", "      connect: 7ms", "      connect: 1500ms", "    repeat: always"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_line(dump, lines[i]);
	free(dump);
}

/* A list that may be empty has a word for that. */
Test(settings_dump, an_empty_list)
{
	static const char *const overrides[] = {"forwarded.trusted=none"};
	char *dump = expect_round_trip(LEAST, overrides, 1);
	expect_line(dump, "  trusted: none");
	free(dump);
	dump = expect_round_trip(
		LEAST, (const char *const[]){"forwarded.trusted.0=::1", "forwarded.fields=both"}, 2);
	expect_line(dump, "    - \"::1\"");
	expect_line(dump, "  fields: both");
	free(dump);
	dump = expect_round_trip(LEAST, NULL, 0);
	expect_line(dump, "  # trusted is left out: every peer");
	free(dump);
}

/* Comments must not run on for ever, and every key must be explained. */
Test(settings_dump, comments)
{
	static const char *const overrides[] = {"listeners.1.address=127.0.0.1:81", "services.1.name=b",
		"routes.1.path=/b", "routes.1.service=b"};
	char *dump = expect_round_trip(LEAST, overrides, 4);
	for (const char *line = dump; *line != '\0'; line += strcspn(line, "\n") + 1)
		cr_expect_leq(strcspn(line, "\n"), 110, "%.*s", (int)strcspn(line, "\n"), line);
	for (const struct settings_key *key = settings_keys; key->path != NULL; key++) {
		char word[40];
		snprintf(word, sizeof(word), "# %.30s", key->help);
		const char *found = strstr(dump, word);
		cr_expect(found != NULL, "%s is not explained", key->path);
		cr_expect(
			found == NULL || strstr(found + 1, word) == NULL, "%s is explained twice", key->path);
	}
	free(dump);
}

/* Names that YAML, or another reader of YAML, would take for something else than text. */
Test(settings_dump, awkward_names)
{
	static const char *const names[] = {"null", "true", "No", "off", "1", "1.5", "0x10", "1e3", "-",
		"- a", "a: b", "a #b", "#a", "a:", ":", "?", "? a", "!a", "&a", "*a", "%a", "@a", "`a", "'a'",
		"\"a\"", "a\"b", "a\\b", "{a}", "[a]", "a,b", "|", ">", "<<", "=", "...", "---", "~", " a",
		"a ", "a  b", "\xC3\xA9", "\xE2\x82\xAC",
		"a\xC2\xA0"
		"b",
		"a\xE2\x80\xA8"
		"b",
		"a\xE2\x80\xA9"
		"b",
		"\xF0\x9F\x98\x80", "a'b", "y", "NaN", ".inf", "2001-01-01", "12:30:45"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[100], service[100];
		snprintf(name, sizeof(name), "services.0.name=%s", names[i]);
		snprintf(service, sizeof(service), "routes.0.service=%s", names[i]);
		const char *overrides[] = {name, service};
		if (strcmp(names[i], "null") == 0 || strcmp(names[i], "~") == 0)
			continue; /* --set reads these as nothing; in a file they may stand between quotes */
		struct loading loading = load_bytes(LEAST, strlen(LEAST), overrides, 2);
		cr_assert(loading.settings != NULL, "%s: %s", names[i], loading.complaints);
		char *dump = dump_of(loading.settings);
		struct loading again = load_text(dump);
		cr_assert(again.settings != NULL, "%s: %s", names[i], again.complaints);
		cr_expect_str_eq(again.settings->services[0].name, names[i]);
		cr_expect_str_eq(again.settings->routes[0].service, names[i]);
		free(dump);
		loading_end(&again);
		loading_end(&loading);
	}
	free(expect_round_trip(
		"listeners: [{address: 127.0.0.1:80}]\nservices: [{name: 'null'}, {name: '~'}]\n"
		"routes: [{path: /, service: 'null'}]\n",
		NULL, 0));
}

/* What this reader would take without quotes too is quoted for other readers of YAML. */
Test(settings_dump, quotes_for_other_readers)
{
	static const char *const rows[][2] = {
		{"tornado_app", "tornado_app"},
		{"a-b.c", "a-b.c"},
		{"12:30:45", "\"12:30:45\""},
		{"1.5", "\"1.5\""},
		{"1e3", "\"1e3\""},
		{"No", "\"No\""},
		{"a\\b\"c", "\"a\\\\b\\\"c\""},
		{"a\xE2\x80\xA8", "\"a\\u2028\""},
		{"a\xC2\xA0", "\"a\\u00a0\""},
		{"\xC3\xA9", "\"\xC3\xA9\""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[100], service[100], line[100];
		snprintf(name, sizeof(name), "services.0.name=%s", rows[i][0]);
		snprintf(service, sizeof(service), "routes.0.service=%s", rows[i][0]);
		snprintf(line, sizeof(line), "  - name: %s", rows[i][1]);
		const char *overrides[] = {name, service};
		char *dump = expect_round_trip(LEAST, overrides, 2);
		expect_line(dump, line);
		free(dump);
	}
}

/* Every quantity of the table, at its bounds and at random between them. */
Test(settings_dump, quantities)
{
	uint64_t state = 88172645463325252;
	for (const struct settings_key *key = settings_keys; key->path != NULL; key++) {
		if (key->type != SETTINGS_QUANTITY)
			continue;
		for (int i = 0; i < 20; i++) {
			char name[100], text[QUANTITY_TEXT_MAX], override[200];
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			uint64_t quantity =
				i == 0	 ? key->minimum
				: i == 1 ? key->maximum
					 : key->minimum + state % (key->maximum - key->minimum + 1);
			const char *bracket = strstr(key->path, "[]");
			snprintf(name, sizeof(name), "%.*s%s%s",
				(int)(bracket != NULL ? bracket - key->path : (long)strlen(key->path)),
				key->path, bracket != NULL ? ".0" : "", bracket != NULL ? bracket + 2 : "");
			snprintf(override, sizeof(override), "%s=%s", name,
				quantity_format(key->quantity, quantity, text));
			const char *overrides[] = {override};
			free(expect_round_trip(LEAST, overrides, 1));
		}
	}
}
