/* state_file_test - a set as bytes and back: the same, or refused for what is wrong with the bytes. */
#include "srsd/state/state_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "srsd/node/snapshot.h"

#define SERVERS "192.0.2.1:2181,192.0.2.2:2181"
#define PATH	"/chroot/zk_registry/data/tornado_app"

static const struct srsd_read_options json = {.format = SRSD_FORMAT_JSON};
static const struct srsd_read_options names_only = {.format = SRSD_FORMAT_NAME};
static const struct srsd_state_subject subject = {.servers = SERVERS, .path = PATH, .options = &json};

/* What nodes can say, all of it. */
static struct srsd_snapshot *some_set(void)
{
	static const char full[] =
		"{\"weight\": 7, \"zone\": \"a \\u20ac\\\"b\\\\\", \"labels\": {\"k\": \"v\", "
		"\"a\": \"\\u0001\\n\", \"z\": \"\"}}";
	struct srsd_node nodes[] = {
		{.name = "192.0.2.1:80",
			.is_read = true,
			.owner = 0x1234567890abcdef,
			.created_ms = 1700000000123},
		{.name = "[2001:db8::1]:8080",
			.data = full,
			.data_bytes = sizeof(full) - 1,
			.is_read = true,
			.owner = -5,
			.created_ms = 1},
		{.name = "name.example:1", .data = "{\"weight\": 0}", .data_bytes = 13, .is_read = true},
		{.name = "plain.example:65535"},
	};
	struct srsd_snapshot *snapshot = srsd_snapshot_build(nodes, SRSD_ARRAY_SIZE(nodes), &json, NULL, 1);

	cr_assert_not_null(snapshot);
	cr_assert_eq(srsd_snapshot_count(snapshot), SRSD_ARRAY_SIZE(nodes));
	return snapshot;
}

static void expect_same_endpoint(const struct srsd_endpoint *one, const struct srsd_endpoint *other)
{
	struct srsd_address address, other_address;

	srsd_endpoint_address(one, &address);
	srsd_endpoint_address(other, &other_address);
	cr_expect_str_eq(srsd_endpoint_name(one), srsd_endpoint_name(other));
	cr_expect(address.kind == other_address.kind && address.port == other_address.port);
	cr_expect_str_eq(address.host, other_address.host);
	cr_expect_eq(srsd_endpoint_weight(one), srsd_endpoint_weight(other));
	cr_expect_str_eq(srsd_endpoint_zone(one), srsd_endpoint_zone(other));
	cr_expect_eq(srsd_endpoint_owner(one), srsd_endpoint_owner(other));
	cr_expect_eq(srsd_endpoint_created_ms(one), srsd_endpoint_created_ms(other));
	cr_assert_eq(srsd_endpoint_label_count(one), srsd_endpoint_label_count(other));
	for (size_t i = 0; i < srsd_endpoint_label_count(one); i++) {
		const char *keys[2], *values[2];

		srsd_endpoint_label_at(one, i, &keys[0], &values[0]);
		srsd_endpoint_label_at(other, i, &keys[1], &values[1]);
		cr_expect_str_eq(keys[0], keys[1]);
		cr_expect_str_eq(values[0], values[1]);
	}
}

static char *bytes_of(struct srsd_snapshot *snapshot, int64_t confirmed_ms, size_t *bytes)
{
	char *text = srsd_state_file_write(&subject, snapshot, confirmed_ms, bytes);

	cr_assert_not_null(text);
	srsd_snapshot_unref(&snapshot);
	return text;
}

static void expect_refused(
	const struct srsd_state_subject *about, const char *text, size_t bytes, const char *wanted)
{
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms;
	const char *why = NULL;

	cr_expect_eq(srsd_state_file_read(about, text, bytes, &snapshot, &confirmed_ms, &why),
		SRSD_STATE_REFUSED, "%.*s", (int)bytes, text);
	cr_expect_null(snapshot);
	cr_assert_not_null(why);
	cr_expect(strstr(why, wanted) != NULL, "%s, not %s", why, wanted);
}

Test(state_file, what_is_written_is_read)
{
	struct srsd_snapshot *before = some_set();
	struct srsd_snapshot *after = NULL;
	int64_t confirmed_ms = 0;
	const char *why = NULL;
	size_t bytes;
	char *text = bytes_of(srsd_snapshot_ref(before), 1700000000456, &bytes);

	cr_assert_eq(srsd_state_file_read(&subject, text, bytes, &after, &confirmed_ms, &why),
		SRSD_STATE_GOOD, "%s", why);
	cr_expect_null(why);
	cr_expect_eq(confirmed_ms, 1700000000456);
	cr_expect_eq(srsd_snapshot_source(after), SRSD_SOURCE_FILE);
	cr_expect_eq(srsd_snapshot_version(after), 1);
	cr_assert_eq(srsd_snapshot_count(after), srsd_snapshot_count(before));
	for (size_t i = 0; i < srsd_snapshot_count(before); i++)
		expect_same_endpoint(srsd_snapshot_at(after, i), srsd_snapshot_at(before, i));
	cr_expect(strstr(text, "{\"name\":\"plain.example:65535\"}\n") != NULL, "no more than needed:\n%.*s",
		(int)bytes, text);
	free(text);
	srsd_snapshot_unref(&before);
	srsd_snapshot_unref(&after);
}

Test(state_file, an_empty_set_is_a_set)
{
	struct srsd_snapshot *empty = srsd_snapshot_build(NULL, 0, &json, NULL, 1);
	struct srsd_snapshot *after = NULL;
	int64_t confirmed_ms;
	const char *why;
	size_t bytes;
	char *text = bytes_of(empty, 1, &bytes);

	cr_assert_eq(
		srsd_state_file_read(&subject, text, bytes, &after, &confirmed_ms, &why), SRSD_STATE_GOOD);
	cr_expect_eq(srsd_snapshot_count(after), 0);
	srsd_snapshot_unref(&after);
	free(text);
}

/* Members that are the same are the same objects, once ZooKeeper is heard again. */
Test(state_file, what_was_read_is_a_set_to_go_on_from)
{
	struct srsd_node node = {.name = "192.0.2.1:80", .is_read = true, .owner = 7, .created_ms = 8};
	struct srsd_snapshot *before = srsd_snapshot_build(&node, 1, &json, NULL, 1);
	struct srsd_snapshot *restored = NULL;
	struct srsd_snapshot *after;
	int64_t confirmed_ms;
	const char *why;
	size_t bytes;
	char *text = bytes_of(before, 1, &bytes);

	cr_assert_eq(
		srsd_state_file_read(&subject, text, bytes, &restored, &confirmed_ms, &why), SRSD_STATE_GOOD);
	after = srsd_snapshot_build(&node, 1, &json, restored, 2);
	cr_expect(srsd_snapshot_is_same_set(restored, after));
	srsd_snapshot_unref(&after);
	node.owner = 9;
	after = srsd_snapshot_build(&node, 1, &json, restored, 2);
	cr_expect_not(srsd_snapshot_is_same_set(restored, after));
	srsd_snapshot_unref(&after);
	srsd_snapshot_unref(&restored);
	free(text);
}

Test(state_file, cut_at_any_byte_it_is_refused)
{
	size_t bytes;
	char *text = bytes_of(some_set(), 1700000000456, &bytes);

	for (size_t cut = 0; cut < bytes; cut++) {
		/* Of that size exactly: a sanitizer sees what is read behind it. */
		char *copy = malloc(cut);

		memcpy(copy, text, cut);
		expect_refused(&subject, copy, cut, "it is");
		free(copy);
	}
	free(text);
}

Test(state_file, with_any_bit_flipped_it_is_refused)
{
	size_t bytes;
	char *text = bytes_of(some_set(), 1700000000456, &bytes);

	for (size_t bit = 0; bit < 8 * bytes; bit++) {
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
		expect_refused(&subject, text, bytes, "it is");
		text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
	}
	free(text);
}

Test(state_file, with_something_behind_it_it_is_refused)
{
	size_t bytes;
	char *text = bytes_of(some_set(), 1, &bytes);
	char *longer = malloc(2 * bytes);

	memcpy(longer, text, bytes);
	memcpy(longer + bytes, text, bytes);
	expect_refused(&subject, longer, bytes + 1, "damaged");
	expect_refused(&subject, longer, 2 * bytes, "damaged");
	free(longer);
	free(text);
}

Test(state_file, of_something_else_it_is_refused)
{
	static const struct srsd_read_options other_port = {.format = SRSD_FORMAT_JSON, .port_name = "http"};
	static const struct {
		struct srsd_state_subject subject;
		const char *why;
	} rows[] = {
		{{SERVERS, "/zk_registry/data/tornado_app", &json}, "another label or registry"},
		{{SERVERS, "/chroot/zk_registry/data/tornado_ap", &json}, "another label or registry"},
		{{"192.0.2.1:2181", PATH, &json}, "another label or registry"},
		{{SERVERS, PATH, &names_only}, "another format"},
		{{SERVERS, PATH, &other_port}, "another format"},
	};
	static const struct srsd_state_subject same = {"192.0.2.2:2181,192.0.2.1:2181", PATH, &json};
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms;
	const char *why;
	size_t bytes;
	char *text = bytes_of(some_set(), 1, &bytes);

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(rows); i++)
		expect_refused(&rows[i].subject, text, bytes, rows[i].why);
	cr_assert_eq(srsd_state_file_read(&same, text, bytes, &snapshot, &confirmed_ms, &why),
		SRSD_STATE_GOOD, "the order of the servers says nothing: %s", why);
	srsd_snapshot_unref(&snapshot);
	free(text);
}

Test(state_file, other_files_are_named_for_what_they_are)
{
	static const char newer[] = "srsd-state 2 00000000 0000000000\n";

	expect_refused(&subject, "", 0, "empty");
	expect_refused(&subject, "hello\n", 6, "no such file");
	expect_refused(&subject, "srsd-state", 10, "no such file");
	expect_refused(&subject, newer, sizeof(newer) - 1, "another version");
}

/* A right checksum over wrong contents: nobody but a writer with a fault makes one. */
Test(state_file, contents_that_make_no_sense_are_refused)
{
#define FIRST_AT(when)                                                                                       \
	"{\"servers\":\"" SERVERS "\",\"path\":\"" PATH                                                      \
	"\",\"format\":\"json\",\"port_name\":\"\",\"confirmed_ms\":" when "}\n"
#define FIRST FIRST_AT("1")
	static const char *const good[] = {FIRST, FIRST "{\"name\":\"a:1\"}\n{\"name\":\"b:1\"}\n"};
	static const char *const bad[] = {"", "\n", "{}\n", "[]\n", "{\"servers\":1}\n",
		FIRST_AT("-9223372036854775808"), FIRST_AT("9223372036854775808"), FIRST "{}\n",
		FIRST "{\"name\":\"a:1\"}", FIRST "\n", FIRST "{\"name\":\"a\"}\n", FIRST "{\"name\":\"\"}\n",
		FIRST "{\"name\":\"a/b:1\"}\n", FIRST "{\"name\":\"a:1\"}\n{\"name\":\"a:1\"}\n",
		FIRST "{\"name\":\"b:1\"}\n{\"name\":\"a:1\"}\n",
		FIRST "{\"name\":\"a:1\",\"name\":\"a:1\"}\n", FIRST "{\"name\":\"a:1\",\"other\":1}\n",
		FIRST "{\"name\":\"a:1\",\"weight\":65536}\n", FIRST "{\"name\":\"a:1\",\"weight\":-1}\n",
		FIRST "{\"name\":\"a:1\",\"weight\":1.0}\n", FIRST "{\"name\":\"a:1\",\"address\":\"b\"}\n",
		FIRST "{\"name\":\"a:1\",\"labels\":[]}\n", FIRST "{\"name\":\"a:1\",\"labels\":{\"a\":1}}\n",
		FIRST "{\"name\":\"a:1\",\"labels\":{\"b\":\"\",\"a\":\"\"}}\n",
		FIRST "{\"name\":\"a:1\",\"zone\":"
		      "\"0123456789012345678901234567890123456789012345678901234567890123"
		      "\"}\n",
		FIRST "{\"name\":\"a:1\",\"zone\":\"\\u0000\"}\n"};
	char *text = NULL;
	struct srsd_snapshot *snapshot = NULL;
	int64_t confirmed_ms;
	const char *why;

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(good); i++) {
		int bytes = asprintf(&text, "srsd-state 1 %08lx %010zu\n%s",
			crc32_z(0, (const unsigned char *)good[i], strlen(good[i])), strlen(good[i]),
			good[i]);

		cr_expect_eq(
			srsd_state_file_read(&subject, text, (size_t)bytes, &snapshot, &confirmed_ms, &why),
			SRSD_STATE_GOOD, "%s", why);
		srsd_snapshot_unref(&snapshot);
		free(text);
	}
	for (size_t i = 0; i < SRSD_ARRAY_SIZE(bad); i++) {
		int bytes = asprintf(&text, "srsd-state 1 %08lx %010zu\n%s",
			crc32_z(0, (const unsigned char *)bad[i], strlen(bad[i])), strlen(bad[i]), bad[i]);

		expect_refused(&subject, text, (size_t)bytes, "makes no sense");
		free(text);
	}
}

/* A name that ZooKeeper can hold and JSON cannot: the others are kept. */
Test(state_file, a_name_that_is_no_utf8_is_left_out)
{
	static const struct srsd_read_options serverset = {.format = SRSD_FORMAT_SERVERSET};
	static const char said[] = "{\"serviceEndpoint\":{\"host\":\"192.0.2.1\",\"port\":80},"
				   "\"additionalEndpoints\":{},\"status\":\"ALIVE\"}";
	const struct srsd_state_subject about = {SERVERS, PATH, &serverset};
	struct srsd_node nodes[] = {
		{.name = "member_0000000001", .data = said, .data_bytes = sizeof(said) - 1},
		{.name = "member_\xed\xa0\x80", .data = said, .data_bytes = sizeof(said) - 1}};
	struct srsd_snapshot *before = srsd_snapshot_build(nodes, 2, &serverset, NULL, 1);
	struct srsd_snapshot *after = NULL;
	int64_t confirmed_ms;
	const char *why;
	size_t bytes;
	char *text;

	cr_assert_not_null(before);
	cr_assert_eq(srsd_snapshot_count(before), 2);
	text = srsd_state_file_write(&about, before, 1, &bytes);
	cr_assert_not_null(text);
	cr_assert_eq(srsd_state_file_read(&about, text, bytes, &after, &confirmed_ms, &why), SRSD_STATE_GOOD,
		"%s", why);
	cr_assert_eq(srsd_snapshot_count(after), 1);
	expect_same_endpoint(srsd_snapshot_at(after, 0), srsd_snapshot_at(before, 0));
	srsd_snapshot_unref(&before);
	srsd_snapshot_unref(&after);
	free(text);
}

Test(state_file, names_of_files_are_harmless_and_differ)
{
	static const struct srsd_read_options other_port = {.format = SRSD_FORMAT_JSON, .port_name = "http"};
	static const struct srsd_state_subject subjects[] = {{SERVERS, PATH, &json},
		{SERVERS, "/zk_registry/data/tornado_app", &json}, {"192.0.2.1:2181", PATH, &json},
		{SERVERS, PATH, &names_only}, {SERVERS, PATH, &other_port}, {SERVERS, "/r/a b", &json},
		{SERVERS, "/r/a_b", &json}, {SERVERS, "/r/..a", &json}, {SERVERS, "/r/-a", &json},
		{SERVERS, "/r/\xc3\xa4", &json}, {SERVERS, "/r", &json}};
	static const struct srsd_state_subject same = {"192.0.2.2:2181,192.0.2.1:2181", PATH, &json};
	char names[SRSD_ARRAY_SIZE(subjects)][SRSD_STATE_NAME_MAX];
	char other[SRSD_STATE_NAME_MAX];

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(subjects); i++) {
		cr_assert(srsd_state_file_name(&subjects[i], names[i]));
		cr_expect_eq(strspn(names[i], "abcdefghijklmnopqrstuvwxyz0123456789_-."), strlen(names[i]),
			"%s", names[i]);
		cr_expect_neq(names[i][0], '.');
		for (size_t before = 0; before < i; before++)
			cr_expect_str_neq(names[i], names[before]);
	}
	cr_expect(strncmp(names[0], "tornado_app-", strlen("tornado_app-")) == 0, "%s", names[0]);
	cr_assert(srsd_state_file_name(&same, other));
	cr_expect_str_eq(names[0], other);
}

Test(state_file, a_long_label_has_a_name_of_its_own)
{
	char path[300] = "/r/";
	struct srsd_state_subject about = {SERVERS, path, &json};
	char names[2][SRSD_STATE_NAME_MAX];

	memset(path + 3, 'a', 255);
	cr_assert(srsd_state_file_name(&about, names[0]));
	path[3 + 254] = 'b';
	cr_assert(srsd_state_file_name(&about, names[1]));
	cr_expect_str_neq(names[0], names[1]);
	cr_expect_lt(strlen(names[0]), SRSD_STATE_NAME_MAX);
}
