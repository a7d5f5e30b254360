/* settings_document: the committed docs/configuration.md is what the table makes today. */
#include "loading.h"

#include "config/settings_table.h"

static char *read_text_file(const char *path)
{
	char *text = NULL;
	size_t bytes = 0, got;
	char part[4096];
	FILE *in = fopen(path, "r");
	cr_assert(in != NULL, "%s cannot be read", path);
	FILE *out = open_memstream(&text, &bytes);
	cr_assert(out != NULL);
	while ((got = fread(part, 1, sizeof(part), in)) > 0)
		fwrite(part, 1, got, out);
	fclose(in);
	fclose(out);
	return text;
}

static char *document(void)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	cr_assert(out != NULL);
	settings_document(out);
	fclose(out);
	return text;
}

Test(settings_document, is_current)
{
	char *committed = read_text_file(DOCUMENT_FOLDER "/configuration.md"), *made = document();
	cr_expect(strcmp(committed, made) == 0,
		"docs/configuration.md is not current: run settings-document > docs/configuration.md");
	free(made);
	free(committed);
}

Test(settings_document, has_every_key)
{
	char *made = document();
	for (const struct settings_key *key = settings_keys; key->path != NULL; key++) {
		char row[100];
		bool is_group = key->type == SETTINGS_SECTION || key->type == SETTINGS_ITEMS;
		snprintf(row, sizeof(row), is_group ? "\n### %s\n" : "\n| `%s` | ",
			is_group ? key->path : settings_key_name(key));
		cr_expect(strstr(made, row) != NULL, "%s", key->path);
		cr_expect(strstr(made, key->help) != NULL, "%s", key->path);
	}
	free(made);
}

/* The values that the introduction shows must be ones that are read. */
Test(settings_document, examples_are_good)
{
	static const char text[] = "listeners: [{address: 127.0.0.1:80}]\nservices: [{name: tornado_app}]\n"
				   "routes: [{path: /, service: tornado_app}]\n";
	static const char *const overrides[] = {"zookeeper.servers=192.0.2.1:2181,192.0.2.2:2181",
		"services.0.choices=1", "services.tornado_app.choices=1",
		"listeners.1.address=127.0.0.1:8081", "log.level=debug"};
	char *made = document();
	for (size_t i = 0; i < sizeof(overrides) / sizeof(overrides[0]); i++) {
		char option[200];
		snprintf(option, sizeof(option), "--set %s", overrides[i]);
		cr_expect(strstr(made, option) != NULL, "%s", option);
	}
	free(made);
	expect_complaints_with(text, overrides, sizeof(overrides) / sizeof(overrides[0]), "");
}
