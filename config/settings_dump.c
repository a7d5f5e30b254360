/* settings_dump - writes settings as YAML that is read back to the same, with what each key means. */
#include "config/encoding.h"
#include "config/settings.h"
#include "config/settings_form.h"
#include "config/settings_table.h"

#include <string.h>
#include <strings.h>

#define COMMENT_COLUMNS 108

/* Where the dump stands: depth of indentation, and whether help is written (for the first item of a list
 * only). */
struct dump {
	FILE *out;
	int indent;
	bool is_first_in_item; /* its line begins with "- " */
	bool has_help;
};

static void dump_scope(struct dump *dump, const char *prefix, const void *base);

/* May the text stand without quotes, and do all readers of YAML take it for text then? */
static bool is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
	size_t bytes = strlen(text);
	bool has_letter_or_point = false;
	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '_';
		bool is_digit = c >= '0' && c <= '9';
		if (!is_letter && !is_digit && (i == 0 || strchr(".:-", c) == NULL))
			return false;
		has_letter_or_point |= is_letter || c == '.';
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return false;
	bool is_number_like = text[0] >= '0' && text[0] <= '9' && strchr(text, ':') == NULL;
	return bytes > 0 && has_letter_or_point && !is_number_like && text[bytes - 1] != ':';
}

/* Must the character be written by its number between double quotes? */
static bool needs_escape(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029 || c == 0xFEFF ||
	       c == 0xFFFE || c == 0xFFFF;
}

static void dump_text(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	size_t bytes = strlen(text), width;
	fputc('"', out);
	for (size_t at = 0; at < bytes; at += width) {
		uint32_t character;
		width = encoding_decode(text + at, bytes - at, &character);
		if (width == 0) {
			/* Not from settings_load(), which takes UTF-8 alone. */
			width = 1;
			fputs("\\uFFFD", out);
		} else if (needs_escape(character)) {
			fprintf(out, "\\u%04x", (unsigned)character);
		} else {
			if (character == '"' || character == '\\')
				fputc('\\', out);
			fwrite(text + at, 1, width, out);
		}
	}
	fputc('"', out);
}

static void write_indent(struct dump *dump)
{
	fprintf(dump->out, "%*s", dump->indent, "");
}

/* Bytes of as many whole words as fit; one word at least. */
static size_t words_that_fit(const char *text, size_t room)
{
	size_t end = 0;
	for (size_t at = 0;; at++) {
		if (text[at] != ' ' && text[at] != '\0')
			continue;
		if (at > room && end > 0)
			return end;
		end = at;
		if (text[at] == '\0')
			return end;
	}
}

static void write_comment(FILE *out, int indent, const char *text)
{
	while (*text != '\0') {
		size_t bytes = words_that_fit(text, (size_t)(COMMENT_COLUMNS - indent));
		fprintf(out, "%*s# %.*s\n", indent, "", (int)bytes, text);
		text += bytes;
		text += *text == ' ';
	}
}

static void write_help(struct dump *dump, const struct settings_key *key)
{
	int indent = dump->is_first_in_item ? dump->indent - 2 : dump->indent;
	char form[256];
	if (!dump->has_help)
		return;
	write_comment(dump->out, indent, key->help);
	if (key->type == SETTINGS_SECTION || key->type == SETTINGS_ITEMS)
		return;
	snprintf(form, sizeof(form), "[%s%s%s]", settings_form(key).text,
		key->default_text != NULL ? "; default " : "",
		key->default_text != NULL ? key->default_text : "");
	write_comment(dump->out, indent, form);
}

/* Indentation and "name:"; the first key of an item brings the item's dash. */
static void write_name(struct dump *dump, const struct settings_key *key)
{
	if (dump->is_first_in_item)
		fprintf(dump->out, "%*s- ", dump->indent - 2, "");
	else
		write_indent(dump);
	dump->is_first_in_item = false;
	fprintf(dump->out, "%s:", settings_key_name(key));
}

/* A key without default that was left out: nothing to read back, something to know. */
static void write_absent(struct dump *dump, const struct settings_key *key)
{
	if (!dump->has_help)
		return;
	write_indent(dump);
	fprintf(dump->out, "# %s is left out: %s\n", settings_key_name(key), key->absent);
}

static void write_quantity(struct dump *dump, const struct settings_key *key, uint64_t quantity)
{
	char text[QUANTITY_TEXT_MAX];
	const char *shown = quantity_format(key->quantity, quantity, text);
	fprintf(dump->out, " %s\n", quantity == 0 && key->special != NULL ? key->special : shown);
}

static void write_line_text(struct dump *dump, const char *text)
{
	fputc(' ', dump->out);
	dump_text(dump->out, text);
	fputc('\n', dump->out);
}

/* A quantity that was left out, and stands for another key's value or for none. */
static bool is_absent(const struct settings_key *key, const void *at)
{
	uint64_t quantity;
	if (key->type != SETTINGS_QUANTITY || key->absent == NULL)
		return false;
	memcpy(&quantity, at, sizeof(quantity));
	return quantity == 0;
}

/* The value, after its name. */
static void write_scalar(struct dump *dump, const struct settings_key *key, const void *at)
{
	uint64_t quantity;
	unsigned word;
	bool is_true;
	switch (key->type) {
	case SETTINGS_CHOICE:
		memcpy(&word, at, sizeof(word));
		fprintf(dump->out, " %s\n", key->words[word]);
		break;
	case SETTINGS_BOOLEAN:
		memcpy(&is_true, at, sizeof(is_true));
		fprintf(dump->out, " %s\n", is_true ? "true" : "false");
		break;
	default:
		memcpy(&quantity, at, sizeof(quantity));
		write_quantity(dump, key, quantity);
		break;
	}
}

static void dump_text_key(struct dump *dump, const struct settings_key *key, const void *at)
{
	const char *text;
	memcpy(&text, at, sizeof(text));
	write_help(dump, key);
	if (text == NULL && key->special == NULL) {
		write_absent(dump, key);
		return;
	}
	write_name(dump, key);
	if (text == NULL)
		fprintf(dump->out, " %s\n", key->special);
	else
		write_line_text(dump, text);
}

static void dump_texts(struct dump *dump, const struct settings_key *key, const void *base)
{
	char *const *texts;
	size_t count;
	memcpy(&texts, settings_key_at_const(key, base), sizeof(texts));
	memcpy(&count, (const char *)base + key->count_offset, sizeof(count));
	write_help(dump, key);
	if (texts == NULL && key->absent != NULL) {
		write_absent(dump, key);
		return;
	}
	write_name(dump, key);
	if (count == 0)
		fprintf(dump->out, " %s", key->special);
	fputc('\n', dump->out);
	for (size_t i = 0; i < count; i++) {
		write_indent(dump);
		fputs("  -", dump->out);
		write_line_text(dump, texts[i]);
	}
}

static void dump_items(struct dump *dump, const struct settings_key *key, const void *base)
{
	const char *items;
	size_t count;
	memcpy(&items, settings_key_at_const(key, base), sizeof(items));
	memcpy(&count, (const char *)base + key->count_offset, sizeof(count));
	write_help(dump, key);
	write_name(dump, key);
	fputc('\n', dump->out);
	struct settings_prefix prefix = settings_key_prefix(key);
	for (size_t i = 0; i < count; i++) {
		struct dump below = {.out = dump->out, .indent = dump->indent + 4, .is_first_in_item = true};
		below.has_help = i == 0;
		dump_scope(&below, prefix.text, items + i * key->item_bytes);
	}
}

static void dump_section(struct dump *dump, const struct settings_key *key, const void *base)
{
	struct settings_prefix prefix = settings_key_prefix(key);
	struct dump below = *dump;
	below.indent += 2;
	write_help(dump, key);
	write_name(dump, key);
	fputc('\n', dump->out);
	dump_scope(&below, prefix.text, base);
}

static void dump_scope(struct dump *dump, const char *prefix, const void *base)
{
	const struct settings_key *key = NULL;
	while ((key = settings_key_next(prefix, key)) != NULL) {
		const void *at = settings_key_at_const(key, base);
		if (prefix[0] == '\0' && key != settings_keys)
			fputc('\n', dump->out);
		if (key->type == SETTINGS_SECTION) {
			dump_section(dump, key, base);
		} else if (key->type == SETTINGS_ITEMS) {
			dump_items(dump, key, base);
		} else if (key->type == SETTINGS_TEXTS) {
			dump_texts(dump, key, base);
		} else if (key->type == SETTINGS_TEXT || key->type == SETTINGS_NAME) {
			dump_text_key(dump, key, at);
		} else if (is_absent(key, at)) {
			write_help(dump, key);
			write_absent(dump, key);
		} else {
			write_help(dump, key);
			write_name(dump, key);
			write_scalar(dump, key, at);
		}
	}
}

void settings_dump(const struct settings *settings, FILE *out)
{
	struct dump dump = {.out = out, .has_help = true};
	dump_scope(&dump, "", settings);
}
