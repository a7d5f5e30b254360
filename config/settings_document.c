/* settings_document - writes docs/configuration.md from the table. */
#include "config/settings.h"
#include "config/settings_form.h"
#include "config/settings_table.h"

#include <string.h>

static const char introduction[] =
	"# Configuration\n"
	"\n"
	"<!-- Made by `settings-document` from config/settings_table.c. A test compares the two; do not "
	"edit. -->\n"
	"\n"
	"`srsd-proxy --config FILE` reads one YAML file. `--test` checks it and says `ok`, or everything "
	"that is wrong\n"
	"with it, as `file:line:column: what, and what to do`. `--dump` writes what is in effect, defaults "
	"included, as a\n"
	"file that can be read again. `--set KEY=VALUE` changes one value, and may be given more than once.\n"
	"\n"
	"Three files are shipped: `config/srsd-proxy.yaml`, the default: one service, every request "
	"forwarded to one\n"
	"path; `config/pass-through.yaml`: the request's own path is kept; `config/several-services.yaml`: "
	"several\n"
	"services behind one listener.\n"
	"\n"
	"## Values\n"
	"\n"
	"| Type | Written as |\n"
	"|---|---|\n"
	"| whole number | decimal digits: `8`. No sign, no leading zero, no quotes |\n"
	"| duration | digits and a unit: `250ms`, `10s`, `5m`, `1h`. The unit is required |\n"
	"| size | bytes, or digits and a unit: `4096`, `64k` (of 1024 bytes), `1m` (of 1024k), `1g` (of "
	"1024m) |\n"
	"| boolean | `true` or `false`, without quotes |\n"
	"| word | one of the words that are listed |\n"
	"| text | as it is, or between quotes where YAML needs them: `\"[::]:8080\"` |\n"
	"| list | items below each other, each after `- `, or `[one, two]` |\n"
	"\n"
	"Unknown keys, keys that stand twice and empty values are errors. Anchors, aliases, tags and a "
	"second document\n"
	"are refused. The file is UTF-8 and has at most 1 MiB.\n"
	"\n"
	"## Setting one value\n"
	"\n"
	"`--set log.level=debug` changes one value. An item of a list is named by its index, counted from 0, "
	"or by its\n"
	"`name` where it has one; the next free index appends an item:\n"
	"\n"
	"```\n"
	"--set zookeeper.servers=192.0.2.1:2181,192.0.2.2:2181\n"
	"--set services.0.choices=1\n"
	"--set services.tornado_app.choices=1\n"
	"--set listeners.1.address=127.0.0.1:8081\n"
	"```\n"
	"\n"
	"What is wrong with such a value is reported as `--set KEY=VALUE: what, and what to do`.\n"
	"\n"
	"## Keys\n";

/* Write text into a cell of a table: '|' would end it. */
static void write_cell(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void write_row(FILE *out, const struct settings_key *key)
{
	fprintf(out, "| `%s` | %s | ", settings_key_name(key), settings_type_text(key));
	write_cell(out, settings_bounds(key).text);
	if (key->special != NULL)
		fprintf(out, "; %s", key->special);
	if (key->default_text != NULL)
		fprintf(out, " | `%s` | ", key->default_text);
	else
		fprintf(out, " | %s | ", key->is_required ? "required" : key->absent);
	write_cell(out, key->help);
	fputs(" |\n", out);
}

static void write_table_head(FILE *out)
{
	fputs("\n| Key | Type | Values | Default | |\n|---|---|---|---|---|\n", out);
}

static bool is_section(const struct settings_key *key)
{
	return key->type == SETTINGS_SECTION || key->type == SETTINGS_ITEMS;
}

/* A section inside of an item, "services[].timeouts", comes after its item's keys. */
static void write_section(FILE *out, const struct settings_key *section)
{
	fprintf(out, "\n### %s\n\n%s", section->path, section->help);
	if (section->type == SETTINGS_ITEMS)
		fputs(" A list with at least one item; each has these keys:", out);
	fputc('\n', out);
	write_table_head(out);
	struct settings_prefix prefix = settings_key_prefix(section);
	const struct settings_key *key = NULL;
	while ((key = settings_key_next(prefix.text, key)) != NULL)
		if (!is_section(key))
			write_row(out, key);
	while ((key = settings_key_next(prefix.text, key)) != NULL)
		if (is_section(key))
			write_section(out, key);
}

void settings_document(FILE *out)
{
	fputs(introduction, out);
	const struct settings_key *key = NULL;
	while ((key = settings_key_next("", key)) != NULL)
		if (is_section(key))
			write_section(out, key);
	fputs("\n### Keys without a section\n", out);
	write_table_head(out);
	while ((key = settings_key_next("", key)) != NULL)
		if (!is_section(key))
			write_row(out, key);
}
