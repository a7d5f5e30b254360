/* announcement_test - the data of a node that is registered: what it says, and what it is refused for. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "srsd/node/announcement.h"

static void expect_data(const struct srsd_register_options *options, const char *expected)
{
	struct srsd_error error;
	char *data;

	cr_assert_eq(
		srsd_announcement_write(options, "192.0.2.1:80", &data, &error), SRSD_OK, "%s", error.text);
	cr_assert_str_eq(data, expected);
	cr_assert_eq(srsd_register_options_check(options, NULL), SRSD_OK);
	free(data);
}

static void expect_refusal(const struct srsd_register_options *options, const char *why)
{
	struct srsd_error error;
	char *data;

	cr_assert_eq(srsd_announcement_write(options, "192.0.2.1:80", &data, &error), SRSD_BAD_ARGUMENT, "%s",
		why);
	cr_assert_null(data);
	cr_assert(strstr(error.text, why) != NULL, "%s", error.text);
	cr_assert_eq(srsd_register_options_check(options, &error), SRSD_BAD_ARGUMENT);
}

Test(announcement, says_what_is_given)
{
	static const struct srsd_label labels[] = {{"rack", "7"}, {"a \"key\"", "\xc3\xa9\n"}, {"empty", ""}};
	struct srsd_register_options options = SRSD_REGISTER_OPTIONS_DEFAULT;
	char *data;

	cr_assert_eq(srsd_announcement_write(NULL, "192.0.2.1:80", &data, NULL), SRSD_OK);
	cr_assert_null(data, "nothing is said");
	expect_data(&options, "{\"weight\":1}");
	options.weight = 0;
	options.zone = "";
	expect_data(&options, "{\"weight\":0}");
	options.weight = 65535;
	options.zone = "eu-1";
	options.labels = labels;
	options.label_count = 3;
	expect_data(&options, "{\"labels\":{\"a \\\"key\\\"\":\"\xc3\xa9\\n\",\"empty\":\"\",\"rack\":\"7\"},"
			      "\"weight\":65535,\"zone\":\"eu-1\"}");
}

Test(announcement, refuses_what_nobody_would_read)
{
	static const struct srsd_label doubled[] = {{"rack", "7"}, {"rack", "8"}};
	static const struct srsd_label nameless[] = {{"", "7"}};
	static const struct srsd_label latin[] = {{"rack", "\xe9"}};
	static struct srsd_label many[33];
	static char keys[33][4];
	static char lengthy[2100];
	const struct srsd_label too_long[] = {{"rack", lengthy}};
	struct srsd_register_options options = {.weight = 65536};

	expect_refusal(&options, "weight is no whole number of 0 to 65535");
	options = (struct srsd_register_options){
		.zone = "0123456789012345678901234567890123456789012345678901234567890123"};
	expect_refusal(&options, "zone is no text of up to 63 bytes");
	options = (struct srsd_register_options){.zone = "\xe9"};
	expect_refusal(&options, "the zone is not UTF-8");
	options = (struct srsd_register_options){.labels = doubled, .label_count = 2};
	expect_refusal(&options, "\"rack\" is given twice");
	options = (struct srsd_register_options){.labels = nameless, .label_count = 1};
	expect_refusal(&options, "key of a label is empty");
	options = (struct srsd_register_options){.labels = latin, .label_count = 1};
	expect_refusal(&options, "a label is not UTF-8");
	for (size_t i = 0; i < 33; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		many[i] = (struct srsd_label){keys[i], "v"};
	}
	options = (struct srsd_register_options){.labels = many, .label_count = 33};
	expect_refusal(&options, "more than 32 labels");
	memset(lengthy, 'x', sizeof(lengthy) - 1);
	options = (struct srsd_register_options){.labels = too_long, .label_count = 1};
	expect_refusal(&options, "longer than 2048 bytes");
}
