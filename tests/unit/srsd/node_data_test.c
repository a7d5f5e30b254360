/* node_data_test - what nodes say of their endpoints, format by format: what is read of documents as each
 * system writes them, what is put aside, what is refused and why, and that memory may be short. */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srsd/node/node_data.h"

static struct srsd_node_data said;
static const char *why;

static enum srsd_node_verdict read_port(
	enum srsd_format format, const char *port_name, const char *name, const char *data)
{
	struct srsd_read_options options = {.format = format, .port_name = port_name};
	/* Of its very size, for the sanitizer to see what is read behind it. */
	size_t bytes = strlen(data);
	char *copy = malloc(bytes > 0 ? bytes : 1);
	enum srsd_node_verdict verdict;

	cr_assert_not_null(copy);
	memcpy(copy, data, bytes);
	memset(&said, 'x', sizeof(said));
	why = "unset";
	verdict = srsd_node_data_read(&options, name, copy, bytes, &said, &why);
	free(copy);
	cr_assert_eq(why != NULL, verdict == SRSD_NODE_FAULT, "%s", data);
	return verdict;
}

static enum srsd_node_verdict read_node(enum srsd_format format, const char *name, const char *data)
{
	return read_port(format, NULL, name, data);
}

/* "host:port weight zone key=value key=value" */
static const char *sum_up(void)
{
	static char line[4096];
	char address[SRSD_ADDRESS_MAX];
	const char *at = said.labels;
	int bytes;

	srsd_address_format(&said.address, address, sizeof(address));
	bytes = snprintf(line, sizeof(line), "%s %u %s", address, said.weight, said.zone);
	for (size_t i = 0; i < said.label_count; i++) {
		const char *value = at + strlen(at) + 1;

		bytes += snprintf(line + bytes, sizeof(line) - (size_t)bytes, " %s=%s", at, value);
		at = value + strlen(value) + 1;
	}
	cr_assert_eq(at, said.labels + said.labels_bytes);
	return line;
}

struct good {
	const char *data;
	const char *said;
};

struct bad {
	const char *data;
	const char *why; /* a part of it */
};

static void expect_members(enum srsd_format format, const char *name, const struct good *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cr_expect_eq(read_node(format, name, cases[i].data), SRSD_NODE_MEMBER, "%s: %s",
			cases[i].data, why);
		cr_expect_str_eq(sum_up(), cases[i].said, "%s: %s", cases[i].data, sum_up());
	}
}

static void expect_faults(enum srsd_format format, const char *name, const struct bad *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cr_expect_eq(read_node(format, name, cases[i].data), SRSD_NODE_FAULT, "%s", cases[i].data);
		cr_expect(why != NULL && strstr(why, cases[i].why) != NULL, "%s: %s", cases[i].data, why);
	}
}

#define EXPECT_MEMBERS(format, name, cases) expect_members(format, name, cases, SRSD_ARRAY_SIZE(cases))
#define EXPECT_FAULTS(format, name, cases)  expect_faults(format, name, cases, SRSD_ARRAY_SIZE(cases))

/* ---- Names ------------------------------------------------------------------------------------- */

Test(node_data, has_a_word_for_each_format)
{
	for (enum srsd_format format = SRSD_FORMAT_NAME; format <= SRSD_FORMAT_CURATOR; format++) {
		enum srsd_format found;

		cr_assert_eq(srsd_format_parse(srsd_format_text(format), &found), SRSD_OK);
		cr_assert_eq(found, format);
	}
	cr_assert_str_eq(srsd_format_text((enum srsd_format)(SRSD_FORMAT_CURATOR + 1)), "unknown");
	enum srsd_format unchanged = SRSD_FORMAT_JSON;
	cr_assert_eq(srsd_format_parse("xml", &unchanged), SRSD_BAD_ARGUMENT);
	cr_assert_eq(unchanged, SRSD_FORMAT_JSON);
}

Test(node_data, looks_at_no_data_where_the_name_is_all)
{
	cr_assert_eq(read_node(SRSD_FORMAT_NAME, "192.0.2.1:80", "{\"weight\":"), SRSD_NODE_MEMBER);
	cr_assert_str_eq(sum_up(), "192.0.2.1:80 1 ");
	cr_assert_eq(read_node(SRSD_FORMAT_NAME, "192.0.2.1", ""), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "the port is missing");
}

Test(node_data, looks_at_no_name_where_data_is_all)
{
	static const char data[] = "{\"host\":\"192.0.2.1\",\"port\":80}";

	cr_assert_eq(read_node(SRSD_FORMAT_SMARTSTACK, "no address at all", data), SRSD_NODE_MEMBER);
	cr_assert_eq(read_node(SRSD_FORMAT_SMARTSTACK, "", data), SRSD_NODE_MEMBER);
}

Test(node_data, refuses_a_name_without_measure)
{
	static const char data[] = "{\"host\":\"192.0.2.1\",\"port\":80}";
	char name[SRSD_NODE_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[SRSD_NODE_NAME_MAX + 1] = '\0';
	for (enum srsd_format format = SRSD_FORMAT_NAME; format <= SRSD_FORMAT_CURATOR; format++) {
		cr_assert_eq(read_node(format, name, data), SRSD_NODE_FAULT);
		cr_assert_str_eq(why, "its name is longer than 512 bytes");
	}
	name[SRSD_NODE_NAME_MAX] = '\0';
	cr_assert_eq(read_node(SRSD_FORMAT_SMARTSTACK, name, data), SRSD_NODE_MEMBER);
}

/* ---- Documents --------------------------------------------------------------------------------- */

Test(node_data, refuses_what_is_no_json_object_in_every_format)
{
	static const struct bad cases[] = {
		{"192.0.2.1", "its data is not JSON"},
		{"{\"a\":1,}", "not JSON"},
		{"{'a':1}", "not JSON"},
		{"{\"a\":01}", "not JSON"},
		{"{", "ends within"},
		{"{\"a\":\"", "ends within"},
		{" ", "ends within"},
		{"{\"a\":1} {}", "goes on after"},
		{"{}x", "goes on after"},
		{"{\"a\":1,\"a\":1}", "has a key twice"},
		{"{\"b\":{\"a\":1,\"\\u0061\":2}}", "has a key twice"},
		{"{\"a\":\"\xff\"}", "not UTF-8"},
		{"{\"a\":\"\xc0\xaf\"}", "not UTF-8"},
		{"{\"a\":\"\xed\xa0\x80\"}", "not UTF-8"},
		{"{\"a\":\"\\u0000\"}", "NUL"},
		{"{\"\\u0000\":1}", "NUL"},
		{"{\"a\":9223372036854775808}", "number that is out of range"},
		{"{\"a\":1e999}", "number that is out of range"},
		{"[]", "no JSON object"},
		{"[{}]", "no JSON object"},
	};

	for (enum srsd_format format = SRSD_FORMAT_JSON; format <= SRSD_FORMAT_CURATOR; format++) {
		EXPECT_FAULTS(format, "192.0.2.1:80", cases);
		if (format == SRSD_FORMAT_JSON)
			continue;
		cr_expect_eq(read_node(format, "x", ""), SRSD_NODE_FAULT);
		cr_expect_str_eq(why, "its data is empty");
	}
}

Test(node_data, refuses_a_nul_byte_within_its_data)
{
	static const char data[] = "{\"weight\":2}\0{}";
	struct srsd_read_options options = {.format = SRSD_FORMAT_JSON};

	cr_assert_eq(srsd_node_data_read(&options, "192.0.2.1:80", data, sizeof(data) - 1, &said, &why),
		SRSD_NODE_FAULT);
}

Test(node_data, refuses_a_document_without_a_floor)
{
	enum { DEPTH = 100000 };
	static char data[2 * DEPTH + 8];
	size_t bytes = 0;

	memcpy(data, "{\"a\":", 5);
	bytes = 5;
	memset(data + bytes, '[', DEPTH);
	memset(data + bytes + DEPTH, ']', DEPTH);
	data[bytes + 2 * DEPTH] = '}';
	cr_assert_eq(read_node(SRSD_FORMAT_CURATOR, "x", data), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "its data is nested too deeply");
}

/* ---- Our own ----------------------------------------------------------------------------------- */

Test(node_data, reads_our_own)
{
	static const struct good cases[] = {
		{"", "192.0.2.1:80 1 "},
		{"{}", "192.0.2.1:80 1 "},
		{"{\"weight\":7,\"zone\":\"a\"}", "192.0.2.1:80 7 a"},
		{" \n{\"weight\": 0}\n", "192.0.2.1:80 0 "},
		{"{\"weight\":65535,\"zone\":\"\"}", "192.0.2.1:80 65535 "},
		{"{\"labels\":{\"rack\":\"7\",\"build\":\"1.2\"}}", "192.0.2.1:80 1  build=1.2 rack=7"},
		{"{\"labels\":{}}", "192.0.2.1:80 1 "},
		{"{\"labels\":{\"\":\"\"}}", "192.0.2.1:80 1  ="},
		{"{\"zone\":\"\xc3\xa9\xc3\xa9\",\"else\":[1,{\"weight\":9}]}",
			"192.0.2.1:80 1 \xc3\xa9\xc3\xa9"},
	};

	EXPECT_MEMBERS(SRSD_FORMAT_JSON, "192.0.2.1:80", cases);
}

Test(node_data, refuses_what_we_would_not_write)
{
	static const struct bad cases[] = {
		{"{\"weight\":-1}", "its weight is no whole number of 0 to 65535"},
		{"{\"weight\":65536}", "its weight"},
		{"{\"weight\":4294967297}", "its weight"},
		{"{\"weight\":1.0}", "its weight"},
		{"{\"weight\":1e2}", "its weight"},
		{"{\"weight\":\"2\"}", "its weight"},
		{"{\"weight\":null}", "its weight"},
		{"{\"weight\":true}", "its weight"},
		{"{\"zone\":7}", "its zone is no text"},
		{"{\"zone\":null}", "its zone is no text"},
		{"{\"labels\":[]}", "its labels are no JSON object"},
		{"{\"labels\":null}", "its labels are no JSON object"},
		{"{\"labels\":{\"rack\":7}}", "one of its labels is no text"},
	};

	EXPECT_FAULTS(SRSD_FORMAT_JSON, "192.0.2.1:80", cases);
	cr_expect_eq(read_node(SRSD_FORMAT_JSON, "192.0.2.1", "{}"), SRSD_NODE_FAULT);
	cr_expect_str_eq(why, "the port is missing");
	cr_expect_eq(read_node(SRSD_FORMAT_JSON, "vector_0000000001", "{}"), SRSD_NODE_FAULT);
}

/* {"PREFIX":{"k00":"v..","k01":"v..", ...}} of `count` labels of `bytes` bytes each, both NULs counted. */
static const char *write_labels(const char *prefix, const char *suffix, size_t count, size_t bytes)
{
	static char data[1 << 16];
	size_t at = (size_t)snprintf(data, sizeof(data), "%s{", prefix);

	for (size_t i = count; i > 0; i--)
		at += (size_t)snprintf(data + at, sizeof(data) - at, "%s\"k%02zu\":\"%0*d\"",
			i == count ? "" : ",", i - 1, (int)bytes - 5, 7);
	snprintf(data + at, sizeof(data) - at, "}%s", suffix);
	return data;
}

Test(node_data, bounds_our_own_labels_and_zone)
{
	char zone[128];
	const char *data = write_labels("{\"labels\":", "}", SRSD_LABELS_MAX, 64);

	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "a:1", data), SRSD_NODE_MEMBER, "%s", why);
	cr_assert_eq(said.label_count, SRSD_LABELS_MAX);
	cr_assert_eq(said.labels_bytes, SRSD_LABELS_BYTES_MAX);
	cr_assert_str_eq(said.labels, "k00", "in the order of keys");
	sum_up();

	data = write_labels("{\"labels\":", "}", SRSD_LABELS_MAX + 1, 6);
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "a:1", data), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "it has more than 32 labels");
	data = write_labels("{\"labels\":", "}", SRSD_LABELS_MAX, 65);
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "a:1", data), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "its labels are longer than 2048 bytes together");

	snprintf(zone, sizeof(zone), "{\"zone\":\"%0*d\"}", SRSD_ZONE_MAX, 1);
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "a:1", zone), SRSD_NODE_MEMBER);
	cr_assert_eq(strlen(said.zone), SRSD_ZONE_MAX);
	snprintf(zone, sizeof(zone), "{\"zone\":\"%0*d\"}", SRSD_ZONE_MAX + 1, 1);
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "a:1", zone), SRSD_NODE_FAULT);
}

/* ---- SmartStack -------------------------------------------------------------------------------- */

Test(node_data, reads_what_nerve_writes)
{
	static const struct good cases[] = {
		/* Nerve's reporter: what must be, and all there is. */
		{"{\"host\":\"10.0.1.2\",\"port\":9090,\"name\":\"i-258fc8b6\"}", "10.0.1.2:9090 1 "},
		{"{\"host\":\"10.0.1.3\",\"port\":9090,\"name\":\"i-650b6a6b\",\"weight\":2,"
		 "\"haproxy_server_options\":\"backup\",\"labels\":{\"az\":\"us-east-1a\",\"color\":\"blue\"}"
		 "}",
			"10.0.1.3:9090 2 us-east-1a az=us-east-1a color=blue"},
		{"{\"haproxy_server_options\":null,\"host\":\"10.0.1.2\",\"id\":205,\"labels\":null,"
		 "\"name\":\"i-258fc8b6\",\"port\":9090,\"weight\":null}",
			"10.0.1.2:9090 1 "},
		/* Numbers as text, as Synapse takes them; a name as the host. */
		{"{\"host\":\"server\",\"port\":\"8888\",\"name\":\"server\",\"weight\":\"1\"}",
			"server:8888 1 "},
		/* The reporter in Go. */
		{"{\"available\":true,\"host\":\"192.0.2.1\",\"port\":80,\"name\":\"a\",\"weight\":255,"
		 "\"labels\":{}}",
			"192.0.2.1:80 255 "},
		/* The labels that Paasta gives. */
		{"{\"host\":\"h\",\"port\":1,\"labels\":{\"region:uswest1\":\"\",\"zone\":\"z\",\"az\":\"b\"}"
		 "}",
			"h:1 1 z az=b region:uswest1= zone=z"},
		{"{\"host\":\"h\",\"port\":1,\"weight\":0,\"labels\":{\"n\":7,\"l\":[],\"zone\":3,\"t\":"
		 "\"x\"}}",
			"h:1 0  t=x"},
		/* IPv6 with and without brackets. */
		{"{\"host\":\"2001:db8::1\",\"port\":80}", "[2001:db8::1]:80 1 "},
		{"{\"host\":\"[2001:db8::1]\",\"port\":80}", "[2001:db8::1]:80 1 "},
		{"{\"host\":\"::ffff:192.0.2.1\",\"port\":65535}", "[::ffff:192.0.2.1]:65535 1 "},
	};

	EXPECT_MEMBERS(SRSD_FORMAT_SMARTSTACK, "i-258fc8b6_0000000205", cases);
	cr_expect_eq(read_node(SRSD_FORMAT_SMARTSTACK, "a_0000000001",
			     "{\"available\":false,\"unavailable_reason\":\"x\",\"host\":\"h\",\"port\":1}"),
		SRSD_NODE_ASIDE);
}

Test(node_data, refuses_hosts_and_ports_that_are_none)
{
	static const struct bad cases[] = {
		{"{}", "its host is missing"},
		{"{\"host\":null,\"port\":80}", "its host is missing"},
		{"{\"port\":80}", "its host is missing"},
		{"{\"host\":7,\"port\":80}", "its host is no text"},
		{"{\"host\":\"h\"}", "its port is missing"},
		{"{\"host\":\"h\",\"port\":null}", "its port is missing"},
		{"{\"host\":\"h\",\"port\":0}", "its port is no whole number of 1 to 65535"},
		{"{\"host\":\"h\",\"port\":-80}", "its port is no"},
		{"{\"host\":\"h\",\"port\":65536}", "its port is no"},
		{"{\"host\":\"h\",\"port\":4295032912}", "its port is no"},
		{"{\"host\":\"h\",\"port\":80.0}", "its port is no"},
		{"{\"host\":\"h\",\"port\":true}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"\"}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"080\"}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"+80\"}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"80 \"}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"0x50\"}", "its port is no"},
		{"{\"host\":\"h\",\"port\":\"99999999999999999999\"}", "its port is no"},
		{"{\"host\":\"\",\"port\":80}", "the host is missing"},
		{"{\"host\":\"a b\",\"port\":80}", ""},
		{"{\"host\":\"a\\nb\",\"port\":80}", ""},
		{"{\"host\":\"h:80\",\"port\":80}", ""},
		{"{\"host\":\"[h]\",\"port\":80}", "no IPv6 address in the brackets"},
		{"{\"host\":\"[2001:db8::1\",\"port\":80}", "not closed"},
		{"{\"host\":\"2001:db8::1]\",\"port\":80}", ""},
		{"{\"host\":\"fe80::1%eth0\",\"port\":80}", ""},
		{"{\"host\":\"2001:db8::1::\",\"port\":80}", "needs brackets"},
		{"{\"host\":\"192.0.2.256\",\"port\":80}", ""},
		{"{\"host\":\"0x7f.1\",\"port\":80}", ""},
		{"{\"host\":\"h/../x\",\"port\":80}", ""},
		{"{\"host\":\"h\",\"port\":80,\"weight\":-1}", "its weight is no"},
		{"{\"host\":\"h\",\"port\":80,\"weight\":0.5}", "its weight is no"},
		{"{\"host\":\"h\",\"port\":80,\"weight\":\"two\"}", "its weight is no"},
		{"{\"host\":\"h\",\"port\":80,\"weight\":\"65536\"}", "its weight is no"},
	};
	char data[600];

	EXPECT_FAULTS(SRSD_FORMAT_SMARTSTACK, "a_0000000001", cases);
	for (int bytes = 253; bytes < 500; bytes++) {
		snprintf(data, sizeof(data), "{\"host\":\"%0*d\",\"port\":80}", bytes, 7);
		cr_expect_eq(read_node(SRSD_FORMAT_SMARTSTACK, "a", data), SRSD_NODE_FAULT);
	}
}

Test(node_data, keeps_of_others_labels_what_there_is_room_for)
{
	const char *data = write_labels("{\"host\":\"h\",\"port\":1,\"labels\":", "}", 99, 6);

	cr_assert_eq(read_node(SRSD_FORMAT_SMARTSTACK, "a", data), SRSD_NODE_MEMBER);
	cr_assert_eq(said.label_count, SRSD_LABELS_MAX);
	cr_assert_not_null(strstr(sum_up(), " k00=7 k01=7 "), "%s", sum_up());
	cr_assert_not_null(strstr(sum_up(), " k30=7 k31=7"));
	cr_assert_null(strstr(sum_up(), "k32"));
	data = write_labels("{\"host\":\"h\",\"port\":1,\"labels\":", "}", SRSD_LABELS_MAX, 1000);
	cr_assert_eq(read_node(SRSD_FORMAT_SMARTSTACK, "a", data), SRSD_NODE_MEMBER);
	cr_assert_eq(said.label_count, 2);
}

/* ---- Server sets ------------------------------------------------------------------------------- */

#define SERVERSET_FULL                                                                                       \
	"{\"additionalEndpoints\":{\"aurora\":{\"host\":\"smf1-a\",\"port\":31943},"                         \
	"\"http\":{\"host\":\"smf1-b\",\"port\":31944}},"                                                    \
	"\"serviceEndpoint\":{\"host\":\"smf1-a\",\"port\":31943},\"shard\":0,\"status\":\"ALIVE\"}"

Test(node_data, reads_server_sets)
{
	static const struct good cases[] = {
		{"{\"serviceEndpoint\":{\"host\":\"myserver\",\"port\":10000},\"additionalEndpoints\":{},"
		 "\"status\":\"ALIVE\"}",
			"myserver:10000 1 "},
		{SERVERSET_FULL, "smf1-a:31943 1 "},
		{"{\"serviceEndpoint\":{\"host\":\"192.0.2.1\",\"port\":80}}", "192.0.2.1:80 1 "},
		{"{\"serviceEndpoint\":{\"host\":\"::1\",\"port\":80},\"status\":null}", "[::1]:80 1 "},
		{"{\"serviceEndpoint\":{\"host\":\"h\",\"port\":80},\"status\":\"ALIVE\",\"shard\":3,"
		 "\"metadata\":{\"weight\":\"3\",\"zone\":\"smf1\",\"x\":\"y\"}}",
			"h:80 3 smf1 weight=3 x=y zone=smf1"},
	};
	static const char *const names[] = {"member_0000000000", "member_0", "host.example", ""};

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(names); i++)
		EXPECT_MEMBERS(SRSD_FORMAT_SERVERSET, names[i], cases);
}

Test(node_data, reads_an_additional_endpoint_by_its_name)
{
	cr_assert_eq(read_port(SRSD_FORMAT_SERVERSET, "http", "member_0", SERVERSET_FULL), SRSD_NODE_MEMBER);
	cr_assert_str_eq(sum_up(), "smf1-b:31944 1 ");
	cr_assert_eq(read_port(SRSD_FORMAT_SERVERSET, "https", "member_0", SERVERSET_FULL), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "it has no additional endpoint of that name");
	cr_assert_eq(read_port(SRSD_FORMAT_SERVERSET, "http", "member_0",
			     "{\"serviceEndpoint\":{\"host\":\"h\",\"port\":80}}"),
		SRSD_NODE_FAULT);
	cr_assert_eq(read_port(SRSD_FORMAT_SERVERSET, "http", "member_0",
			     "{\"additionalEndpoints\":{\"http\":{\"host\":\"h\"}}}"),
		SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "its port is missing");
	cr_assert_eq(read_port(SRSD_FORMAT_SERVERSET, "http", "member_0",
			     "{\"additionalEndpoints\":{\"http\":{\"host\":\"h\",\"port\":1}}}"),
		SRSD_NODE_MEMBER, "the service endpoint is nothing to us then");
}

Test(node_data, puts_aside_what_of_a_server_set_takes_no_requests)
{
	static const char *const words[] = {
		"DEAD", "STARTING", "STOPPING", "STOPPED", "WARNING", "UNKNOWN", "alive", "", "ALIVE "};
	char data[200];

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(words); i++) {
		snprintf(data, sizeof(data),
			"{\"serviceEndpoint\":{\"host\":\"h\",\"port\":80},\"status\":\"%s\"}", words[i]);
		cr_expect_eq(read_node(SRSD_FORMAT_SERVERSET, "member_1", data), SRSD_NODE_ASIDE, "%s", data);
	}
	/* Finagle's weights of groups are beside the members. */
	cr_expect_eq(
		read_node(SRSD_FORMAT_SERVERSET, "vector_0000000001",
			"{\"vector\":[{\"select\":\"inet=10.0.0.1:80\",\"weight\":1.2,\"priority\":1}]}"),
		SRSD_NODE_ASIDE);
	cr_expect_eq(read_node(SRSD_FORMAT_SERVERSET, "vector_0000000001", ""), SRSD_NODE_ASIDE);
	cr_expect_eq(read_node(SRSD_FORMAT_SERVERSET, "vector", "{}"), SRSD_NODE_FAULT);
}

Test(node_data, refuses_server_sets_without_an_endpoint)
{
	static const struct bad cases[] = {
		{"{}", "its service endpoint is missing"},
		{"{\"serviceEndpoint\":null}", "its service endpoint is missing"},
		{"{\"serviceEndpoint\":[]}", "its host is missing"},
		{"{\"serviceEndpoint\":{\"host\":\"h\"}}", "its port is missing"},
		{"{\"serviceEndpoint\":{\"host\":\"h\",\"port\":0}}", "its port is no"},
		{"{\"serviceEndpoint\":{\"host\":\"h h\",\"port\":80}}", ""},
		{"{\"serviceEndpoint\":{\"host\":\"h\",\"port\":80},\"status\":2}", "its status is no text"},
	};

	EXPECT_FAULTS(SRSD_FORMAT_SERVERSET, "member_0", cases);
}

/* ---- Curator ----------------------------------------------------------------------------------- */

#define CURATOR_URI                                                                                          \
	"\"uriSpec\":{\"parts\":[{\"value\":\"scheme\",\"variable\":true},{\"value\":\"://\","               \
	"\"variable\":false},{\"value\":\"address\",\"variable\":true}]}"

Test(node_data, reads_what_curator_writes)
{
	static const struct good cases[] = {
		/* Curator alone. */
		{"{\"name\":\"test\",\"id\":\"ca2fff8e-d756-480c-b59e-8297ff88624b\",\"address\":"
		 "\"10.20.30.40\",\"port\":1234,\"payload\":\"From "
		 "Test\",\"registrationTimeUTC\":1325129459728,"
		 "\"serviceType\":\"STATIC\"}",
			"10.20.30.40:1234 1 "},
		{"{\"name\":\"book\",\"id\":\"a1\",\"address\":\"localhost\",\"port\":8070,\"sslPort\":null,"
		 "\"payload\":{\"@class\":\"com.example.InstanceDetails\",\"leader\":true},"
		 "\"registrationTimeUTC\":1480963577325,\"serviceType\":\"DYNAMIC\"," CURATOR_URI "}",
			"localhost:8070 1  @class=com.example.InstanceDetails"},
		{"{\"name\":\"n\",\"id\":\"i\",\"address\":\"2001:db8::1\",\"port\":80,\"sslPort\":443,"
		 "\"payload\":null,\"registrationTimeUTC\":1,\"serviceType\":\"DYNAMIC\",\"uriSpec\":null,"
		 "\"enabled\":true}",
			"[2001:db8::1]:80 1 "},
		{"{\"address\":\"h\",\"port\":1,\"payload\":{\"weight\":5,\"zone\":\"a\"},\"enabled\":null}",
			"h:1 5 a zone=a"},
		/* Spring Cloud on it: metadata of its own within the payload. */
		{"{\"name\":\"alpha\",\"id\":\"9b2223ae\",\"address\":\"arch-office\",\"port\":8090,"
		 "\"sslPort\":null,\"payload\":{\"@class\":"
		 "\"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance\",\"id\":\"alpha-1\","
		 "\"name\":\"alpha\",\"metadata\":{\"instance_status\":\"UP\",\"weight\":\"20\",\"zone\":"
		 "\"eu\"}},"
		 "\"registrationTimeUTC\":1558000134185,\"serviceType\":\"DYNAMIC\"," CURATOR_URI "}",
			"arch-office:8090 20 eu instance_status=UP weight=20 zone=eu"},
		/* What others mean by a weight, or by a zone, is no fault. */
		{"{\"address\":\"h\",\"port\":1,\"payload\":{\"metadata\":{\"weight\":\"12 kg\"}}}",
			"h:1 1  weight=12 kg"},
		{"{\"address\":\"h\",\"port\":1,\"payload\":{\"weight\":0.5,\"zone\":{},\"metadata\":7}}",
			"h:1 1 "},
		{"{\"address\":\"h\",\"port\":1,\"payload\":{\"metadata\":{\"instance_status\":\"\"}}}",
			"h:1 1  instance_status="},
		{"{\"address\":\"h\",\"port\":1,\"payload\":[1,2]}", "h:1 1 "},
	};

	EXPECT_MEMBERS(SRSD_FORMAT_CURATOR, "ca2fff8e-d756-480c-b59e-8297ff88624b", cases);
}

#define CURATOR_STATUS(status) "{\"payload\":{\"metadata\":{\"instance_status\":\"" status "\"}}}"

Test(node_data, puts_aside_what_curator_and_spring_take_out_of_service)
{
	static const char *const cases[] = {
		"{\"address\":\"h\",\"port\":1,\"enabled\":false}",
		"{\"enabled\":false}",
		CURATOR_STATUS("OUT_OF_SERVICE"),
		CURATOR_STATUS("up"),
	};

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(cases); i++)
		cr_expect_eq(read_node(SRSD_FORMAT_CURATOR, "i", cases[i]), SRSD_NODE_ASIDE, "%s", cases[i]);
}

Test(node_data, refuses_curators_instances_without_an_address)
{
	static const struct bad cases[] = {
		{"{}", "its host is missing"},
		{"{\"address\":null,\"port\":80}", "its host is missing"},
		{"{\"address\":\"h\",\"port\":null,\"sslPort\":null}", "its port is missing"},
		{"{\"address\":\"h\",\"port\":null,\"sslPort\":443}", "a port for TLS alone"},
		{"{\"address\":\"h\",\"sslPort\":443}", "a port for TLS alone"},
		{"{\"address\":\"h\",\"port\":0}", "its port is no"},
		{"{\"address\":\"http://h\",\"port\":80}", ""},
	};

	EXPECT_FAULTS(SRSD_FORMAT_CURATOR, "i", cases);
}

/* ---- Memory ------------------------------------------------------------------------------------ */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);

static size_t allocations;
static size_t fails_at; /* the number of the one that fails; 0: none */

/* Those of our own, by the linker (--wrap), and those of the JSON parser. */
void *__wrap_malloc(size_t bytes)
{
	if (fails_at == 0 || ++allocations != fails_at)
		return __real_malloc(bytes);
	errno = ENOMEM;
	return NULL;
}

/* No text of 15 bytes or more: where its buffer for one cannot grow, the parser writes past the end of it. */
Test(node_data, asks_again_where_memory_is_short)
{
	static const char *const data[] = {
		[SRSD_FORMAT_JSON] = "{\"weight\":2,\"labels\":{\"rack\":\"7\"},\"else\":[1.5,true]}",
		[SRSD_FORMAT_SMARTSTACK] = "{\"host\":\"h\",\"port\":1,\"labels\":{\"rack\":\"7\"}}",
		[SRSD_FORMAT_CURATOR] = "{\"address\":\"h\",\"port\":1,\"payload\":{\"zone\":\"a\"}}",
	};

	json_set_alloc_funcs(__wrap_malloc, free);
	for (enum srsd_format format = SRSD_FORMAT_JSON; format <= SRSD_FORMAT_CURATOR; format++) {
		struct srsd_read_options options = {.format = format};
		enum srsd_node_verdict verdict;
		bool has_failed;

		if (data[format] == NULL)
			continue;
		for (size_t number = 1; number == 1 || has_failed; number++) {
			allocations = 0;
			fails_at = number;
			verdict = srsd_node_data_read(
				&options, "a:1", data[format], strlen(data[format]), &said, &why);
			has_failed = allocations >= number;
			fails_at = 0;
			cr_assert_eq(verdict, has_failed ? SRSD_NODE_NO_MEMORY : SRSD_NODE_MEMBER,
				"%s: allocation %zu: %s", data[format], number, why);
			cr_assert(number > 10 || has_failed);
		}
	}
}
