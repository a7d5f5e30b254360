/* complaints: told in the order of the file, and fit for one line whatever the user wrote. */
#include "config/complaints.h"

#include <criterion/criterion.h>
#include <string.h>

Test(complaints, show)
{
	cr_expect_str_eq(show_text("plain").text, "plain");
	cr_expect_str_eq(show_text("").text, "");
	cr_expect_str_eq(show("a\n\t\x7F\0b", 6).text, "a\\x0a\\x09\\x7f\\x00b");
	cr_expect_str_eq(show_text("\xE2\x82\xAC").text, "\xE2\x82\xAC");
	cr_expect_str_eq(show_text("a\xFF\xC3").text, "a\\xff\\xc3");
	cr_expect_str_eq(show_text("\xC2\x9B[1m").text, "\\xc2\\x9b[1m");
}

Test(complaints, show_cuts_at_a_character)
{
	char text[400];
	memset(text, 'x', sizeof(text));
	struct shown shown = show(text, sizeof(text));
	const size_t room = sizeof(shown.text) - sizeof("...");
	cr_expect_eq(strlen(shown.text), room + 3);
	cr_expect_str_eq(shown.text + room, "...");
	cr_expect_str_eq(show(text, room).text + room, "");
	/* A character of three bytes at each of its positions about the cut. */
	for (size_t start = room - 3; start <= room; start++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + start, "\xE2\x82\xAC", 3);
		shown = show(text, sizeof(text));
		size_t kept = start == room - 3 ? room : start;
		cr_expect_eq(strlen(shown.text), kept + 3, "start %zu", start);
		cr_expect_str_eq(shown.text + kept, "...");
	}
	memset(text, '\n', sizeof(text));
	cr_expect_str_eq(show(text, sizeof(text)).text + room / 4 * 4, "...");
}

static void append(void *arg, const char *text)
{
	strcat(strcat(arg, text), "\n");
}

Test(complaints, order)
{
	struct complaints complaints = {0};
	cr_expect_not(complaints_any(&complaints));
	complaints_add(&complaints, (struct place){"a=1", 0, 0}, "first option");
	complaints_add(&complaints, (struct place){"f", 10, 1}, "late");
	complaints_add(&complaints, (struct place){"f", 2, 7}, "right");
	complaints_add(&complaints, (struct place){"f", 2, 3}, "left %d", 1);
	complaints_add(&complaints, (struct place){"f", 2, 3}, "left %d", 2);
	complaints_add(&complaints, (struct place){"b=1", 0, 0}, "second option");
	cr_expect(complaints_any(&complaints));
	char told[1000] = "";
	complaints_tell(&complaints, "f", append, told);
	complaints_clear(&complaints);
	cr_expect_str_eq(told, "f:2:3: left 1\nf:2:3: left 2\nf:2:7: right\nf:10:1: late\n"
			       "--set a=1: first option\n--set b=1: second option\n");
	cr_expect_not(complaints_any(&complaints));
}

Test(complaints, out_of_memory_is_told)
{
	struct complaints complaints = {.is_out_of_memory = true};
	char told[1000] = "";
	cr_expect(complaints_any(&complaints));
	complaints_tell(&complaints, "f", append, told);
	cr_expect_str_eq(told,
		"f:1:1: out of memory while the configuration was read, give the process more memory\n");
}
