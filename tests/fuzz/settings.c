/* settings - any text as a configuration, with any --set options: complaints or settings, never both, and
 * settings that survive being dumped and read again. The text ends at the first NUL; options follow, each
 * ended by one. */
#include "config/settings.h"
#include "require.h"

#include <string.h>

#define OPTIONS_MAX 8

static void count_complaint(void *arg, const char *text)
{
	size_t *count = arg;
	++*count;
	require(strchr(text, '\n') == NULL, "a complaint has more than one line");
}

static struct settings *load(const char *text, size_t bytes, char **options, size_t option_count)
{
	size_t complaints = 0;
	struct settings *settings = settings_load_text(
		"f", text, bytes, (const char *const *)options, option_count, count_complaint, &complaints);
	require((settings == NULL) == (complaints > 0), "complaints and settings, or neither");
	return settings;
}

static char *dump(const struct settings *settings)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	require(out != NULL, "no memory");
	settings_dump(settings, out);
	require(fclose(out) == 0, "no memory");
	return text;
}

static void require_round_trip(const struct settings *settings)
{
	char *first = dump(settings);
	struct settings *again = load(first, strlen(first), NULL, 0);
	require(again != NULL, "a dump is not read back");
	char *second = dump(again);
	require(strcmp(first, second) == 0, "a dump is read back as something else");
	free(second);
	settings_free(&again);
	free(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data;
	size_t text_bytes = strnlen(text, bytes), option_count = 0;
	char *options[OPTIONS_MAX];
	size_t at = text_bytes + 1;
	for (; at < bytes && option_count < OPTIONS_MAX; at += strlen(options[option_count++]) + 1) {
		options[option_count] = strndup(text + at, bytes - at);
		require(options[option_count] != NULL, "no memory");
	}
	struct settings *settings = load(text, text_bytes, options, option_count);
	if (settings != NULL)
		require_round_trip(settings);
	settings_free(&settings);
	while (option_count > 0)
		free(options[--option_count]);
	return 0;
}
