/* loading - loads a configuration from a text and keeps what was complained of, for the tests of this folder.
 */
#ifndef TESTS_CONFIG_LOADING_H
#define TESTS_CONFIG_LOADING_H

#include "config/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The least that is complete, in three lines: what a test appends begins on line 4. */
#define LEAST                                                                                                \
	"listeners: [{address: 127.0.0.1:8080}]\n"                                                           \
	"services: [{name: a}]\n"                                                                            \
	"routes: [{path: /, service: a}]\n"

struct loading {
	struct settings *settings;
	char *complaints; /* each with a newline after it; "" if there are none */
	size_t bytes;
	size_t count;
};

static inline void loading_complain(void *arg, const char *text)
{
	struct loading *loading = arg;
	size_t bytes = strlen(text);
	loading->complaints = realloc(loading->complaints, loading->bytes + bytes + 2);
	cr_assert(loading->complaints != NULL);
	memcpy(loading->complaints + loading->bytes, text, bytes);
	memcpy(loading->complaints + loading->bytes + bytes, "\n", 2);
	loading->bytes += bytes + 1;
	loading->count++;
	cr_expect(strchr(text, '\n') == NULL, "a complaint of more than one line: %s", text);
}

static inline void loading_start(struct loading *loading)
{
	*loading = (struct loading){.complaints = calloc(1, 1)};
	cr_assert(loading->complaints != NULL);
}

/* Load `bytes` of text under the name "t", with overrides. */
static inline struct loading load_bytes(
	const char *text, size_t bytes, const char *const *overrides, size_t override_count)
{
	struct loading loading;
	loading_start(&loading);
	loading.settings =
		settings_load_text("t", text, bytes, overrides, override_count, loading_complain, &loading);
	cr_expect((loading.settings == NULL) == (loading.count > 0), "%zu complaints and %s", loading.count,
		loading.settings == NULL ? "no settings" : "settings");
	return loading;
}

static inline struct loading load_text(const char *text)
{
	return load_bytes(text, strlen(text), NULL, 0);
}

static inline struct loading load_file(const char *path)
{
	struct loading loading;
	loading_start(&loading);
	loading.settings = settings_load(path, NULL, 0, loading_complain, &loading);
	return loading;
}

static inline void loading_end(struct loading *loading)
{
	settings_free(&loading->settings);
	free(loading->complaints);
}

/* A text, what is complained of it, line by line. An expected line that ends in "*" is the beginning of one.
 */
struct bad_text {
	const char *text;
	const char *complaints;
};

/* Do the complaints match the expected lines, in number and order? */
static inline int complaints_match(const char *got, const char *expected)
{
	while (*got != '\0' && *expected != '\0') {
		size_t got_bytes = strcspn(got, "\n"), expected_bytes = strcspn(expected, "\n");
		if (expected_bytes > 0 && expected[expected_bytes - 1] == '*') {
			if (got_bytes < expected_bytes - 1 || memcmp(got, expected, expected_bytes - 1) != 0)
				return 0;
		} else if (got_bytes != expected_bytes || memcmp(got, expected, got_bytes) != 0) {
			return 0;
		}
		got += got_bytes + (got[got_bytes] == '\n');
		expected += expected_bytes + (expected[expected_bytes] == '\n');
	}
	return *got == '\0' && *expected == '\0';
}

static inline void expect_complaints_with(
	const char *text, const char *const *overrides, size_t override_count, const char *expected)
{
	struct loading loading = load_bytes(text, strlen(text), overrides, override_count);
	/* Cut: Criterion does not get over a message of a megabyte. */
	cr_expect(complaints_match(loading.complaints, expected),
		"of\n%.3000s\n(%zu --set)\nexpected\n%s\ngot %zu\n%.3000s", text, override_count, expected,
		loading.count, loading.complaints);
	loading_end(&loading);
}

static inline void expect_complaints(const char *text, const char *expected)
{
	expect_complaints_with(text, NULL, 0, expected);
}

#define EXPECT_ALL(rows)                                                                                     \
	for (size_t row = 0; row < sizeof(rows) / sizeof((rows)[0]); row++)                                  \
	expect_complaints((rows)[row].text, (rows)[row].complaints)

/* The dump of settings, which the caller frees. */
static inline char *dump_of(const struct settings *settings)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	cr_assert(out != NULL);
	settings_dump(settings, out);
	cr_assert(fclose(out) == 0);
	return text;
}

#endif
