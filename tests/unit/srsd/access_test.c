/* access_test - the file that holds user and password: who may read it, and what must stand in it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "srsd/session/access.h"
#include "srsd/srsd.h"

static char path[] = "/tmp/srsd_access_test.XXXXXX";

static void write_file(const char *text, mode_t mode)
{
	int descriptor;

	memcpy(path + sizeof(path) - sizeof("XXXXXX"), "XXXXXX", sizeof("XXXXXX"));
	descriptor = mkstemp(path);
	cr_assert_geq(descriptor, 0);
	cr_assert_eq(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(descriptor, mode);
	close(descriptor);
}

static void expect_read(const char *text, mode_t mode, const char *auth)
{
	char out[SRSD_AUTH_MAX] = "";
	struct srsd_error error;

	write_file(text, mode);
	cr_assert_eq(srsd_auth_read(path, out, &error), SRSD_OK, "%s", error.text);
	cr_assert_str_eq(out, auth);
	cr_assert_eq(error.text[0], '\0');
	unlink(path);
}

static void expect_fault(const char *text, mode_t mode, const char *why)
{
	char out[SRSD_AUTH_MAX] = "before";
	struct srsd_error error;

	write_file(text, mode);
	cr_assert_eq(srsd_auth_read(path, out, &error), SRSD_BAD_ARGUMENT);
	cr_assert(strstr(error.text, why) != NULL, "%s", error.text);
	cr_assert(strstr(error.text, path) != NULL, "%s", error.text);
	cr_assert(strstr(error.text, "sesame") == NULL, "%s", error.text);
	cr_assert_str_eq(out, "before");
	unlink(path);
}

Test(access, reads_user_and_password)
{
	char longest[SRSD_AUTH_MAX];

	expect_read("shop:sesame\n", 0600, "shop:sesame");
	expect_read("shop:sesame", 0400, "shop:sesame");
	expect_read("shop:with : colons \n", 0640, "shop:with : colons ");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[1] = ':';
	longest[sizeof(longest) - 1] = '\0';
	expect_read(longest, 0600, longest);
}

Test(access, refuses_what_others_can_read_or_change)
{
	expect_fault("shop:sesame\n", 0644, "chmod 600");
	expect_fault("shop:sesame\n", 0604, "mode 0604");
	expect_fault("shop:sesame\n", 0660, "chmod 600");
	expect_fault("shop:sesame\n", 0602, "chmod 600");
}

Test(access, refuses_what_is_no_user_and_password)
{
	char endless[2 * SRSD_AUTH_MAX];

	expect_fault("", 0600, "no colon");
	expect_fault("sesame\n", 0600, "no colon");
	expect_fault(":sesame\n", 0600, "user is empty");
	expect_fault("shop:\n", 0600, "password is empty");
	expect_fault("shop:sesame\nsecond line\n", 0600, "more than one line");
	expect_fault("shop:sesame\r\n", 0600, "control byte");
	memset(endless, ':', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	expect_fault(endless, 0600, "longer than 255 bytes");
	endless[SRSD_AUTH_MAX] = '\0';
	expect_fault(endless, 0600, "longer than 255 bytes");
}

Test(access, says_that_there_is_no_file)
{
	char out[SRSD_AUTH_MAX];
	struct srsd_error error;

	cr_assert_eq(srsd_auth_read("/nowhere/secret", out, &error), SRSD_BAD_ARGUMENT);
	cr_assert_str_eq(error.text, "/nowhere/secret: No such file or directory");
	cr_assert_eq(srsd_auth_read("/tmp", out, &error), SRSD_BAD_ARGUMENT);
	cr_assert_str_eq(error.text, "/tmp is no regular file");
	cr_assert_eq(srsd_auth_read("/nowhere/secret", out, NULL), SRSD_BAD_ARGUMENT);
}

Test(access, knows_a_list_that_is_open_to_all)
{
	for (int kind = SRSD_ACCESS_ABOVE; kind <= SRSD_ACCESS_NODE; kind++)
		cr_assert(srsd_access_is_open(srsd_access_list(false, (enum srsd_access_kind)kind)));
	cr_assert(srsd_access_is_open(srsd_access_list(true, SRSD_ACCESS_ABOVE)), "for labels of others");
	cr_assert_not(srsd_access_is_open(srsd_access_list(true, SRSD_ACCESS_LABEL)));
	cr_assert_not(srsd_access_is_open(srsd_access_list(true, SRSD_ACCESS_NODE)));
}
