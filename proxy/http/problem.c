/* problem - the table of reasons, and the phrases of the statuses that answers are made with. Owns nothing.
 */
#include "http/problem.h"

#include <stddef.h>

#define PROBLEM_ROW(name, status_code, retry, code_text, error, sentence)                                    \
	[PROBLEM_##name] = {.status = (status_code),                                                         \
		.may_retry = (retry),                                                                        \
		.code = (code_text),                                                                         \
		.proxy_error = (error),                                                                      \
		.text = (sentence)},

static const struct problem_row problem_rows[PROBLEM_COUNT] = {PROBLEMS(PROBLEM_ROW)};

const struct problem_row *problem_row(enum problem problem)
{
	return &problem_rows[problem];
}

static const struct {
	int status;
	const char *phrase;
} reason_phrases[] = {
	{200, "OK"},
	{400, "Bad Request"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{508, "Loop Detected"},
};

const char *http_reason_phrase(int status)
{
	for (size_t i = 0; i < sizeof(reason_phrases) / sizeof(reason_phrases[0]); i++)
		if (reason_phrases[i].status == status)
			return reason_phrases[i].phrase;
	return "Error";
}
