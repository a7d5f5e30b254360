/* suggestion: near words are offered, far ones are not. */
#include "config/suggestion.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *nearest(const char *word)
{
	static const char *const candidates[] = {
		"servers", "session_timeout", "listeners", "connect", "connections", "log", "path", "static"};
	struct suggestion suggestion = {.word = word, .bytes = strlen(word)};
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		suggestion_offer(&suggestion, candidates[i]);
	return suggestion.nearest;
}

Test(suggestion, near)
{
	static const char *const rows[][2] = {
		{"server", "servers"},
		{"sevrers", "servers"},
		{"Servers", "servers"},
		{"listner", "listeners"},
		{"session-timeout", "session_timeout"},
		{"session_timeout_ms", "session_timeout"},
		{"conect", "connect"},
		{"connection", "connections"},
		{"logs", "log"},
		{"lgo", "log"},
		{"pth", "path"},
		{"statics", "static"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = nearest(rows[i][0]);
		cr_expect(got != NULL && strcmp(got, rows[i][1]) == 0, "%s: %s", rows[i][0],
			got == NULL ? "none" : got);
	}
}

Test(suggestion, far)
{
	static const char *const rows[] = {"", "x", "lo_x", "workers", "zookeeper", "tls",
		"quite_another_word",
		"a_word_that_is_longer_than_any_word_that_could_have_been_meant_by_it_at_all"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(nearest(rows[i]) == NULL, "%s: %s", rows[i], nearest(rows[i]));
}
