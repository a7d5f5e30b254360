/* problem_test - the table of problems is complete and consistent. */
#include "support.h"

#include <ctype.h>

Test(problem, every_row_is_complete)
{
	for (int problem = PROBLEM_NONE + 1; problem < PROBLEM_COUNT; problem++) {
		const struct problem_row *row = problem_row((enum problem)problem);
		cr_assert(row->status >= 400 && row->status <= 599, "%d", problem);
		cr_assert(row->code != NULL && row->text != NULL);
		cr_expect(strlen(row->text) > 10 && row->text[strlen(row->text) - 1] == '.', "%s", row->code);
		for (const char *at = row->code; *at != '\0'; at++)
			cr_expect(islower(*at) || *at == '_', "%s", row->code);
		cr_expect_str_neq(http_reason_phrase(row->status), "Error", "%s has no phrase", row->code);
		for (int other = problem + 1; other < PROBLEM_COUNT; other++)
			cr_expect_str_neq(row->code, problem_row((enum problem)other)->code);
	}
}

Test(problem, only_failures_before_an_answer_may_be_retried)
{
	cr_expect(problem_row(PROBLEM_CONNECT_REFUSED)->may_retry);
	cr_expect(problem_row(PROBLEM_UPSTREAM_CLOSED)->may_retry);
	cr_expect_not(problem_row(PROBLEM_BAD_RESPONSE)->may_retry);
	cr_expect_not(problem_row(PROBLEM_BAD_FRAMING)->may_retry);
}

Test(problem, phrases)
{
	cr_expect_str_eq(http_reason_phrase(502), "Bad Gateway");
	cr_expect_str_eq(http_reason_phrase(431), "Request Header Fields Too Large");
	cr_expect_str_eq(http_reason_phrase(299), "Error");
}
