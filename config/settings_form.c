/* settings_form - says in words what a key takes, from its row of the table. */
#include "config/settings_form.h"

#include <stdio.h>
#include <string.h>

const char *settings_type_text(const struct settings_key *key)
{
	switch (key->type) {
	case SETTINGS_SECTION:
		return "mapping of keys";
	case SETTINGS_ITEMS:
		return "list of mappings";
	case SETTINGS_TEXT:
		return "text";
	case SETTINGS_TEXTS:
		return "list of texts";
	case SETTINGS_NAME:
	case SETTINGS_CHOICE:
		return "word";
	case SETTINGS_BOOLEAN:
		return "boolean";
	default:
		break;
	}
	return key->quantity == QUANTITY_DURATION ? "duration"
	       : key->quantity == QUANTITY_SIZE	  ? "size"
						  : "whole number";
}

static void join_words(const struct settings_key *key, struct settings_form *form)
{
	size_t used = 0;
	form->text[0] = '\0';
	for (size_t i = 0; key->words[i] != NULL && used < sizeof(form->text); i++)
		used += (size_t)snprintf(form->text + used, sizeof(form->text) - used, "%s%s",
			i == 0 ? "" : ", ", key->words[i]);
}

struct settings_form settings_bounds(const struct settings_key *key)
{
	struct settings_form form = {""};
	char low[QUANTITY_TEXT_MAX], high[QUANTITY_TEXT_MAX];
	switch (key->type) {
	case SETTINGS_TEXT:
	case SETTINGS_TEXTS:
		snprintf(form.text, sizeof(form.text), "%s", key->form);
		break;
	case SETTINGS_NAME:
	case SETTINGS_CHOICE:
		join_words(key, &form);
		break;
	case SETTINGS_BOOLEAN:
		snprintf(form.text, sizeof(form.text), "true, false");
		break;
	case SETTINGS_QUANTITY:
		snprintf(form.text, sizeof(form.text), "%s to %s",
			quantity_format(key->quantity, key->minimum, low),
			quantity_format(key->quantity, key->maximum, high));
		break;
	default:
		break;
	}
	return form;
}

struct settings_form settings_form(const struct settings_key *key)
{
	struct settings_form form, bounds = settings_bounds(key);
	const char *before = "", *between = " ", *after = "";
	const char *type = settings_type_text(key);
	switch (key->type) {
	case SETTINGS_SECTION:
	case SETTINGS_ITEMS:
		before = "a ";
		between = "";
		break;
	case SETTINGS_TEXT:
		type = between = "";
		break;
	case SETTINGS_TEXTS:
		type = "a list of";
		break;
	case SETTINGS_NAME:
	case SETTINGS_CHOICE:
		type = "one of";
		break;
	case SETTINGS_BOOLEAN:
		type = "true or false";
		between = "";
		bounds.text[0] = '\0';
		break;
	default:
		before = "a ";
		between = " from ";
		after = key->quantity == QUANTITY_DURATION ? " (units ms, s, m, h)"
			: key->quantity == QUANTITY_SIZE   ? " (bytes, or with k, m or g)"
							   : "";
		break;
	}
	snprintf(form.text, sizeof(form.text), "%s%s%s%s%s%s%s", before, type, between, bounds.text, after,
		key->special != NULL ? ", or " : "", key->special != NULL ? key->special : "");
	return form;
}
