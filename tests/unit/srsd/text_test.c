/* text_test - the words of the library: none missing, errors cut to size, control bytes shown and not sent.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "srsd/common/internal.h"

Test(text, has_a_word_for_everything)
{
	for (int status = SRSD_OK; status <= SRSD_SYSTEM; status++)
		cr_assert_str_neq(srsd_status_text((enum srsd_status)status), "unknown status");
	for (int state = SRSD_CONNECTING; state <= SRSD_EXPIRED; state++)
		cr_assert_str_neq(srsd_state_text((enum srsd_state)state), "unknown");
	for (int state = SRSD_REGISTRATION_PENDING; state <= SRSD_REGISTRATION_RELEASED; state++)
		cr_assert_str_neq(
			srsd_registration_state_text((enum srsd_registration_state)state), "unknown");
	cr_assert_str_eq(srsd_status_text((enum srsd_status)99), "unknown status");
	cr_assert_str_eq(srsd_state_text((enum srsd_state)99), "unknown");
	cr_assert_str_eq(srsd_registration_state_text((enum srsd_registration_state)99), "unknown");
	cr_assert_str_eq(srsd_status_text(SRSD_BAD_ARGUMENT), "bad argument");
	cr_assert_str_eq(srsd_state_text(SRSD_CONNECTED), "connected");
	cr_assert_str_eq(srsd_registration_state_text(SRSD_REGISTRATION_HELD), "held");
}

Test(text, knows_versions)
{
	int major;
	int minor;
	int patch;

	cr_assert_eq(sscanf(srsd_version(), "%d.%d.%d", &major, &minor, &patch), 3, "%s", srsd_version());
	cr_assert_eq(sscanf(srsd_zookeeper_version(), "%d.%d.%d", &major, &minor, &patch), 3);
	cr_assert_geq(major, 3);
}

Test(text, shows_control_bytes)
{
	char out[16];

	cr_assert_str_eq(srsd_printable("a\nb\\\xff", out, sizeof(out)), "a\\x0ab\\\\xff");
	cr_assert_str_eq(srsd_printable("0123456789abcdef", out, sizeof(out)), "0123456789abcde");
	cr_assert_str_eq(srsd_printable("0123456789abc\n", out, sizeof(out)), "0123456789abc");
	cr_assert_str_eq(srsd_printable("", out, 1), "");
}

Test(text, cuts_errors_to_size)
{
	struct srsd_error error;
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	cr_assert_eq(srsd_fail(&error, SRSD_SYSTEM, "%s", text), SRSD_SYSTEM);
	cr_assert_eq(strlen(error.text), sizeof(error.text) - 1);
	cr_assert_eq(srsd_fail(NULL, SRSD_TIMEOUT, "%s", text), SRSD_TIMEOUT);
	srsd_error_clear(&error);
	srsd_error_clear(NULL);
	cr_assert_str_eq(error.text, "");
}

static enum srsd_log_level last_level;
static char last_line[2000];

static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	cr_assert_eq(arg, &last_level);
	last_level = level;
	strcpy(last_line, text);
}

Test(text, logs_where_somebody_listens)
{
	struct srsd_logger logger = {.log = on_log, .arg = &last_level};
	struct srsd_logger silence = {0};

	srsd_log(&logger, SRSD_LOG_WARNING, "%d and %s", 1, "two");
	cr_assert_eq(last_level, SRSD_LOG_WARNING);
	cr_assert_str_eq(last_line, "1 and two");
	srsd_log(&silence, SRSD_LOG_ERROR, "nothing");
	cr_assert_str_eq(last_line, "1 and two");
}
