/* settings_scalar - reads one scalar: number, duration, size, word or text. */
#include "config/settings_scalar.h"

#include "config/settings_form.h"
#include "config/suggestion.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scalar {
	const struct settings_key *key;
	const struct value *value;
	const char *shown;
	struct complaints *complaints;
};

/* What to give: for an item of a list of texts, one of them. */
static struct settings_form scalar_form(const struct scalar *scalar)
{
	return scalar->key->type == SETTINGS_TEXTS ? settings_bounds(scalar->key)
						   : settings_form(scalar->key);
}

/* "<key> is "<value>", <what>: give <form>" */
static void complain_of(const struct scalar *scalar, const char *what)
{
	complaints_add(scalar->complaints, scalar->value->place, "%s is \"%s\", %s: give %s", scalar->shown,
		show(scalar->value->text, scalar->value->bytes).text, what, scalar_form(scalar).text);
}

static bool has_control(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
			return true;
	return false;
}

/* Is it a scalar with something in it? */
static bool is_usable(const struct scalar *scalar)
{
	const struct value *value = scalar->value;
	const struct settings_form form = scalar_form(scalar);
	bool may_be_left_out = !scalar->key->is_required && scalar->key->type != SETTINGS_TEXTS;
	if (value->kind == VALUE_BROKEN)
		return false;
	if (value->kind != VALUE_SCALAR)
		complaints_add(scalar->complaints, value->place, "%s is a %s: give %s", scalar->shown,
			value->kind == VALUE_LIST ? "list" : "mapping", form.text);
	else if (value_is_null(value) || value->bytes == 0)
		complaints_add(scalar->complaints, value->place, "%s is empty: give %s%s", scalar->shown,
			form.text, may_be_left_out ? ", or leave the key out" : "");
	else if (has_control(value->text, value->bytes))
		complain_of(scalar, "with a control character in it");
	else
		return true;
	return false;
}

static const char *quantity_fault_text(enum quantity_kind kind, enum quantity_fault fault)
{
	switch (fault) {
	case QUANTITY_LEADING_ZERO:
		return "with a leading zero, which other programs read as octal";
	case QUANTITY_NO_UNIT:
		return "without a unit";
	case QUANTITY_BAD_UNIT:
		return "with no unit that is known";
	case QUANTITY_TOO_LARGE:
		return "out of range";
	default:
		return kind == QUANTITY_DURATION ? "no duration"
		       : kind == QUANTITY_SIZE	 ? "no size"
						 : "no whole number";
	}
}

static void read_quantity(const struct scalar *scalar, void *at)
{
	const struct settings_key *key = scalar->key;
	uint64_t quantity = 0;
	if (key->quantity == QUANTITY_NUMBER && scalar->value->is_quoted) {
		complain_of(scalar, "text because of its quotes");
		return;
	}
	enum quantity_fault fault =
		quantity_parse(key->quantity, scalar->value->text, scalar->value->bytes, &quantity);
	if (fault != QUANTITY_GOOD)
		complain_of(scalar, quantity_fault_text(key->quantity, fault));
	else if (quantity < key->minimum || quantity > key->maximum)
		complain_of(scalar, "out of range");
	else
		memcpy(at, &quantity, sizeof(quantity));
}

static void read_boolean(const struct scalar *scalar, void *at)
{
	bool is_true = strcmp(scalar->value->text, "true") == 0;
	if (scalar->value->is_quoted)
		complain_of(scalar, "text because of its quotes");
	else if (!is_true && strcmp(scalar->value->text, "false") != 0)
		complain_of(scalar, "neither true nor false");
	else
		memcpy(at, &is_true, sizeof(is_true));
}

/* The index of the value among the key's words; false: none, said. */
static bool find_word(const struct scalar *scalar, unsigned *out)
{
	const struct value *value = scalar->value;
	struct suggestion suggestion = {.word = value->text, .bytes = value->bytes};
	for (unsigned i = 0; scalar->key->words[i] != NULL; i++) {
		if (strcmp(scalar->key->words[i], value->text) == 0) {
			*out = i;
			return true;
		}
		suggestion_offer(&suggestion, scalar->key->words[i]);
	}
	if (suggestion.nearest == NULL)
		complain_of(scalar, "not known here");
	else
		complaints_add(scalar->complaints, value->place,
			"%s is \"%s\", not known here: did you mean \"%s\"?", scalar->shown,
			show(value->text, value->bytes).text, suggestion.nearest);
	return false;
}

static char *copy_text(const struct scalar *scalar, const char *text)
{
	char *copy = strdup(text);
	if (copy == NULL)
		scalar->complaints->is_out_of_memory = true;
	return copy;
}

static char *read_text(const struct scalar *scalar)
{
	struct text_fault fault;
	const struct value *value = scalar->value;
	if (scalar->key->check(value->text, &fault))
		return copy_text(scalar, value->text);
	complaints_add(scalar->complaints, value->place, "%s is \"%s\": %s", scalar->shown,
		show(value->text, value->bytes).text, fault.text);
	return NULL;
}

char *settings_text_read(const struct settings_key *key, const struct value *value, const char *shown,
	struct complaints *complaints)
{
	struct scalar scalar = {.key = key, .value = value, .shown = shown, .complaints = complaints};
	return is_usable(&scalar) ? read_text(&scalar) : NULL;
}

void settings_scalar_read(const struct settings_key *key, const struct value *value, const char *shown,
	void *base, struct complaints *complaints)
{
	struct scalar scalar = {.key = key, .value = value, .shown = shown, .complaints = complaints};
	void *at = settings_key_at(key, base);
	unsigned word = 0;
	char *text;
	if (!is_usable(&scalar) || (key->special != NULL && strcmp(key->special, value->text) == 0))
		return; /* the struct has zeros, which is what the special word stands for */
	switch (key->type) {
	case SETTINGS_TEXT:
		text = read_text(&scalar);
		memcpy(at, &text, sizeof(text));
		break;
	case SETTINGS_NAME:
		text = find_word(&scalar, &word) ? copy_text(&scalar, key->words[word]) : NULL;
		memcpy(at, &text, sizeof(text));
		break;
	case SETTINGS_CHOICE:
		if (find_word(&scalar, &word))
			memcpy(at, &word, sizeof(word));
		break;
	case SETTINGS_BOOLEAN:
		read_boolean(&scalar, at);
		break;
	default:
		assert(key->type == SETTINGS_QUANTITY);
		read_quantity(&scalar, at);
		break;
	}
}

void settings_scalar_default(const struct settings_key *key, void *base, struct complaints *complaints)
{
	if (key->default_text == NULL)
		return;
	char text[64];
	snprintf(text, sizeof(text), "%s", key->default_text);
	struct value value = {.kind = VALUE_SCALAR,
		.place = {"built-in default", 1, 1},
		.text = text,
		.bytes = strlen(text)};
	settings_scalar_read(key, &value, key->path, base, complaints);
}
