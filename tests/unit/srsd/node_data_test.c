/* node_data_test - what nodes say of their endpoints, format by format: what is read, what is refused and
 * why. */
#include <criterion/criterion.h>
#include <string.h>

#include "srsd/node_data.h"

static struct srsd_node_data said;
static const char *why;

static enum srsd_node_verdict read_node(enum srsd_format format, const char *name, const char *data)
{
	struct srsd_read_options options = {.format = format};

	return srsd_node_data_read(&options, name, data, strlen(data), &said, &why);
}

Test(node_data, has_a_word_for_each_format)
{
	for (enum srsd_format format = SRSD_FORMAT_NAME; format <= SRSD_FORMAT_CURATOR; format++) {
		enum srsd_format found;

		cr_assert_eq(srsd_format_parse(srsd_format_text(format), &found), SRSD_OK);
		cr_assert_eq(found, format);
	}
	enum srsd_format unchanged = SRSD_FORMAT_JSON;
	cr_assert_eq(srsd_format_parse("xml", &unchanged), SRSD_BAD_ARGUMENT);
	cr_assert_eq(unchanged, SRSD_FORMAT_JSON);
}

Test(node_data, looks_at_no_data_where_the_name_is_all)
{
	cr_assert_eq(read_node(SRSD_FORMAT_NAME, "192.0.2.1:80", "{\"weight\":"), SRSD_NODE_MEMBER);
	cr_assert_eq(said.weight, 1);
	cr_assert_str_eq(said.zone, "");
	cr_assert_str_eq(said.address.host, "192.0.2.1");
	cr_assert_eq(read_node(SRSD_FORMAT_NAME, "192.0.2.1", ""), SRSD_NODE_FAULT);
	cr_assert_str_eq(why, "the port is missing");
}

Test(node_data, reads_weight_and_zone_of_our_own)
{
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "192.0.2.1:80", ""), SRSD_NODE_MEMBER);
	cr_assert_eq(said.weight, 1);
	cr_assert_eq(read_node(SRSD_FORMAT_JSON, "192.0.2.1:80", "{\"weight\":7,\"zone\":\"a\"}"),
		SRSD_NODE_MEMBER);
	cr_assert_eq(said.weight, 7);
	cr_assert_str_eq(said.zone, "a");
}

Test(node_data, refuses_data_that_says_nothing)
{
	static const char *const bad[] = {"{", "[]", "7", "{\"weight\":-1}", "{\"weight\":65536}",
		"{\"weight\":\"2\"}", "{\"weight\":1,\"weight\":2}", "{\"zone\":7}", "{} {}"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(
			read_node(SRSD_FORMAT_JSON, "192.0.2.1:80", bad[i]), SRSD_NODE_FAULT, "%s", bad[i]);
		cr_assert_not_null(why);
	}
}
