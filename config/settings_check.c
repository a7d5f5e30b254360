/* settings_check - checks over the whole tree: references, duplicates. */
#include "config/settings_check.h"

#include "config/settings_table.h"
#include "config/suggestion.h"

#include <stdio.h>
#include <string.h>

typedef bool same_fn(const char *left, const char *right);

static bool is_same_text(const char *left, const char *right)
{
	return strcmp(left, right) == 0;
}

static const struct value *list_at(const struct value *mapping, const char *key)
{
	const struct value_entry *entry = value_find(mapping, key, strlen(key));
	return entry != NULL && entry->value->kind == VALUE_LIST ? entry->value : NULL;
}

/* The scalar `key` of item `index`, or the item itself where `key` is NULL. NULL: there is none. */
static const struct value *scalar_of_item(const struct value *list, size_t index, const char *key)
{
	const struct value *item = list->entries[index].value;
	if (key != NULL)
		return value_scalar_at(item, key);
	return item->kind == VALUE_SCALAR ? item : NULL;
}

/* ", which stands on line 5 already" */
struct earlier {
	char text[64];
};

static struct earlier earlier(struct place place)
{
	struct earlier earlier;
	if (place.line == 0)
		snprintf(earlier.text, sizeof(earlier.text), "which an earlier --set gave already");
	else
		snprintf(earlier.text, sizeof(earlier.text), "which stands on line %zu already", place.line);
	return earlier;
}

/* Complain of every item whose scalar is the same as that of an item before it. */
static void check_duplicates(const struct value *list, const char *key, const char *what, same_fn *is_same,
	struct complaints *complaints)
{
	for (size_t i = 0; list != NULL && i < list->count; i++) {
		const struct value *value = scalar_of_item(list, i, key);
		for (size_t j = 0; value != NULL && j < i; j++) {
			const struct value *first = scalar_of_item(list, j, key);
			if (first == NULL || !is_same(first->text, value->text))
				continue;
			complaints_add(complaints, value->place,
				"duplicate %s \"%s\", %s: change or remove one", what,
				show(value->text, value->bytes).text, earlier(first->place).text);
			break;
		}
	}
}

static void check_static(const struct value *services, struct complaints *complaints)
{
	for (size_t i = 0; services != NULL && i < services->count; i++)
		check_duplicates(list_at(services->entries[i].value, "static"), NULL, "address",
			text_is_same_address, complaints);
}

/* Every route's service must be one of the services. */
static void check_references(
	const struct value *routes, const struct value *services, struct complaints *complaints)
{
	for (size_t i = 0; routes != NULL && services != NULL && i < routes->count; i++) {
		const struct value *service = scalar_of_item(routes, i, "service");
		if (service == NULL || service->bytes == 0 || value_is_null(service))
			continue;
		struct suggestion suggestion = {.word = service->text, .bytes = service->bytes};
		bool is_known = false;
		for (size_t j = 0; j < services->count && !is_known; j++) {
			const struct value *name = scalar_of_item(services, j, "name");
			if (name == NULL)
				continue;
			is_known = strcmp(name->text, service->text) == 0;
			suggestion_offer(&suggestion, name->text);
		}
		if (is_known)
			continue;
		const char *nearest = suggestion.nearest;
		complaints_add(complaints, service->place, "unknown service \"%s\"%s%s%s",
			show(service->text, service->bytes).text,
			nearest != NULL ? ", did you mean \"" : ": add one with this name below services",
			nearest != NULL ? show_text(nearest).text : "", nearest != NULL ? "\"?" : "");
	}
}

/* The admin endpoint's address, given or not, must not be a listener's. */
static void check_admin(
	const struct value *root, const struct value *listeners, struct complaints *complaints)
{
	const struct value_entry *admin = value_find(root, "admin", strlen("admin"));
	const struct value *given = admin != NULL ? value_scalar_at(admin->value, "address") : NULL;
	const char *address =
		given != NULL ? given->text : settings_key_find("admin", "address")->default_text;
	for (size_t i = 0; listeners != NULL && i < listeners->count; i++) {
		const struct value *own = scalar_of_item(listeners, i, "address");
		if (own != NULL && text_is_same_address(own->text, address))
			complaints_add(complaints, own->place,
				"address \"%s\" is admin.address too: change one of them",
				show(own->text, own->bytes).text);
	}
}

void settings_check(const struct value *root, struct complaints *complaints)
{
	const struct value *listeners = list_at(root, "listeners");
	const struct value *services = list_at(root, "services");
	const struct value *routes = list_at(root, "routes");
	check_duplicates(listeners, "address", "listener address", text_is_same_address, complaints);
	check_duplicates(services, "name", "service name", is_same_text, complaints);
	check_duplicates(routes, "path", "route path", is_same_text, complaints);
	check_static(services, complaints);
	check_references(routes, services, complaints);
	check_admin(root, listeners, complaints);
}
