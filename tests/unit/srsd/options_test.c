/* options_test - copies of reading options: all of them, independent of the caller's, and none of bad ones.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "srsd/node/options.h"

static struct srsd_read_options copy;
static struct srsd_error error;

Test(options, are_copied_with_their_texts)
{
	char port_name[] = "http";
	char below[] = "services";
	const struct srsd_read_options options = {.format = SRSD_FORMAT_SERVERSET,
		.port_name = port_name,
		.below = below,
		.wants_origin = true};

	cr_assert_eq(srsd_options_copy(&options, &copy, &error), SRSD_OK);
	memset(port_name, 'x', 4);
	memset(below, 'x', 8);
	cr_assert_eq(copy.format, SRSD_FORMAT_SERVERSET);
	cr_assert_str_eq(copy.port_name, "http");
	cr_assert_str_eq(copy.below, "services");
	cr_assert(copy.wants_origin);
	srsd_options_clear(&copy);
	cr_assert_null(copy.port_name);
	cr_assert_null(copy.below);
}

Test(options, are_names_alone_where_nothing_is_said)
{
	cr_assert_eq(srsd_options_copy(NULL, &copy, &error), SRSD_OK);
	cr_assert_eq(copy.format, SRSD_FORMAT_NAME);
	cr_assert_not(srsd_options_want_reading(&copy));
	srsd_options_clear(&copy);
}

Test(options, are_refused_where_they_are_bad)
{
	static const char *const bad[] = {"", "a/b", "/", ".", "..", "a\n"};

	for (size_t i = 0; i < SRSD_ARRAY_SIZE(bad); i++) {
		const struct srsd_read_options options = {.port_name = "http", .below = bad[i]};

		cr_assert_eq(srsd_options_copy(&options, &copy, &error), SRSD_BAD_ARGUMENT, "%s", bad[i]);
		cr_assert_not_null(strstr(error.text, "the node below the label: "));
		cr_assert_null(copy.below);
	}
	const struct srsd_read_options unknown = {.format = (enum srsd_format)(SRSD_FORMAT_CURATOR + 1)};
	cr_assert_eq(srsd_options_copy(&unknown, &copy, &error), SRSD_BAD_ARGUMENT);
}
